"""Every pinned image: what it is made from, the digest of that, and how to make it here.

An image's tag is the digest of everything it is made from (its folder, its arguments, its parent), so an image that is there under
its tag is the right one, and a changed file makes a new tag for it and for all that build on it.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cantiere.errors import CantiereError, Location, Problem
from cantiere.site import REPOSITORY, Site
from cantiere.supply.pins import Anywhere, item, own_architecture

PINS = REPOSITORY / "artifacts.yaml"
IMAGES = REPOSITORY / "images"
ROOTFS = "rootfs"
SAMPLES = "samples"
REPOSITORY_NAME = "localhost/cantiere"


@dataclass(frozen=True, slots=True)
class Image:
    """An image of ``artifacts.yaml``.

    Parameters
    ----------
    name:
        Its name there.
    parent:
        The image that it builds on, or ``""`` for the root file system.
    reference:
        Full name in the container engine, tagged with the digest.
    args:
        Build arguments (versions).
    folder:
        Where its Containerfile is.
    binaries:
        Names of ``artifacts.yaml`` under ``binaries`` whose programs its Containerfile copies, each from the build context of that name.
    """

    name: str
    parent: str
    reference: str
    args: Mapping[str, str]
    folder: Path
    binaries: tuple[str, ...] = ()


@cache
def pins() -> dict[str, Any]:
    """The content of ``artifacts.yaml``."""
    data: dict[str, Any] = yaml.safe_load(PINS.read_text(encoding="utf-8"))
    return data


@cache
def catalogue() -> Mapping[str, Image]:
    """All images by name, each after its parent.

    Raises
    ------
    CantiereError
        An image names a parent that comes later or not at all.
    """
    images = {ROOTFS: Image(ROOTFS, "", _reference(ROOTFS, _digest({**pins()[ROOTFS], "release": pins()["debian_release"]})), {}, IMAGES)}
    for name, entry in pins()["images"].items():
        parent = entry["from"]
        if parent not in images:
            raise CantiereError(
                Problem(
                    "artifact.parent",
                    f"image {name} builds on {parent}, which is not above it",
                    f"list {parent} before {name}",
                    Location(str(PINS)),
                    name,
                )
            )
        args = {key: str(value) for key, value in entry.get("args", {}).items()}
        folder = IMAGES / entry.get("folder", name)
        made_from = {"parent": images[parent].reference, "args": args, "files": _files(folder)}
        binaries = tuple(entry.get("binaries", ()))
        if binaries:
            made_from["binaries"] = [item(other, Anywhere(), own_architecture()).pin for other in binaries]
        images[name] = Image(name, parent, _reference(name, _digest(made_from)), args, folder, binaries)
    return images


def chain(names: tuple[str, ...]) -> tuple[Image, ...]:
    """The images of those names and all that they build on, parents first."""
    wanted: set[str] = set()
    for name in names:
        while name and name not in wanted:
            wanted.add(name)
            name = catalogue()[name].parent
    return tuple(image for image in catalogue().values() if image.name in wanted)


def references() -> dict[str, str]:
    """Image name to full reference."""
    return {name: image.reference for name, image in catalogue().items()}


def supply(site: Site) -> str:
    """Where base images come from: ``upstream``, ``mirror`` or ``build``.

    Parameters
    ----------
    site:
        Its ``auto`` means its mirror where it has one, else upstream where the registry can be reached within two seconds, else build.
    """
    if site.artifacts != "auto":
        return site.artifacts
    if site.mirror:
        return "mirror"
    registry = str(pins()[ROOTFS]["upstream"]).split("/", maxsplit=1)[0]
    host = {"docker.io": "registry-1.docker.io"}.get(registry, registry)
    try:
        with socket.create_connection((host, 443), timeout=2):
            return "upstream"
    except OSError:
        return "build"


def _reference(name: str, digest: str) -> str:
    return f"{REPOSITORY_NAME}/{name}:{digest[:12]}"


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): f"{path.stat().st_mode & 0o111:o}:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
