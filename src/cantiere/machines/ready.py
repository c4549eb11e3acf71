"""Preflight of a facility's machines: everything that is wrong with all of them, at once, before anything is touched."""

from __future__ import annotations

import sys

from cantiere.errors import PreflightError
from cantiere.machines.fleet import Fleet
from cantiere.machines.stages import connect
from cantiere.providers.hosts import Hosts


def check(fleet: Fleet) -> None:
    """Check a fleet.

    Raises
    ------
    PreflightError
        All that is wrong, each with a remedy.
    """
    asked, provider = fleet.asked(), fleet.provider
    problems, warnings = provider.preflight(asked) if isinstance(provider, Hosts) else (provider.check(asked), [])
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if problems or (problems := connect(fleet, fleet.leaving())):
        raise PreflightError(problems)
