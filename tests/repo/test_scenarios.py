"""The scenarios of ``tests/system`` can be imported, so that none is missed until it is run."""

from __future__ import annotations

import subprocess
import sys

from support.tree import REPOSITORY


def test_all_are_collected() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:warnings", "tests/system"]
    done = subprocess.run(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
