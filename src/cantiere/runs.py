"""Who asked for a run, as its processes know it."""

from __future__ import annotations

import os
from pathlib import Path

RUN_VARIABLE = "CANTIERE_RUN"
"""Holds the process that asked for the run; once that is gone no further step is begun."""


def asker_gone() -> bool:
    """Whether the process that asked for the run is gone; False where nobody said who it is."""
    asked_by = os.environ.get(RUN_VARIABLE)
    return bool(asked_by) and not Path(f"/proc/{asked_by}").exists()
