"""Files from elsewhere: fetched in pieces, and kept only where their hash is the pinned one."""

from __future__ import annotations

import hashlib
import shutil
import socket
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from cantiere.errors import CantiereError, Location, Problem
from cantiere.supply.pins import PINS, Item
from cantiere.supply.store import CHUNK, Log, Made

PATIENCE = 60
"""Seconds without a byte after which a download has failed."""


def is_address(place: str) -> bool:
    """Whether a place is an address of a web server; else it is a path."""
    return place.startswith(("http://", "https://"))


def join(place: str, name: str) -> str:
    """A name under a folder or an address."""
    return f"{place.rstrip('/')}/{name}"


@contextmanager
def opened(source: str, what: str) -> Iterator[IO[bytes]]:
    """A file or an address, opened for reading.

    Raises
    ------
    CantiereError
        It cannot be read.
    """
    try:
        if is_address(source):
            with urllib.request.urlopen(source, timeout=PATIENCE) as answer:
                yield answer
        else:
            with Path(source).open("rb") as file:
                yield file
    except (OSError, urllib.error.URLError) as error:
        raise CantiereError(
            Problem(
                "artifact.unavailable",
                f"{what} could not be had from {source}: {error}",
                "check that the place can be reached, or choose another supply (`artifacts` in the site's file)",
                Location(source),
                what,
            )
        ) from error


def fetch(source: str, sha256: str, target: Path, what: str, log: Log) -> None:
    """Copy a file from an address or a path, and refuse it where its hash is not the expected one.

    Parameters
    ----------
    source:
        An ``http`` or ``https`` address, or a path.
    sha256:
        The expected hash.
    target:
        Where it goes; not there afterwards where it was refused.
    what:
        Name of the artifact, for errors.
    log:
        Takes a line for each tenth of a large file.

    Raises
    ------
    CantiereError
        It cannot be read, or it is another file: says what was expected, what was found, and from where.
    """
    digest = hashlib.sha256()
    done = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with opened(source, what) as stream, target.open("wb") as file:
            size = int(getattr(stream, "headers", {}).get("Content-Length") or 0)
            told = 0
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
                done += len(chunk)
                if size > 32 * CHUNK and done * 10 // size > told:
                    told = done * 10 // size
                    log(f"{what}: {done >> 20} of {size >> 20} MiB")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if digest.hexdigest() != sha256:
        target.unlink()
        raise wrong(what, sha256, digest.hexdigest(), source)


def wrong(what: str, expected: str, found: str, source: str) -> CantiereError:
    """The refusal of a file that is not the pinned one."""
    return CantiereError(
        Problem(
            "artifact.hash",
            f"{what}: the file from {source} is refused: expected sha256 {expected}, found {found}",
            "find out who changed it: take the file from its publisher again, or correct the pin if it was never right",
            Location(source),
            what,
        )
    )


def pinned(item: Item) -> bool:
    """Whether every file that ``upstream`` offers for an item has its hash pinned."""
    files = item.entry.get("upstream", {}).get("files", {})
    return bool(files) and all(spec.get("sha256", {}).get(item.version, {}).get(item.arch) for spec in files.values())


def upstream(item: Item, folder: Path, log: Log) -> list[Made]:
    """Fetch an item from its publisher.

    Parameters
    ----------
    item:
        Its ``upstream`` names the addresses and hashes.
    folder:
        Takes the files.
    log:
        Takes the progress.

    Raises
    ------
    CantiereError
        There is no address or no hash pinned, or what came is not the pinned file.
    """
    if not pinned(item):
        raise CantiereError(
            Problem(
                "artifact.unpinned",
                f"{item.name} {item.version} for {item.arch}: no hash of its publisher's files is pinned, so upstream is refused",
                "pin sha256 (by version and architecture) in artifacts.yaml or in the site's artifacts_file, or choose build or mirror",
                Location(str(PINS)),
                item.name,
            )
        )
    made: list[Made] = []
    for name, spec in item.entry["upstream"]["files"].items():
        source = item.fill(spec["url"])
        log(f"{item.name}: {source}")
        fetch(source, spec["sha256"][item.version][item.arch], folder / name, f"{item.name} {item.version} ({item.arch})", log)
        if "take" in spec:
            made += [_take(item, folder / name, member) for member in spec["take"]]
            (folder / name).unlink()
        else:
            (folder / name).chmod(0o755)
            made.append(Made(name))
    return made


def _take(item: Item, archive: Path, program: str) -> Made:
    with tarfile.open(archive) as content:
        for member in content:
            if member.isfile() and member.name.rpartition("/")[2] == program:
                source = content.extractfile(member)
                if source is None:
                    break
                target = archive.parent / program
                with source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, CHUNK)
                target.chmod(0o755)
                return Made(program)
    raise CantiereError(
        Problem(
            "artifact.content", f"{item.name}: there is no {program} in {archive.name}", "correct `take` in artifacts.yaml", path=item.name
        )
    )


@cache
def answers(address: str) -> bool:
    """Whether the host of an address takes a connection within two seconds; asked once per run."""
    parts = urlsplit(address)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 443), timeout=2):
            return True
    except OSError:
        return False
