"""Artifacts of machines and clusters: what is pinned, from which supply it comes, and where it lies on this machine.

``ensure`` puts what is missing into the store, ``missing`` tells what that would be, ``placed`` tells the roles what to install from it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.supply import download, gobuild, mirror, ociimage, store, unpacked
from cantiere.supply.pins import ROOTFS, Item, Supplied, catalogue, item, version
from cantiere.supply.store import CACHE, Log, Made, Stored, StoredFile

__all__ = ["Stored", "StoredFile", "ensure", "missing", "origin", "placed", "version"]


def ensure(names: Sequence[str], site: Supplied, arch: str, log: Log, root: Path = CACHE) -> Mapping[str, Stored]:
    """Have artifacts in the store; what is there already is taken as it is.

    Parameters
    ----------
    names:
        Which, by their names in ``artifacts.yaml``.
    site:
        Says where they come from, and may pin other versions.
    arch:
        ``amd64`` or ``arm64``.
    log:
        Takes one line of progress at a time.
    root:
        The cache that holds the store.

    Returns
    -------
    Mapping
        Each artifact by its name.

    Raises
    ------
    CantiereError
        One cannot be had; says which, what was tried, and the remedy.
    """
    return {name: _ensure(item(name, site, arch), site, log, root) for name in names}


def missing(names: Sequence[str], site: Supplied, arch: str, root: Path = CACHE) -> tuple[str, ...]:
    """The artifacts of those names that :func:`ensure` would have to make or fetch; reads only, asks no network."""
    return tuple(name for name in names if _found(item(name, site, arch), site, root) is None)


def placed(names: Sequence[str], site: Supplied, arch: str, root: Path = CACHE) -> list[dict[str, Any]]:
    """What a role installs: every file of the artifacts, with where it can be had.

    Parameters
    ----------
    names, site, arch, root:
        As in :func:`ensure`.

    Returns
    -------
    list of dict
        For a program ``artifact``, ``version``, ``name``, ``sha256``, ``mode``, ``links`` (further names) and ``sources``;
        for an image's archive ``artifact``, ``version``, ``archive``, ``sha256``, ``references`` and ``sources``.

    Raises
    ------
    CantiereError
        One is not in the store.
    """
    rows: list[dict[str, Any]] = []
    for name in names:
        found = _found(item(name, site, arch), site, root)
        if found is None:
            raise CantiereError(
                Problem(
                    "artifact.missing",
                    f"{name} ({arch}) is not in the store of this machine",
                    "have it made first: `cantiere up`",
                    path=name,
                )
            )
        rows += [_row(found, file, site) for file in found.files]
    return rows


def _row(found: Stored, file: StoredFile, site: Supplied) -> dict[str, Any]:
    sources = [str(file.path)]
    if found.supply == "mirror" and download.is_address(site.mirror):
        sources.append(download.join(site.mirror, mirror.path_of(found.name, found.version, found.arch, found.pin, file.name)))
    common = {"artifact": found.name, "version": found.version, "sha256": file.sha256, "sources": sources}
    if file.references:
        return {**common, "archive": str(file.path), "references": list(file.references)}
    return {**common, "name": file.name, "mode": file.mode, "links": list(file.links)}


def origin(site: Supplied) -> str:
    """Where a site's artifacts come from, in words."""
    if site.artifacts == "mirror" or (site.artifacts == "auto" and site.mirror):
        return f"from the mirror {site.mirror}"
    texts = {
        "upstream": "from their publishers",
        "build": "made here from packages of languages and distributions",
        "auto": "from their publishers where these answer and hashes are pinned, else made here",
    }
    return texts[site.artifacts]


def ways(wanted: Item, site: Supplied) -> tuple[str, ...]:
    """The supplies that a site's setting allows for an artifact, the one to prefer first; ``upstream`` unasked.

    Parameters
    ----------
    wanted:
        The artifact.
    site:
        Its ``auto`` prefers its mirror, then upstream where that is pinned, then build.
    """
    published = "upstream" in wanted.entry
    if site.artifacts == "auto":
        if site.mirror:
            return ("mirror",)
        checked = ociimage.pinned(wanted) if wanted.kind == "image" else download.pinned(wanted)
        return ("upstream", "build") if published and checked else ("build",)
    return ("build",) if site.artifacts == "upstream" and not published else (site.artifacts,)


def _found(wanted: Item, site: Supplied, root: Path) -> Stored | None:
    return next((found for way in ways(wanted, site) if (found := store.find(wanted, way, root))), None)


def _ensure(wanted: Item, site: Supplied, log: Log, root: Path) -> Stored:
    if found := _found(wanted, site, root):
        return found
    way = ways(wanted, site)[0]
    if site.artifacts == "auto" and way == "upstream" and not _reachable(wanted):
        way = "build"
    if way == "build":
        return _build(wanted, site, log, root)

    def maker(folder: Path) -> Sequence[Made]:
        if way == "mirror":
            return mirror.take(site.mirror, wanted, folder, log)
        return ociimage.pull(wanted, folder, log) if wanted.kind == "image" else download.upstream(wanted, folder, log)

    return store.make(wanted, way, maker, log, root)


def _reachable(wanted: Item) -> bool:
    if wanted.kind == "image":
        return bool(shutil.which("skopeo")) and download.answers(f"https://{wanted.references[0].partition('/')[0]}")
    return download.answers(str(next(iter(wanted.entry["upstream"]["files"].values()))["url"]))


def _build(wanted: Item, site: Supplied, log: Log, root: Path) -> Stored:
    if found := store.find(wanted, "build", root):
        return found
    made_from = {other.name: _build(other, site, log, root) for other in wanted.after}

    def maker(folder: Path) -> Sequence[Made]:
        if wanted.kind == "packages":
            return unpacked.unpack(wanted, folder, log)
        if wanted.kind == "image":
            return ociimage.compose(wanted, made_from, folder, log)
        if wanted.kind == ROOTFS:
            unpacked.root_filesystem(wanted.entry, wanted.version, folder / f"{ROOTFS}.tar")
            return [Made(f"{ROOTFS}.tar", mode="0644")]
        return gobuild.build(wanted, folder, catalogue(site)["toolchain"], log, root)

    log(f"{wanted.name} {wanted.version} ({wanted.arch}): made here")
    return store.make(wanted, "build", maker, log, root)
