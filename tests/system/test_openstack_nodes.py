"""On a real OpenStack: a node of Kubernetes is drained, its server resized, and it comes back; a pool opens a port to the outside."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.testbed import OPTIONS, belongings, project
from support.tree import REPOSITORY

pytestmark = pytest.mark.full

NAME, POD, PORT = "openstack-nodes", "stays", 8081
SERVER = f"cantiere-{NAME}-worker-1"
ANSWERS = "systemd-run --unit answers python3 -m http.server {} --directory /run/systemd"


class Nodes:
    """The command line, bound to a site of its own: a control plane and one worker."""

    def __init__(self, cantiere: Any, folder: Path) -> None:
        self.cantiere, self.folder, self.site = cantiere, folder, folder / "cantiere.yml"
        given = yaml.safe_load((REPOSITORY / "inventories" / "openstack-testbed" / "cantiere.yml").read_text())
        given |= {"site": NAME, "template": "template.yaml", "inputs": "inputs.yml", "artifacts_file": "artifacts.yml", "releases": {}}
        given |= {"state_dir": f"/var/lib/cantiere/{NAME}"}
        given["kubernetes"]["virtual_address"] = ""
        given["provider"] |= {"floating_ips": "all", "flavors": ["m1.*"], "admin_cidrs": OPTIONS["admin_cidrs"]}
        self.site.write_text(yaml.safe_dump(given))
        (folder / "artifacts.yml").write_text("{}\n")
        (folder / "inputs.yml").write_text("worker_machines: 1\n")

    def ask(self, **worker: Any) -> None:
        """Write the template: that of a cluster, with what is asked of its workers."""
        template = yaml.safe_load((REPOSITORY / "tosca" / "templates" / "cluster.yaml").read_text())
        template["imports"] = [str(REPOSITORY / "tosca" / "types" / "common.yaml")]
        template["topology_template"]["node_templates"]["worker"]["properties"] |= worker
        (self.folder / "template.yaml").write_text(yaml.safe_dump(template))

    def run(self, verb: str) -> dict[str, Any]:
        result: dict[str, Any] = self.cantiere.json(verb, "--site", str(self.site))
        return result

    def kubectl(self, *arguments: str) -> str:
        return str(self.cantiere.run("kubectl", "--site", str(self.site), "--", *arguments).stdout)

    def shown(self, *what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *what, "-o", "json"))
        return found


@pytest.fixture(scope="module")
def cloud() -> Iterator[Any]:
    with project() as connection:
        yield connection


@pytest.fixture(scope="module")
def nodes(cantiere: Any, cloud: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    before, made = belongings(cloud), Nodes(cantiere, tmp_path_factory.mktemp("nodes"))
    made.ask(num_cpus=1)
    try:
        print(f"\n  up in {made.run('up')['seconds']} s")
        yield made
    finally:
        made.run("down")
    assert belongings(cloud) == before


def server(cloud: Any) -> Any:
    """The worker's."""
    (found,) = cloud.compute.servers(name=f"^{SERVER}$")
    return found


def pod(nodes: Nodes) -> dict[str, Any]:
    """The one pod of the test, once it runs."""
    nodes.kubectl("wait", "--for=condition=Available", "--timeout=180s", f"deployment/{POD}")
    items: list[dict[str, Any]] = nodes.shown("pods", "-l", f"app={POD}")["items"]
    (found,) = (item for item in items if "deletionTimestamp" not in item["metadata"])
    return found


def told_to_end(nodes: Nodes, name: str) -> float:
    """When a pod was told to end."""
    events = nodes.shown("events", "--field-selector", f"reason=Killing,involvedObject.name={name}")["items"]
    return min(moment(item["firstTimestamp"]) for item in events)


def moment(text: str) -> float:
    """Seconds since 1970; a time of OpenStack has no zone, and is that of UTC."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def test_a_node_is_drained_resized_and_taken_back(nodes: Nodes, cloud: Any) -> None:
    """Its pods leave before the cloud is asked for another flavor, and come back when the node is ready in its new boot."""
    image = next(
        name for item in nodes.shown("nodes")["items"] for one in item["status"]["images"] for name in one["names"] if "tools" in name
    )
    nodes.kubectl("create", "deployment", POD, f"--image={image}", "--", "sleep", "infinity")
    before, old, first = server(cloud), nodes.shown("node", "worker-1"), pod(nodes)
    assert (before.flavor.name, first["spec"]["nodeName"]) == ("m1.small", "worker-1")
    nodes.ask(num_cpus=2)
    (step,) = nodes.run("plan")["steps"]
    assert step["id"] == "machine/worker-1" and step["reason"].startswith("its flavor changes from m1.small to m1.medium")
    result = nodes.run("up")
    print(f"\n  another flavor in {result['seconds']} s: {result['steps']}")
    after, new, second = server(cloud), nodes.shown("node", "worker-1"), pod(nodes)
    assert (after.id, after.status, after.flavor.name) == (before.id, "ACTIVE", "m1.medium")
    asked = {item.action: moment(item.start_time) for item in cloud.compute.server_actions(after)}
    ended = told_to_end(nodes, first["metadata"]["name"])
    took = asked["confirmResize"] - asked["resize"]
    print(f"  asked to resize {asked['resize'] - ended:.0f} s after its pods were told to end, confirmed {took:.0f} s later")
    assert ended < asked["resize"] < asked["confirmResize"] < moment(second["status"]["startTime"])
    assert old["status"]["nodeInfo"]["bootID"] != new["status"]["nodeInfo"]["bootID"]
    assert {"Ready": "True"}.items() <= {item["type"]: item["status"] for item in new["status"]["conditions"]}.items()
    assert not new["spec"].get("unschedulable") and second["spec"]["nodeName"] == "worker-1"
    assert nodes.run("up")["steps"] == []


def test_a_port_of_a_pool_opens_and_closes(nodes: Nodes, cloud: Any) -> None:
    """From outside, by the worker's floating IP: what listens there is reached once the template opens its port, and no longer after."""
    nodes.cantiere.run("ssh", "--site", str(nodes.site), "worker-1", "--", ANSWERS.format(PORT))
    (address,) = (ip.floating_ip_address for ip in cloud.network.ips() if ip.description.endswith(" worker-1"))

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}:{PORT}/", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    assert not answers()
    nodes.ask(num_cpus=2, public_ports=[{"port": PORT - 1, "last_port": PORT + 1}])
    (ground,) = (step for step in nodes.run("plan")["steps"] if step["kind"] == "ground")
    told = f"group pool-worker opens tcp {PORT - 1}-{PORT + 1} to 0.0.0.0/0, asked for by node worker of the template"
    assert ground["reason"] == f"{told}; machine worker-1 joins group pool-worker"
    nodes.run("up")
    assert answers()
    assert nodes.run("up")["steps"] == []
    nodes.ask(num_cpus=2)
    nodes.run("up")
    assert not answers()
    assert nodes.run("plan")["steps"] == []
