"""A site's own package repositories, as files for apt or dnf. Pure.

Source: sources.list(5) of apt (the deb822 style), dnf.conf(5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def files(sources: Sequence[Mapping[str, Any]], family: str) -> list[dict[str, str]]:
    """Files that make an operating system take packages from further repositories; each is checked with its own key.

    Parameters
    ----------
    sources:
        Repositories with ``name``, ``uri``, ``key`` (a public OpenPGP key, armored) and, for apt, ``suite`` and ``components``.
    family:
        ``Debian`` or ``RedHat``.

    Returns
    -------
    list
        Files with ``path`` and ``content``, the keys before what names them.
    """
    make = {"Debian": _apt, "RedHat": _dnf}[family]
    return [{"path": path, "content": content} for source in sources for path, content in make(source)]


def problems(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with a list of repositories."""
    found = []
    names = [str(source.get("name", "")) for source in sources]
    for name, source in zip(names, sources, strict=True):
        if not name.replace("-", "").isalnum() or names.count(name) > 1:
            found.append(f"package source {name!r}: a name is of letters, digits and hyphens, and of one source only")
        if not str(source.get("uri", "")).startswith(("http://", "https://", "file:/")):
            found.append(f"package source {name!r}: its uri begins with http://, https:// or file:/")
        if "BEGIN PGP PUBLIC KEY BLOCK" not in str(source.get("key", "")):
            found.append(f"package source {name!r}: its key is not an armored OpenPGP public key; packages are never taken unchecked")
    return found


def _apt(source: Mapping[str, Any]) -> list[tuple[str, str]]:
    name = f"cantiere-{source['name']}"
    key = f"/etc/apt/keyrings/{name}.asc"
    suite = source.get("suite") or "/"
    components = " ".join(source.get("components") or ())
    lines = ["# Made by cantiere.", "Types: deb", f"URIs: {source['uri']}", f"Suites: {suite}"]
    lines += [f"Components: {components}"] if components else []
    return [(key, source["key"].strip() + "\n"), (f"/etc/apt/sources.list.d/{name}.sources", "\n".join([*lines, f"Signed-By: {key}", ""]))]


def _dnf(source: Mapping[str, Any]) -> list[tuple[str, str]]:
    name = f"cantiere-{source['name']}"
    key = f"/etc/pki/rpm-gpg/{name}"
    lines = ["# Made by cantiere.", f"[{name}]", f"name={source['name']}", f"baseurl={source['uri']}"]
    lines += ["enabled=1", "gpgcheck=1", f"gpgkey=file://{key}", ""]
    return [(key, source["key"].strip() + "\n"), (f"/etc/yum.repos.d/{name}.repo", "\n".join(lines))]
