"""The store of artifacts on this machine: a folder for each, named by what it is made from, complete or not there."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Location, Problem
from cantiere.supply.pins import Item

CACHE = Path(os.environ.get("CANTIERE_CACHE", "/var/cache/cantiere"))
RECORD = "artifact.json"
CHUNK = 1 << 20
KEPT = 3
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Made:
    """A file that a supply has put into a new folder.

    Parameters
    ----------
    name:
        Its path in the folder.
    links:
        Other names of the same program.
    references:
        Names of the images that it carries.
    mode:
        Permissions where it is installed, as an octal text.
    """

    name: str
    links: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    mode: str = "0755"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the store.

    Parameters
    ----------
    name, path:
        Its name in the artifact's folder, and where that is.
    sha256:
        Of its content, in hexadecimal.
    size:
        In bytes.
    mode:
        Permissions where it is installed, as an octal text.
    links:
        Other names of the same program.
    references:
        Names of the images that it carries.
    """

    name: str
    path: Path
    sha256: str
    size: int
    mode: str
    links: tuple[str, ...]
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """An artifact of the store.

    Parameters
    ----------
    name, version, arch:
        Which one.
    supply:
        Where it came from: ``upstream``, ``mirror`` or ``build``.
    folder:
        Where it is.
    files:
        Its files.
    pin:
        Digest of everything that decided its content.
    """

    name: str
    version: str
    arch: str
    supply: str
    folder: Path
    files: tuple[StoredFile, ...] = field(repr=False)
    pin: str

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the images that it carries."""
        return tuple(reference for file in self.files for reference in file.references)


def sha256(path: Path) -> str:
    """Digest of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_of(item: Item, supply: str, root: Path = CACHE) -> Path:
    """Where an artifact of that supply is or will be."""
    key = hashlib.sha256(f"{item.pin} {supply}".encode()).hexdigest()[:12]
    return root / "artifacts" / item.name / f"{item.version}-{item.arch}-{key}"


def find(item: Item, supply: str, root: Path = CACHE) -> Stored | None:
    """An artifact that is there and complete, or None.

    A folder is there only as a whole: it got its name when all was in it. Sizes are compared, contents when they are used.
    """
    folder = folder_of(item, supply, root)
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        stored = _stored(record, folder)
        whole = all(file.path.stat().st_size == file.size for file in stored.files)
    except (OSError, ValueError, KeyError):
        return None
    return stored if whole else None


def make(item: Item, supply: str, maker: Callable[[Path], Sequence[Made]], log: Log, root: Path = CACHE) -> Stored:
    """Put an artifact into the store; what another run makes meanwhile is waited for and taken.

    Parameters
    ----------
    item, supply:
        Which artifact, from where.
    maker:
        Writes the files into the empty folder that it is given, and tells which.
    log:
        Takes one line of progress at a time.
    root:
        The cache that holds the store.
    """
    folder = folder_of(item, supply, root)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.parent / f".{folder.name}.lock", item.name, log):
        if found := find(item, supply, root):
            return found
        unfinished = f".new-{folder.name}-"
        for left in folder.parent.glob(f"{unfinished}*"):  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=unfinished, dir=folder.parent))
        try:
            record = _record(item, supply, new, maker(new))
            (new / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            new.chmod(0o755)
            _sync(new)
            if folder.exists():  # not complete, else it had been found
                shutil.rmtree(folder)
            new.rename(folder)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        _forget(folder, f"{item.version}-{item.arch}-")
        return _stored(record, folder)


def _forget(folder: Path, prefix: str) -> None:
    """Remove what newer pins of the same version have replaced, all but the last few: other sites and runs may still use those."""
    same = sorted(folder.parent.glob(f"{prefix}*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in same[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def _record(item: Item, supply: str, folder: Path, made: Sequence[Made]) -> dict[str, Any]:
    files = [
        {
            "name": file.name,
            "sha256": sha256(folder / file.name),
            "size": (folder / file.name).stat().st_size,
            "mode": file.mode,
            "links": list(file.links),
            "references": list(file.references),
        }
        for file in made
    ]
    origin = {"name": item.name, "version": item.version, "source": item.source, "arch": item.arch, "supply": supply, "pin": item.pin}
    return {**origin, "files": files}


def _stored(record: dict[str, Any], folder: Path) -> Stored:
    files = tuple(
        StoredFile(
            file["name"],
            folder / file["name"],
            file["sha256"],
            file["size"],
            file["mode"],
            tuple(file["links"]),
            tuple(file["references"]),
        )
        for file in record["files"]
    )
    return Stored(record["name"], record["version"], record["arch"], record["supply"], folder, files, record["pin"])


def _sync(folder: Path) -> None:
    """Have the contents on the disk before the name says that they are there."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_file() or path == folder:
            number = os.open(path, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)


@contextmanager
def _lock(path: Path, name: str, log: Log) -> Iterator[None]:
    try:
        with path.open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log(f"{name}: another run makes it, waiting")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except PermissionError as error:
        raise CantiereError(
            Problem(
                "store.refused",
                f"{name}: {error.strerror}: {error.filename}",
                "run as a user who may write there, or set CANTIERE_CACHE to a folder of yours",
                Location(str(path.parent)),
                name,
            )
        ) from error
