"""The provider openstack against a small cloud: what it makes, finds again, completes and removes, and what it says of each fault."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere.errors import CantiereError
from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh
from cantiere.providers.openstack import OpenStack, faults, servers
from cantiere.state import State, StateStore
from support.small_cloud import PROJECT, Fault, SmallCloud, serving

LINEAGE = "3f0c"
OPTIONS: dict[str, Any] = {
    "type": "openstack",
    "cloud": "small",
    "network": {"subnet": "10.30.0.0/24", "external": "public"},
    "image": "debian-13",
    "admin_cidrs": ["192.0.2.0/24"],
}
OPEN = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp", "remote_ip_prefix": "0.0.0.0/0"}
KUBERNETES = {"virtual_address": "10.30.0.10"}
CONTROL = Machine("control-1", "control", ("control-plane",), "")
WORKER = Machine("worker-1", "worker", ("worker",), "", needs={"num_cpus": 3, "mem_size": 4 << 30})


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallCloud]:
    with serving(tmp_path) as (made, file):
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
        monkeypatch.setattr(servers, "PAUSE", 0.0)
        monkeypatch.setattr(faults, "time", SimpleNamespace(sleep=lambda seconds: None))
        monkeypatch.setattr(Ssh, "run", lambda self, name, command, **given: subprocess.CompletedProcess([], 0, "", ""))
        yield made


def provider(tmp_path: Path, state: str = LINEAGE, **options: Any) -> OpenStack:
    if state:
        StateStore(tmp_path / "state").save(State(state))
    return OpenStack("cantiere-lab", tmp_path / "state", {**OPTIONS, **options}, KUBERNETES)


def raised(source: OpenStack, *machines: Machine) -> list[Machine]:
    placed, problems = source.place(machines)
    assert problems == []
    source.prepare(LINEAGE, print)
    for machine in placed:
        source.create(machine, LINEAGE, print)
    return list(placed)


def asked(cloud: SmallCloud, name: str) -> dict[str, Any]:
    return next(item["asked"] for item in cloud.objects["servers"].values() if item["name"] == name)


def test_from_nothing_and_back(cloud: SmallCloud, tmp_path: Path) -> None:
    """Machines are made with all that belongs to them, seen with all of it, and nothing is left when they go."""
    before = cloud.belongings()
    source = provider(tmp_path)
    assert source.check([CONTROL, WORKER]) == []
    assert (source.prepared(), source.holds(), dict(source.observe())) == (False, False, {})
    placed = raised(source, CONTROL, WORKER)
    assert [machine.address for machine in placed] == ["10.30.0.20", "10.30.0.21"]
    assert source.prepared() and source.holds()

    seen = source.observe()
    assert {name: one.state for name, one in seen.items()} == {"control-1": "running", "worker-1": "running"}
    again, _ = source.place([WORKER, CONTROL])
    worker, control = again
    assert (control.door, control.jump, worker.door, worker.jump) == ("198.51.100.10", "", "", "control-1")
    assert control.host_key == seen["control-1"].host_key and control.host_key.startswith("ssh-ed25519 ")
    assert seen["worker-1"].digest == source.digest(WORKER)

    ports = {port["name"]: port for port in cloud.objects["ports"].values()}
    pairs = {name: [item["ip_address"] for item in port.get("allowed_address_pairs", ())] for name, port in ports.items()}
    assert pairs["cantiere-lab-control-1"] == ["10.244.0.0/16", "10.30.0.10"] and pairs["cantiere-lab-worker-1"] == ["10.244.0.0/16"]
    assert ports["cantiere-lab-virtual-address"]["fixed_ips"][0]["ip_address"] == "10.30.0.10"
    assert asked(cloud, "cantiere-lab-control-1")["OS-SCH-HNT:scheduler_hints"]["group"] in cloud.objects["groups"]
    assert "OS-SCH-HNT:scheduler_hints" not in asked(cloud, "cantiere-lab-worker-1")

    calls = len(cloud.asked)
    raised(source, CONTROL, WORKER)
    assert [call for call in cloud.asked[calls:] if not call.startswith("GET")] == []
    for name in ("control-1", "worker-1", "worker-1"):
        source.delete(name)
    source.release()
    source.release()
    assert (cloud.belongings(), source.holds()) == (before, False)
    assert not list((tmp_path / "state" / "ssh").iterdir())


def test_user_data(cloud: SmallCloud, tmp_path: Path) -> None:
    """A server is told the host key that is pinned for it, and whom to let in."""
    source = provider(tmp_path)
    raised(source, CONTROL)
    given = asked(cloud, "cantiere-lab-control-1")["server"]
    head, _, config = base64.b64decode(given["user_data"]).decode().partition("\n")
    told = json.loads(config)
    assert head == "#cloud-config" and told["hostname"] == "control-1"
    assert told["ssh_keys"]["ed25519_public"].split()[:2] == source.observe()["control-1"].host_key.split()
    assert told["ssh_authorized_keys"] == [source.key.with_suffix(".pub").read_text(encoding="utf-8").strip()]
    assert given["imageRef"] == "debian-13@2026-05-01" and given["flavorRef"] == "f-small"


def test_every_object_is_marked(cloud: SmallCloud, tmp_path: Path) -> None:
    raised(provider(tmp_path, data_volumes={"worker": {"size": 5}}, boot_volume={"size": 20}), CONTROL, WORKER)
    for kind in ("networks", "subnets", "routers", "ports", "floatingips", "security-groups", "volumes"):
        made = [item for item in cloud.objects[kind].values() if item["project_id"] == PROJECT and "router_int" not in str(item)]
        assert made and all(item["description"].startswith(f"cantiere cantiere-lab {LINEAGE}") for item in made), kind
    assert all(item["metadata"]["cantiere"].startswith(f"cantiere cantiere-lab {LINEAGE}") for item in cloud.objects["servers"].values())
    assert {*cloud.names("groups"), *cloud.names("pairs")} == {f"cantiere-lab-{LINEAGE}"}
    assert cloud.names("volumes") == ["cantiere-lab-control-1-boot", "cantiere-lab-worker-1-boot", "cantiere-lab-worker-1-data"]
    disks = asked(cloud, "cantiere-lab-worker-1")["server"]["block_device_mapping_v2"]
    assert [(disk["boot_index"], disk["delete_on_termination"]) for disk in disks] == [(0, False), (-1, False)]


def test_observing_lists_each_kind_once(cloud: SmallCloud, tmp_path: Path) -> None:
    source = provider(tmp_path)
    raised(source, CONTROL, *(replace(WORKER, name=f"worker-{number}") for number in range(1, 6)))
    cloud.asked.clear()
    assert len(source.observe()) == 6
    assert sorted(call.rpartition("/")[2] for call in cloud.asked) == ["detail", "detail", "floatingips", "ports"]


def test_what_is_shared_is_asked_for_once(cloud: SmallCloud, tmp_path: Path) -> None:
    """One call for each kind; of ports, one for the router's and one for that of the virtual address. None before anything was made."""
    source = provider(tmp_path)
    assert (source.prepared(), source.whole(), cloud.asked) == (False, False, [])
    raised(source, CONTROL)
    cloud.asked.clear()
    assert source.prepared()
    kinds = ["networks", "os-keypairs", "os-server-groups", "ports", "ports", "routers", "security-groups", "subnets"]
    assert sorted(call.rpartition("/")[2] for call in cloud.asked) == kinds


