"""The steps of a workflow in an order in which they can be done one by one, each with what it waits for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from graphlib import TopologicalSorter
from typing import Any

from cantiere.errors import Problem, TemplateError
from cantiere.model import Facility
from cantiere.workflows.model import Activity, Kind, Operation, Step, Workflow

LARGEST = 1000
"""Steps of a plan, those of inlined workflows among them."""
DEEPEST = 32
"""How deep workflows may inline each other."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A step in its place.

    Parameters
    ----------
    id:
        Its name, after those of the steps that inline its workflow (``renew/stop``).
    step:
        What it does.
    after:
        Names of steps that have to end well before.
    rescues:
        Names of steps of which one has to fail before.
    inlined:
        Number of an activity to the plan that it inlines.
    """

    id: str
    step: Step
    after: tuple[str, ...]
    rescues: tuple[str, ...]
    inlined: Mapping[int, WorkflowPlan] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkflowPlan:
    """A workflow with its steps in order.

    Parameters
    ----------
    workflow:
        Which.
    steps:
        Each comes after those that it waits for.
    """

    workflow: Workflow
    steps: tuple[Planned, ...]

    def all(self) -> Iterator[Planned]:
        """All steps, each with those that it inlines after it."""
        for planned in self.steps:
            yield planned
            for inner in planned.inlined.values():
                yield from inner.all()

    def operations(self) -> tuple[Operation, ...]:
        """All operations that are called."""
        return tuple(operation for planned in self.all() for activity in planned.step.activities for operation in activity.operations)

    def delegates(self) -> frozenset[str]:
        """The declarative workflows that it delegates to."""
        return frozenset(activity.word for one in self.all() for activity in one.step.activities if activity.kind is Kind.DELEGATE)

    def as_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        return {
            "workflow": self.workflow.name,
            "steps": [
                {
                    "step": planned.id,
                    "after": list(planned.after),
                    "rescues": list(planned.rescues),
                    "activities": [titled(activity) for activity in planned.step.activities],
                }
                for planned in self.all()
            ],
        }


def build(facility: Facility, name: str) -> WorkflowPlan:
    """The plan of a workflow.

    Parameters
    ----------
    facility:
        The facility whose workflow it is.
    name:
        Which.

    Raises
    ------
    TemplateError
        There is no such workflow, it is too large, or it would take down what is not its target.
    """
    if name not in facility.workflows:
        near = get_close_matches(name, facility.workflows, 1)
        known = ", ".join(facility.workflows) or "none; write it under topology_template.workflows"
        remedy = f"did you mean {near[0]!r}?" if near else f"the template has: {known}"
        raise TemplateError(Problem("workflow.unknown", f"the template has no workflow {name!r}", remedy, path=name))
    room = [LARGEST]
    made = _plan(facility, facility.workflows[name], "", room)
    problems = [
        _left_standing(facility, activity, left)
        for planned in made.all()
        for activity in planned.step.activities
        if activity.kind is Kind.DELEGATE and activity.word == "undeploy" and (left := _beside(facility, activity.nodes))
    ]
    if problems:
        raise TemplateError(problems)
    return made


def _plan(facility: Facility, workflow: Workflow, prefix: str, room: list[int]) -> WorkflowPlan:
    room[0] -= len(workflow.steps)
    if room[0] < 0 or prefix.count("/") > DEEPEST:
        message = f"the workflow has more than {LARGEST} steps with those that it inlines, or they are nested more than {DEEPEST} deep"
        raise TemplateError(Problem("workflow.large", message, "inline less", workflow.where, workflow.name))
    after: dict[str, list[str]] = {step.name: [] for step in workflow.steps}
    rescues: dict[str, list[str]] = {step.name: [] for step in workflow.steps}
    steps = {step.name: step for step in workflow.steps}
    for step in workflow.steps:
        for followers, names in ((after, step.on_success), (rescues, step.on_failure)):
            for follower in dict.fromkeys(names):
                followers[follower].append(step.name)
    order = TopologicalSorter({name: [*after[name], *rescues[name]] for name in steps}).static_order()
    made = []
    for name in order:
        step = steps[name]
        inlined = {
            number: _plan(facility, facility.workflows[activity.word], f"{prefix}{name}/", room)
            for number, activity in enumerate(step.activities)
            if activity.kind is Kind.INLINE
        }
        made.append(Planned(f"{prefix}{name}", step, tuple(after[name]), tuple(rescues[name]), inlined))
    return WorkflowPlan(workflow, tuple(made))


def _beside(facility: Facility, targets: tuple[str, ...]) -> list[str]:
    """Nodes that neither stand on the targets nor carry them."""
    carried = {name for name in targets}
    for node in facility.nodes:  # each comes after those that it requires
        if any(target in carried for found in node.requirements.values() for target in found):
            carried.add(node.name)
    carrying = {name for name in targets}
    for node in reversed(facility.nodes):
        if node.name in carrying:
            carrying |= {target for found in node.requirements.values() for target in found}
    return [node.name for node in facility.nodes if node.name not in carried | carrying]


def _left_standing(facility: Facility, activity: Activity, left: list[str]) -> Problem:
    message = f"undeploy takes all of {facility.name} down, and {', '.join(left)} does not stand on {', '.join(activity.nodes)}"
    return Problem("workflow.undeploy", message, "name the node that carries all the others as the target", activity.where)


def titled(activity: Activity) -> str:
    """An activity in words."""
    nodes = ", ".join(activity.nodes)
    if activity.kind is Kind.DELEGATE:
        return f"{activity.word} the facility, for {nodes}"
    if activity.kind is Kind.SET_STATE:
        return f"set the state of {nodes} to {activity.word}"
    if activity.kind is Kind.INLINE:
        return f"do the workflow {activity.word}"
    return "; ".join(_called(operation) for operation in activity.operations)


def _called(operation: Operation) -> str:
    if not operation.file:
        return f"call {operation.interface}.{operation.name} of {operation.node}: it has no implementation, nothing is done"
    where = f"the machines of {operation.host}" if operation.host else "this machine"
    return f"call {operation.interface}.{operation.name} of {operation.node}: {operation.file} on {where}"


def lines(plan: WorkflowPlan) -> Iterator[str]:
    """A plan as text, a step in several lines."""
    for number, planned in enumerate(plan.all(), start=1):
        yield f"{number:3d}. {planned.id}"
        if planned.after:
            yield f"       after {', '.join(planned.after)}"
        if planned.rescues:
            yield f"       if {' or '.join(planned.rescues)} fails"
        for activity in planned.step.activities:
            yield f"       {titled(activity)}"
