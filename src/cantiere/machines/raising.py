"""``up`` and ``status`` of a facility on machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from cantiere import artifacts
from cantiere.cluster import raising as releases
from cantiere.errors import Problem
from cantiere.machines.fleet import Fleet
from cantiere.machines.plan import build
from cantiere.machines.wanted import endpoint
from cantiere.plan.definition import Kind, Plan
from cantiere.runner import remember
from cantiere.up import outputs, raised, show_outputs
from cantiere.workspace import Workspace

INCOMPLETE = 6
"""Exit code of a run that left machines that may vanish for the next one; all else is as it should be."""


def up(workspace: Workspace, fleet: Fleet, as_json: bool) -> int:
    """Raise a facility's machines and their cluster, or make them again what the template asks for.

    Raises
    ------
    PreflightError
        The machines cannot carry it; nothing was touched.
    CantiereError
        The run failed; the same command goes on from there.

    Returns
    -------
    int
        :data:`INCOMPLETE` where machines that may vanish could not be made now, else 0.
    """
    found = raised(workspace, as_json, lambda plan: _head(workspace, fleet, plan))
    run, placed = found.run, fleet.machines()
    kind = "machines from nothing" if any("create machine" in step["title"] for step in run.steps) else "machines that were there"
    remember(kind, {"seconds": round(found.seconds, 1), "steps": len(run.steps), "parts": run.plays})
    result = {
        **found.result(workspace),
        "plays": run.plays,
        "machines": {machine.name: machine.address for machine in placed},
        "endpoint": endpoint(placed, fleet.network),
        "outputs": outputs(workspace),
        "left": [problem.as_dict() for problem in run.left],
    }
    code = INCOMPLETE if run.left else 0
    if as_json:
        print(json.dumps(result, indent=1))
        return code
    print(found.told("the machines are", {name: value for name, value in run.plays.items() if value >= 1}))
    _tell(workspace, result)
    _tell_left(run.left)
    return code


def _tell_left(left: Sequence[Problem]) -> None:
    if left:
        print("\nIncomplete: of machines that may vanish, these cannot be made now; the next run tries them again")
    for problem in left:
        print(f"  {problem}")


def _head(workspace: Workspace, fleet: Fleet, plan: Plan) -> Iterator[str]:
    provider = workspace.site.provider["type"]
    yield f"site {workspace.site.name}: {workspace.facility.name} on {len(fleet.machines())} machines of provider {provider}"
    making = [step.name for step in plan.steps if step.kind is Kind.ARTIFACT]
    if making:
        yield f"artifacts: {len(making)} to make by supply {artifacts.supply(workspace.site)}"


def _tell(workspace: Workspace, result: dict[str, Any]) -> None:
    site = workspace.site.name
    print("\nMachines")
    for name, address in result["machines"].items():
        print(f"  {name:20} {address}")
    if result["endpoint"]:
        print(f"\nKubernetes API: https://{result['endpoint']}")
    show_outputs(result["outputs"])
    if workspace.cluster and workspace.cluster.asked:
        # its API and registry are there only now
        releases.tell(workspace, *releases.doors(replace(workspace.cluster)))
    else:
        print("\nNext")
    print(f"  ./cantiere status --site {site}              machines, nodes, and what has drifted")
    print(f"  ./cantiere ssh --site {site} MACHINE         a shell on one of them")
    print(f"  ./cantiere kubectl --site {site} get nodes   ask the cluster")


def status(fleet: Fleet) -> tuple[list[dict[str, Any]], list[str]]:
    """Each machine with its node, and what has drifted, as rows and as steps in words."""
    wanted, seen = fleet.observe()
    old = {name for name, change in seen.changes.items() if change.anew}
    rows = []
    for machine in wanted.machines:
        found, converged = seen.machines.get(machine.name), seen.converged.get(machine.name)
        node = seen.cluster.nodes.get(machine.name)
        rows.append(
            {
                "machine": machine.name,
                "address": machine.address,
                "roles": list(machine.roles),
                "state": found.state if found else "absent",
                "reachable": bool(converged and converged.reachable),
                "node": "" if node is None else "Ready" if node.ready else "NotReady",
                "version": node.version if node else "",
                "specification": "another" if machine.name in old else "current",
                "schedulable": bool(node and node.schedulable),
                "drift": {role: list(drift) for role, drift in converged.drift.items()} if converged else {},
            }
        )
    return rows, [str(step) for step in build(wanted, seen).steps]
