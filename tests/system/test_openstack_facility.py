"""A facility on a real OpenStack: servers, Kubernetes, services and a job; workers come and go while jobs run; then nothing is left."""

from __future__ import annotations

import json
import secrets
import ssl
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from support.host import Host
from support.indigo import INPUTS, public
from support.testbed import belongings, delete, host_is, project, stopped
from support.tree import REPOSITORY
from support.waiting import until
from system.platform.conftest import Platform
from system.platform.test_pool import CLIENT, COMPLETED, RUNNING, SCOPES, Submitter, pod_of, starts

SITE = "openstack-testbed"
ONE = ("--input", "worker_machines=1", "--input", "workers=1")
THREE = ("--input", "worker_machines=3", "--input", "workers=3")
NAMES = ["control-1", "worker-1", "worker-2", "worker-3"]
ORIGIN, CACHE = "origin", "site-cache"
FOLDER = "/srv/xrootd/data/store"
"""Of the origin, where the files are that it serves."""
STORED = "/tmp/stored"
"""Of the submitter, what is stored for its jobs."""
MIB = 1 << 20
READS = """\
executable = /bin/sh
transfer_executable = false
arguments = "-c 'xrdcp -np $CANTIERE_SITE_CACHE//store/{name} copy && sha256sum copy | grep -q {digest}'"
on_exit_hold = ExitCode =!= 0
request_cpus = 1
request_memory = 64MB
request_disk = 8MB
{more}queue
"""
STARTED_WITHIN, ENDED_WITHIN = 120.0, 300.0
LONG, LEAVING = 150, 60
"""Seconds that a job runs: until after machines were added, and until after they began to leave."""
OUTAGE_SECONDS = 3.0
"""For which an API is gone."""
REFUSED = 4
"""What a command ends with that touched nothing."""
HELD = 5
OTHER = "openstack-others"
NOT_HAD = ("cert-manager", "issuers", "traefik", "monitoring", "monitoring-facility", "prometheus-operator-crds", "metrics-server")
"""Releases of that template whose charts and images only registries have, or that a cluster does without."""


class Facility(Platform):
    """The facility, and a hand on the project that is not the program's."""

    machines: ClassVar = ("--site", SITE)

    def __init__(self, cantiere: Any, cloud: Any) -> None:
        super().__init__(cantiere, SITE)
        self.cloud = cloud

    def rows(self) -> dict[str, dict[str, Any]]:
        """Name of each machine to what ``status`` says of it."""
        return {row["machine"]: row for row in self.cantiere.json("status", *self.site)["machines"]}

    def ready(self) -> list[str]:
        """Machines that are nodes on which pods may run."""
        return sorted(name for name, row in self.rows().items() if row["node"] == "Ready" and row["schedulable"])

    def server(self, machine: str) -> Any:
        """The server of a machine."""
        (found,) = self.servers(machine)
        return found

    def servers(self, machine: str) -> list[Any]:
        """The servers of a machine: one, or none."""
        return list(self.cloud.compute.servers(name=f"^cantiere-{SITE}-{machine}$"))

    def machine_of(self, job: dict[str, Any]) -> str:
        """The machine on which a job runs."""
        return str(json.loads(self.kubectl("-n", self.namespace, "get", "pod", pod_of(job), "-o", "json"))["spec"]["nodeName"])


@pytest.fixture(scope="module")
def admin(cloud: Any) -> Any:
    """Those who run the cloud."""
    import openstack

    return openstack.connect(cloud="testbed-admin")


@contextmanager
def no_host(admin: Any) -> Iterator[None]:
    """While the one host is gone, and the cloud knows it."""
    [host] = admin.compute.services(binary="nova-compute")
    with stopped("nova-compute"):
        admin.compute.update_service_forced_down(host, forced=True)
        try:
            yield
        finally:
            admin.compute.update_service_forced_down(host, forced=False)
    host_is("up", admin, STARTED_WITHIN)


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"\n  {what}: {time.monotonic() - began:.0f} s")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Any]:
    """The project; this machine is as it was before the test bed."""
    before = Host.look()
    began = time.monotonic()
    with project() as connection:
        print(f"\n  test bed: {time.monotonic() - began:.0f} s")
        yield connection
    assert Host.look().more_than(before) == {}


