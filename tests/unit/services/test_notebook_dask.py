"""Dask on the pool as a notebook starts it: what a job says, and where the scheduler listens. Dask itself is in the image alone."""

from __future__ import annotations

import importlib
import socket
import sys
from types import ModuleType
from typing import Any

import pytest

from cantiere.services import dask as ports
from support.tree import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "images/analysis"))

SIZES = {"1500 MiB": 1500 << 20, "2 GiB": 2 << 30}


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, with names in place of the packages that only the image has."""
    given = {
        "dask": {},
        "dask.utils": {"parse_bytes": SIZES.__getitem__},
        "dask_jobqueue": {"HTCondorCluster": object},
        "distributed": {},
        "distributed.security": {"Security": object},
    }
    for name, content in given.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "cantiere_notebook.dask", raising=False)
    found = importlib.import_module("cantiere_notebook.dask")
    yield found
    sys.modules.pop("cantiere_notebook.dask")


def test_a_job_asks_for_numbers_and_brings_the_certificate(pool: Any) -> None:
    told = pool.description("/tmp/dask-x", 2, "1500 MiB", "2 GiB")
    assert (told["RequestCpus"], told["RequestMemory"], told["RequestDisk"]) == ("2", "1500", str(2 << 20))
    assert told["transfer_input_files"] == "/tmp/dask-x/dask-ca.pem,/tmp/dask-x/dask-cert.pem,/tmp/dask-x/dask-key.pem"
    assert told["use_oauth_services"] == "iam" and told["leave_in_queue"] == "False"


def test_a_job_gets_no_secret_of_the_notebook(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_BUCKET", "analysis")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret-of-the-server")
    monkeypatch.setenv("BEARER_TOKEN_FILE", "/tmp/cantiere/token")
    environment = pool.description("/tmp/dask-x", 1, "2 GiB", "2 GiB")["environment"]
    assert "S3_BUCKET=analysis" in environment and environment[0] == environment[-1] == '"'
    assert "TOKEN" not in environment, "HTCondor brings the token"


def test_a_second_cluster_of_a_notebook_is_refused(pool: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"port {port} is in use"):
            pool.free("127.0.0.1", port)
    pool.free("127.0.0.1", port)


def test_the_scheduler_listens_on_the_way_to_the_pool(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANTIERE_POOL_COLLECTOR", "127.0.0.1:9618")
    assert pool.own_address() == "127.0.0.1"


def test_ports_are_as_the_worker_s_command_line_takes_them() -> None:
    first, last = ports.WORKER_PORTS
    assert ports.environment() == {"CANTIERE_DASK_SCHEDULER_PORT": "8786", "CANTIERE_DASK_WORKER_PORTS": f"{first}:{last}"}
    assert not first <= ports.SCHEDULER_PORT <= last
