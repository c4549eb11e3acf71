"""Platform, Dask in pods: a notebook scales out over workers of the size that its user chose; they have the user's token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from cantiere.verify.kernel import Kernel
from cantiere.verify.result import StepFailed

if TYPE_CHECKING:
    from system.platform.conftest import Computation

SECONDS = 240.0
WORKERS, CORES, MIB = 2, 2, 900
FILE, TREE, BRANCH = "nano_dy.root", "Events", "nMuon"

CLUSTER = f"""
from cantiere_notebook.dask_pods import pod_cluster
from distributed import Client
cluster = pod_cluster(workers={WORKERS}, cores={CORES}, memory="{MIB} MiB")
client = Client(cluster)
client.wait_for_workers({WORKERS}, timeout={SECONDS})
"""
SELECTION = f"""
import os
import awkward, uproot
from coffea import processor
from coffea.nanoevents import BaseSchema
url = f"{{os.environ['CANTIERE_SITE_CACHE']}}//store/samples/{FILE}"
source = {{"handler": uproot.source.xrootd.XRootDSource, "use_threads": False, "timeout": 120}}
class Muons(processor.ProcessorABC):
    def process(self, events):
        return {{"events": len(events), "muons": int(awkward.sum(events.{BRANCH}))}}
    def postprocess(self, found):
        return found
def selected():
    runner = processor.Runner(
        executor=processor.DaskExecutor(client=client, status=False), schema=BaseSchema, chunksize=10, xrootdtimeout=120
    )
    found = runner({{"dy": {{"files": {{url: "{TREE}"}}}}}}, Muons(), uproot_options=source)
    return {{name: int(found[name]) for name in ("events", "muons")}}
def expected():
    with uproot.open({{url: "{TREE}"}}, **source) as tree:
        return {{"events": tree.num_entries, "muons": int(tree["{BRANCH}"].array(library="np").sum())}}
"""
HELD = """
import hashlib, os
from pathlib import Path
def held():
    return hashlib.sha256(Path(os.environ["BEARER_TOKEN_FILE"]).read_bytes().strip()).hexdigest()
"""
STRANGER = """
from distributed.security import Security
def stranger_gets_in():
    try:
        Client(cluster.scheduler_address, security=Security.temporary(), timeout=2, set_as_default=False).close()
    except OSError:
        return False
    return True
"""


@pytest.fixture(scope="module")
def kernel(computation: Computation) -> Iterator[Kernel]:
    """A kernel with a cluster of Dask, all workers of which have joined."""
    computation.user.spawn(image=computation.image(), cpus="1", memory="2")
    computation.user.wait_for_server()
    found = Kernel(computation.user, "dask.ipynb")
    begin = time.monotonic()
    found.run(CLUSTER, SECONDS)
    print(f"\n  {WORKERS} workers of Dask in pods: {time.monotonic() - begin:.1f} s")
    yield found
    found.close()


def wait_for(computation: Computation, count: int) -> float:
    """Seconds until there are so many pods."""
    begin = time.monotonic()
    while len(names := computation.names()) != count:
        assert time.monotonic() - begin < SECONDS, f"{names} are there, not {count}"
        time.sleep(1)
    return time.monotonic() - begin


def test_workers_are_pods_of_the_chosen_size(computation: Computation, kernel: Kernel) -> None:
    pods = {pod["metadata"]["name"]: pod for pod in computation.pods()}
    hosts = kernel.call("sorted(client.run(lambda: __import__('socket').gethostname()).values())", SECONDS)
    assert hosts == sorted(pods) and len(pods) == WORKERS
    assert kernel.call("[worker['nthreads'] for worker in client.scheduler_info()['workers'].values()]") == [CORES] * WORKERS
    for pod in pods.values():
        (container,) = pod["spec"]["containers"]
        assert container["resources"]["limits"] == {"cpu": str(CORES), "memory": str(MIB << 20)}
        assert pod["metadata"]["labels"]["cantiere.io/owner"] == computation.member
        assert pod["spec"]["automountServiceAccountToken"] is False
    assert set(kernel.call("cluster.pods()")) == set(pods)


def test_coffea_reads_through_the_cache_with_the_user_s_token(kernel: Kernel) -> None:
    kernel.run(SELECTION, SECONDS)
    begin = time.monotonic()
    found = kernel.call("selected()", SECONDS)
    print(f"\n  coffea on {found['events']} events of the cache: {time.monotonic() - begin:.1f} s")
    assert found == kernel.call("expected()", SECONDS) and found["events"] > 0


def test_workers_get_the_token_that_the_notebook_gets(kernel: Kernel) -> None:
    kernel.run(HELD)
    old = kernel.call("held()")
    kernel.run("from cantiere_notebook import refresh; _ = refresh()")
    new = kernel.call("held()")
    begin = time.monotonic()
    while (there := set(kernel.call("list(client.run(held).values())"))) != {new}:
        assert there <= {old, new} and time.monotonic() - begin < SECONDS
        time.sleep(1)
    print(f"\n  workers have a renewed token after {time.monotonic() - begin:.1f} s")
    assert old != new


def test_a_stranger_is_refused(kernel: Kernel) -> None:
    kernel.run(STRANGER)
    assert kernel.call("stranger_gets_in()") is False


def test_more_than_all_may_have_is_refused_with_the_reason(computation: Computation, kernel: Kernel) -> None:
    with pytest.raises(StepFailed, match="exceeded quota"):
        kernel.run("pod_cluster(workers=1, memory='1 TiB')", SECONDS)
    assert len(computation.names()) == WORKERS


def test_a_cluster_is_scaled_and_its_pods_go_with_it(computation: Computation, kernel: Kernel) -> None:
    kernel.run("cluster.scale(1)")
    print(f"\n  from {WORKERS} workers to one: {wait_for(computation, 1):.1f} s")
    kernel.run("cluster.scale(cores=4); client.wait_for_workers(2, timeout=120)", SECONDS)
    assert len(computation.names()) == WORKERS
    kernel.run("client.close(); cluster.close()", SECONDS)
    print(f"  none is left after {computation.wait_until_gone():.1f} s")


def test_pods_go_with_the_notebook(computation: Computation, kernel: Kernel) -> None:
    kernel.run(CLUSTER, SECONDS)
    assert len(computation.names()) == WORKERS
    computation.user.stop_server()
    print(f"\n  workers of an ended notebook are gone after {computation.wait_until_gone():.1f} s")
