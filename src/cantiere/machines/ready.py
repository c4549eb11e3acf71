"""Preflight of a facility's machines: everything that is wrong with all of them, at once, before anything is touched."""

from __future__ import annotations

import sys

from cantiere.errors import PreflightError
from cantiere.machines import preflight, wanted
from cantiere.machines.fleet import Fleet
from cantiere.machines.probe import probe
from cantiere.machines.stages import connect


def check(fleet: Fleet) -> None:
    """Check a fleet.

    Raises
    ------
    PreflightError
        All that is wrong, each with a remedy.
    """
    problems = fleet.provider.check(wanted.machines(fleet.facility))
    if problems:
        raise PreflightError(problems)
    if fleet.provider.makes_machines:
        return
    problems = connect(fleet)
    placed = fleet.machines()
    reached = [machine for machine in placed if machine.name in fleet.ssh.pinned()]
    found, warnings = preflight.check(reached, probe(fleet.ssh, reached))
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if problems or found:
        raise PreflightError([*problems, *found])
