"""Servers of a small cloud change in place: flavors, volumes and rules; what cannot is told; a kill at any call is made good."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cantiere.errors import CantiereError
from cantiere.machines.model import Change, Machine, Opening
from cantiere.providers.openstack import OpenStack, faults, marks, resize
from cantiere.state import State, StateStore
from support.small_cloud import Fault, SmallCloud
from unit.providers.test_openstack import CONTROL, KUBERNETES, LINEAGE, OPEN, OPTIONS, WORKER, cloud, provider, raised

__all__ = ["cloud"]
VOLUMES: dict[str, Any] = {"boot_volume": {"size": 20}, "data_volumes": {"worker": {"size": 5}}}
LARGER: dict[str, Any] = {"boot_volume": {"size": 30}, "data_volumes": {"worker": {"size": 9}}, "online_extend": True}
WIDE = replace(WORKER, needs={"num_cpus": 6})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(resize, "PAUSE", 0.0)
    yield


def changes(source: OpenStack, *machines: Machine) -> dict[str, Change]:
    return dict(source.changes(machines, source.observe()))


def updated(source: OpenStack, machine: Machine) -> None:
    [placed] = source.place([machine])[0]
    source.update(placed, print)


def flavors_of(cloud: SmallCloud) -> list[str]:
    return [server["flavor"]["original_name"] for server in cloud.objects["servers"].values()]


def test_nothing_differs(cloud: SmallCloud, tmp_path: Path) -> None:
    """What was made as it is asked for does not differ, also when the cloud has a smaller flavor later."""
    source = provider(tmp_path, **VOLUMES)
    raised(source, CONTROL, WORKER)
    cloud.flavors.append(("slim", 3, 4096, 40, {}))
    assert changes(source, CONTROL, WORKER) == {} and source.adjustments() == ()


def test_another_flavor(cloud: SmallCloud, tmp_path: Path) -> None:
    """A machine that needs more gets a larger flavor, with a restart; its server and address stay."""
    source = provider(tmp_path)
    [placed] = raised(source, WORKER)
    before = list(cloud.objects["servers"])
    [change] = changes(source, WIDE).values()
    assert change.restarts and not change.anew
    [reason] = change.reasons
    assert reason.startswith(
        "its flavor changes from medium to large (8 cores, 16 GiB of memory, 80 GiB of disk): the smallest with 6 cores"
    )
    updated(source, WIDE)
    assert flavors_of(cloud) == ["large"] and list(cloud.objects["servers"]) == before
    assert changes(source, WIDE) == {} and source.observe()["worker-1"].state == "running"
    assert source.place([WIDE])[0][0].address == placed.address


def test_a_disk_does_not_shrink(cloud: SmallCloud, tmp_path: Path) -> None:
    """A smaller flavor is taken where its disk is not smaller; else the server goes on, and that is told."""
    source = provider(tmp_path)
    raised(source, WORKER)
    small = replace(WORKER, needs={})
    told = "small is enough for it now, and its disk of 40 GiB cannot shrink"
    assert changes(source, small) == {"worker-1": Change(anew=(told,))}
    cloud.flavors.append(("slim", 3, 4096, 40, {}))
    source = provider(tmp_path)
    assert changes(source, small)["worker-1"].reasons[0].startswith("its flavor changes from medium to slim")
    updated(source, small)
    assert flavors_of(cloud) == ["slim"]


def test_a_flavor_that_somebody_changed(cloud: SmallCloud, tmp_path: Path) -> None:
    """A server that got another flavor behind our back gets the one that is asked for; a boot volume is no flavor's disk."""
    source = provider(tmp_path, boot_volume={"size": 20})
    raised(source, WORKER)
    [server] = cloud.objects["servers"].values()
    server["flavor"] = {**server["flavor"], "original_name": "large", "disk": 80}
    assert changes(source, WORKER)["worker-1"].reasons[0].startswith("its flavor changes from large to medium")
    updated(source, WORKER)
    assert flavors_of(cloud) == ["medium"] and changes(source, WORKER) == {}


def test_volumes_grow(cloud: SmallCloud, tmp_path: Path) -> None:
    """Where their type bears it, volumes grow while the server runs."""
    raised(provider(tmp_path, **VOLUMES), WORKER)
    cloud.online = True
    source = provider(tmp_path, **LARGER)
    reasons = ("its boot volume grows from 20 to 30 GiB", "its data volume grows from 5 to 9 GiB")
    assert changes(source, WORKER) == {"worker-1": Change(reasons)}
    cloud.asked.clear()
    updated(source, WORKER)
    assert sorted(item["size"] for item in cloud.objects["volumes"].values()) == [9, 30]
    assert changes(source, WORKER) == {}
    assert [call for call in cloud.asked if call.endswith("/action") and "/compute" in call] == []