def test_what_is_not_ours_stays(cloud: SmallCloud, tmp_path: Path) -> None:
    """Neither objects of others nor those of a facility whose name begins alike are touched."""
    others = provider(tmp_path / "others", "77aa")
    others = OpenStack("cantiere-lab-2", tmp_path / "others" / "state", OPTIONS, KUBERNETES)
    raised_others, _ = others.place([CONTROL])
    others.prepare("77aa", print)
    others.create(raised_others[0], "77aa", print)
    cloud.put("servers", {"name": "cantiere-lab-worker-1", "metadata": {}, "status": "ACTIVE", "ports": []})
    cloud.put("ports", {"name": "cantiere-lab-control-1", "fixed_ips": []})
    before = cloud.belongings()
    source = provider(tmp_path)
    raised(source, CONTROL)
    assert list(source.observe()) == ["control-1"]
    source.delete("control-1")
    source.delete("worker-1")
    source.release()
    assert cloud.belongings() == before


def test_lost_state(cloud: SmallCloud, tmp_path: Path) -> None:
    """Objects of a lineage that nobody knows are told, not taken; named in the site's file, they are found and removed."""
    before = cloud.belongings()
    raised(provider(tmp_path), CONTROL, WORKER)
    lost = provider(tmp_path / "elsewhere", "")
    with pytest.raises(CantiereError, match=f"lineage: {LINEAGE}") as error:
        lost.observe()
    assert error.value.problems[0].code == "openstack.lineage"
    assert [problem.code for problem in lost.check([CONTROL])] == ["openstack.lineage"]
    found = provider(tmp_path / "elsewhere", "", lineage=LINEAGE)
    assert sorted(found.observe()) == ["control-1", "worker-1"] and found.holds()
    for name in found.observe():
        found.delete(name)
    found.release()
    assert cloud.belongings() == before
    provider(tmp_path).ground.make(LINEAGE, print)
    for port in [port for port in cloud.objects["ports"].values() if "virtual" in port["name"]]:
        cloud.objects["ports"].pop(port["id"])
    with pytest.raises(CantiereError, match=f"lineage: {LINEAGE}"):
        provider(tmp_path / "nowhere", "").holds()


