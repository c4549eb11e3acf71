"""Dask in pods as a notebook starts it: what a pod is, what it may know, and when it goes. Dask itself is in the image alone."""

from __future__ import annotations

import asyncio
import importlib
import socket
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from cantiere.values import computing as declared
from cantiere.values.checks.pod_security import needed
from support.further import one
from support.tree import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "images/analysis"))
from cantiere_notebook import computing, tokens

HUB: dict[str, Any] = {"hub": {"type": "cantiere.nodes.JupyterHub", "requirements": [{"issuer": "iam"}]}}
SECURITY = SimpleNamespace(tls_ca_file="the\nca", tls_worker_cert="the\ncertificate", tls_worker_key="the\nkey")
STATUS = SimpleNamespace(running="running", failed="failed", closing="closing", closed="closed")


class Process:
    """In place of distributed's ProcessInterface."""

    def __init__(self, scheduler: str, name: int) -> None:
        self.status = "created"

    async def start(self) -> None:
        self.status = STATUS.running

    async def close(self) -> None:
        self.status = STATUS.closed


@pytest.fixture
def dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, with names in place of the packages that only the image has, in a notebook that may make pods."""
    given: dict[str, dict[str, Any]] = {
        "dask": {},
        "dask.utils": {"parse_bytes": lambda text: int(text.split()[0]) << 20},
        "distributed": {},
        "distributed.core": {"Status": STATUS},
        "distributed.deploy": {},
        "distributed.deploy.spec": {"ProcessInterface": Process, "SpecCluster": object},
        "distributed.diagnostics": {},
        "distributed.diagnostics.plugin": {"WorkerPlugin": object},
        "distributed.protocol": {},
        "distributed.protocol.pickle": {"dumps": None},
        "distributed.scheduler": {"Scheduler": object},
        "distributed.security": {"Security": object},
        "tornado": {},
        "tornado.ioloop": {"PeriodicCallback": None},
    }
    for name, content in given.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    node, where, _ = one(tmp_path, declared.TYPE, {"pod_memory": "700 MiB"}, "compute", requirements=[{"hub": "hub"}], beside=HUB)
    notebook = {"JUPYTERHUB_USER": "alice", "JUPYTER_IMAGE": "registry.test/spark:1", "JUPYTERHUB_API_TOKEN": "not for others"}
    for name, value in (notebook | declared.environment(node, where)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "cantiere_notebook.dask_pods", raising=False)
    yield importlib.import_module("cantiere_notebook.dask_pods")
    sys.modules.pop("cantiere_notebook.dask_pods")


def pod(dask: Any, cores: int = 2) -> dict[str, Any]:
    found: dict[str, Any] = dask.manifest("tls://10.0.0.7:7090", 3, "dask-x", cores, 1 << 30, SECURITY)
    return found


def test_a_worker_has_what_its_user_chose(dask: Any) -> None:
    made = pod(dask)
    (container,) = made["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "0.5", "memory": str(1 << 30)},
        "limits": {"cpu": "2", "memory": str(1 << 30)},
    }
    told = container["args"]
    assert told[0] == "tls://10.0.0.7:7090"
    assert [told[told.index(f"--{name}") + 1] for name in ("name", "nthreads", "memory-limit")] == ["3", "2", str(1 << 30)]
    assert container["image"] == "registry.test/spark:1"
    assert made["metadata"]["labels"] == {"app.kubernetes.io/name": "dask", computing.OWNER: "alice", dask.CLUSTER: "dask-x"}


def test_no_more_cores_are_reserved_than_there_are(dask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANTIERE_COMPUTE_CPUS", "4")
    (container,) = pod(dask, 2)["spec"]["containers"]
    assert container["resources"]["requests"]["cpu"] == "2"


def test_a_worker_keeps_to_the_level_of_its_namespace(dask: Any) -> None:
    level, reasons = needed(pod(dask)["spec"])
    assert level == "restricted", reasons


def test_a_worker_gets_the_cluster_s_certificate_and_no_token(dask: Any) -> None:
    made = pod(dask)
    given = {item["name"]: item["value"] for item in made["spec"]["containers"][0]["env"]}
    assert given["DASK_DISTRIBUTED__COMM__TLS__WORKER__KEY"] == "the\nkey"
    assert given["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "True"
    assert "not for others" not in str(made)


def test_a_worker_keeps_the_token_that_its_scheduler_sends(dask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(tmp_path / "token"))
    for value in ("first", "renewed"):
        dask.Token(value).setup(worker=None)
        assert tokens.token() == value


def asked(monkeypatch: pytest.MonkeyPatch, refusal: str = "") -> list[tuple[str, str, str]]:
    """What the API server will have been asked."""
    seen: list[tuple[str, str, str]] = []

    def ask(method: str, name: str = "", selector: str = "", body: dict[str, Any] | None = None) -> dict[str, Any]:
        seen.append((method, name, selector))
        if refusal:
            raise OSError(refusal)
        return {"metadata": {"name": "dask-worker-abc"}}

    monkeypatch.setattr(computing, "ask", ask)
    return seen


@pytest.mark.parametrize(("status", "removed"), [("running", True), ("closing", False)])
def test_a_worker_that_is_scaled_away_takes_its_pod_along(dask: Any, monkeypatch: pytest.MonkeyPatch, status: str, removed: bool) -> None:
    seen = asked(monkeypatch)

    async def live() -> None:
        worker = dask.PodWorker("tls://10.0.0.7:7090", 0, "dask-x", 1, 1 << 30, SECURITY)
        worker._cluster = lambda: SimpleNamespace(status=status)
        await worker.start()
        await worker.close()

    asyncio.run(live())
    assert seen == [("POST", "", ""), *([("DELETE", "dask-worker-abc", "")] if removed else [])]


def test_a_refusal_is_told_and_the_worker_failed(dask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, "exceeded quota: compute")
    worker = dask.PodWorker("tls://10.0.0.7:7090", 0, "dask-x", 1, 1 << 30, SECURITY)
    with pytest.raises(OSError, match="exceeded quota"):
        asyncio.run(worker.start())
    assert worker.status == STATUS.failed


def test_a_scheduler_takes_the_first_free_port_that_policies_let_through(dask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("CANTIERE_COMPUTE_DASK_PORTS", f"{port}:{port}")
        with pytest.raises(RuntimeError, match=f"ports {port} to {port} are in use"):
            dask.free_port("127.0.0.1")
    assert dask.free_port("127.0.0.1") == port


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({"phase": "Running"}, "Running"),
        ({"phase": "Pending"}, "Pending"),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}]},
            "Pending: Insufficient cpu",
        ),
        ({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled"}}}]}, "Failed: OOMKilled"),
    ],
)
def test_it_says_why_a_pod_does_not_run(dask: Any, status: dict[str, Any], text: str) -> None:
    assert dask.state(status) == text


def test_wrong_numbers_and_notebooks_without_pods_are_refused(dask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="cores=0"):
        dask.pod_cluster(workers=1, cores=0)
    monkeypatch.delenv("CANTIERE_COMPUTE_NAMESPACE")
    with pytest.raises(RuntimeError, match="makes no pods"):
        dask.pod_cluster()
