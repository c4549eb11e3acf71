"""Machines that come and go by name and by loss: one that is named leaves in order, one that vanished is made again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere import site as sites
from cantiere.machines.jobs import PODS
from cantiere.machines.model import PREEMPTIBLE, PREEMPTIBLE_TAINT
from cantiere.providers.choose import provider_of
from support.tree import REPOSITORY

pytestmark = pytest.mark.full
NETWORK = "10.139.0.0/24"
JOB_SECONDS, IDLE_SECONDS = 20, 10
LEAST_APART = 10
"""Seconds by which the pods of jobs go before the others, measured in whole seconds on machines that have much to do."""


class Elastic:
    """The command line, bound to a site of its own: one control plane, workers of which one may grow, and machines that may vanish."""

    def __init__(self, cantiere: Any, folder: Path) -> None:
        self.cantiere, self.folder = cantiere, folder
        self.site = folder / "cantiere.yml"
        given = yaml.safe_load((REPOSITORY / "inventories" / "nspawn" / "cantiere.yml").read_text())
        given |= {"site": "elastic", "template": "template.yaml", "inputs": "inputs.yml", "artifacts_file": "artifacts.yml"}
        given["provider"] |= {"subnet": NETWORK, "shared": []}
        given["kubernetes"] |= {"virtual_address": "", "machine_networks": [NETWORK]}
        given["state_dir"] = "/var/lib/cantiere/elastic"
        self.site.write_text(yaml.safe_dump(given))
        (folder / "artifacts.yml").write_text("{}\n")
        (folder / "inputs.yml").write_text("worker_machines: 1\n")
        self.ask(preemptible=1)

    def ask(self, preemptible: int, removal: tuple[str, ...] = ()) -> None:
        """Write the template: that of a cluster, with a pool that may grow and one of machines that may vanish."""
        template = yaml.safe_load((REPOSITORY / "tosca" / "templates" / "cluster.yaml").read_text())
        template["imports"] = [str(REPOSITORY / "tosca" / "types" / "common.yaml")]
        nodes = template["topology_template"]["node_templates"]
        nodes["worker"]["properties"] |= {"max_count": 2, "idle_time": f"{IDLE_SECONDS} s"}
        given = {"count": preemptible, "preemptible": True, "removal_list": list(removal)}
        nodes["preemptible"] = {"type": "cantiere.nodes.MachinePool", "properties": given}
        (self.folder / "template.yaml").write_text(yaml.safe_dump(template))

    def run(self, verb: str, *arguments: str) -> dict[str, Any]:
        result: dict[str, Any] = self.cantiere.json(verb, "--site", str(self.site), *arguments)
        return result

    def kubectl(self, *arguments: str) -> str:
        return str(self.cantiere.run("kubectl", "--site", str(self.site), "--", *arguments).stdout)

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Nodes of the cluster that are ready."""
        items = json.loads(self.kubectl("get", "nodes", "-o", "json"))["items"]
        ready = [
            item for item in items if {"Ready": "True"}.items() <= {c["type"]: c["status"] for c in item["status"]["conditions"]}.items()
        ]
        return {item["metadata"]["name"]: item for item in ready}


@pytest.fixture(scope="module")
def elastic(cantiere: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elastic]:
    made = Elastic(cantiere, tmp_path_factory.mktemp("elastic"))
    result = made.run("up")
    print(f"\n  up in {result['seconds']} s")
    yield made
    made.run("down")


def test_only_what_bears_it_is_placed_on_machines_that_may_vanish(elastic: Elastic) -> None:
    found = elastic.nodes()
    assert set(found) == {"control-1", "worker-1", "preemptible-1"}
    node = found["preemptible-1"]
    assert node["metadata"]["labels"][PREEMPTIBLE] == "true"
    assert PREEMPTIBLE_TAINT in [f"{taint['key']}={taint.get('value', '')}:{taint['effect']}" for taint in node["spec"]["taints"]]


