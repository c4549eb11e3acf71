"""Who asked for a run, as its processes know it, and the folder that it keeps its files in."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUN_VARIABLE = "CANTIERE_RUN"
"""Holds the process that asked for the run; once that is gone no further step is begun."""
FOLDER = "cantiere-run-"
"""How the folders of runs are called; the process that asked for the run comes after it."""
LAST_STEP = 3600.0
"""Seconds for which the last step of a killed run may still write into its folder."""


def asker_gone() -> bool:
    """Whether the process that asked for the run is gone; False where nobody said who it is."""
    asked_by = os.environ.get(RUN_VARIABLE)
    return bool(asked_by) and not _there(str(asked_by))


@contextmanager
def scratch(place: Path | None = None) -> Iterator[Path]:
    """A folder for the files of this process's run; it goes at the end, and with it those that killed runs left behind.

    Parameters
    ----------
    place:
        Where; None takes the machine's folder for temporary files.
    """
    place = place or Path(tempfile.gettempdir())
    for path in left_behind(place):
        shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-", dir=place) as folder:
        yield Path(folder)


def left_behind(place: Path) -> list[Path]:
    """Folders of this user's runs whose process has ended, and into which nothing writes any more."""
    found = []
    for path in sorted(place.glob(f"{FOLDER}*")):
        named = re.fullmatch(rf"{FOLDER}(\d+)-\w+", path.name)
        with contextlib.suppress(FileNotFoundError):
            about = path.lstat()
            ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()
            if named and ours and not _there(named[1]) and time.time() - _touched(path) > LAST_STEP:
                found.append(path)
    return found


def end_left_behind(*words: str) -> list[int]:
    """End the processes of killed runs that were given these words: a worker of theirs can wait for ever for a parent that is gone.

    What a step of theirs started is not given the words; it ends by itself, and is waited for at the site's lock.

    Parameters
    ----------
    words:
        Neighbours in the command line of the processes, such as the option that names the site, and its file.

    Returns
    -------
    list
        The processes.
    """
    ended, given = [], b"\0".join([b"", *(word.encode() for word in words), b""])
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended, or is another user's
            descriptor = os.pidfd_open(int(folder.name))  # names this very process, whatever becomes of its number
            try:
                if given in (folder / "cmdline").read_bytes() and _of_killed_run(folder):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    ended.append(int(folder.name))
            finally:
                os.close(descriptor)
    return ended


def _of_killed_run(folder: Path) -> bool:
    """Whether the process that asked for a process's run is gone; one that began later has only its number."""
    variables = dict(item.partition(b"=")[::2] for item in (folder / "environ").read_bytes().split(b"\0"))
    asked_by = variables.get(RUN_VARIABLE.encode(), b"").decode()
    if not asked_by.isdigit():
        return False
    try:
        state, began = _stat(Path("/proc", asked_by))
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z" or began > _stat(folder)[1]


def _stat(folder: Path) -> tuple[str, int]:
    """State of a process, and when it began, in clock ticks since the machine started."""
    words = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return words[0], int(words[19])


def _touched(folder: Path) -> float:
    return max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))


def _there(process: str) -> bool:
    return Path(f"/proc/{process}").exists()
