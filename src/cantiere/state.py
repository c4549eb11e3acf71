"""State of one facility on one site: the provider's objects, written by apply alone, after every step."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from cantiere.errors import CantiereError, Location, Problem

VERSION = 1
LOCK_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class State:
    """What apply remembers.

    Parameters
    ----------
    lineage:
        Identifies the facility for life; every object made for it carries it.
    serial:
        Grows by one with every write.
    facility:
        The facility's name.
    applied:
        Template and inputs of the last finished apply (references to secrets, never secrets).
    objects:
        Step id (``network/…``, ``volume/…``) to what the provider said of the object.
    version:
        Schema version of the file.
    """

    lineage: str
    serial: int = 0
    facility: str = ""
    applied: Mapping[str, Any] = field(default_factory=dict)
    objects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    version: int = VERSION

    def with_object(self, key: str, value: Mapping[str, Any] | None) -> State:
        """A state that knows one object more, or less where value is None."""
        objects = {name: item for name, item in self.objects.items() if name != key}
        if value is not None:
            objects[key] = value
        return replace(self, objects=objects)


class StateStore:
    """The state file of a site, and its lock.

    Parameters
    ----------
    folder:
        The site's state folder; made with mode 0700 at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "state.json"
        self.lock_file = folder / "lock.json"

    def load(self) -> State | None:
        """The state as last written, or None where there is none.

        Raises
        ------
        CantiereError
            The file is damaged or written by a newer version.
        """
        if not self.file.is_file():
            return None
        try:
            state = State(**json.loads(self.file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise self._problem(
                "state.damaged", f"the state cannot be read: {error}", "move it away; `up` finds its objects again by their labels"
            ) from error
        if state.version > VERSION:
            raise self._problem(
                "state.version", f"the state has version {state.version}, this program knows {VERSION}", "use the newer program"
            )
        return state

    def save(self, state: State) -> State:
        """Write a state with the next serial, in one atomic step; the caller holds the lock."""
        saved = replace(state, serial=state.serial + 1)
        write_atomic(self.file, json.dumps(asdict(saved), indent=1, sort_keys=True) + "\n")
        return saved

    def settle(self, patience: float) -> None:
        """Wait until no other run works on the site; nothing is made where there is none yet.

        Parameters
        ----------
        patience:
            Seconds to wait.

        Raises
        ------
        CantiereError
            Somebody still holds it.
        """
        if self.lock_file.is_file():
            with self.locked("look", patience):
                pass

    @staticmethod
    def new(facility: str) -> State:
        """A state of a facility that does not exist yet."""
        return State(lineage=str(uuid.uuid4()), facility=facility)

    @contextlib.contextmanager
    def locked(self, purpose: str, patience: float = 0.0) -> Iterator[None]:
        """Hold the site for one writer; a writer that was killed leaves no lock behind.

        Parameters
        ----------
        purpose:
            What the holder does, for whoever meets the lock.
        patience:
            Seconds to wait for another holder to end.

        Raises
        ------
        CantiereError
            Somebody else holds it; the message says who and since when.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.lock_file.open("a+", encoding="utf-8") as handle:
            deadline = time.monotonic() + patience
            while not _taken(handle):
                if time.monotonic() >= deadline:
                    handle.seek(0)
                    raise self._problem("state.locked", f"another run holds this site: {handle.read().strip()}", "wait for it to end")
                time.sleep(LOCK_PAUSE)
            holder = {
                "purpose": purpose,
                "user": getpass.getuser(),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "since": time.strftime("%FT%T%z"),
            }
            handle.truncate(0)
            handle.write(json.dumps(holder))
            handle.flush()
            yield

    def _problem(self, code: str, message: str, remedy: str) -> CantiereError:
        return CantiereError(Problem(code, message, remedy, Location(str(self.file))))


def _taken(handle: TextIO) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_atomic(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file so that a reader, or a run after a kill, sees the old content or the new one, never a part."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content.encode() if isinstance(content, str) else content)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
