"""Cluster: machines from nothing to Kubernetes, and its life: kills, a power cut, a new machine, an upgrade, a restore, an end."""

from __future__ import annotations

import random
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere import site as sites
from cantiere import supply
from cantiere.machines.fleet import ARCHITECTURE, CLUSTER_ARTIFACTS
from cantiere.providers.choose import provider_of
from support.host import Host
from support.tree import REPOSITORY

SITE = ("--site", "nspawn")
TEMPLATE = REPOSITORY / "tosca" / "templates" / "cluster.yaml"
"""Machines and the cluster on them, and nothing that runs there."""
MACHINES = {"control_machines": 3, "worker_machines": 2}
ASKED = (str(TEMPLATE), *(word for name, number in MACHINES.items() for word in ("--input", f"{name}={number}")))
ADDRESS = "10.138.0.250"
SEED = 20361
LONGEST = 60.0
BACK_SECONDS = 5.0
KEYS = "/etc/kubernetes/pki/etcd"
MEMBERS = (
    *("etcdctl", "--endpoints", "https://127.0.0.1:2379", "--cacert", f"{KEYS}/ca.crt"),
    *("--cert", f"{KEYS}/server.crt", "--key", f"{KEYS}/server.key", "member", "list"),
)
"""Asked in a pod of etcd."""
NEXT = "1.36.4"


class Api:
    """Asks the API behind its virtual address, as anybody may, and keeps when it answered."""

    def __init__(self) -> None:
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE

    def answers(self, timeout: float = 1.0) -> bool:
        try:
            with urllib.request.urlopen(f"https://{ADDRESS}:6443/livez", timeout=timeout, context=self.context) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def longest_silence(self, stop: threading.Event) -> float:
        """Seconds between the last answer before, and the first after, the longest silence until asked to stop."""
        last, longest = time.monotonic(), 0.0
        while not stop.is_set():
            if self.answers():
                longest = max(longest, time.monotonic() - last)
                last = time.monotonic()
            stop.wait(0.2)
        return max(longest, time.monotonic() - last)


class Cluster:
    """The command line, bound to the site of system containers."""

    def __init__(self, cantiere: Any) -> None:
        self.cantiere = cantiere
        self.api = Api()

    def up(self, *arguments: str, site: tuple[str, ...] = SITE) -> dict[str, Any]:
        asked = ASKED if site == SITE else ()
        result: dict[str, Any] = self.cantiere.json("up", *asked, *site, *arguments)
        return result

    def machines(self) -> dict[str, dict[str, Any]]:
        return {row["machine"]: row for row in self.cantiere.json("status", *SITE)["machines"]}

    def kubectl(self, *arguments: str) -> str:
        return str(self.cantiere.run("kubectl", *SITE, "--", *arguments).stdout)

    def ssh(self, machine: str, *command: str) -> str:
        return str(self.cantiere.run("ssh", *SITE, machine, *command).stdout)

    def verified(self) -> None:
        report = self.cantiere.json("verify", *SITE, code=None)
        bad = {step["name"]: step["evidence"] for step in report["steps"] if step["ok"] is not True}
        assert not bad, bad
        print("\n  verify: " + ", ".join(f"{step['name']} {step['seconds']} s ({step['evidence']})" for step in report["steps"]))


@pytest.fixture(scope="module")
def cluster(cantiere: Any) -> Iterator[Cluster]:
    cantiere.run("down", *SITE)
    began = time.monotonic()
    supply.ensure(CLUSTER_ARTIFACTS, sites.load(sites.find("nspawn")), ARCHITECTURE, lambda line: None)
    print(f"\n  artifacts: {time.monotonic() - began:.1f} s")
    before = Host.look()
    made = Cluster(cantiere)
    yield made
    began = time.monotonic()
    cantiere.run("down", *SITE)
    print(f"\n  down: {time.monotonic() - began:.1f} s")
    assert Host.look().more_than(before) == {}


def ready(machines: dict[str, dict[str, Any]]) -> list[str]:
    return sorted(name for name, row in machines.items() if row["node"] == "Ready" and row["schedulable"])


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.full)])
def test_killed_from_nothing(cluster: Cluster, kills: int) -> None:
    """`up` from nothing is killed at random moments; the last one ends in a whole cluster."""
    moments = random.Random(SEED + kills)
    for number in range(kills):
        moment = moments.uniform(3.0, LONGEST)
        at_work = cluster.cantiere.killed(moment, "up", *ASKED, *SITE)
        print(f"\n  kill {number + 1}: " + (f"after {moment:.1f} s" if at_work else f"up was done before {moment:.1f} s"))
    cluster.up()
    assert len(ready(cluster.machines())) == 5
    cluster.cantiere.run("down", *SITE)


def test_from_nothing(cluster: Cluster) -> None:
    """Three control planes and two workers, with artifacts at hand."""
    result = cluster.up()
    plays = {name: seconds for name, seconds in result["plays"].items() if seconds >= 1}
    print(f"\n  from nothing: {result['seconds']} s (measure: 120 s), {plays}")
    found = cluster.machines()
    assert ready(found) == ["control-1", "control-2", "control-3", "worker-1", "worker-2"]
    cluster.verified()