def test_the_machine_that_is_named_leaves_after_its_jobs_and_the_other_keeps_its_name(elastic: Elastic) -> None:
    result = elastic.run("scale", "worker=2")
    print(f"\n  a worker more: {result['seconds']} s")
    assert "worker-2" in elastic.nodes()
    for name, labels, seconds in (
        ("job", dict(label.split("=") for label in PODS.split(",")), JOB_SECONDS),
        ("other", {"app": "other"}, 0),
    ):
        elastic.kubectl("create", "-f", str(deployment(elastic, name, labels, seconds)))
    elastic.kubectl("wait", "--for=condition=Available", "--timeout=180s", "deployment/job", "deployment/other")
    result = elastic.run("scale", "--remove", "worker-1")
    print(f"  worker-1 left in {result['seconds']} s")
    assert [step["step"] for step in result["steps"]] == ["departure/worker-1", "machine/worker-1"]
    assert set(elastic.nodes()) == {"control-1", "worker-2", "preemptible-1"}
    ended = told_to_end(elastic)
    print(f"  other pods were told to end {ended['other'] - ended['job']:.0f} s after the jobs")
    assert ended["other"] - ended["job"] >= LEAST_APART
    assert elastic.run("up")["steps"] == [], "worker-2 is the one worker now"
    assert "worker-2" in elastic.nodes()


def test_a_machine_that_vanished_is_made_again_by_the_loop(elastic: Elastic) -> None:
    before = elastic.nodes()["preemptible-1"]["status"]["nodeInfo"]["machineID"]
    provider_of(sites.load(elastic.site), {}).delete("preemptible-1")
    steps = {step["id"]: step["reason"] for step in elastic.run("plan")["steps"]}
    assert steps["machine/preemptible-1"] == "lost, made again"
    assert "departure/preemptible-1" in steps
    result = elastic.run("scale", "--auto")
    print(f"\n  made again in {result['seconds']} s")
    assert elastic.nodes()["preemptible-1"]["status"]["nodeInfo"]["machineID"] != before


def test_removal_list_takes_that_machine_and_no_other(elastic: Elastic) -> None:
    elastic.ask(preemptible=2)
    elastic.run("up")
    elastic.ask(preemptible=1, removal=("preemptible-1",))
    result = elastic.run("up")
    assert [step["step"] for step in result["steps"]] == ["departure/preemptible-1", "machine/preemptible-1"]
    assert set(elastic.nodes()) == {"control-1", "worker-2", "preemptible-2"}
    assert elastic.run("up")["steps"] == []


def test_the_loop_takes_the_machine_that_idles_whatever_its_number(elastic: Elastic) -> None:
    """The cluster's own pods have gone to worker-2; worker-1 comes again, has nothing to do, and leaves."""
    elastic.kubectl("delete", "deployment", "job", "other")
    assert "worker-1" in elastic.run("scale", "worker=2")["machines"]
    assert elastic.run("scale", "--auto")["changes"] == [], "it has to idle for a while"
    time.sleep(IDLE_SECONDS)
    result = elastic.run("scale", "--auto")
    assert [step["step"] for step in result["steps"]] == ["departure/worker-1", "machine/worker-1"]
    assert "worker-2" in elastic.nodes()


def deployment(elastic: Elastic, name: str, labels: dict[str, str], seconds: int) -> str:
    """Name of a file on the control plane with pods of worker-1 that go on for so many seconds when they are told to end."""
    image = next(name for name in images(elastic) if "tools" in name)
    container = {
        "name": "main",
        "image": image,
        "command": ["/bin/sh", "-c", f"trap 'sleep {seconds}; exit 0' TERM; while :; do sleep 1; done"],
    }
    spec = {"nodeSelector": {"kubernetes.io/hostname": "worker-1"}, "terminationGracePeriodSeconds": 60, "containers": [container]}
    pod = {"metadata": {"labels": labels}, "spec": spec}
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}}
    made["spec"] = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}
    path = f"/root/{name}.json"
    text = json.dumps(made)
    elastic.cantiere.run("ssh", "--site", str(elastic.site), "control-1", "--", f"cat > {path} <<'END'\n{text}\nEND")
    return path


def images(elastic: Elastic) -> list[str]:
    """Names of images that nodes have."""
    return [name for node in elastic.nodes().values() for image in node["status"]["images"] for name in image["names"]]


def told_to_end(elastic: Elastic) -> dict[str, float]:
    """Of each deployment when its pod on worker-1 was told to end."""
    deadline = time.monotonic() + 60
    while True:
        events = json.loads(elastic.kubectl("get", "events", "--field-selector", "reason=Killing", "-o", "json"))["items"]
        found = {
            item["involvedObject"]["name"].split("-")[0]: datetime.fromisoformat(item["firstTimestamp"].replace("Z", "+00:00")).timestamp()
            for item in events
        }
        if {"job", "other"} <= found.keys() or time.monotonic() > deadline:
            return found
        time.sleep(1)
