"""What machines and clusters are made of, read from ``artifacts.yaml`` and from a site's own pins on top of it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import yaml

from cantiere.errors import CantiereError, Location, Problem, TemplateError
from cantiere.overlay import merged
from cantiere.site import REPOSITORY

PINS = REPOSITORY / "artifacts.yaml"
BUILDS = REPOSITORY / "builds"
ROOTFS = "rootfs"
ARCHITECTURES = ("amd64", "arm64")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
SECTIONS = {"binaries": "binaries", "packages": "packages", "cluster_images": "image"}
CHARTS = "charts"
"""The section of Helm charts: a site's own pins may name further ones there."""


class Supplied(Protocol):
    """What the supplies need to know of a site."""

    @property
    def artifacts(self) -> str:
        """``auto``, ``upstream``, ``mirror`` or ``build``."""

    @property
    def mirror(self) -> str:
        """Folder or address of the site's mirror, or an empty string."""

    @property
    def artifacts_file(self) -> Path | None:
        """The site's own pins, merged over ``artifacts.yaml``."""


@dataclass(frozen=True, slots=True)
class Anywhere:
    """Supplies where no site says otherwise: our own pins, and ``auto`` without a mirror."""

    artifacts: str = "auto"
    mirror: str = ""
    artifacts_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One artifact for one architecture.

    Parameters
    ----------
    name:
        Its name in ``artifacts.yaml``.
    kind:
        ``binaries``, ``packages``, ``image`` or ``rootfs``.
    version:
        The version that it says it is.
    source:
        The version of the sources that ``build`` compiles; differs only where a site's own pins say so.
    arch:
        ``amd64`` or ``arm64``.
    entry:
        Its entry, as it is written.
    after:
        What ``build`` makes it from.
    pin:
        Digest of everything that decides its content, whatever the supply.
    """

    name: str
    kind: str
    version: str
    source: str
    arch: str
    entry: Mapping[str, Any]
    after: tuple[Item, ...]
    pin: str

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the image, in the order of ``artifacts.yaml``; none where it is no image."""
        return tuple(self.fill(text) for text in self.entry.get("references", ()))

    @property
    def links(self) -> Mapping[str, tuple[str, ...]]:
        """The other names of each program that ``build`` makes."""
        return {name: tuple(others) for name, others in self.entry.get("build", {}).get("links", {}).items()}

    def fill(self, text: str) -> str:
        """A text of the entry with version and architecture put in."""
        numbers = [*self.version.split("."), "", ""]
        values = {"version": self.version, "source": self.source, "arch": self.arch, "major": numbers[0], "minor": numbers[1]}
        for key, value in values.items():
            text = text.replace("{" + key + "}", value)
        return text


def own_architecture() -> str:
    """Architecture of this machine as artifacts name it."""
    return MACHINES.get(platform.machine(), platform.machine())


@lru_cache(maxsize=8)
def _read(file: Path, _changed: int) -> dict[str, Any]:
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise TemplateError(Problem("pins.shape", "pins are a mapping", "write them as in artifacts.yaml", Location(str(file))))
    return data


def catalogue(site: Supplied) -> dict[str, Any]:
    """All pins of a site.

    Raises
    ------
    TemplateError
        The site's own file cannot be read, or names a section or an artifact that is not there.
    """
    ours = _read(PINS, PINS.stat().st_mtime_ns)
    if brought := getattr(site, CHARTS, None):
        ours = {**ours, CHARTS: {**ours[CHARTS], **brought}}
    file = site.artifacts_file
    if file is None:
        return ours
    if not file.is_file():
        raise TemplateError(
            Problem("pins.missing", f"there is no {file}", "put it there, or leave artifacts_file out", Location(str(file)))
        )
    own = _read(file, file.stat().st_mtime_ns)
    unknown = [key for key in own if key not in (*SECTIONS, CHARTS)]
    unknown += [f"{section}.{name}" for section in SECTIONS for name in own.get(section, {}) if name not in ours[section]]
    if unknown:
        raise TemplateError(
            Problem("pins.unknown", f"unknown: {', '.join(unknown)}", "use the names of artifacts.yaml", Location(str(file)), unknown[0])
        )
    return merged(ours, own, null_removes=False)


def names(site: Supplied) -> tuple[str, ...]:
    """Every artifact that machines or clusters need, each after what it is made from."""
    data = catalogue(site)
    return tuple(name for section in SECTIONS for name in data[section])


def version(name: str, site: Supplied) -> str:
    """The version of an artifact at a site."""
    return item(name, site, ARCHITECTURES[0]).version


def item(name: str, site: Supplied, arch: str) -> Item:
    """One artifact as a site pins it.

    Parameters
    ----------
    name:
        Its name in ``artifacts.yaml``.
    site:
        Whose pins.
    arch:
        ``amd64`` or ``arm64``.

    Raises
    ------
    CantiereError
        There is no such artifact or architecture.
    """
    data = catalogue(site)
    if arch not in ARCHITECTURES:
        raise CantiereError(
            Problem("artifact.architecture", f"there is nothing for {arch!r}", f"use {' or '.join(ARCHITECTURES)}", path=name)
        )
    if name == ROOTFS:
        return _item(name, ROOTFS, data[ROOTFS]["build"], data, site, arch)
    for section, kind in SECTIONS.items():
        if name in data[section]:
            return _item(name, kind, data[section][name], data, site, arch)
    known = ", ".join(names(site))
    raise CantiereError(Problem("artifact.unknown", f"there is no artifact {name!r}", f"use one of: {known}", Location(str(PINS)), name))


def _item(name: str, kind: str, entry: Mapping[str, Any], data: Mapping[str, Any], site: Supplied, arch: str) -> Item:
    if kind in ("packages", ROOTFS):
        named = str(data["debian_release"])
    else:
        named = str(entry["version"] if "version" in entry else data["binaries"][entry["version_of"]]["version"])
    source = str(entry.get("source", named))
    build = entry.get("build", {})
    after = tuple(item(build[key], site, arch) for key in ("packages", "binaries") if kind == "image" and key in build)
    made_from = {
        "entry": entry,
        "version": [named, source, arch],
        "after": [other.pin for other in after],
        "compiled": [data["toolchain"], _files(BUILDS / build["go"])] if "go" in build else [],
    }
    pin = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return Item(name, kind, named, source, arch, entry, after, pin)


def _files(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir()) if path.is_file()}