@pytest.fixture(scope="module")
def facility(cantiere: Any, cloud: Any) -> Iterator[Facility]:
    """Raised from nothing, and taken down: the project is as it was."""
    cantiere.run("down", "--site", SITE)
    before, made = belongings(cloud), Facility(cantiere, cloud)
    try:
        result = made.up()
        print(f"\n  from nothing: {result['seconds']} s, { {name: value for name, value in result['plays'].items() if value >= 1} }")
        yield made
    finally:
        with timed("down"):
            cantiere.run("down", "--site", SITE)
    assert belongings(cloud) == before


@pytest.fixture(scope="module")
def submitter(facility: Facility) -> Submitter:
    """A pod that submits with a member's token."""
    made = Submitter(facility)
    facility.apply(made.manifest())
    facility.kubectl("-n", facility.namespace, "wait", "--for=condition=Ready", "--timeout=120s", f"pod/{CLIENT}")
    made.carry(facility.token("alice", SCOPES, f"https://{made.schedd}"))
    return made


def test_a_job_reads_through_the_cache_with_its_token(facility: Facility, submitter: Submitter) -> None:
    """A member's token is stored, comes to the job, and opens the cache, which keeps what it fetched; without it nothing is read."""
    assert facility.ready() == NAMES[:2]
    name = f"{secrets.token_hex(4)}.dat"
    written = facility.exec(ORIGIN, ["sh", "-c", f"mkdir -p {FOLDER} && head -c {4 * MIB} /dev/urandom | tee {FOLDER}/{name} | sha256sum"])
    assert written.code == 0, written.stderr
    job = {"name": name, "digest": written.stdout.split()[0]}
    token = json.dumps({"access_token": facility.token("alice")})
    stored = submitter.run(f"umask 077; printf %s '{token}' > {STORED} && condor_store_cred add-oauth -s iam -i {STORED}")
    assert stored.code == 0, stored.stdout + stored.stderr
    with timed("a job reads through the cache"):
        done = submitter.attempt(READS.format(**job, more="use_oauth_services = iam\n"))
        assert done.code == 0, done.stderr
        (read,) = submitter.reached(int(done.stdout.split(".")[0]), COMPLETED, 1, STARTED_WITHIN)
    assert starts([read]) == [1]
    kept = facility.exec(CACHE, ["find", "/srv/xrootd", "-name", name, "-printf", "%s\\n"])
    assert str(4 * MIB) in kept.stdout.split(), f"the cache did not keep it: {kept}"
    bare = submitter.attempt(READS.format(**job, more=""))
    submitter.reached(int(bare.stdout.split(".")[0]), HELD, 1, STARTED_WITHIN)


def test_again_changes_nothing(facility: Facility) -> None:
    with timed("again"):
        result = facility.up()
    assert (result["steps"], result["changed"]) == ([], 0)
    assert facility.cantiere.run("plan", *facility.site, "--exit-code").returncode == 0


def test_a_quota_that_is_lowered(facility: Facility, admin: Any) -> None:
    """Told before anything is touched: what is missing, and by how much."""
    project, before = facility.cloud.current_project_id, belongings(facility.cloud)
    limit = admin.compute.get_quota_set(project).instances
    admin.compute.update_quota_set(project, instances=2)
    try:
        refused = facility.cantiere.run("up", *facility.site, *THREE, code=REFUSED).stderr
    finally:
        admin.compute.update_quota_set(project, instances=limit)
    assert "[openstack.quota]" in refused and "2 more servers, 0 of 2 are left: 2 are missing" in refused
    assert belongings(facility.cloud) == before


def test_machines_come_while_a_job_runs(facility: Facility, submitter: Submitter) -> None:
    long = submitter.submit(LONG)
    submitter.reached(long, RUNNING, 1, STARTED_WITHIN)
    with timed("2 workers more"):
        facility.up(*THREE)
    assert facility.ready() == NAMES
    (job,) = submitter.reached(long, COMPLETED, 1, ENDED_WITHIN)
    assert starts([job]) == [1]


def test_a_server_is_deleted_and_no_host_is_there(facility: Facility, admin: Any) -> None:
    """The run ends with what the cloud says; the other machines serve on."""
    delete(facility.cloud, facility.server("worker-3"))
    with timed("no host"), no_host(admin):
        ended = facility.cantiere.run("up", *facility.site, *THREE, code=1).stderr
    assert "[openstack.no_host]" in ended and "worker-3" in ended and "No valid host was found" in ended
    assert facility.ready() == NAMES[:3] and facility.server("worker-3").status == "ERROR"