def test_again_changes_nothing(cluster: Cluster) -> None:
    result = cluster.up()
    print(f"\n  no change: {result['seconds']} s (measure: 15 s for 3 machines, 45 s for 30)")
    assert result["steps"] == []
    assert result["changed"] == 0


def test_drift_is_shown_and_mended(cluster: Cluster) -> None:
    """What somebody changed on a machine is named by status, and put back by the next run on that machine alone."""
    cluster.ssh("worker-1", "echo '# changed by hand' >> /etc/sysctl.d/60-cantiere-kubernetes.conf")
    cluster.ssh("worker-2", "systemctl stop containerd")
    found = cluster.machines()
    assert "/etc/sysctl.d/60-cantiere-kubernetes.conf" in str(found["worker-1"]["drift"])
    assert "containerd" in str(found["worker-2"]["drift"])
    assert found["control-1"]["drift"] == {}
    result = cluster.up()
    assert result["changed"] >= 2
    assert all(row["drift"] == {} for row in cluster.machines().values())


def test_power_cut_and_replacement(cluster: Cluster) -> None:
    """The control-plane machine that holds the address loses its power; the API is back soon; the machine is replaced."""
    controls = {name for name, row in cluster.machines().items() if "control-plane" in row["roles"]}
    holder = next(name for name in controls if ADDRESS in cluster.ssh(name, "ip -4 addr"))
    provider = provider_of(sites.load(sites.find("nspawn")), {})
    assert cluster.api.answers()
    provider.stop(holder, power_cut=True)
    began = time.monotonic()
    while not cluster.api.answers(timeout=0.5):
        assert time.monotonic() - began < 60, "the API did not come back"
        time.sleep(0.05)
    back = time.monotonic() - began
    print(f"\n  power cut of {holder}: API back after {back:.1f} s (measure: {BACK_SECONDS} s)")
    result = cluster.up("--replace", holder)
    print(f"  replaced in {result['seconds']} s")
    assert len(ready(cluster.machines())) == 5
    members = cluster.kubectl("-n", "kube-system", "exec", f"etcd-{next(iter(controls - {holder}))}", "--", *MEMBERS)
    assert sorted(line.split(", ")[1:3] for line in members.splitlines()) == [["started", name] for name in sorted(controls)]
    assert back <= BACK_SECONDS


def test_workers_come_and_go(cluster: Cluster) -> None:
    """A worker is added; the one taken away is drained first, as its pods' disruption budget allows."""
    result = cluster.up("--input", "worker_machines=3")
    print(f"\n  a worker more: {result['seconds']} s")
    assert "worker-3" in ready(cluster.machines())
    result = cluster.up()
    print(f"  a worker less: {result['seconds']} s")
    assert [step["step"] for step in result["steps"]] == ["departure/worker-3", "machine/worker-3"]
    assert len(cluster.machines()) == 5
    assert "worker-3" not in cluster.kubectl("get", "nodes", "-o", "name")


@pytest.mark.full
def test_upgrade(cluster: Cluster, tmp_path: Path) -> None:
    """The same source, relinked under the next patch version, replaces the old one; the API stays."""
    (tmp_path / "pins.yaml").write_text(yaml.safe_dump({"binaries": {"kubernetes": {"version": NEXT, "source": "1.36.3"}}}))
    given = yaml.safe_load((REPOSITORY / "inventories" / "nspawn" / "cantiere.yml").read_text())
    given |= {"template": str(TEMPLATE), "artifacts_file": "pins.yaml", "inputs": "inputs.yml", "releases": {}}
    (tmp_path / "inputs.yml").write_text(yaml.safe_dump(MACHINES))
    (tmp_path / "cantiere.yml").write_text(yaml.safe_dump(given))
    stop, silence = threading.Event(), []
    watcher = threading.Thread(target=lambda: silence.append(cluster.api.longest_silence(stop)))
    watcher.start()
    try:
        result = cluster.up(site=("--site", str(tmp_path / "cantiere.yml")))
    finally:
        stop.set()
        watcher.join()
    print(f"\n  upgrade to {NEXT}: {result['seconds']} s, the API was silent for at most {silence[0]:.1f} s")
    rows = {row["machine"]: row for row in cluster.cantiere.json("status", "--site", str(tmp_path / "cantiere.yml"))["machines"]}
    assert {row["version"] for row in rows.values()} == {NEXT}
    assert len(ready(rows)) == 5


def test_etcd_comes_back_from_a_backup(cluster: Cluster) -> None:
    """What was there at the time of a backup is there again after its restore, and what came later is not."""
    playbook = [str(REPOSITORY / ".venv" / "bin" / "ansible-playbook"), "-i", "inventories/nspawn/cantiere.yml"]
    cluster.kubectl("create", "configmap", "before", "--from-literal=when=before")
    subprocess.run([*playbook, "playbooks/etcd-backup.yml"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    cluster.kubectl("delete", "configmap", "before")
    cluster.kubectl("create", "configmap", "after", "--from-literal=when=after")
    began = time.monotonic()
    subprocess.run([*playbook, "playbooks/etcd-restore.yml"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    print(f"\n  etcd restored in {time.monotonic() - began:.1f} s")
    names = cluster.kubectl("get", "configmaps", "-o", "name")
    assert "configmap/before" in names
    assert "configmap/after" not in names
    cluster.verified()
