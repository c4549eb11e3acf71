"""What verification does inside a notebook: it is put beside the example analysis there, and uses the same doors as that."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import facility
import htcondor2 as htcondor
import submit
from botocore.exceptions import ClientError
from cantiere_notebook.credential import SERVICE, store_credential
from cantiere_notebook.tokens import refresh
from XRootD import client
from XRootD.client.flags import OpenFlags

HERE = Path(__file__).resolve().parent
BLOCK = 8 << 20
ATTEMPT_TIMEOUT = 40
HELD = 5
REMOVE_SECONDS = 30.0


def limits() -> dict[str, float]:
    """What the notebook server may use: ``memory`` in bytes and ``cpus``, as the kernel enforces them."""
    groups = Path("/sys/fs/cgroup")
    version1 = {"memory": "memory/memory.limit_in_bytes", "quota": "cpu/cpu.cfs_quota_us", "period": "cpu/cpu.cfs_period_us"}
    if (groups / "memory.max").exists():
        quota, period = (groups / "cpu.max").read_text().split()
        return {"memory": float((groups / "memory.max").read_text()), "cpus": float(quota) / float(period)}
    found = {name: float((groups / path).read_text()) for name, path in version1.items()}
    return {"memory": found["memory"], "cpus": found["quota"] / found["period"]}


def read_all(path: str) -> dict[str, Any]:
    """Read a whole file through the site cache by the XRootD protocol, with the token of this notebook.

    Returns
    -------
    dict
        ``bytes``, ``sha256`` and ``seconds``.

    Raises
    ------
    OSError
        The cache refuses, or a read fails.
    """
    file, digest, offset, begin = client.File(), hashlib.sha256(), 0, time.monotonic()
    status, _ = file.open(facility.data_url(path), OpenFlags.READ, timeout=facility.TIMEOUT)
    while status.ok:
        status, block = file.read(offset, BLOCK, timeout=facility.TIMEOUT)
        if status.ok and not block:
            break
        digest.update(block or b"")
        offset += len(block or b"")
    file.close()
    if not status.ok:
        raise OSError(f"{facility.data_url(path)}: {status.message.strip()}")
    return {"bytes": offset, "sha256": digest.hexdigest(), "seconds": time.monotonic() - begin}


def attempts(kind: str, argument: str, tokens: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Try something with each of several tokens, each in a process of its own so that no connection is shared.

    Parameters
    ----------
    kind:
        ``read`` (a file through the site cache) or ``submit`` (a job to the access point).
    argument:
        The file's path, or the access point's ad (:func:`access_point`).
    tokens:
        Name to token.

    Returns
    -------
    dict
        Per name ``accepted`` and ``message``.
    """
    return {name: _attempt(kind, argument, token) for name, token in tokens.items()}


def access_point() -> str:
    """The access point's ad, looked up with the good token, so that an attempt meets the access point and not the collector."""
    return str(submit.collector().locate(htcondor.DaemonType.Schedd, os.environ["CANTIERE_POOL_SCHEDD"]))


def start_jobs(script: str, count: int = 1, token: bool = False, requirements: str = "true", memory: int = 64, image: str = "") -> int:
    """Submit jobs that run a shell script.

    Parameters
    ----------
    script:
        Its text.
    count:
        How many jobs.
    token:
        Whether HTCondor brings them the token.
    requirements:
        Where they may run, as a ClassAd expression.
    memory:
        Memory of each in MiB.
    image:
        The container image in which they run: a folder or a SIF file, of the notebook or below ``/cvmfs``; empty is none.

    Returns
    -------
    int
        The cluster's number.
    """
    with tempfile.NamedTemporaryFile("w", dir=HERE, suffix=".sh", delete=False) as file:
        file.write(f"#!/bin/sh\n{script}\n")
    Path(file.name).chmod(0o755)
    description = {
        "executable": file.name,
        "output": "$(Cluster).$(Process).out",
        "error": "$(Cluster).$(Process).err",
        "initialdir": str(HERE),
        "should_transfer_files": "YES",
        "requirements": requirements,
        "request_cpus": "1",
        "request_memory": str(memory),
    }
    if image:
        description |= {"universe": "container", "container_image": image}
    if token:
        store_credential()
        description["use_oauth_services"] = SERVICE
    queue = submit.schedd()
    result = queue.submit(htcondor.Submit(description), count=count, spool=True)
    queue.spool(result)
    return int(result.cluster())


def jobs(cluster: int) -> list[dict[str, Any]]:
    """What the queue says of a cluster's jobs, in order."""
    names = ["ProcId", "JobStatus", "NumJobStarts", "NumShadowStarts", "RemoteHost", "HoldReason", "HoldReasonCode"]
    ads = submit.schedd().query(f"ClusterId == {cluster}", names)
    return sorted(({name: ad[name] for name in names if name in ad} for ad in ads), key=lambda job: int(job["ProcId"]))


