"""What users are told beside a result, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from cantiere.errors import Problem


def warn(warnings: Iterable[Problem]) -> None:
    """Show what does no harm and is probably a mistake."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def note(line: str) -> None:
    """Show what is waited for."""
    print(line, file=sys.stderr, flush=True)
