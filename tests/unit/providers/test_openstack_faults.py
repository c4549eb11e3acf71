"""The provider openstack where a cloud fails midway: how long it waits and what it tells, quota, zones, half-made volumes, a lost state."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from cantiere import raising
from cantiere import site as sites
from cantiere.errors import CantiereError
from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh
from cantiere.providers.openstack import OpenStack, faults, servers
from cantiere.state import State, StateStore
from support.small_cloud import Fault, SmallCloud, serving

PREFIX, LINEAGE, ANOTHER = "cantiere-lab", "0e7c19f0-4a0a-4f6c-9d5e-3f6f6e1e2a11", "77aa19f0-4a0a-4f6c-9d5e-3f6f6e1e2a22"
OPTIONS: dict[str, Any] = {
    "type": "openstack",
    "cloud": "small",
    "network": {"subnet": "10.30.0.0/24", "external": "public"},
    "image": "debian-13",
    "admin_cidrs": ["192.0.2.0/24"],
}
CONTROL = Machine("control-1", "control", ("control-plane",), "")
WORKER = Machine("worker-1", "worker", ("worker",), "")


class Waits:
    """Stands in for the clock of retries: nobody waits, and it tells what was waited."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.time, self.sleep = time.time, self.waited.append


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    made = Waits()
    monkeypatch.setattr(faults, "time", made)
    return made


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: Waits) -> Iterator[SmallCloud]:
    with serving(tmp_path) as (made, file):
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
        monkeypatch.setattr(servers, "PAUSE", 0.0)
        monkeypatch.setattr(Ssh, "run", lambda self, name, command, **given: subprocess.CompletedProcess([], 0, "", ""))
        yield made


def provider(folder: Path, lineage: str = LINEAGE, **options: Any) -> OpenStack:
    if lineage:
        StateStore(folder / "state").save(State(lineage))
    return OpenStack(PREFIX, folder / "state", {**OPTIONS, **options}, {"virtual_address": "10.30.0.10"})


def raised(source: OpenStack, *machines: Machine, lineage: str = LINEAGE) -> None:
    placed, problems = source.place(machines)
    assert problems == []
    source.prepare(lineage, print)
    for machine in placed:
        source.create(machine, lineage, print)


def test_waits_are_told(cloud: SmallCloud, tmp_path: Path, waits: Waits) -> None:
    """Before each wait a line says what was asked of whom, what the cloud answered, and how long and how often it is tried again."""
    cloud.faults.append(Fault("GET", "/servers/detail$", 503, times=2))
    source, told = provider(tmp_path), list[str]()
    source.tell = told.append
    source.observe()
    assert waits.waited == [1.0, 2.0]
    assert told == [
        "small: asked to list servers, the cloud answers 503; again in 1 s (1 of 6)",
        "small: asked to list servers, the cloud answers 503; again in 2 s (2 of 6)",
    ]


@pytest.mark.parametrize(
    ("asked", "waited", "said"),
    [
        ("7", [7.0] * 6, "(it asks to wait 7 s)"),
        ("50", [50.0] * 2, "(it asks to wait 50 s)"),
        ("3600", [], "(it asks to wait 3600 s)"),
        ("soon", [1.0, 2.0, 4.0, 8.0, 15.0, 30.0], ""),
    ],
)
@pytest.mark.parametrize("status", [429, 413])
def test_waits_are_bounded(
    cloud: SmallCloud, tmp_path: Path, waits: Waits, status: int, asked: str, waited: list[float], said: str
) -> None:
    """A service that says how long is waited for so long, never more than two minutes in all."""
    cloud.faults.append(Fault("GET", "/servers/detail$", status, "Slow down", {"Retry-After": asked}, times=99))
    if status == 413 and asked == "soon":  # is not about requests without a time to wait
        waited = []
    with pytest.raises(CantiereError, match="Slow down") as error:
        provider(tmp_path).observe()
    assert waits.waited == waited and error.value.problems[0].code == "openstack.rate"
    assert said in error.value.problems[0].message


def test_waits_until_a_date(cloud: SmallCloud, tmp_path: Path, waits: Waits) -> None:
    cloud.faults.append(Fault("GET", "/servers/detail$", 429, headers={"Retry-After": formatdate(time.time() + 20, usegmt=True)}))
    provider(tmp_path).observe()
    [waited] = waits.waited
    assert 15 < waited <= 20


