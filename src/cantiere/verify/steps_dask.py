"""Step with Dask: a notebook scales out over the pool."""

from __future__ import annotations

from cantiere.verify.result import require
from cantiere.verify.session import Session

WORKERS = 2
START_TIMEOUT = 90.0
TIMEOUT = 240.0
REMEDY = "see docs/how-to/dask.md"


def scale_out(session: Session) -> str:
    """Dask workers in the pool select the events that the jobs of the example had selected, and go away."""
    kernel = session.kernel(session.member())
    expected = int(kernel.call("len(frame)"))
    kernel.run("import on_dask", 60, REMEDY)
    seen = kernel.call(f"on_dask.select({WORKERS}, {START_TIMEOUT})", TIMEOUT, REMEDY)
    require(seen["rows"] == expected, f"Dask selected {seen['rows']} events, the jobs {expected}", REMEDY)
    require(seen["address"].startswith("tls://"), f"the scheduler is at {seen['address']}", REMEDY)
    require(not seen["stranger"], f"the scheduler at {seen['address']} let in a client with a certificate of its own making", REMEDY)
    require(not seen["left"], f"{seen['left']} of the workers' jobs are still in the queue", "see `./cantiere logs` of the access point")
    return (
        f"first worker after {seen['started']:.1f} s; coffea selected the same {expected} events in {seen['selected']:.1f} s on "
        f"{', '.join(host.partition('.')[0] for host in seen['hosts'])}; a stranger's certificate was refused; no job is left"
    )
