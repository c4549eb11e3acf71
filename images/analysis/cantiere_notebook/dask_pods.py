"""Dask in pods: the scheduler runs in the notebook, each worker is a pod of the user in the facility's namespace for computations."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import uuid
from contextlib import suppress
from typing import Any

from dask.utils import parse_bytes
from distributed.core import Status
from distributed.deploy.spec import ProcessInterface, SpecCluster
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.protocol.pickle import dumps
from distributed.scheduler import Scheduler
from distributed.security import Security
from tornado.ioloop import PeriodicCallback

from cantiere_notebook import computing, tokens

CLUSTER = "cantiere.io/dask-cluster"
"""Label of the workers of one cluster."""
BEAT_SECONDS = 10.0
"""Between two looks at the token and at workers that ended."""
JOIN_SECONDS = "60"
"""For a worker to find its scheduler; then it ends."""
SCRATCH = "/tmp"

log = logging.getLogger(__name__)


class Token(WorkerPlugin):  # type: ignore[misc]
    """The user's token, kept where a worker's tasks look for it.

    Parameters
    ----------
    value:
        The token.
    """

    name = "cantiere-token"

    def __init__(self, value: str) -> None:
        self.value = value

    def setup(self, worker: Any) -> None:
        """Keep it in the file that ``BEARER_TOKEN_FILE`` names."""
        tokens.keep(tokens.AccessToken(self.value, 0.0))


class PodWorker(ProcessInterface):  # type: ignore[misc]
    """A worker as its cluster makes and removes it.

    Parameters
    ----------
    scheduler:
        Address at which it joins.
    name:
        By which the scheduler knows it.
    cluster:
        Name of the cluster.
    cores, memory:
        Cores and bytes.
    security:
        The cluster's certificate.
    """

    def __init__(self, scheduler: str, name: int, cluster: str, cores: int, memory: int, security: Security) -> None:
        super().__init__(scheduler=scheduler, name=name)
        self.body = manifest(scheduler, name, cluster, cores, memory, security)
        self.pod = ""

    async def start(self) -> None:
        """Make the pod; the worker joins when a machine has room for it.

        Raises
        ------
        OSError
            The API server refuses, for example because all pods together would be more than they may.
        """
        try:
            made = await asyncio.to_thread(computing.ask, "POST", body=self.body)
        except OSError:
            self.status = Status.failed
            raise
        self.pod = made["metadata"]["name"]
        await super().start()

    async def close(self) -> None:
        """Remove the pod; those of a cluster that ends are removed by the cluster, all at once."""
        cluster = self._cluster()
        if self.pod and cluster is not None and cluster.status == Status.running:
            with suppress(OSError):  # it is gone already
                await asyncio.to_thread(computing.ask, "DELETE", self.pod)
        await super().close()


class PodCluster(SpecCluster):  # type: ignore[misc]
    """A Dask cluster whose workers are pods and have the user's token at all times.

    Parameters
    ----------
    workers:
        How many there are at first.
    cores, memory:
        Cores and bytes of each.
    """

    def __init__(self, workers: int, cores: int, memory: int) -> None:
        name, address, security = f"dask-{uuid.uuid4().hex[:12]}", computing.address(), Security.temporary()
        self._selector = f"{CLUSTER}={name}"
        self._token = self._said = ""
        here = {"host": address, "port": free_port(address), "dashboard": False, "dashboard_address": "127.0.0.1:0"}
        options = {"cluster": name, "cores": cores, "memory": memory, "security": security}
        worker = {"cls": PodWorker, "options": options}
        super().__init__(
            workers=dict.fromkeys(range(workers), worker),
            scheduler={"cls": Scheduler, "options": {**here, "protocol": "tls://", "security": security}},
            worker=worker,
            security=security,
            name=name,
        )

    def pods(self) -> dict[str, str]:
        """Name of each worker's pod to what it does: ``Running``, or else why not."""
        return {pod["metadata"]["name"]: state(pod["status"]) for pod in computing.ask("GET", selector=self._selector)["items"]}

    async def _start(self) -> None:
        await super()._start()
        await self._bring_token()
        beat = PeriodicCallback(self._beat, BEAT_SECONDS * 1000)
        self.periodic_callbacks["beat"] = beat
        beat.start()

    async def _bring_token(self) -> None:
        """Give the token to workers, those that come later too, where it is not the one that they have."""
        if (value := tokens.token()) != self._token:
            await self.scheduler_comm.register_worker_plugin(plugin=dumps(Token(value)), name=Token.name, idempotent=False)
            self._token = value

    async def _beat(self) -> None:
        """Renew the token, and replace workers that ended or were refused; a failure is told once."""
        for name in [name for name, worker in self.workers.items() if worker.status == Status.failed]:
            del self.workers[name]
        try:
            await self._bring_token()
            await self._correct_state()
            self._said = ""
        except OSError as error:
            if str(error) != self._said:
                self._said = str(error)
                log.warning("%s; trying again", error)

    async def _close(self) -> None:
        self._remove()
        await super()._close()
        self._remove()  # what was being made meanwhile

    def _remove(self) -> None:
        # in this thread: no other can be started any more while the interpreter ends
        try:
            computing.ask("DELETE", selector=self._selector)
        except OSError as error:
            log.warning("workers end by themselves, but their pods may still be there: %s", error)


