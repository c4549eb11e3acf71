"""Show a run while it goes on: what, which step of how many, elapsed."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any


class Progress:
    """Shows the events of a run: one line that lives on a terminal, plain lines elsewhere.

    Parameters
    ----------
    quiet:
        Show nothing (a machine reads the result).
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.began = time.monotonic()
        self.terminal = sys.stderr.isatty() and not quiet
        self.running: dict[str, tuple[str, float]] = {}
        self.count = ""
        self.detail = ""

    def event(self, event: Mapping[str, Any]) -> None:
        """Take one event of the run."""
        kind = event["event"]
        if kind == "step-start":
            self.running[event["step"]] = (event["title"], time.monotonic())
            self.count = f"{event['number']}/{event['of']}"
            if not self.terminal:
                self._line(f"… {self.count:>7}  {event['title']}: {event['reason']}")
        elif kind in ("step-ok", "step-failed"):
            self.running.pop(event["step"], None)
            mark = "✓" if kind == "step-ok" else "✗"
            self._line(f"{mark} {event['number']}/{event['of']}".ljust(9) + f"  {event['title']} ({event['seconds']:.1f} s)")
        elif kind == "task" and not self.running:
            self.detail = event["title"]
        elif kind == "left":
            for problem in event["problems"]:
                self._line(f"! left for the next run: {problem['message']} [{problem['code']}]")
        elif kind == "log":
            self.detail = event["line"]
        self.draw()

    def draw(self) -> None:
        """Draw the live line again."""
        if self.terminal:
            names = ", ".join(f"{title} {time.monotonic() - since:.0f} s" for title, since in self.running.values())
            text = f"[{self._elapsed()}] {self.count} {names or self.detail}"
            if names and self.detail and any("image" in title for title, _ in self.running.values()):
                text += f" | {self.detail}"
            print(f"\r\033[K{text[: _width()]}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the live line away."""
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _line(self, text: str) -> None:
        if self.quiet:
            return
        self.end()
        print(f"[{self._elapsed()}] {text}", file=sys.stderr, flush=True)

    def _elapsed(self) -> str:
        seconds = int(time.monotonic() - self.began)
        return f"{seconds // 60:02d}:{seconds % 60:02d}"


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns - 1
