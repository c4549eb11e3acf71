"""Waiting for what is seen from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(within: float, look: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """Look again and again for so many seconds, until what is seen is enough."""
    deadline = time.monotonic() + within
    while not enough(seen := look()):
        assert time.monotonic() < deadline, f"after {within:.0f} s: {seen}"
        time.sleep(1)
    return seen
