"""Which kind of execute point idle jobs wait for, and how much they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ATTRIBUTES = [
    *("RequestCpus", "RequestMemory", "RequestGPUs", "RequestDisk", "WorkerClass", "Requirements"),
    *("MemoryUsage", "ImageSize", "ResidentSetSize", "DiskUsage", "RequireGPUs"),
]
"""Of an idle job; the second line is what the first one's expressions may refer to."""


@dataclass(frozen=True, slots=True)
class WorkerClass:
    """A kind of execute point.

    Parameters
    ----------
    name:
        Its name, which a job may ask for in its attribute ``WorkerClass``.
    cpus, gpus:
        What one offers.
    memory:
        MiB that one offers.
    """

    name: str
    cpus: int
    memory: int
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """What jobs ask for together; memory in MiB."""

    jobs: int = 0
    cpus: float = 0.0
    memory: int = 0
    gpus: int = 0

    def __add__(self, other: Request) -> Request:
        return Request(self.jobs + other.jobs, self.cpus + other.cpus, self.memory + other.memory, self.gpus + other.gpus)


def classes(configured: Iterable[Mapping[str, Any]]) -> tuple[WorkerClass, ...]:
    """The classes as they are configured, in that order."""
    return tuple(WorkerClass(item["name"], item["cpus"], item["memory"], item.get("gpus", 0)) for item in configured)


def request(job: Mapping[str, Any]) -> Request:
    """What one job asks for, as numbers."""
    return Request(1, _number(job, "RequestCpus", 1.0), round(_number(job, "RequestMemory", 0.0)), round(_number(job, "RequestGPUs", 0.0)))


def fits(asked: Request, name: str, offered: WorkerClass) -> bool:
    """Whether a job that asks for this, and for the class of that name (``""``: any), fits. Jobs without GPUs stay off them."""
    if name and name != offered.name:
        return False
    if bool(asked.gpus) != bool(offered.gpus):
        return False
    return asked.cpus <= offered.cpus and asked.memory <= offered.memory and asked.gpus <= offered.gpus


def requested(
    jobs: Iterable[Mapping[str, Any]],
    offered: Sequence[WorkerClass],
    may_run: Callable[[Mapping[str, Any], WorkerClass], bool],
) -> dict[str, Request]:
    """Class to what the idle jobs that wait for it ask for; each job counts once, in the first class that it fits.

    Parameters
    ----------
    jobs:
        Idle jobs with :data:`ATTRIBUTES`.
    offered:
        The pool's classes, also those of which no execute point runs.
    may_run:
        Whether a job's own requirements may be met there.

    Returns
    -------
    dict
        Every class is in it, and ``""`` for jobs that fit none.
    """
    found = {"": Request()} | {one.name: Request() for one in offered}
    for job in jobs:
        asked, wanted = request(job), str(_value(job, "WorkerClass") or "")
        name = next((one.name for one in offered if fits(asked, wanted, one) and may_run(job, one)), "")
        found[name] += asked
    return found


def may_run(job: Any, offered: WorkerClass) -> bool:
    """Whether an execute point of a class may meet a job's requirements: only what is false for sure does not.

    Parameters
    ----------
    job:
        The job's ClassAd.
    offered:
        The class.
    """
    import classad2

    requirements = job.get("Requirements")
    if not isinstance(requirements, classad2.ExprTree):
        return requirements is None or bool(requirements)
    slot = {"Cpus": offered.cpus, "TotalCpus": offered.cpus, "Memory": offered.memory, "TotalMemory": offered.memory}
    slot |= {"GPUs": offered.gpus, "TotalGPUs": offered.gpus, "WorkerClass": offered.name}
    try:
        return requirements.eval(job, classad2.ClassAd(slot)) is not False
    except (classad2.ClassAdException, TypeError, ValueError):
        return True


def _value(job: Mapping[str, Any], name: str) -> Any:
    """A job's attribute; of an expression its value."""
    value = job.get(name)
    return job.eval(name) if hasattr(value, "eval") and hasattr(job, "eval") else value


def _number(job: Mapping[str, Any], name: str, default: float) -> float:
    value = _value(job, name)
    return float(value) if isinstance(value, int | float) else default
