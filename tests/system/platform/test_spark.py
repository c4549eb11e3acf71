"""Platform, Spark: a notebook drives executors in pods; its account makes those pods and can do nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from cantiere.verify.kernel import Kernel

if TYPE_CHECKING:
    from system.platform.conftest import Computation

FILE, TREE, BRANCH = "nano_dy.root", "Events", "nMuon"
SESSION_SECONDS = 420.0
EXECUTORS = 2

SESSION = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("scenario").getOrCreate()
"""
HOSTS = """
def host(_):
    import socket, time
    time.sleep(1)
    return socket.gethostname()
def hosts():
    return sorted(set(spark.sparkContext.parallelize(range(8), 8).map(host).collect()))
"""
READ = f"""
import os
from cantiere_notebook import with_token
def events(name):
    import uproot
    url = f"{{os.environ['CANTIERE_SITE_CACHE']}}//store/samples/{{name}}"
    return uproot.open({{url: "{TREE}"}}, handler=uproot.source.xrootd.XRootDSource, use_threads=False, timeout=120)
def muons(batches):
    import pandas
    for batch in batches:
        for name in batch["file"]:
            with events(name) as tree:
                yield pandas.DataFrame({{"muons": tree["{BRANCH}"].array(library="np").astype("int64")}})
def histogram():
    files = spark.createDataFrame([("{FILE}",), ("{FILE}",)], "file string").repartition(2)
    table = files.mapInPandas(with_token(muons), "muons long").groupBy("muons").count().orderBy("muons")
    return [[row["muons"], row["count"]] for row in table.collect()]
"""
REFUSED = """
import json, ssl, urllib.error, urllib.request
from cantiere_notebook import computing
def asked(path, method="GET", body=None):
    token = (computing.ACCOUNT / "token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(computing.API + path, data, headers, method=method)
    trusted = ssl.create_default_context(cafile=str(computing.ACCOUNT / "ca.crt"))
    try:
        return urllib.request.urlopen(request, timeout=30, context=trusted).status
    except urllib.error.HTTPError as error:
        return error.code
"""


def executors(computation: Computation, kernel: Kernel) -> tuple[set[str], dict[str, dict[str, Any]]]:
    """Hosts that a computation ran on, and the pods that are there then, by name."""
    hosts = set(kernel.call("hosts()", SESSION_SECONDS))
    return hosts, {pod["metadata"]["name"]: pod for pod in computation.pods()}


@pytest.fixture(scope="module")
def kernel(computation: Computation) -> Iterator[Kernel]:
    """A kernel with a Spark session."""
    begin = time.monotonic()
    computation.user.spawn(image=computation.image(), cpus="1", memory="2")
    computation.user.wait_for_server()
    print(f"\n  from the spawn page to a notebook with Spark: {time.monotonic() - begin:.1f} s")
    found = Kernel(computation.user, "spark.ipynb")
    begin = time.monotonic()
    found.run(SESSION, SESSION_SECONDS)
    print(f"  a Spark session: {time.monotonic() - begin:.1f} s")
    yield found
    found.close()


def test_a_computation_runs_on_two_executors(computation: Computation, kernel: Kernel) -> None:
    kernel.run(HOSTS)
    begin = time.monotonic()
    seen, pods = executors(computation, kernel)
    while len(seen) < EXECUTORS or seen != set(pods):
        assert time.monotonic() - begin < SESSION_SECONDS, f"the computation ran on {sorted(seen)}, the pods are {sorted(pods)}"
        seen, pods = executors(computation, kernel)
    print(f"\n  a computation on {', '.join(sorted(seen))}: {time.monotonic() - begin:.1f} s")
    assert len(seen) == EXECUTORS
    for pod in pods.values():
        assert pod["metadata"]["labels"]["cantiere.io/owner"] == computation.member
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_executors_read_through_the_cache_with_the_user_s_token(kernel: Kernel) -> None:
    kernel.run(READ)
    begin = time.monotonic()
    found = kernel.call("histogram()", SESSION_SECONDS)
    expected = kernel.call(f"events({FILE!r}).num_entries", SESSION_SECONDS)
    print(f"\n  a DataFrame of {sum(count for _, count in found)} events of the cache: {time.monotonic() - begin:.1f} s")
    assert sum(count for _, count in found) == 2 * expected > 0


def test_the_account_makes_pods_there_and_nothing_else(computation: Computation, kernel: Kernel) -> None:
    kernel.run(REFUSED)
    pod = sorted(computation.names())[0]
    here, there = f"/api/v1/namespaces/{computation.space}", f"/api/v1/namespaces/{computation.platform.namespace}"
    assert kernel.call(f"asked('{here}/pods')", 60) == 200
    refused = {
        f"asked('{here}/secrets')",
        f"asked('{there}/secrets')",
        f"asked('{there}/pods')",
        "asked('/api/v1/nodes')",
        f"asked('{here}/pods/{pod}/exec?command=id&stdout=1', 'POST')",
        f"asked('{here}/serviceaccounts/default/token', 'POST', {{'spec': {{}}}})",
    }
    assert {question: kernel.call(question, 60) for question in refused} == dict.fromkeys(refused, 403)
    strong = {"name": "x", "image": "x", "securityContext": {"privileged": True}}
    body = {"metadata": {"name": "x"}, "spec": {"containers": [strong]}}
    assert kernel.call(f"asked('{here}/pods', 'POST', {body})", 60) == 403, "the namespace lets no privileged pod in"


def test_no_other_pod_of_the_facility_has_the_account(computation: Computation, kernel: Kernel) -> None:
    accounts = {
        pod["metadata"]["labels"].get("component"): pod["spec"]["serviceAccountName"]
        for pod in computation.platform.objects("pods")
        if pod["spec"].get("serviceAccountName", "").endswith("-computing")
    }
    assert accounts == {"singleuser-server": f"{computation.platform.target.parts.hub}-computing"}


def test_executors_go_with_the_session(computation: Computation, kernel: Kernel) -> None:
    assert computation.names()
    kernel.run("spark.stop()", 120)
    print(f"\n  executors are gone after {computation.wait_until_gone():.1f} s")


def test_executors_go_with_the_notebook(computation: Computation, kernel: Kernel) -> None:
    kernel.run(SESSION, SESSION_SECONDS)
    begin = time.monotonic()
    while len(computation.names()) < EXECUTORS:
        assert time.monotonic() - begin < SESSION_SECONDS
        time.sleep(1)
    computation.user.stop_server()
    print(f"\n  executors of an ended notebook are gone after {computation.wait_until_gone():.1f} s")
