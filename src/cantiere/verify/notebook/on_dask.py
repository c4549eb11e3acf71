"""What verification does inside a notebook with Dask: the example's selection on workers that are jobs of the pool."""

from __future__ import annotations

import socket
import time
from typing import Any

import probe
import scale_out
from cantiere_notebook.dask import condor_cluster
from distributed import Client
from distributed.security import Security

DATASETS = ("ttbar", "drell_yan")
STRANGER_SECONDS = 2.0
REMOVE_SECONDS = 30.0


def select(workers: int, seconds: float) -> dict[str, Any]:
    """Run the selection on Dask workers.

    Parameters
    ----------
    workers:
        How many are asked for; it begins with the first.
    seconds:
        Until that one has to be there.

    Returns
    -------
    dict
        ``started`` and ``selected`` in seconds, ``rows`` and ``hosts`` of the selection, ``address`` of the scheduler, ``stranger``
        (whether it let in somebody with another certificate), and ``left``: how many of the workers' jobs are in the queue after all.
    """
    begin = time.monotonic()
    with condor_cluster(workers=workers, memory="900 MiB") as cluster, Client(cluster) as client:
        client.wait_for_workers(1, timeout=seconds)
        started = time.monotonic() - begin
        rows = len(scale_out.select(client, DATASETS)["ntuple"]["mass"].value)
        selected = time.monotonic() - begin - started
        found = {
            "hosts": sorted(set(client.run(socket.gethostname).values())),
            "address": cluster.scheduler_address,
            "stranger": lets_in_strangers(cluster.scheduler_address),
        }
        jobs = [int(str(job.job_id).partition(".")[0]) for job in cluster.workers.values()]
    return {"started": started, "selected": selected, "rows": rows, "left": left(jobs), **found}


def lets_in_strangers(address: str) -> bool:
    """Whether the scheduler takes a client with a certificate that is not this cluster's."""
    try:
        Client(address, security=Security.temporary(), timeout=STRANGER_SECONDS, set_as_default=False).close()
    except OSError:
        return False
    return True


def left(clusters: list[int]) -> int:
    """How many of these clusters of jobs stay in the queue though they were removed."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while True:
        there = [cluster for cluster in clusters if probe.jobs(cluster)]
        if not there or time.monotonic() > deadline:
            return len(there)
        time.sleep(0.5)
