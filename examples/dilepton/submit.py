"""Submit the analysis to the facility's pool, wait for it, and fetch what it printed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import htcondor2 as htcondor
from cantiere_notebook.credential import SERVICE, store_credential

HERE = Path(__file__).resolve().parent
FORWARDED = ("CANTIERE_SITE_CACHE", "S3_ENDPOINT", "S3_ROLE_ARN", "S3_BUCKET")
"""Variables of the notebook that a job needs too; none of them is secret."""

COMPLETED, HELD = 4, 5
SPOOLING = 16
"""Why a job is held while its input files are on their way to the access point."""


def collector() -> Any:
    """The pool's collector."""
    return htcondor.Collector(os.environ["CANTIERE_POOL_COLLECTOR"])


def schedd() -> Any:
    """The pool's access point."""
    return htcondor.Schedd(collector().locate(htcondor.DaemonType.Schedd, os.environ["CANTIERE_POOL_SCHEDD"]))


def submit(jobs: Sequence[str], memory: int = 800) -> int:
    """Submit one job per line of arguments.

    Parameters
    ----------
    jobs:
        Arguments of ``analysis.py``, for example ``"ttbar --signal"``.
    memory:
        Memory of each job in MiB.

    Returns
    -------
    int
        The cluster's number.
    """
    store_credential()
    environment = " ".join(f"{name}={os.environ[name]}" for name in FORWARDED if name in os.environ)
    description = htcondor.Submit(
        {
            "executable": str(HERE / "job.sh"),
            "arguments": "$(line)",
            "environment": f'"{environment}"',
            "transfer_input_files": f"{HERE / 'analysis.py'},{HERE / 'facility.py'}",
            "should_transfer_files": "YES",
            "use_oauth_services": SERVICE,
            "output": "$(Cluster).$(Process).out",
            "error": "$(Cluster).$(Process).err",
            "log": "dilepton.log",
            "request_cpus": "1",
            "request_memory": str(memory),
        }
    )
    queue = schedd()
    result = queue.submit(description, itemdata=iter([{"line": line} for line in jobs]), spool=True)
    queue.spool(result)
    return int(result.cluster())


def wait(cluster: int, seconds: float = 600.0) -> list[dict[str, Any]]:
    """Wait until all jobs of a cluster are done, fetch their output and take them out of the queue.

    Returns
    -------
    list of dict
        Per job ``process``, ``host``, ``exit_code``, ``output`` and ``error``.

    Raises
    ------
    RuntimeError
        A job was held.
    TimeoutError
        They are not done in time.
    """
    queue, deadline = schedd(), time.monotonic() + seconds
    wanted = f"ClusterId == {cluster}"
    while True:
        jobs = queue.query(wanted, ["ProcId", "JobStatus", "HoldReason", "HoldReasonCode", "LastRemoteHost", "ExitCode"])
        held = [job for job in jobs if job["JobStatus"] == HELD and job.get("HoldReasonCode") != SPOOLING]
        if held:
            raise RuntimeError(f"job {cluster}.{held[0]['ProcId']} is held: {held[0].get('HoldReason')}")
        if jobs and all(job["JobStatus"] == COMPLETED for job in jobs):
            break
        if time.monotonic() > deadline:
            raise TimeoutError(f"cluster {cluster} is not done after {seconds:.0f} s")
        time.sleep(1)
    queue.retrieve(wanted)
    results = [
        {
            "process": int(job["ProcId"]),
            "host": str(job.get("LastRemoteHost", "")),
            "exit_code": int(job.get("ExitCode", -1)),
            "output": Path(f"{cluster}.{job['ProcId']}.out").read_text(),
            "error": Path(f"{cluster}.{job['ProcId']}.err").read_text(),
        }
        for job in sorted(jobs, key=lambda job: int(job["ProcId"]))
    ]
    queue.act(htcondor.JobAction.Remove, wanted)
    return results