@pytest.mark.parametrize("answered", [False, True])
def test_killed_at_any_call(cloud: SmallCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: bool) -> None:
    """Cut off at each of the calls that make something, before or after it took effect: the next run goes on, nothing is there twice."""
    monkeypatch.setattr(faults, "PAUSES", ())
    seen: set[str] = set()
    answer = SmallCloud.answer

    def dying(self: SmallCloud, method: str, path: str, query: Any, body: Any) -> Any:
        call = f"{path} {json.dumps(body, sort_keys=True)}"
        if (
            method not in ("POST", "PUT")
            or "tokens" in path
            or (first := re.sub(r'"user_data": "[^"]*"|ssh-ed25519 \S+', "", call)) in seen
        ):
            return answer(self, method, path, query, body)
        seen.add(first)
        if answered:
            answer(self, method, path, query, body)
        raise ConnectionResetError

    monkeypatch.setattr(SmallCloud, "answer", dying)
    source = provider(tmp_path)
    for _ in range(40):
        try:
            raised(source, CONTROL, WORKER)
            break
        except CantiereError:
            continue
    assert len(seen) >= 15
    assert cloud.names("servers") == ["cantiere-lab-control-1", "cantiere-lab-worker-1"]
    assert [len(cloud.names(kind)) for kind in ("networks", "subnets", "routers", "floatingips", "groups", "pairs")] == [1] * 6
    assert source.prepared() and {one.state for one in source.observe().values()} == {"running"}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("POST", "/servers$", 403, "Quota exceeded for cores: Requested 4, but already used 20 of 20 cores"), "openstack.quota"),
        (Fault("POST", "/ports$", 409, "Quota exceeded for resources: ['port']."), "openstack.quota"),
        (Fault("POST", "/volumes$", 413, "VolumeSizeExceedsAvailableQuota: Requested volume exceeds allowed quota"), "openstack.quota"),
        (Fault("POST", "/networks$", 403, "(rule:create_network) is disallowed by policy"), "openstack.rights"),
        (Fault("POST", "/subnets$", 400, "Requested subnet overlaps with another subnet"), "openstack.request"),
        (Fault("POST", "/servers$", 400, "Invalid key_name provided."), "openstack.request"),
        (Fault("GET", "/servers/detail$", 503, "Service Unavailable", times=99), "openstack.service"),
        (Fault("POST", "/servers$", 500, "GlanceConnectionFailed", times=99), "openstack.service"),
        (Fault("POST", "/ports$", 429, "Too many requests", {"Retry-After": "1"}, times=99), "openstack.rate"),
        (Fault("POST", "/auth/tokens$", 401, "The request you have made requires authentication."), "openstack.auth"),
    ],
)
def test_faults(cloud: SmallCloud, tmp_path: Path, fault: Fault, code: str) -> None:
    """Each fault that stays ends in a problem with its code, the cloud's own words and a remedy."""
    cloud.faults.append(fault)
    with pytest.raises(CantiereError) as error:
        raised(provider(tmp_path, boot_volume={"size": 20}), CONTROL)
    [problem] = error.value.problems
    assert problem.code == code and problem.remedy and problem.path
    assert fault.message in problem.message


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("after", [False, True])
def test_faults_that_pass(cloud: SmallCloud, tmp_path: Path, status: int, after: bool) -> None:
    """A fault that passes is waited out, as long as the service asks; a request whose answer was lost is not made twice."""
    waited: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faults, "time", SimpleNamespace(sleep=waited.append))
        for path in ("/servers$", "/ports$", "/floatingips$"):
            cloud.faults.append(Fault("POST", path, status, headers={"Retry-After": "7"}, after=after))
        raised(provider(tmp_path), CONTROL)
    assert waited == [7.0] * 3 and not cloud.faults
    assert cloud.names("servers") == ["cantiere-lab-control-1"]


