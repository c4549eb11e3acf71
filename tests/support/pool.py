from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from cantiere.verify.command import target
from cantiere.verify.session import Session
from cantiere.workspace import open_applied

RUNNING = 2


@contextmanager
def running_job() -> Iterator[Callable[[], dict[str, Any]]]:
    """A user's job that runs in the facility's pool as long as the block; calling what it gives asks the queue for the job's ad."""
    workspace, _ = open_applied("here")
    with ExitStack() as cleanup:
        session = Session(target(workspace), cleanup)
        kernel = session.kernel(session.member())
        cluster = int(kernel.call("probe.start_jobs('sleep 900')"))
        cleanup.callback(kernel.run, f"probe.remove({cluster})")
        kernel.call(f"probe.wait_for({cluster}, {RUNNING}, 1, 60)", 70)

        def ad() -> dict[str, Any]:
            found: dict[str, Any] = kernel.call(f"probe.jobs({cluster})")[0]
            return found

        yield ad
