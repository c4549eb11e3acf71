"""Which listed machine is which machine of the facility: kept in a file, so that it stays so."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path

from cantiere.state import write_atomic


class Placement:
    """Machine of the facility to the listed machine that it is.

    Parameters
    ----------
    file:
        Where it is kept.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._writing = threading.Lock()

    def read(self) -> dict[str, str]:
        """All of it; empty where nothing was placed yet."""
        if not self.file.is_file():
            return {}
        found: dict[str, str] = json.loads(self.file.read_text(encoding="utf-8"))
        return found

    def write(self, placed: Mapping[str, str]) -> None:
        """Keep it; nothing is written where it is as it was."""
        if self.read() != placed:
            write_atomic(self.file, json.dumps(dict(sorted(placed.items())), indent=1) + "\n")

    def forget(self, name: str) -> None:
        """The listed machine of that machine is free again."""
        with self._writing:
            self.write({machine: host for machine, host in self.read().items() if machine != name})

    def clear(self) -> None:
        """Forget all."""
        self.file.unlink(missing_ok=True)
