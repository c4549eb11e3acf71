"""Verification: a running facility is used for real, step by step, as a physicist does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import botocore.exceptions
import requests
import websocket

from cantiere.errors import CantiereError
from cantiere.verify.result import Result, StepFailed, StepNotRun
from cantiere.verify.session import Session
from cantiere.verify.steps import STEPS, Step
from cantiere.verify.target import Target

Report = Callable[[Result], None]

TROUBLE = (
    OSError,
    ValueError,
    KeyError,
    requests.RequestException,
    websocket.WebSocketException,
    botocore.exceptions.BotoCoreError,
    CantiereError,
)
"""What a facility in trouble makes a step raise beside its own findings."""


def run(target: Target, report: Report, steps: Sequence[Step] = STEPS) -> list[Result]:
    """Try every step in order, and put the facility back as it was.

    Parameters
    ----------
    target:
        The facility.
    report:
        Called with each result as soon as it is there.
    steps:
        What to try.

    Returns
    -------
    list of Result
        One per step; one more, ``clean-up``, where something could not be put back.
    """
    results: list[Result] = []
    cleanup = ExitStack()
    session = Session(target, cleanup)
    failed: set[str] = set()
    try:
        for step in steps:
            result = _try(step, session, failed)
            if result.ok is False or (result.ok is None and failed & set(step.needs)):
                failed.add(step.name)
            results.append(result)
            report(result)
    finally:
        begin = time.monotonic()
        try:
            cleanup.close()
        except (StepFailed, *TROUBLE) as error:
            remedy = "run `./cantiere up` to have every service running"
            results.append(Result("clean-up", "the facility is left as it was", False, time.monotonic() - begin, _message(error), remedy))
            report(results[-1])
    return results


def _try(step: Step, session: Session, failed: set[str]) -> Result:
    lacking = [part for part in step.parts if not getattr(session.target.parts, part)]
    if lacking:
        return Result(step.name, step.title, None, 0.0, f"the facility has no {' and no '.join(lacking)} of its own")
    broken = [name for name in step.needs if name in failed]
    if broken:
        return Result(step.name, step.title, None, 0.0, f"not run: {', '.join(broken)} failed")
    begin = time.monotonic()
    try:
        evidence = step.run(session)
    except StepNotRun as reason:
        return Result(step.name, step.title, None, time.monotonic() - begin, f"not run: {reason}")
    except StepFailed as failure:
        return Result(step.name, step.title, False, time.monotonic() - begin, failure.evidence, failure.remedy)
    except TROUBLE as error:
        return Result(
            step.name, step.title, False, time.monotonic() - begin, _message(error), "see `./cantiere status` and `./cantiere logs SERVICE`"
        )
    return Result(step.name, step.title, True, time.monotonic() - begin, evidence)


def _message(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:600]