def test_tokens_that_end_in_several_threads(cloud: SmallCloud, tmp_path: Path, waits: Waits) -> None:
    """Of the threads whose token ended the SDK logs in again for one; the others ask once more, and not for ever."""
    cloud.faults.append(Fault("GET", "/servers/detail$", 401, "The request you have made requires authentication.", times=2))
    provider(tmp_path).observe()
    assert waits.waited == [1.0]
    cloud.faults.append(Fault("GET", "/servers/detail$", 401, "The request you have made requires authentication.", times=99))
    with pytest.raises(CantiereError) as error:
        provider(tmp_path).observe()
    assert error.value.problems[0].code == "openstack.auth" and waits.waited == [1.0, 1.0]


def test_a_late_answer_is_asked_for_again(cloud: SmallCloud, tmp_path: Path, waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is not answered in time is made again; where it took effect, what it made is found."""
    whole, late = SmallCloud.answer, [1.5]

    def answer(self: SmallCloud, method: str, path: str, query: Any, body: Any) -> Any:
        found = whole(self, method, path, query, body)
        if (method, path) == ("POST", "/compute/v2.1/servers") and late:
            time.sleep(late.pop())
        return found

    monkeypatch.setattr(SmallCloud, "answer", answer)
    source = provider(tmp_path)
    source.cloud.connection.session.timeout = 1.0
    raised(source, CONTROL)
    assert waits.waited and not late and cloud.names("servers") == ["cantiere-lab-control-1"]


def test_a_silent_service_is_not_waited_for_for_ever(cloud: SmallCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert provider(tmp_path).cloud.connection.session.timeout == 60.0
    file = tmp_path / "clouds.yaml"
    given = yaml.safe_load(file.read_text(encoding="utf-8"))
    given["clouds"]["small"]["api_timeout"] = 5
    file.write_text(yaml.safe_dump(given), encoding="utf-8")
    assert provider(tmp_path).cloud.connection.session.timeout == 5.0


def test_a_service_that_is_silent_for_a_while(cloud: SmallCloud, tmp_path: Path, waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request without an answer in time is asked again; one that never gets any is told."""
    answer, silent = SmallCloud.answer, [1]

    def late(self: SmallCloud, method: str, path: str, query: Any, body: Any) -> Any:
        if path.endswith("/servers/detail") and silent:
            silent.pop()
            time.sleep(1.5)
            raise ConnectionResetError
        return answer(self, method, path, query, body)

    monkeypatch.setattr(SmallCloud, "answer", late)
    source = provider(tmp_path)
    session: Any = source.cloud.connection.session
    session.timeout = 1.0
    assert source.observe() == {} and waits.waited
    silent.extend([1] * 2)
    monkeypatch.setattr(faults, "PAUSES", (1.0,))
    with pytest.raises(CantiereError) as error:
        source.observe()
    assert {problem.code for problem in error.value.problems} == {"openstack.unreachable"}


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("gigabytes", "the plan needs 5 more GiB of volumes, 0 of 5 are left: 5 are missing (worker-1 5)"),
        ("maxTotalInstances", "the plan needs 1 more servers, 0 of 1 are left: 1 are missing (worker-1 1)"),
        ("floatingip", "the plan needs 1 more floating IPs, 0 of 1 are left: 1 are missing (worker-1 1)"),
    ],
)
def test_quota_ends_midway(cloud: SmallCloud, tmp_path: Path, limit: str, said: str) -> None:
    """The cloud's own words, and what is still to be made by how much too much; raised again, the next run completes it."""
    source = provider(tmp_path, floating_ips="all", boot_volume={"size": 5})
    assert source.check([CONTROL, WORKER]) == []
    before, cloud.limits[limit] = cloud.limits[limit], 5 if limit == "gigabytes" else 1
    with pytest.raises(CantiereError, match="exceed") as error:
        raised(source, CONTROL, WORKER)
    assert {problem.code for problem in error.value.problems} == {"openstack.quota"}
    assert said in [problem.message for problem in error.value.problems]
    cloud.limits[limit] = before
    raised(provider(tmp_path, floating_ips="all", boot_volume={"size": 5}), CONTROL, WORKER)
    assert cloud.names("servers") == [f"{PREFIX}-control-1", f"{PREFIX}-worker-1"] and [
        len(cloud.objects[kind]) for kind in ("floatingips", "volumes")
    ] == [2, 2]