def test_login_again(cloud: SmallCloud, tmp_path: Path) -> None:
    """A token that ended is replaced by itself."""
    source = provider(tmp_path)
    raised(source, CONTROL)
    cloud.faults.append(Fault("GET", "/servers/detail$", 401, "The request you have made requires authentication."))
    assert source.observe()["control-1"].state == "running"
    assert sum("tokens" in call for call in cloud.asked) == 2


def test_a_closed_port_and_an_unknown_cloud(cloud: SmallCloud, tmp_path: Path) -> None:
    assert [problem.code for problem in provider(tmp_path, cloud="nowhere").check([CONTROL])] == ["openstack.cloud"]
    source = provider(tmp_path)
    source.observe()
    cloud.url = "http://127.0.0.1:1"
    assert [problem.code for problem in provider(tmp_path).check([CONTROL])] == ["openstack.unreachable"]


def test_no_room(cloud: SmallCloud, tmp_path: Path) -> None:
    """Where no host has room, other zones and then larger flavors are tried, where the site allows them; the rest is removed."""
    cloud.no_room = {"east", "f-small"}
    with pytest.raises(CantiereError, match="No valid host was found") as error:
        raised(provider(tmp_path), CONTROL)
    assert error.value.problems[0].code == "openstack.no_host"
    assert provider(tmp_path).observe()["control-1"].state == "broken"
    raised(provider(tmp_path, zones=["east", "west"], other_flavors=True), CONTROL)
    [server] = cloud.objects["servers"].values()
    assert (server["asked"]["server"]["flavorRef"], server["asked"]["server"]["availability_zone"]) == ("f-medium", "west")