def wait_for(cluster: int, status: int, count: int, seconds: float) -> list[dict[str, Any]]:
    """Wait until as many jobs of a cluster have that status.

    Raises
    ------
    RuntimeError
        A job was held instead.
    TimeoutError
        They have not in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = jobs(cluster)
        except (htcondor.HTCondorException, RuntimeError):  # the access point may be on its way up
            found = []
        held = [job for job in found if job["JobStatus"] == HELD and job.get("HoldReasonCode") != submit.SPOOLING]
        if held:
            raise RuntimeError(f"job {cluster}.{held[0]['ProcId']} is held: {held[0].get('HoldReason')}")
        if sum(job["JobStatus"] == status for job in found) >= count:
            return found
        time.sleep(0.5)
    raise TimeoutError(f"cluster {cluster}: after {seconds:.0f} s not {count} of its jobs have status {status}; the queue says {found}")


def outputs(cluster: int) -> list[str]:
    """What a cluster's finished jobs printed, in order; errors are appended."""
    submit.schedd().retrieve(f"ClusterId == {cluster}")
    texts = []
    for job in jobs(cluster):
        name = f"{cluster}.{job['ProcId']}"
        texts.append((HERE / f"{name}.out").read_text() + (HERE / f"{name}.err").read_text())
    return texts


def remove(cluster: int) -> None:
    """Take a cluster out of the queue, whatever state it is in; an access point that was just started again is asked once more."""
    wanted, deadline = f"ClusterId == {cluster}", time.monotonic() + REMOVE_SECONDS
    while True:
        try:
            queue = submit.schedd()
            if not queue.query(wanted, ["ProcId"]):
                return
            queue.act(htcondor.JobAction.Remove, wanted)
            return
        except (htcondor.HTCondorException, RuntimeError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def machines() -> dict[str, int]:
    """Name of each execute point that takes any jobs, now or when it has room, to the number of its cores.

    One that was told to end has no requirements but ``false``; one that takes no job without a GPU has a START that is false.
    """
    taking = 'SlotType != "Dynamic" && Start =!= false && unparse(Requirements) != "false"'
    ads = submit.collector().query(htcondor.AdType.Startd, taking, ["Machine", "TotalSlotCpus"])
    return {str(ad["Machine"]): int(ad["TotalSlotCpus"]) for ad in ads}


def shell(script: str, argument: str) -> dict[str, Any]:
    """Run a shell script with one argument in the notebook: its exit ``code`` and ``output``."""
    done = subprocess.run(
        ["sh", "-c", script, "sh", argument], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=50, check=False
    )
    return {"code": done.returncode, "output": done.stdout.strip()}


def token_digest() -> str:
    """SHA-256 of what this notebook's token says, without its signature."""
    return hashlib.sha256(facility.token().split(".")[1].encode()).hexdigest()


def renew_token() -> str:
    """Have the hub renew this notebook's token, which hands it to HTCondor too, and give its digest."""
    refresh()
    return token_digest()


def keep_private() -> str:
    """Put an object into the store as this user does, and give its key."""
    key: str = facility.key("private.txt")
    facility.object_store().put_object(Bucket=facility.bucket(), Key=key, Body=b"private")
    return key


def forget(key: str) -> None:
    """Delete an object of this user."""
    facility.object_store().delete_object(Bucket=facility.bucket(), Key=key)


def reach(key: str) -> list[str]:
    """What this user can do to somebody else's object: ``read``, ``list``, ``overwrite``; empty is good."""
    store, bucket = facility.object_store(), facility.bucket()
    done: list[str] = []
    deeds: dict[str, Callable[[], Any]] = {
        "read": lambda: store.get_object(Bucket=bucket, Key=key),
        "list": lambda: store.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"],
        "overwrite": lambda: store.put_object(Bucket=bucket, Key=key, Body=b"changed"),
    }
    for name, deed in deeds.items():
        try:
            if deed():
                done.append(name)
        except ClientError:
            continue
    return done


def meddle(cluster: int) -> list[str]:
    """What this user can do to somebody else's jobs: ``remove``, ``fetch``, ``edit``; empty is good."""
    queue, wanted = submit.schedd(), f"ClusterId == {cluster}"
    done: list[str] = []
    deeds: dict[str, Callable[[], Any]] = {
        "remove": lambda: queue.act(htcondor.JobAction.Remove, wanted)["TotalSuccess"],
        "fetch": lambda: queue.retrieve(wanted) is None and (HERE / f"{cluster}.0.out").exists(),
        "edit": lambda: queue.edit(wanted, "Arguments", '"x"'),
    }
    for name, deed in deeds.items():
        try:
            if deed():
                done.append(name)
        except (htcondor.HTCondorException, RuntimeError, OSError, ValueError, KeyError):
            continue
    return done


def _attempt(kind: str, argument: str, token: str) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(token)
        file.flush()
        environment = {**os.environ, "BEARER_TOKEN_FILE": file.name, "PYTHON_COLORS": "0", "XRD_CONNECTIONRETRY": "1"}
        environment.pop("BEARER_TOKEN", None)
        command = [sys.executable, str(HERE / "attempt.py"), kind, argument]
        try:
            done = subprocess.run(
                command,
                cwd=HERE,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=ATTEMPT_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"accepted": False, "message": f"no answer within {ATTEMPT_TIMEOUT} s"}
    return {"accepted": done.returncode == 0, "message": " ".join(done.stdout.split())[-300:]}
