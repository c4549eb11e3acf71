"""Programs of the host: run one, or say which one failed and what it printed."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cantiere.errors import CantiereError, Problem

SHOWN = 800


def ask(*command: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program that may fail, with this text as its standard input."""
    return subprocess.run([str(word) for word in command], input=stdin, capture_output=True, text=True, check=False)


def must(*command: str | Path, stdin: str = "") -> str:
    """Run a program that has to succeed, and return what it printed.

    Raises
    ------
    CantiereError
        It failed; says what it printed last.
    """
    done = ask(*command, stdin=stdin)
    if done.returncode:
        line = " ".join(map(str, command))
        said = (done.stderr or done.stdout).strip()[-SHOWN:]
        raise CantiereError(
            Problem("nspawn.command", f"`{line}` ended with {done.returncode}: {said}", "mend what it names, then run again")
        )
    return done.stdout


@contextmanager
def locked(file: Path) -> Iterator[int]:
    """Hold a lock file; others wait.

    A child that is given the descriptor keeps the lock after its parent was killed, so that nobody meets work in progress.

    Yields
    ------
    int
        The descriptor.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle.fileno()
