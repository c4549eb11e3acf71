"""The notebook's side of computations: whose pods they are, what Spark is told, and how the token goes along."""

from __future__ import annotations

import io
import json
import re
import sys
import urllib.error
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from cantiere.values import computing as declared
from cantiere.values.checks.pod_security import needed
from support.further import one
from support.tree import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "images/analysis"))
from cantiere_notebook import computing, spark, start, tokens

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
HUB: dict[str, Any] = {"hub": {"type": "cantiere.nodes.JupyterHub", "requirements": [{"issuer": "iam"}]}}
NOTEBOOK = {
    "JUPYTERHUB_USER": "alice",
    "JUPYTER_IMAGE": "registry.test/spark:1",
    "MEM_LIMIT": str(2 << 30),
    "CANTIERE_CA": "-----BEGIN\nline\n",
    "BEARER_TOKEN_FILE": "/tmp/cantiere/token",
    "XRD_REQUESTTIMEOUT": "60",
    "JUPYTERHUB_API_TOKEN": "not for others",
}


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A notebook's variables, with those that the hub is told to give it."""
    node, where, _ = one(tmp_path, declared.TYPE, {"pod_memory": "1400 MiB"}, "compute", requirements=[{"hub": "hub"}], beside=HUB)
    found = NOTEBOOK | declared.environment(node, where)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.mark.parametrize("user", ["alice", "Anna.Bo_1", "anna@site.example", "x" * 80, "-", "é"])
def test_every_user_is_a_label_of_his_own(user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", user)
    label = computing.owner()
    assert LABEL_VALUE.fullmatch(label)
    monkeypatch.setenv("JUPYTERHUB_USER", f"{user}@")
    assert computing.owner() != label


def test_spark_is_told_what_the_policies_let_through(variables: dict[str, str]) -> None:
    told = spark.defaults("10.0.0.7", Path("/x/executor.json"), variables)
    retries = int(told["spark.port.maxRetries"])
    ports = {int(told[f"spark.driver.{name}"]) + more for name in ("port", "blockManager.port") for more in range(retries + 1)}
    first, last = variables["CANTIERE_COMPUTE_DASK_PORTS"].split(":")
    assert ports | set(range(int(first), int(last) + 1)) == set(declared.NOTEBOOK_PORTS)
    assert told["spark.blockManager.port"] == str(declared.EXECUTOR_PORT) and told["spark.driver.host"] == "10.0.0.7"
    assert told["spark.kubernetes.namespace"] == "facility-compute"
    assert told["spark.kubernetes.executor.label.cantiere.io/owner"] == "alice"
    assert (told["spark.executor.memory"], told["spark.executor.memoryOverhead"]) == ("1000m", "400m")
    assert told["spark.driver.memory"] == "682m", "a third of the notebook's"
    assert told["spark.authenticate"] == told["spark.network.crypto.enabled"] == "true"


def test_nothing_secret_goes_into_a_pod_s_variables(variables: dict[str, str]) -> None:
    told = spark.defaults("10.0.0.7", Path("/x/executor.json"), variables)
    carried = {key.removeprefix("spark.executorEnv.") for key in told if key.startswith("spark.executorEnv.")}
    assert carried == {"CANTIERE_CA", "BEARER_TOKEN_FILE", "XRD_REQUESTTIMEOUT"}
    assert "not for others" not in json.dumps(told)


def test_the_files_are_one_value_a_line(variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostbyname", lambda _: "10.0.0.7")
    monkeypatch.setenv("SPARK_CONF_DIR", "")
    spark.prepare(tmp_path / "spark")
    lines = (tmp_path / "spark" / "spark-defaults.conf").read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"spark\.[A-Za-z0-9_./]+ \S", line) for line in lines)
    assert r"spark.executorEnv.CANTIERE_CA -----BEGIN\nline\n" in lines
    assert spark.os.environ["SPARK_CONF_DIR"] == str(tmp_path / "spark")


def test_an_executor_keeps_to_the_level_of_its_namespace() -> None:
    level, reasons = needed(spark.pod()["spec"])  # type: ignore[arg-type]
    assert level == "restricted", reasons


def test_a_notebook_without_a_place_for_pods_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CANTIERE_COMPUTE_NAMESPACE", raising=False)
    monkeypatch.setattr(computing, "tidy", lambda: pytest.fail("it asks the API server"))
    start.compute()


def test_who_cannot_tidy_gets_a_notebook_all_the_same(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(computing, "ACCOUNT", tmp_path)
    monkeypatch.delenv("SPARK_HOME", raising=False)
    start.compute()
    assert "may still be there" in capsys.readouterr().err


def test_a_notebook_removes_its_user_s_pods_and_no_others(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("of-the-account\n", encoding="ascii")
    monkeypatch.setattr(computing, "ACCOUNT", tmp_path)
    monkeypatch.setattr("ssl.create_default_context", lambda cafile: cafile)
    seen: list[Any] = []

    def urlopen(request: Any, timeout: float, context: str) -> io.BytesIO:
        seen.append((request.method, request.full_url, request.get_header("Authorization"), request.data, context))
        return io.BytesIO(b'{"kind": "PodList", "items": []}')

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    computing.tidy()
    url = "https://kubernetes.default.svc/api/v1/namespaces/facility-compute/pods?labelSelector=cantiere.io%2Fowner%3Dalice"
    assert seen == [("DELETE", url, "Bearer of-the-account", None, str(tmp_path / "ca.crt"))]


def test_a_refusal_of_the_api_server_says_why(variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("of-the-account", encoding="ascii")
    monkeypatch.setattr(computing, "ACCOUNT", tmp_path)
    monkeypatch.setattr("ssl.create_default_context", lambda cafile: cafile)

    def urlopen(request: Any, timeout: float, context: str) -> None:
        assert request.full_url.endswith("/namespaces/facility-compute/pods") and json.loads(request.data) == {"kind": "Pod"}
        reason = io.BytesIO(b'{"kind": "Status", "message": "exceeded quota: compute"}')
        raise urllib.error.HTTPError(request.full_url, 403, "Forbidden", Message(), reason)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    with pytest.raises(OSError, match="answers HTTP 403: exceeded quota: compute"):
        computing.ask("POST", body={"kind": "Pod"})


def test_the_token_travels_with_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.write_text("abc\n", encoding="ascii")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(here))
    carried = computing.with_token(lambda name: f"{name} reads with {tokens.token()}")
    here.unlink()
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(there))
    assert carried("executor") == "executor reads with abc"