def test_a_zone_that_went_away(cloud: SmallCloud, tmp_path: Path) -> None:
    """Where a zone is not available any more, the next is tried."""
    cloud.faults.append(Fault("POST", "/servers$", 400, "The requested availability zone is not available"))
    raised(provider(tmp_path, zones=["west", "east"]), CONTROL)
    [server] = cloud.objects["servers"].values()
    assert server["asked"]["server"]["availability_zone"] == "east"


def test_half_made_volumes(cloud: SmallCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume that is still being made cannot be removed: it is waited for, in a bound."""
    source = provider(tmp_path, boot_volume={"size": 5})
    raised(source, CONTROL)
    [volume] = cloud.objects["volumes"].values()
    cloud.objects["servers"].clear()
    looks: list[float] = []

    def pause(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            volume["status"] = "available"

    monkeypatch.setattr(servers, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pause))
    volume["status"], removal = "creating", SmallCloud.volume

    def refusing(self: SmallCloud, method: str, path: str, query: Any, body: Any) -> Any:
        assert method != "DELETE" or volume["status"] == "available"
        return removal(self, method, path, query, body)

    monkeypatch.setattr(SmallCloud, "volume", refusing)
    source.delete("control-1")
    assert not cloud.objects["volumes"] and len(looks) == 3


def test_stuck_volume(cloud: SmallCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = provider(tmp_path, boot_volume={"size": 5})
    raised(source, CONTROL)
    [volume] = cloud.objects["volumes"].values()
    cloud.objects["servers"].clear()
    volume["status"] = "creating"
    monkeypatch.setattr(servers, "VOLUME_SECONDS", 0.0)
    with pytest.raises(CantiereError, match="creating") as error:
        source.delete("control-1")
    assert error.value.problems[0].code == "openstack.stuck"


def test_a_cloud_that_keeps_what_was_deleted(cloud: SmallCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told not to: a server that could be restored holds its port and volumes."""
    source, answer = provider(tmp_path, boot_volume={"size": 5}), SmallCloud.compute
    raised(source, CONTROL)
    [server] = cloud.objects["servers"].values()

    def keeping(self: SmallCloud, method: str, path: str, query: Any, body: Any) -> Any:
        if method == "DELETE":
            server["status"] = "SOFT_DELETED"
            return None
        if body and "forceDelete" in body:
            return answer(self, "DELETE", path.removesuffix("/action"), query, None)
        return answer(self, method, path, query, body)

    monkeypatch.setattr(SmallCloud, "compute", keeping)
    source.delete("control-1")
    assert server["status"] == "SOFT_DELETED" and not cloud.objects["servers"] and not cloud.objects["volumes"]


def test_strangers_with_our_name(cloud: SmallCloud, tmp_path: Path) -> None:
    """Who knows its lineage takes its own down beside another facility of that name, and makes nothing beside it."""
    raised(provider(tmp_path / "another", ANOTHER), CONTROL, lineage=ANOTHER)
    before = cloud.belongings()
    source = provider(tmp_path)
    [problem] = source.check([CONTROL])
    assert problem.code == "openstack.lineage" and ANOTHER in problem.remedy
    raised(source, WORKER)
    assert list(source.observe()) == ["worker-1"]
    source.delete("worker-1")
    source.release()
    assert cloud.belongings() == before


def test_slow_servers_are_looked_at_before_that_is_told(cloud: SmallCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look that many share may take all the time that is left, and a server that was just asked for has no status."""
    now = [0.0]
    monkeypatch.setattr(servers, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: None))

    def listed(since: float) -> frozenset[str]:
        now[0] += 700.0
        return frozenset({"1"})

    asked, built = (SimpleNamespace(id="1", name="lab-worker-1", status=status) for status in (None, "BUILD"))
    under_way: Any = SimpleNamespace(get=listed)
    with pytest.raises(CantiereError) as error:
        provider(tmp_path).servers._until(asked, lambda: built, {"ACTIVE"}, "worker-1", under_way, 600.0)
    [problem] = error.value.problems
    assert (problem.code, problem.message) == ("openstack.slow", "lab-worker-1 is BUILD after 600 s")


def test_networks_of_others_stay_at_our_router(cloud: SmallCloud, tmp_path: Path, waits: Waits) -> None:
    """A router that leads to a network of somebody else too is not taken off it: that is told."""
    source = provider(tmp_path)
    raised(source, CONTROL)
    [router] = cloud.objects["routers"].values()
    theirs = cloud.put("networks", {"name": "theirs"})
    port = {"name": "", "device_id": router["id"], "device_owner": "network:router_interface", "network_id": theirs["id"]}
    joined = cloud.put("ports", port)
    source.delete("control-1")
    with pytest.raises(CantiereError) as error:
        source.release()
    assert waits.waited == [1.0, 2.0, 4.0, 8.0]  # it might have been about to go
    assert error.value.problems[0].code == "openstack.conflict" and joined["id"] in cloud.objects["ports"]
    cloud.objects["ports"].pop(joined["id"])
    source.release()
    assert cloud.names("networks") == ["theirs"] and not cloud.names("routers")


def test_a_router_that_leads_nowhere(cloud: SmallCloud, tmp_path: Path) -> None:
    """A router that leads nowhere is made anew, and one without its way out gets it."""
    words = "External network a is not reachable from subnet b. Therefore, cannot associate Port c with a Floating IP."
    cloud.faults.append(Fault("POST", "/floatingips$", 404, words, times=2))
    raised(provider(tmp_path), CONTROL)
    assert joins(cloud) == ["add_router_interface", "remove_router_interface", "add_router_interface"]
    assert provider(tmp_path).prepared() and len(cloud.objects["floatingips"]) == len(cloud.objects["routers"]) == 1
    [router] = cloud.objects["routers"].values()
    way, router["external_gateway_info"] = router["external_gateway_info"], None
    assert not provider(tmp_path).prepared()
    raised(provider(tmp_path), CONTROL)
    assert [item["external_gateway_info"] for item in cloud.objects["routers"].values()] == [way]


def test_a_router_that_takes_no_interface(cloud: SmallCloud, tmp_path: Path) -> None:
    """The cloud says that a half-made router is on the network, and it is not: it is made anew; what stays so is told."""
    cloud.faults.append(Fault("PUT", "add_router_interface$", 200, "", times=2))
    with pytest.raises(CantiereError) as error:
        raised(provider(tmp_path), CONTROL)
    assert [problem.code for problem in error.value.problems] == ["openstack.service"] and not cloud.faults
    [old] = cloud.objects["routers"]
    cloud.faults.append(Fault("PUT", "add_router_interface$", 200, ""))
    raised(provider(tmp_path), CONTROL)
    [new] = cloud.objects["routers"]
    assert new != old and provider(tmp_path).prepared()


def test_a_router_that_is_off_its_network_already(cloud: SmallCloud, tmp_path: Path) -> None:
    """The answer to a removal was lost, so it is asked again."""
    source = provider(tmp_path)
    raised(source, CONTROL)
    cloud.faults.append(Fault("PUT", "remove_router_interface$", 503, "", after=True))
    source.delete("control-1")
    source.release()
    assert joins(cloud)[-2:] == ["remove_router_interface"] * 2 and not cloud.names("routers")


def joins(cloud: SmallCloud) -> list[str]:
    """What was asked of routers and networks."""
    return [call.rpartition("/")[2] for call in cloud.asked if "router_interface" in call]


def site(folder: Path) -> sites.Site:
    file = folder / "lab" / "cantiere.yml"
    file.parent.mkdir(parents=True)
    told = {"site": "lab", "template": "none.yaml", "platform": "kubernetes", "state_dir": str(folder / "lost"), "provider": OPTIONS}
    file.write_text(yaml.safe_dump(told), encoding="utf-8")
    return sites.load(file)


def test_down_from_tags(cloud: SmallCloud, tmp_path: Path) -> None:
    """A lost state is found again by the marks of any object that is left; two facilities of one name are told, and left."""
    lab = site(tmp_path)
    assert lab.prefix == PREFIX
    raising.adopt(lab)
    assert not lab.state_dir.exists()
    raised(provider(tmp_path), CONTROL)
    for kind in ("servers", "ports", "floatingips", "routers", "networks", "security-groups", "pairs", "groups"):
        kept = {name: dict(cloud.objects[name]) for name in cloud.objects}
        for name in set(cloud.objects) - {kind}:
            cloud.objects[name].clear()
        assert provider(tmp_path / "lost", "").lineages() == [LINEAGE], kind
        cloud.objects = kept
    raising.adopt(lab)
    state = StateStore(lab.state_dir).load()
    assert state is not None and state.lineage == LINEAGE
    raised(provider(tmp_path / "another", ANOTHER), WORKER, lineage=ANOTHER)
    raising.adopt(lab)  # the state is there, nothing is looked for
    StateStore(lab.state_dir).file.unlink()
    with pytest.raises(CantiereError, match=ANOTHER) as error:
        raising.adopt(lab)
    assert error.value.problems[0].code == "down.lineages" and not StateStore(lab.state_dir).file.exists()
