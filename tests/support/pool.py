from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from cantiere.verify import jobs
from cantiere.verify.command import target
from cantiere.verify.session import Session
from cantiere.workspace import open_applied


@contextmanager
def running_job() -> Iterator[Callable[[], dict[str, Any]]]:
    """A user's job that runs in the facility's pool as long as the block; calling what it gives asks the queue for the job's ad."""
    workspace, _ = open_applied("here")
    with ExitStack() as cleanup:
        session = Session(target(workspace), cleanup)
        kernel = session.kernel(session.member())
        with jobs.queued(kernel, "sleep 900") as cluster:
            jobs.reached(kernel, cluster, jobs.RUNNING)
            yield lambda: jobs.seen(kernel, cluster)[0]
