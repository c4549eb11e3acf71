"""Walk a plan: what can run at the same time does; a failed step silences those that wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Protocol

from cantiere.errors import CantiereError, Problem
from cantiere.plan.definition import Kind, Plan, Step


class Evaluator(Protocol):
    """What does, or only tells, a step."""

    def evaluate(self, step: Step) -> None:
        """Do the step; raise :class:`CantiereError` where it fails."""


class Explainer:
    """Tells the steps that apply would do.

    Parameters
    ----------
    write:
        Takes one line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write

    def evaluate(self, step: Step) -> None:
        """Write the step as a line."""
        self.write(f"  {step}")


Report = Callable[[str, Step, int, int, float], None]


def explain(plan: Plan, write: Callable[[str], None]) -> None:
    """Tell the steps of a plan one by one, in the order of the walk."""
    walk(plan, Explainer(write), jobs=1)


def walk(plan: Plan, evaluator: Evaluator, jobs: int = 4, report: Report | None = None) -> dict[str, list[Problem]]:
    """Evaluate every step of a plan after those it waits for.

    Parameters
    ----------
    plan:
        What to do.
    evaluator:
        How.
    jobs:
        Steps at the same time; of images two, since each can use a whole core.
    report:
        Called with ``start``, ``ok`` or ``failed``, the step, its number, how many there are, and seconds.

    Returns
    -------
    dict
        Id of each spare step that failed, to what stood in its way; those that wait for it are done nevertheless.

    Raises
    ------
    CantiereError
        The problems of all steps that failed, and which steps were left out for it.
    """
    waiting = {step.id: step for step in plan.steps}
    numbers = {step.id: number for number, step in enumerate(plan.steps, start=1)}
    done: set[str] = set()
    problems: list[Problem] = []
    left: dict[str, list[Problem]] = {}
    running: dict[Future[None], tuple[Step, float]] = {}

    def tell(event: str, step: Step, seconds: float = 0.0) -> None:
        if report:
            report(event, step, numbers[step.id], len(plan.steps), seconds)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        while waiting or running:
            for step in list(waiting.values()):
                if len(running) >= jobs:
                    break
                building = sum(1 for other, _ in running.values() if other.kind is Kind.IMAGE)
                busy = step.kind is Kind.IMAGE and building >= min(jobs, IMAGE_JOBS)
                if not busy and all(name in done for name in step.after):
                    del waiting[step.id]
                    tell("start", step)
                    running[pool.submit(evaluator.evaluate, step)] = (step, time.monotonic())
            if not running:
                break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                step, since = running.pop(future)
                error = future.exception()
                if error is None:
                    done.add(step.id)
                    tell("ok", step, time.monotonic() - since)
                else:
                    found = _problems(step, error)
                    if step.spare:
                        done.add(step.id)
                        left[step.id] = found
                    else:
                        problems += found
                    tell("failed", step, time.monotonic() - since)
    if problems:
        if waiting:
            names = ", ".join(waiting)
            problems.append(
                Problem(
                    "plan.left", f"not tried, because they wait for what failed: {names}", "mend the above and run the same command again"
                )
            )
        raise CantiereError([*problems, *(problem for found in left.values() for problem in found)])
    return left


IMAGE_JOBS = 2


def _problems(step: Step, error: BaseException) -> list[Problem]:
    if isinstance(error, CantiereError):
        return list(error.problems)
    if isinstance(error, Exception):
        return [Problem("step.failed", f"{step.action} {step.id}: {type(error).__name__}: {error}", "see `cantiere logs`", path=step.id)]
    raise error
