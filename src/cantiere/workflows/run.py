"""Run a workflow: step after step, what follows a failure, and what the user reads at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cantiere import preflight, raising
from cantiere.converge import PATIENCE
from cantiere.errors import CantiereError, PreflightError, Problem, TemplateError
from cantiere.progress import Progress
from cantiere.runs import scratch
from cantiere.up import raised
from cantiere.workflows.calls import call, machines
from cantiere.workflows.files import Files
from cantiere.workflows.memory import STATE, Memory
from cantiere.workflows.model import Activity, Condition, Kind, Operation
from cantiere.workflows.plan import Planned, WorkflowPlan, titled
from cantiere.workspace import Workspace

DEPLOYED = "started"
"""State of nodes that the facility was deployed for."""


@dataclass
class Flow:
    """A run of a workflow.

    Parameters
    ----------
    workspace:
        The facility on its site.
    plan:
        The workflow's steps.
    as_json:
        Whether a machine reads the result.
    """

    workspace: Workspace
    plan: WorkflowPlan
    as_json: bool
    steps: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.memory = Memory(self.workspace.site.state_dir, self.workspace.facility)
        self.numbers = {planned.id: number for number, planned in enumerate(self.plan.all(), start=1)}
        self.progress = Progress(self.as_json)

    def run(self) -> None:
        """Do all of it.

        Raises
        ------
        TemplateError
            A script is not there; nothing was touched.
        PreflightError
            A machine is not there, or a precondition does not hold; nothing was touched.
        CantiereError
            Steps failed; those that follow their failure were done.
        """
        with scratch() as folder:
            self.files = Files(self.workspace.site.template, folder)
            if wrong := list(self.files.check(self.plan.operations())):
                raise TemplateError(wrong)
            refused = [*preflight.rights(self.workspace), *_placed(self.workspace, self.plan.operations())]
            if refused := refused + list(self._unmet(self.plan.workflow.preconditions)):
                raise PreflightError(refused)
            if failed := self._flow(self.plan, dict(self.plan.workflow.inputs)):
                raise CantiereError(failed)

    def _unmet(self, conditions: Iterable[Condition]) -> Iterator[Problem]:
        for condition in conditions:
            if missing := self.memory.unmet(condition):
                remedy = "bring the facility to where this holds, then run the workflow again"
                yield Problem("workflow.precondition", f"the workflow may not begin: {missing}", remedy, condition.where)

    def _flow(self, plan: WorkflowPlan, inputs: Mapping[str, Any]) -> list[Problem]:
        """Do the steps of a workflow; what went wrong."""
        went: dict[str, bool] = {}
        left: list[str] = []
        problems: list[Problem] = []
        for planned in plan.steps:
            ready = all(went.get(name) for name in planned.after) and bool(planned.after or not planned.rescues)
            if not ready and not any(went.get(name) is False for name in planned.rescues):
                left += [planned.step.name] if any(went.get(name) is False or name in left for name in planned.after) else []
                continue
            found = self._step(planned, inputs)
            went[planned.step.name] = not found
            problems += found
        if problems and left:
            message = f"not tried, because they wait for what failed: {', '.join(left)}"
            problems.append(Problem("workflow.left", message, "mend the above and run the workflow again", path=plan.workflow.name))
        return problems

    def _step(self, planned: Planned, inputs: Mapping[str, Any]) -> list[Problem]:
        """Do a step; what went wrong."""
        title = "; ".join(map(titled, planned.step.activities))
        event = {"step": planned.id, "title": planned.id, "reason": title, "number": self.numbers[planned.id], "of": len(self.numbers)}
        began = time.monotonic()
        self.progress.event({**event, "event": "step-start"})
        problems: list[Problem] = []
        passed = next(filter(None, map(self.memory.unmet, planned.step.filter)), "")
        try:
            for number, activity in enumerate(() if passed else planned.step.activities):
                if problems := self._activity(planned, number, activity, inputs):
                    break
        except CantiereError as error:
            problems = [_of(planned, problem) for problem in error.problems]
        seconds = round(time.monotonic() - began, 2)
        self.progress.event({**event, "event": "step-failed" if problems else "step-ok", "seconds": seconds})
        state = "passed over: " + passed if passed else "failed" if problems else "done"
        self.steps.append({"step": planned.id, "state": state, "seconds": seconds})
        return problems

    def _activity(self, planned: Planned, number: int, activity: Activity, inputs: Mapping[str, Any]) -> list[Problem]:
        if activity.kind is Kind.INLINE:
            inner = planned.inlined[number]
            handed = {**inner.workflow.inputs, **self.memory.value(activity.inputs, inputs)}
            return list(self._unmet(inner.workflow.preconditions)) or self._flow(inner, handed)
        if activity.kind is Kind.DELEGATE:
            self._delegate(activity)
            return []
        with self.workspace.store.locked(f"run {self.plan.workflow.name}, {planned.id}", PATIENCE):
            for operation in activity.operations:
                self._call(operation, inputs)
            for node in activity.nodes if activity.kind is Kind.SET_STATE else ():
                self.memory.set(node, STATE, activity.word)
            self.memory.save()
        return []

    def _call(self, operation: Operation, inputs: Mapping[str, Any]) -> None:
        if not operation.file:
            return
        found = call(self.workspace, operation, self.memory.value(operation.inputs, inputs), self.files, self.progress)
        self.memory.took(operation, found)
        if found:
            self.outputs[f"{operation.node}.{operation.interface}.{operation.name}"] = found

    def _delegate(self, activity: Activity) -> None:
        """``up`` or ``down`` for the whole facility; of what was taken down nothing is remembered."""
        if activity.word == "undeploy":
            raising.take_down(self.workspace, False, self.as_json)
            self.memory = Memory(self.workspace.site.state_dir, self.workspace.facility)
            return
        raised(self.workspace, self.as_json, lambda _: ())
        with self.workspace.store.locked("run", PATIENCE):
            for node in activity.nodes:
                self.memory.set(node, STATE, DEPLOYED)
            self.memory.save()


def _placed(workspace: Workspace, operations: Iterable[Operation]) -> Iterator[Problem]:
    """Operations that want a machine where there is none."""
    for operation in operations:
        if operation.file and operation.host and not machines(workspace, operation.host):
            message = f"{operation.host} stands on no machine of site {workspace.site.name!r}"
            remedy = "write 'operation_host: ORCHESTRATOR' in the step, and the operation runs on this machine"
            yield Problem("workflow.machine", message, remedy, operation.where, operation.node)


def _of(planned: Planned, problem: Problem) -> Problem:
    """A problem of a step, with its place in the template where it has none."""
    where = problem.where or planned.step.where
    return Problem(problem.code, f"step {planned.id}: {problem.message}", problem.remedy, where, problem.path, problem.excerpt)
