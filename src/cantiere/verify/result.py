"""What a step of the verification came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """One step's outcome.

    Parameters
    ----------
    name:
        The step, as ``cantiere verify --only`` takes it.
    title:
        What it proves, in a few words.
    ok:
        True where it passed, False where it failed, None where it was not run.
    seconds:
        Wall-clock time.
    evidence:
        What was seen.
    remedy:
        What to do about a failure; empty otherwise.
    """

    name: str
    title: str
    ok: bool | None
    seconds: float
    evidence: str
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The shape of one entry of ``{"steps": [...]}``."""
        return {
            "name": self.name,
            "title": self.title,
            "ok": self.ok,
            "seconds": round(self.seconds, 2),
            "evidence": self.evidence,
            "remedy": self.remedy,
        }


class StepFailed(Exception):
    """A step saw something that must not be.

    Parameters
    ----------
    evidence:
        What was seen.
    remedy:
        What to do about it.
    """

    def __init__(self, evidence: str, remedy: str) -> None:
        super().__init__(evidence)
        self.evidence = evidence
        self.remedy = remedy


class StepNotRun(Exception):
    """A step cannot be tried on this facility; the text says why."""


def require(condition: object, evidence: str, remedy: str) -> None:
    """Fail the step unless the condition holds.

    Raises
    ------
    StepFailed
        It does not hold.
    """
    if not condition:
        raise StepFailed(evidence, remedy)


def summary(results: list[Result]) -> dict[str, Any]:
    """The shape of ``cantiere verify --json``."""
    return {
        "steps": [result.as_dict() for result in results],
        "passed": sum(result.ok is True for result in results),
        "failed": sum(result.ok is False for result in results),
    }