def test_healing(cloud: SmallCloud, tmp_path: Path) -> None:
    """A floating IP, a server and a rule that went behind our back are seen and made again, each at its place."""
    source = provider(tmp_path)
    before = raised(source, CONTROL)
    cloud.objects["floatingips"].clear()
    cloud.objects["security-group-rules"].popitem()
    cloud.put("security-group-rules", SmallCloud.rule({"security_group_id": source.ground.groups.seen()["machines"].id, **OPEN}))
    assert source.observe()["control-1"].detail["why"] == "its floating IP is gone" and not source.prepared()
    raised(source, CONTROL)
    [server] = cloud.objects["servers"].values()
    server["status"] = "DELETED"  # as the real one tells for a moment
    assert source.observe()["control-1"].state == "broken"
    cloud.objects["servers"].clear()
    assert source.observe()["control-1"].state == "broken"
    assert [machine.address for machine in raised(source, CONTROL)] == [machine.address for machine in before]
    assert source.prepared() and source.observe()["control-1"].state == "running"
    assert not any(rule.get("remote_ip_prefix") == "0.0.0.0/0" for rule in cloud.objects["security-group-rules"].values())


def test_stop_and_start(cloud: SmallCloud, tmp_path: Path) -> None:
    source = provider(tmp_path)
    [placed] = raised(source, CONTROL)
    source.stop("control-1")
    assert source.observe()["control-1"].state == "stopped"
    assert source.start(placed, print).state == "running"


def test_preflight(cloud: SmallCloud, tmp_path: Path) -> None:
    """All that stands in the way is told at once, with who asks for it and by how much it falls short."""
    cloud.limits |= {"maxTotalCores": 5, "floatingip": 0}
    cloud.roles = ["reader"]
    wrong = {
        "image": "debian-31",
        "zones": ["north"],
        "boot_volume": {"size": 60, "type": "sdd"},
        "network": {"subnet": "10.30.0.0/24", "external": "campus"},
    }
    wide = replace(WORKER, name="worker-2", needs={"num_gpus": 4})
    found = provider(tmp_path, **wrong).check([CONTROL, WORKER, wide])
    told = {problem.code: problem for problem in found}
    assert set(told) == {f"openstack.{code}" for code in ("rights", "network", "zone", "image", "flavor", "volume", "quota")}
    quotas = {problem.message for problem in found if problem.code == "openstack.quota"}
    assert quotas == {
        "the plan needs 6 more cores, 5 of 5 are left: 1 are missing (control-1 2, worker-1 4)",
        "the plan needs 1 more floating IPs, 0 of 0 are left: 1 are missing (control-1 1)",
        "the plan needs 180 more GiB of volumes, 100 of 100 are left: 80 are missing (control-1 60, worker-1 60, worker-2 60)",
    }
    assert "debian-13" in told["openstack.image"].remedy and "gpu has only 2 GPU" in told["openstack.flavor"].message
    assert cloud.belongings() == set()


def test_names_that_cannot_be(cloud: SmallCloud, tmp_path: Path) -> None:
    source = provider(tmp_path)
    assert "openstack.name" in [problem.code for problem in source.check([replace(CONTROL, name="Control_1")])]
    assert "openstack.door" in [problem.code for problem in source.check([WORKER])]
    raised(source, CONTROL)
    other = provider(tmp_path, image="debian-12")
    with pytest.raises(CantiereError, match="another specification"):
        raised(other, CONTROL)


def test_an_existing_network(cloud: SmallCloud, tmp_path: Path) -> None:
    """A network that is there is used and stays."""
    network = cloud.put("networks", {"name": "lab-net"})
    cloud.put("subnets", {"name": "lab-sub", "network_id": network["id"], "cidr": "10.60.0.0/24"})
    before = cloud.belongings()
    named = {"name": "lab-net", "subnet": "10.60.0.0/24", "first_address": "10.60.0.100"}
    source = OpenStack("cantiere-lab", tmp_path / "state", {**OPTIONS, "network": named, "floating_ips": "none"}, {})
    StateStore(tmp_path / "state").save(State(LINEAGE))
    [placed] = raised(source, WORKER)
    assert (placed.address, placed.door, placed.jump) == ("10.60.0.100", "", "")
    assert not cloud.names("routers") and not cloud.names("floatingips")
    source.delete("worker-1")
    source.release()
    assert cloud.belongings() == before
