"""What users are told beside a result."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from cantiere.errors import Problem
from cantiere.plan.definition import Plan


def warn(warnings: Iterable[Problem]) -> None:
    """Show on standard error what does no harm and is probably a mistake."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def note(line: str) -> None:
    """Show what is waited for."""
    print(line, file=sys.stderr, flush=True)


def beside(plan: Plan) -> None:
    """Show what a plan leaves as it is, and what it costs."""
    for line in plan.notes:
        print(f"  ! {line}")
    if plan.cost:
        print(plan.cost)


def summary(plan: Plan) -> str:
    """A plan in one line."""
    if not plan.steps:
        return "no changes: the facility is what the template asks for"
    counts: dict[str, int] = {}
    for step in plan.steps:
        counts[step.action] = counts.get(step.action, 0) + 1
    return f"{len(plan.steps)} steps: " + ", ".join(f"{number} to {action}" for action, number in counts.items())