def test_a_server_is_stopped_and_apis_are_killed(facility: Facility) -> None:
    """Both losses are told by name and healed, over an outage of APIs: one is made anew, the other is started with what it had."""
    facility.cantiere.run("ssh", *facility.site, "worker-2", "touch /root/kept; sync")
    compute, halted = facility.cloud.compute, facility.server("worker-2")
    compute.stop_server(halted)
    compute.wait_for_server(halted, status="SHUTOFF")
    planned = {step["id"] for step in facility.cantiere.json("plan", *facility.site, *THREE)["steps"]}
    assert {"machine/worker-2", "machine/worker-3"} <= planned
    states = {name: row["state"] for name, row in facility.rows().items()}
    assert states == {"control-1": "running", "worker-1": "running", "worker-2": "stopped", "worker-3": "broken"}
    with timed("both healed"), ThreadPoolExecutor(1) as pool:
        work = pool.submit(facility.up, *THREE)
        until(STARTED_WITHIN, lambda: work.done() or facility.servers("worker-3"), bool)
        for api in ("nova-api", "neutron-api"):
            with stopped(api):
                time.sleep(OUTAGE_SECONDS)
        work.result()
    assert facility.ready() == NAMES
    assert facility.server("worker-2").id == halted.id
    facility.cantiere.run("ssh", *facility.site, "worker-2", "test -e /root/kept")


def test_machines_go_while_jobs_run(facility: Facility, submitter: Submitter) -> None:
    """Machines that leave are drained first: their jobs end on them, and each was begun once."""
    cluster = submitter.submit(LEAVING, 3)
    running = submitter.reached(cluster, RUNNING, 3, STARTED_WITHIN)
    places = {facility.machine_of(job) for job in running}
    assert places - {"worker-1"}, "no job runs on a machine that leaves"
    with timed("2 workers less"):
        result = facility.up(*ONE)
    done = submitter.reached(cluster, COMPLETED, 3, ENDED_WITHIN)
    assert starts(done) == [1, 1, 1]
    assert [pod_of(job) for job in done] == [pod_of(job) for job in running]
    assert {"departure/worker-2", "departure/worker-3"} <= {step["step"] for step in result["steps"]}
    assert facility.ready() == NAMES[:2]
    assert len(list(facility.cloud.compute.servers(name=f"^cantiere-{SITE}-"))) == 2


@pytest.mark.full
def test_a_template_of_others_comes_up(cantiere: Any, cloud: Any, tmp_path: Path) -> None:
    """A template of INFN's platform as it is published, on the same cloud: its machines, and the cluster that it asks for."""
    site, before = tmp_path / "site" / "cantiere.yml", belongings(cloud)
    given = yaml.safe_load((REPOSITORY / "inventories" / SITE / "cantiere.yml").read_text())
    given |= {
        "site": OTHER,
        "template": str(public(tmp_path) / "k8s_cluster.yaml"),
        "inputs": "inputs.yml",
        "provider": {key: value for key, value in given["provider"].items() if key != "flavors"},
        "artifacts_file": str(REPOSITORY / "inventories" / "nspawn" / "artifacts.yml"),
        "releases": {name: {"installed": False} for name in NOT_HAD},
        "state_dir": f"/var/lib/cantiere/{OTHER}",
    }
    site.parent.mkdir()
    (site.parent / "inputs.yml").write_text(yaml.safe_dump(INPUTS["k8s_cluster.yaml"]))
    site.write_text(yaml.safe_dump(given))
    try:
        print(f"\n  a template of others: {cantiere.json('up', '--site', str(site))['seconds']} s")
        found = cantiere.json("status", "--site", str(site))
        nodes = {row["machine"]: row["node"] for row in found["machines"]}
        assert nodes == {"k8s-master-server-1": "Ready", "k8s-node-server-1": "Ready"}
        sizes = {server.name: server.flavor.name for server in cloud.compute.servers(name=f"^cantiere-{OTHER}-")}
        assert set(sizes.values()) == {"m1.large"}, "the template asks for 4 cores and 8 GB"
        trust = ssl._create_unverified_context()
        with urllib.request.urlopen(f"{found['outputs']['k8s_endpoint']}/livez", timeout=10, context=trust) as answer:
            assert answer.read() == b"ok"
        assert cantiere.json("up", "--site", str(site))["steps"] == []
    finally:
        cantiere.run("down", "--site", str(site))
    assert belongings(cloud) == before