def test_volumes_grow_apart(cloud: SmallCloud, tmp_path: Path) -> None:
    """Any data volume grows while it is detached and its server is down; a boot volume cannot be detached."""
    raised(provider(tmp_path, **VOLUMES), WORKER)
    source = provider(tmp_path, **{**LARGER, "online_extend": False})
    told = "its boot volume has 20 GiB, and grows to 30 only with online_extend"
    assert changes(source, WORKER) == {"worker-1": Change(("its data volume grows from 5 to 9 GiB",), True, (told,))}
    updated(source, WORKER)
    volumes = {item["name"]: (item["size"], item["status"]) for item in cloud.objects["volumes"].values()}
    assert volumes == {"cantiere-lab-worker-1-boot": (20, "in-use"), "cantiere-lab-worker-1-data": (9, "in-use")}
    assert changes(source, WORKER) == {"worker-1": Change(anew=(told,))} and source.observe()["worker-1"].state == "running"


def test_a_volume_that_somebody_detached(cloud: SmallCloud, tmp_path: Path) -> None:
    source = provider(tmp_path, **VOLUMES)
    raised(source, WORKER)
    data = next(item for item in cloud.objects["volumes"].values() if item["name"].endswith("data"))
    data |= {"attachments": [], "status": "available"}
    assert changes(source, WORKER) == {"worker-1": Change(("its data volume is not attached",))}
    updated(source, WORKER)
    assert data["status"] == "in-use" and changes(source, WORKER) == {}


def test_what_needs_another_server(cloud: SmallCloud, tmp_path: Path) -> None:
    """What cannot change in place is told one by one, and nothing of it is done."""
    raised(provider(tmp_path, **VOLUMES), WORKER)
    other = {"image": "debian-12", "boot_volume": {"size": 20, "type": "ssd"}, "data_volumes": {"worker": {"size": 4}}}
    told = (
        "another image is asked for",
        "another kind of boot volume is asked for",
        "its data volume has 5 GiB and cannot shrink to 4",
    )
    assert changes(provider(tmp_path, **other), WORKER) == {"worker-1": Change(anew=told)}
    gone = changes(provider(tmp_path, boot_volume={"size": 20}), WORKER)
    assert gone == {"worker-1": Change(anew=("another kind of data volume is asked for",))}


def test_preflight(cloud: SmallCloud, tmp_path: Path) -> None:
    """The quota is asked for what changes take beyond what is there, and a need that no flavor meets is told."""
    raised(provider(tmp_path, **VOLUMES), CONTROL, WORKER)
    cloud.limits |= {"maxTotalCores": 3, "gigabytes": 46}
    found = provider(tmp_path, **LARGER).check([CONTROL, WIDE])
    assert {problem.message for problem in found} == {
        "the plan needs 4 more cores, 3 of 3 are left: 1 are missing (worker-1 4)",
        "the plan needs 24 more GiB of volumes, 1 of 46 are left: 23 are missing (control-1 10, worker-1 14)",
    }
    [problem] = provider(tmp_path, **VOLUMES).check([CONTROL, replace(WORKER, needs={"num_cpus": 99})])
    assert (problem.code, problem.path) == ("openstack.flavor", "worker-1")


def test_rules_are_told(cloud: SmallCloud, tmp_path: Path) -> None:
    """What rules open and close is told before it is done."""
    raised(provider(tmp_path), CONTROL)
    source = provider(tmp_path, open_ports=[{"port": 443, "from": ["198.51.100.0/24"]}])
    cloud.put("security-group-rules", SmallCloud.rule({"security_group_id": source.ground.groups.seen()["machines"].id, **OPEN}))
    assert not source.prepared()
    assert source.adjustments() == (
        "group machines opens tcp 443 to 198.51.100.0/24, asked for by open_ports",
        "group machines closes tcp to 0.0.0.0/0",
    )
    source.ground.make("3f0c", print)
    assert source.prepared() and source.adjustments() == ()


def test_ports_that_the_template_asks_for(cloud: SmallCloud, tmp_path: Path) -> None:
    """They are open to the site's public, which is everybody where the site does not say otherwise; who asks is told."""
    StateStore(tmp_path / "state").save(State(LINEAGE))
    given = ("cantiere-lab", tmp_path / "state")
    closed = OpenStack(*given, OPTIONS, KUBERNETES)
    door = [Opening("door", 30443, 30443)]
    open_ = OpenStack(*given, OPTIONS, KUBERNETES, None, door)
    told = "group machines opens tcp 30443 to 0.0.0.0/0, asked for by node door of the template"
    assert told in open_.adjustments() and not any("0.0.0.0/0" in line for line in closed.adjustments())
    assert "group control-plane opens tcp 6443 to 192.0.2.0/24, asked for by admin_cidrs" in closed.adjustments()
    closed.ground.make(LINEAGE, print)
    assert closed.prepared() and not open_.prepared() and open_.whole() and open_.adjustments() == (told,)
    campus = OpenStack(*given, {**OPTIONS, "public_cidrs": ["198.51.100.0/24"]}, KUBERNETES, None, door)
    assert campus.adjustments() == (told.replace("0.0.0.0/0", "198.51.100.0/24"),)


