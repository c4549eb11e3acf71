"""A bundle of artifacts for sites without a way out: what it holds, and how a site takes from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Location, Problem
from cantiere.supply.download import fetch, join, opened
from cantiere.supply.pins import Item
from cantiere.supply.store import Log, Made

INDEX = "index.json"
FORMAT = 1


def path_of(name: str, version: str, arch: str, pin: str, file: str) -> str:
    """Where a file of an artifact lies in a bundle."""
    return f"{name}/{version}-{arch}-{pin[:12]}/{file}"


def read_index(place: str) -> dict[str, Any]:
    """What a bundle holds.

    Parameters
    ----------
    place:
        The bundle's folder or address.

    Raises
    ------
    CantiereError
        There is no index, or it is not one that this version reads.
    """
    source = join(place, INDEX)
    with opened(source, "the mirror's index") as stream:
        text = stream.read()
    try:
        index = json.loads(text)
        known = index["format"] == FORMAT
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise CantiereError(
            Problem("mirror.index", f"{source} is no index of a mirror", "fill the mirror with `cantiere mirror pull`", Location(source))
        )
    return dict(index)


def entry_of(index: Mapping[str, Any], wanted: Item, place: str) -> Mapping[str, Any]:
    """The entry of an artifact in a bundle's index.

    Raises
    ------
    CantiereError
        The bundle does not hold it, or holds another one than is pinned.
    """
    same = [entry for entry in index["artifacts"] if (entry["name"], entry["arch"]) == (wanted.name, wanted.arch)]
    for entry in same:
        if entry["pin"] == wanted.pin:
            return dict(entry)
    held = ", ".join(f"{entry['version']} (pin {entry['pin'][:12]})" for entry in same) or "none"
    raise CantiereError(
        Problem(
            "mirror.lacks",
            f"the mirror {place} lacks {wanted.name} {wanted.version} for {wanted.arch} (pin {wanted.pin[:12]}); it holds: {held}",
            "run `cantiere mirror pull` again with the pins of this site",
            Location(place),
            wanted.name,
        )
    )


def take(place: str, wanted: Item, folder: Path, log: Log) -> list[Made]:
    """Fetch an artifact from a bundle.

    Parameters
    ----------
    place:
        The bundle's folder or address.
    wanted:
        Which artifact.
    folder:
        Takes the files.
    log:
        Takes the progress.

    Raises
    ------
    CantiereError
        It is not there, or a file is not the one that the index names.
    """
    entry = entry_of(read_index(place), wanted, place)
    made = []
    for file in entry["files"]:
        source = join(place, path_of(wanted.name, wanted.version, wanted.arch, wanted.pin, file["name"]))
        log(f"{wanted.name}: {source}")
        fetch(source, file["sha256"], folder / file["name"], f"{wanted.name} {wanted.version} ({wanted.arch})", log)
        (folder / file["name"]).chmod(int(file["mode"], 8))
        made.append(Made(file["name"], tuple(file["links"]), tuple(file["references"]), file["mode"]))
    return made
