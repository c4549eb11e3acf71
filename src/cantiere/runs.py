"""Who asked for a run, as its processes know it, and the folder that it keeps its files in."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
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


def _touched(folder: Path) -> float:
    return max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))


def _there(process: str) -> bool:
    return Path(f"/proc/{process}").exists()