@pytest.mark.parametrize("answered", [False, True])
def test_killed_at_any_call(cloud: SmallCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: bool) -> None:
    """Cut off at each call that changes something, before or after it took effect: the next run goes on."""
    monkeypatch.setattr(faults, "PAUSES", ())
    raised(provider(tmp_path, **VOLUMES), WORKER)
    seen: set[str] = set()
    answer = SmallCloud.answer

    def dying(self: SmallCloud, method: str, path: str, query: Any, body: Any) -> Any:
        call = f"{method} {path} {json.dumps(body, sort_keys=True)}"
        if method == "GET" or "tokens" in path or call in seen:
            return answer(self, method, path, query, body)
        seen.add(call)
        if answered:
            answer(self, method, path, query, body)
        raise ConnectionResetError

    monkeypatch.setattr(SmallCloud, "answer", dying)
    source, states = provider(tmp_path, data_volumes={"worker": {"size": 9}}, boot_volume={"size": 20}), []
    while changes(source, WIDE) or source.observe()["worker-1"].state != "running":
        states.append(source.observe()["worker-1"].state)
        with contextlib.suppress(CantiereError):
            updated(source, WIDE)
        assert len(states) < 12
    assert len(seen) == 8, "stop, detach, grow, attach, resize, confirm, start, mark"
    assert set(states) == {"running", "stopped", "changing"}
    assert flavors_of(cloud) == ["large"] and sorted(item["size"] for item in cloud.objects["volumes"].values()) == [9, 20]
    assert all(item["status"] == "in-use" for item in cloud.objects["volumes"].values())
    assert changes(source, WIDE) == {} and source.observe()["worker-1"].state == "running"


def test_a_stopped_server_is_changed_and_started(cloud: SmallCloud, tmp_path: Path) -> None:
    source = provider(tmp_path)
    raised(source, WORKER)
    source.stop("worker-1")
    updated(source, WIDE)
    assert flavors_of(cloud) == ["large"] and source.observe()["worker-1"].state == "running"


def test_no_room_for_another_flavor(cloud: SmallCloud, tmp_path: Path) -> None:
    """The cloud takes the request and leaves the server as it was: that is told, and the server goes on."""
    source = provider(tmp_path)
    raised(source, WORKER)
    cloud.no_room = {"f-large"}
    with pytest.raises(CantiereError, match="has its old flavor still") as error:
        updated(source, WIDE)
    assert error.value.problems[0].code == "openstack.no_host"
    assert source.observe()["worker-1"].state == "running" and changes(source, WIDE)


def test_a_volume_that_does_not_grow(cloud: SmallCloud, tmp_path: Path) -> None:
    """A type that does not grow while it is attached leaves its volume in an error: told with its name."""
    raised(provider(tmp_path, **VOLUMES), WORKER)
    with pytest.raises(CantiereError, match="worker-1-boot is error_extending and has 20 GiB, not 30"):
        updated(provider(tmp_path, **LARGER), WORKER)


def test_a_server_in_error_and_one_that_is_gone(cloud: SmallCloud, tmp_path: Path) -> None:
    source = provider(tmp_path)
    [placed] = raised(source, WORKER)
    [server] = cloud.objects["servers"].values()
    server |= {"status": "ERROR", "fault": {"code": 500, "message": "the disk of the new host is full"}}
    with pytest.raises(CantiereError, match="the disk of the new host is full"):
        source.update(placed, print)
    cloud.objects["servers"].clear()
    with pytest.raises(CantiereError, match="there is no server"):
        source.update(placed, print)


def test_a_lost_answer_and_a_refusal(cloud: SmallCloud, tmp_path: Path) -> None:
    """A request whose answer was lost is not made twice; one that is refused is told in the cloud's words."""
    source = provider(tmp_path)
    raised(source, WORKER)
    cloud.faults.append(Fault("POST", "/servers/[^/]+/action$", 502, after=True))
    updated(source, WIDE)
    assert flavors_of(cloud) == ["large"]
    cloud.faults.append(Fault("POST", "/servers/[^/]+/action$", 403, "Quota exceeded for ram: Requested 999"))
    with pytest.raises(CantiereError, match="Quota exceeded for ram") as error:
        updated(source, replace(WORKER, needs={"num_gpus": 1}))
    assert error.value.problems[0].code == "openstack.quota"


def test_a_server_without_a_record(cloud: SmallCloud, tmp_path: Path) -> None:
    """A server that does not say what its flavor was chosen for keeps it where it is the one that would be chosen."""
    source = provider(tmp_path)
    raised(source, WORKER)
    [server] = cloud.objects["servers"].values()
    del server["metadata"][marks.SIZE]
    assert changes(source, WORKER) == {}