def pod_cluster(workers: int = 1, cores: int = 1, memory: str = "") -> PodCluster:
    """Start a Dask cluster whose workers are pods.

    ``cluster.scale(n)`` and ``cluster.adapt(minimum=0, maximum=n)`` change the number of workers, ``cluster.close()`` removes them, and
    so does the end of the kernel.

    Parameters
    ----------
    workers:
        How many pods, each with one worker.
    cores:
        Cores of each, which are as many threads: one suits what Python's interpreter lock holds back.
    memory:
        Memory of each, ``"2 GiB"``; a worker that uses more is ended, and replaced. ``""`` is what the facility gives a pod.

    Raises
    ------
    RuntimeError
        This notebook may make no pods, or has as many clusters as it can.
    ValueError
        A number is out of range.
    OSError
        The facility's cluster does not take such pods.
    """
    if not computing.namespace():
        raise RuntimeError("this notebook makes no pods: choose an image on the spawn page that may, for example Spark and Dask")
    if workers < 0 or cores < 1:
        raise ValueError(f"workers={workers}, cores={cores}: give 0 workers or more, with 1 core or more each")
    return PodCluster(workers, cores, parse_bytes(memory or f"{os.environ['CANTIERE_COMPUTE_MEMORY']} MiB"))


def manifest(scheduler: str, name: int, cluster: str, cores: int, memory: int, security: Security) -> dict[str, Any]:
    """The pod of a worker; parameters are those of :class:`PodWorker`."""
    options = {
        "name": name,
        "nthreads": cores,
        "memory-limit": memory,
        "local-directory": SCRATCH,
        "death-timeout": JOIN_SECONDS,
    }
    told = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    environment = {
        **computing.carried(os.environ),
        "HOME": SCRATCH,
        # nobody else keeps numerical libraries from starting a thread for each core of the machine
        "OMP_NUM_THREADS": "1",
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        f"{tls}CA_FILE": security.tls_ca_file,
        f"{tls}WORKER__CERT": security.tls_worker_cert,
        f"{tls}WORKER__KEY": security.tls_worker_key,
    }
    reserved = min(1.0, float(os.environ["CANTIERE_COMPUTE_CPUS"])) * cores
    container = {
        "name": "worker",
        "image": os.environ["JUPYTER_IMAGE"],
        # Kubernetes holds a worker to its limits, so it needs no nanny
        "command": ["/usr/bin/tini", "-g", "--", sys.executable, "-m", "cantiere_notebook.worker"],
        "args": [scheduler, *told, "--no-nanny", "--no-dashboard"],
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "resources": {
            "requests": {"cpu": f"{reserved:g}", "memory": str(memory)},
            "limits": {"cpu": str(cores), "memory": str(memory)},
        },
    }
    labels = {"app.kubernetes.io/name": "dask", computing.OWNER: computing.owner(), CLUSTER: cluster}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "dask-worker-", "labels": labels},
        "spec": {**computing.specification(container), "restartPolicy": "Never"},
    }


def state(status: dict[str, Any]) -> str:
    """What a pod does, from its status: its phase, and why it does not run where it does not."""
    phase = str(status["phase"])
    if phase in ("Running", "Succeeded"):
        return phase
    containers = [container["state"] for container in status.get("containerStatuses", ())]
    found = [part for item in containers for part in (item.get("waiting"), item.get("terminated")) if part]
    found += [condition for condition in status.get("conditions", ()) if condition["status"] == "False"]
    reasons = [part.get("message") or part["reason"] for part in found if part.get("message") or part.get("reason")]
    return f"{phase}: {reasons[0]}" if reasons else phase


def free_port(address: str) -> int:
    """A port at which a scheduler can listen: policies let workers reach a few.

    Raises
    ------
    RuntimeError
        All are in use.
    """
    first, last = map(int, os.environ["CANTIERE_COMPUTE_DASK_PORTS"].split(":"))
    for port in range(first, last + 1):
        with suppress(OSError), socket.create_server((address, port)):
            return port
    raise RuntimeError(f"ports {first} to {last} are in use: this notebook has as many Dask clusters as it can, close one first")
