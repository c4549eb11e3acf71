"""What is wrong between properties of a facility's nodes, for the place that it goes to. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from cantiere.errors import Problem
from cantiere.model import Facility, Node
from cantiere.services.catalogue import GROUND, SERVICES
from cantiere.values.catalogue import COMPILERS, Compiler

COMPOSE = "compose"


def check(facility: Facility, platform: str = COMPOSE, own: Mapping[str, Compiler] | None = None) -> list[Problem]:
    """Everything that is wrong between properties of the facility's services, and nodes that nothing runs.

    Parameters
    ----------
    facility:
        What the template declares.
    platform:
        Of the site; on ``compose`` what only a cluster needs is left out.
    own:
        Compilers of the site's own types.
    """
    compilers = {**COMPILERS, **(own or {})}
    acted_on = _acted_on(facility)
    problems = []
    for node in facility.nodes:
        service, compiler = SERVICES.get(node.type), compilers.get(node.type)
        if service is None and compiler is None:
            if node.type not in GROUND and node.name not in acted_on:
                problems.append(_unknown(node))
            continue
        if service and service.check:
            problems.extend(service.check(node, facility))
        if compiler and compiler.check and platform != COMPOSE:
            problems.extend(compiler.check(node, facility))
    return problems


def left_out(facility: Facility) -> list[str]:
    """Names of the nodes that one machine does not run."""
    return [node.name for node in facility.nodes if node.type in COMPILERS and node.type not in SERVICES]


def by_workflow(facility: Facility) -> list[Problem]:
    """Notices of the nodes that nothing here raises, and that workflows act on."""
    acted_on = _acted_on(facility)
    known = {*SERVICES, *COMPILERS, *GROUND}
    remedy = "Call its operations with `cantiere run`."
    return [
        Problem("node.workflow", f"Workflows alone act on {node.name!r}, a {node.type}.", remedy, node.where, node.name)
        for node in facility.nodes
        if node.name in acted_on and node.type not in known
    ]


def _acted_on(facility: Facility) -> set[str]:
    """Names of nodes that workflows name."""
    steps = [step for workflow in facility.workflows.values() for step in workflow.steps]
    return {node.partition(".")[0] for step in steps for activity in step.activities for node in activity.nodes}


def _unknown(node: Node) -> Problem:
    known = ", ".join(sorted({*SERVICES, *COMPILERS}))
    return Problem("service.unknown", f"nothing here runs a {node.type}", f"use one of: {known}", node.where, node.name)
