"""Dask on the facility's pool: the scheduler runs in the notebook, each worker is a job of the user, with the user's token."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from dask.utils import parse_bytes
from dask_jobqueue import HTCondorCluster
from distributed.security import Security

from cantiere_notebook.credential import SERVICE, store_credential

FORWARDED = ("CANTIERE_SITE_CACHE", "S3_ENDPOINT", "S3_ROLE_ARN", "S3_BUCKET")
"""Variables of the notebook that workers have too; none of them is secret."""

CA, CERTIFICATE, KEY = "dask-ca.pem", "dask-cert.pem", "dask-key.pem"
"""What a worker proves by that it is of this cluster: files that come with its job, in a folder that only its slot's account reads."""


class PoolCluster(HTCondorCluster):  # type: ignore[misc]
    """An HTCondorCluster whose workers find their certificate beside them: notebook and execute points share no folder.

    Parameters
    ----------
    folder:
        Private folder with the certificate; it goes away with the cluster.
    options:
        Those of HTCondorCluster.
    """

    def __init__(self, folder: tempfile.TemporaryDirectory[str], **options: Any) -> None:
        self._folder = folder
        super().__init__(**options)

    async def _close(self) -> None:
        await super()._close()
        self._folder.cleanup()

    def _get_worker_security(self, security: Security) -> Security:
        return Security(tls_ca_file=CA, tls_worker_cert=CERTIFICATE, tls_worker_key=KEY, require_encryption=True)


def condor_cluster(workers: int = 1, cores: int = 1, memory: str = "1 GiB", disk: str = "2 GiB") -> PoolCluster:
    """Start a Dask cluster whose workers are jobs of the facility's pool.

    A notebook has one at a time. ``cluster.scale(n)`` and ``cluster.adapt(minimum=0, maximum=n)`` change the number of workers,
    ``cluster.close()`` removes their jobs.

    Parameters
    ----------
    workers:
        How many jobs, each with one worker.
    cores:
        Cores of each, which are as many threads: one suits what Python's interpreter lock holds back.
    memory:
        Memory of each, ``"2 GiB"``; the job is held if it uses more.
    disk:
        Disk of each, for what does not fit into memory.

    Raises
    ------
    RuntimeError
        The facility has no pool, the access point takes no credential, or there is such a cluster already.
    """
    store_credential()
    address, port = own_address(), int(os.environ["CANTIERE_DASK_SCHEDULER_PORT"])
    free(address, port)
    security = Security.temporary()
    folder = tempfile.TemporaryDirectory(prefix="dask-")
    for name, value in (
        (CA, security.tls_ca_file),
        (CERTIFICATE, security.tls_worker_cert),
        (KEY, security.tls_worker_key),
    ):
        path = Path(folder.name) / name
        path.touch(mode=0o600)
        path.write_text(value, encoding="ascii")
    return PoolCluster(
        folder,
        n_workers=workers,
        cores=cores,
        memory=memory,
        disk=disk,
        processes=1,
        # HTCondor itself holds a worker to its limits; the slot's folder is the only one that is a worker's own
        nanny=False,
        local_directory=".",
        worker_extra_args=["--worker-port", os.environ["CANTIERE_DASK_WORKER_PORTS"], "--no-dashboard"],
        security=security,
        scheduler_options={"host": address, "port": port, "dashboard": False, "dashboard_address": "127.0.0.1:0"},
        job_extra_directives=description(folder.name, cores, memory, disk),
        submit_command_extra=["-spool", "-name", os.environ["CANTIERE_POOL_SCHEDD"]],
        cancel_command_extra=["-name", os.environ["CANTIERE_POOL_SCHEDD"]],
    )


def description(folder: str, cores: int, memory: str, disk: str) -> dict[str, str]:
    """What a worker's submit description says beside HTCondorCluster's own lines.

    Parameters
    ----------
    folder:
        Where the certificate is.
    cores, memory, disk:
        Of a worker. Written as numbers: what counts waiting jobs does not evaluate expressions.
    """
    # without a nanny nobody else keeps numerical libraries from starting a thread for each core of the machine
    environment = {"OMP_NUM_THREADS": "1"} | {name: os.environ[name] for name in FORWARDED if name in os.environ}
    return {
        "RequestCpus": str(cores),
        "RequestMemory": str(parse_bytes(memory) >> 20),
        "RequestDisk": str(parse_bytes(disk) >> 10),
        "environment": '"' + " ".join(f"{name}={value}" for name, value in environment.items()) + '"',
        "transfer_executable": "False",
        "should_transfer_files": "YES",
        "transfer_input_files": ",".join(f"{folder}/{name}" for name in (CA, CERTIFICATE, KEY)),
        "transfer_output_files": '""',
        "leave_in_queue": "False",
        "use_oauth_services": SERVICE,
    }


def own_address() -> str:
    """Address of this machine on the way to the pool, at which workers find the scheduler."""
    host, _, port = os.environ["CANTIERE_POOL_COLLECTOR"].rpartition(":")
    family, kind, protocol, _, place = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as way:
        way.connect(place)
        return str(way.getsockname()[0])


def free(address: str, port: int) -> None:
    """See that nobody listens at the scheduler's port, the only one at which workers reach a notebook.

    Raises
    ------
    RuntimeError
        Somebody does.
    """
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            raise RuntimeError(f"port {port} is in use: this notebook has a Dask cluster already, close it first") from error
