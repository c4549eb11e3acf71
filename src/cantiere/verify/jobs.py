"""Jobs that a step puts into the queue, from a user's notebook: they are there as long as the step needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from cantiere.verify.kernel import Kernel
from cantiere.verify.session import quietly

RUNNING, COMPLETED = 2, 4
"""Values of the attribute JobStatus: https://htcondor.readthedocs.io/en/latest/classad-attributes/job-classad-attributes.html"""
START_SECONDS = 180.0
"""For a job to start: a pool that grows with its load needs a look of the monitoring, a round of the autoscaler and a pod for it."""
REMEDY = "see the access point's log: `./cantiere logs`"
ASK_SECONDS = 60.0


@contextmanager
def queued(kernel: Kernel, script: str, **options: object) -> Iterator[int]:
    """Jobs that run a shell script, in the queue as long as the block lasts; gives the number of their cluster.

    Parameters
    ----------
    kernel:
        Of the user whose jobs they are.
    script:
        Its text.
    options:
        Of ``start_jobs`` in ``notebook/probe.py``.

    Raises
    ------
    StepFailed
        They cannot be queued, or not be removed.
    """
    words = "".join(f", {name}={value!r}" for name, value in options.items())
    cluster = int(kernel.call(f"probe.start_jobs({script!r}{words})", ASK_SECONDS, REMEDY))
    remove = partial(kernel.run, f"probe.remove({cluster})", ASK_SECONDS, REMEDY)
    try:
        yield cluster
    except BaseException:  # what went wrong first tells more than what goes wrong now
        quietly(remove)()
        raise
    remove()


def reached(kernel: Kernel, cluster: int, status: int, count: int = 1, seconds: float = START_SECONDS) -> list[dict[str, Any]]:
    """Wait until as many jobs of a cluster have a status; what the queue says of all of them.

    Raises
    ------
    StepFailed
        They have not in time, or one is held.
    """
    found: list[dict[str, Any]] = kernel.call(f"probe.wait_for({cluster}, {status}, {count}, {seconds})", seconds + 10, REMEDY)
    return found


def seen(kernel: Kernel, cluster: int) -> list[dict[str, Any]]:
    """What the queue says of a cluster's jobs now."""
    found: list[dict[str, Any]] = kernel.call(f"probe.jobs({cluster})", ASK_SECONDS, REMEDY)
    return found


def outputs(kernel: Kernel, cluster: int) -> list[str]:
    """What a cluster's finished jobs printed, in order."""
    found: list[str] = kernel.call(f"probe.outputs({cluster})", ASK_SECONDS, REMEDY)
    return found
