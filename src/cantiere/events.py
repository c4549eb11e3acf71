"""Events of a run: one JSON object a line, appended by whoever works, read by whoever shows progress."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cantiere.plan.definition import Step


class EventLog:
    """Appends events to a file.

    Parameters
    ----------
    path:
        The file; None drops all events.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def write(self, event: str, **data: Any) -> None:
        """Append one event with the time since the epoch in seconds."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps({"event": event, "time": round(time.time(), 3), **data}) + "\n")

    def step(self, event: str, step: Step, number: int, of: int, seconds: float) -> None:
        """Append the start or the end of a plan's step."""
        title = f"{step.action} {step.kind} {step.name}"
        self.write(f"step-{event}", step=step.id, title=title, number=number, of=of, seconds=round(seconds, 2), reason=step.reason)

    def log(self, line: str) -> None:
        """Append a line of long work."""
        self.write("log", line=line[:500])


def read_from(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Events written after an offset, and the offset after them; a line half written waits for the next call."""
    if not path.is_file():
        return [], offset
    with path.open("rb") as handle:
        handle.seek(offset)
        data = handle.read()
    complete = data.rfind(b"\n") + 1
    return list(_parse(data[:complete])), offset + complete


def _parse(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        if line.strip():
            yield json.loads(line)
