"""Dask on a pool: the scheduler runs in a notebook, workers are jobs, and both listen where policies let them. Pure."""

from __future__ import annotations

SCHEDULER_PORT = 8786
"""Where the scheduler of a notebook listens: a notebook has one at a time."""
WORKER_PORTS = (8800, 9055)
"""First and last port of workers; as many as jobs of one core fit into the largest execute point."""


def environment() -> dict[str, str]:
    """Variables by which notebooks know these ports."""
    first, last = WORKER_PORTS
    return {"CANTIERE_DASK_SCHEDULER_PORT": str(SCHEDULER_PORT), "CANTIERE_DASK_WORKER_PORTS": f"{first}:{last}"}
