"""Provider openstack where a real OpenStack fails: services that stop, tokens, quota, hosts without room, deletes, kills, strangers.

A server counts as soon as the cloud calls it active; logging in is shown by ``test_openstack.py``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.errors import CantiereError
from cantiere.machines.ssh import Ssh
from cantiere.providers.openstack import OpenStack, faults, marks, servers
from cantiere.providers.openstack.marks import Mark
from cantiere.providers.openstack.router import Router
from cantiere.state import StateStore
from support.testbed import (
    CONTROL,
    KUBERNETES,
    LOWER,
    OPTIONS,
    PREFIX,
    WORKER,
    belongings,
    configured,
    delete,
    environment,
    host_is,
    lineage,
    lowered,
    raised,
    service,
    source,
    start,
    started,
    stopped,
)
from support.tree import REPOSITORY

pytestmark = pytest.mark.full

APIS = ("keystone", "nova-api", "neutron-api", "cinder-api", "glance-api")
DOWN_SECONDS = 3.0
"""For which a service is gone when its outage is short."""
MORE_PAUSES = (30.0, 30.0, 30.0)
"""Beside the provider's own: with more to do than it has processors, this machine takes more than a minute to start the API of networks."""
BOUND = 8.0
"""Seconds in place of the minutes after which a server that is not made, or not removed, is told."""
HOST_SECONDS = 180.0
"""In which the scheduler knows that a host is gone, or back."""
KILL_AT = (13, 9, 4)
"""Objects that are left of 15 when a removal is killed: of machines, and of what they shared."""
STRANGER = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(autouse=True)
def timed(cloud: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody logs in, services are waited for while a busy machine starts them again, and every test prints its seconds."""
    monkeypatch.setattr(faults, "PAUSES", (*faults.PAUSES, *MORE_PAUSES))
    monkeypatch.setattr(faults, "LONGEST_WAIT", faults.LONGEST_WAIT + sum(MORE_PAUSES))
    monkeypatch.setattr(Ssh, "run", lambda self, name, command, **given: subprocess.CompletedProcess([], 0, "", ""))
    began = time.monotonic()
    yield
    print(f"\n  {request.node.name}: {time.monotonic() - began:.0f} s")


@pytest.fixture(scope="module")
def admin(cloud: Any) -> Any:
    """Those who run the cloud."""
    import openstack

    return openstack.connect(cloud="testbed-admin")


def failed(call: Callable[[], Any]) -> CantiereError:
    """The problem that a call ends in."""
    with pytest.raises(CantiereError) as error:
        call()
    for problem in error.value.problems:
        print(f"  {problem}")
        assert problem.remedy
    return error.value


def code(call: Callable[[], Any]) -> str:
    return str(failed(call).problems[0].code)


def complete(cloud: Any, provider: OpenStack, *nodes: str) -> None:
    """Whether exactly these machines are there, each once with all that belongs to it."""
    mine = {"project_id": cloud.current_project_id}
    assert provider.prepared() and {name: seen.state for name, seen in provider.observe().items()} == dict.fromkeys(nodes, "running")
    assert sorted(item.name for item in cloud.compute.servers()) == [f"{PREFIX}-{node}" for node in nodes]
    listed = (cloud.network.networks(**mine), cloud.network.routers(**mine), cloud.network.ips(**mine))
    assert [len(list(items)) for items in listed] == [1, 1, 1]
    named = [item.name for item in cloud.network.ports(**mine) if item.name]
    assert sorted(named) == sorted([f"{PREFIX}-virtual-address", *(f"{PREFIX}-{node}" for node in nodes)])


def test_outages(cloud: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each API killed: an outage that is long is told with what to do; one that is short is waited for, with lines that say so."""
    raised(source(folder), CONTROL)
    patient = faults.PAUSES
    for name in APIS:
        provider, told = source(folder), list[str]()
        provider.tell = told.append
        service("stop", name)
        back = threading.Timer(DOWN_SECONDS, service, ("start", name))
        try:
            monkeypatch.setattr(faults, "PAUSES", (0.1,))
            # the services ask each other: servers are not listed without networks
            assert code(partial(raised, provider, CONTROL)) in ("openstack.unreachable", "openstack.service")
        finally:
            monkeypatch.setattr(faults, "PAUSES", patient)
            told.clear()
            back.start()
            raised(provider, CONTROL)
            back.join()
        assert any("again in" in line for line in told)
        print(f"  {name}: {told[-1]}")
    complete(cloud, source(folder), "control-1")


def test_killed_apis(cloud: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API of networks is killed while it makes the router, that of servers while it makes servers: the run waits and ends whole."""
    provider, told, outages = source(folder), list[str](), list[threading.Thread]()
    provider.tell = told.append

    def outage(name: str) -> None:
        with stopped(name):
            time.sleep(DOWN_SECONDS)

    def meanwhile(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        once = [threading.Thread(target=outage, args=(name,))]

        def killed(*given: Any) -> Any:
            with suppress(IndexError):
                thread = once.pop()
                thread.start()
                outages.append(thread)
            return call(*given)

        return killed

    for owner, making, name in ((Router, "_new", "neutron-api"), (servers.Servers, "_server", "nova-api")):
        monkeypatch.setattr(owner, making, meanwhile(getattr(owner, making), name))
    try:
        raised(provider)
    finally:
        for thread in outages:
            thread.join()
    assert len(outages) == 2 and told
    print(f"  {len(told)} waits")
    complete(cloud, source(folder), "control-1", "worker-1")


def test_tokens(cloud: Any, admin: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is revoked midway is replaced; a wrong password is told."""
    provider = source(folder)
    provider.observe()
    session: Any = provider.cloud.connection.session
    before = session.get_token()
    provider.prepare(lineage(provider), print)
    admin.identity.delete("/auth/tokens", headers={"X-Subject-Token": before})
    for name in ("memcached", "keystone"):  # where services keep for a while what they know of a token; identity needs it
        service("start", name)
    raised(provider, CONTROL)
    assert session.get_token() != before
    complete(cloud, provider, "control-1")

    clouds = yaml.safe_load(Path(os.environ["OS_CLIENT_CONFIG_FILE"]).read_text(encoding="utf-8"))
    clouds["clouds"]["testbed"]["auth"]["password"] = "wrong"
    file = folder / "clouds.yaml"
    file.write_text(yaml.safe_dump(clouds), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
        assert code(lambda: source(folder).observe()) == "openstack.auth"
        assert [problem.code for problem in source(folder).check([CONTROL])] == ["openstack.auth"]


def test_quota_lowered_midway(cloud: Any, admin: Any, folder: Path) -> None:
    """Lowered after the look at it: what is missing, and by how much; raised again, the next run completes it, nothing twice."""
    options = {"data_volumes": {"worker": {"size": 2}}}
    project = cloud.current_project_id
    raised(source(folder, **options), CONTROL)
    assert source(folder, **options).check([CONTROL, WORKER]) == []
    ports = admin.network.get_quota(project, details=True).ports["used"]  # no lower limit is taken
    lowerings = (  # in the order in which they are asked for: what is made stays
        (admin.block_storage.get_quota_set, admin.block_storage.update_quota_set, "gigabytes", 1, "2 more GiB of volumes, 1 of 1 are left"),
        (admin.network.get_quota, admin.network.update_quota, "ports", ports, f"1 more ports, 0 of {ports} are left: 1 are missing"),
        (admin.compute.get_quota_set, admin.compute.update_quota_set, "instances", 1, "1 more servers, 0 of 1 are left: 1 are missing"),
    )
    for look, change, what, least, said in lowerings:
        before = getattr(look(project), what)
        change(project, **{what: least})
        try:
            error = failed(lambda: raised(source(folder, **options), CONTROL, WORKER))
        finally:
            change(project, **{what: before})
        assert {problem.code for problem in error.problems} == {"openstack.quota"}
        assert f"the plan needs {said}" in str(error)
        assert source(folder, **options).observe()["control-1"].state == "running"
    raised(source(folder, **options), CONTROL, WORKER)
    complete(cloud, source(folder, **options), "control-1", "worker-1")
    assert [item.name for item in cloud.block_storage.volumes()] == [f"{PREFIX}-worker-1-data"]


def test_no_compute(cloud: Any, admin: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that goes while it makes a server is told in a bound, and that none is left too; with it back, the next run ends whole."""
    asked = servers.Servers._server

    def then_no_host(self: servers.Servers, *order: Any) -> Any:
        server = asked(self, *order)
        service("stop", "nova-compute")
        return server

    with monkeypatch.context() as patch, started("nova-compute"):
        patch.setattr(servers, "BUILD_SECONDS", BOUND)
        patch.setattr(servers.Servers, "_server", then_no_host)
        assert code(lambda: raised(source(folder), CONTROL)) == "openstack.slow"
        host_is("down", admin, HOST_SECONDS)
        assert code(lambda: raised(source(folder), WORKER)) == "openstack.no_host"
    host_is("up", admin, HOST_SECONDS)
    raised(source(folder), CONTROL, WORKER)
    complete(cloud, source(folder), "control-1", "worker-1")


def test_stuck_delete(cloud: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = source(folder)
    raised(provider, CONTROL)
    with stopped("nova-compute"), monkeypatch.context() as patch:
        patch.setattr(servers, "DELETE_SECONDS", BOUND)
        assert code(lambda: provider.delete("control-1")) == "openstack.stuck"
        assert source(folder).observe()["control-1"].state == "running"
    lowered(source(folder))
    assert not source(folder).observe()


def test_a_cloud_that_keeps_what_was_deleted(cloud: Any, folder: Path) -> None:
    """A cloud that would keep deleted servers for an hour is told not to: they hold their ports and volumes for as long."""
    before, options = belongings(cloud), {"data_volumes": {"worker": {"size": 2}}}
    provider = source(folder, **options)
    with configured("nova-api", "etc/nova/nova.conf", reclaim_instance_interval=3600):
        raised(provider)
        provider.delete("worker-1")
        complete(cloud, provider, "control-1")
        raised(provider)
        complete(cloud, provider, "control-1", "worker-1")
        lowered(provider)
    assert belongings(cloud) == before


def test_next_flavor_and_zone(cloud: Any, admin: Any, folder: Path) -> None:
    """Where no host has room for a flavor, and where a zone is not there any more, the next is tried, and the rest is removed."""
    [host] = [item.host for item in admin.compute.services(binary="nova-compute")]
    zone = admin.compute.create_aggregate(name="east", availability_zone="east")
    admin.compute.add_host_to_aggregate(zone, host)
    flavors = [admin.compute.create_flavor(name=f"fault.{number}", vcpus=2, ram=2048, disk=10 + number) for number in range(2)]
    admin.compute.create_flavor_extra_specs(flavors[0], {"resources:CUSTOM_NOWHERE": "1"})
    try:
        options = {"zones": ["west", "east"], "flavors": ["fault.*"], "other_flavors": True}
        provider, told = source(folder, **options), list[str]()
        [placed] = provider.place([CONTROL])[0]
        provider.prepare(lineage(provider), print)
        provider.create(placed, lineage(provider), told.append)
        print("  " + "\n  ".join(told))
        [server] = cloud.compute.servers()
        assert (server.flavor.name, server.availability_zone) == ("fault.1", "east")
        tried = [line.removeprefix("control-1: no host has room for ").partition(",")[0] for line in told if "no host has room" in line]
        assert tried == ["fault.0 in west", "fault.0 in east", "fault.1 in west"]
        complete(cloud, provider, "control-1")
        only = source(folder, **{**options, "flavors": ["fault.0"], "zones": ["east"]})
        only.delete("control-1")
        error = failed(lambda: raised(only, CONTROL))
        assert error.problems[0].code == "openstack.no_host" and "No valid host was found" in str(error)
    finally:
        lowered(source(folder))
        admin.compute.remove_host_from_aggregate(zone, host)
        admin.compute.delete_aggregate(zone)
        for flavor in flavors:
            admin.compute.delete_flavor(flavor)


def test_down_is_killed(cloud: Any, folder: Path) -> None:
    """Killed at several moments, the next removal goes on."""
    before = belongings(cloud)
    provider = source(folder)
    raised(provider)
    killed = 0
    for left in KILL_AT:
        work = start("-c", LOWER, str(folder))
        while work.poll() is None and len(belongings(cloud) - before) > left:
            time.sleep(0.1)
        killed += work.poll() is None
        with suppress(ProcessLookupError):
            os.killpg(work.pid, signal.SIGKILL)
        work.wait()
        print(f"  {killed} times killed, {len(belongings(cloud) - before)} objects are left")
    assert killed >= 2
    lowered(source(folder))
    assert belongings(cloud) == before


def test_strangers(cloud: Any, folder: Path) -> None:
    """Objects of others with our names, with no mark or another facility's, are left as they are, whatever is run."""
    network = cloud.network.create_network(name=PREFIX)
    subnet = cloud.network.create_subnet(name=PREFIX, network_id=network.id, ip_version=4, cidr="10.31.0.0/24")
    group = cloud.network.create_security_group(name=f"{PREFIX}-machines")
    ports = [
        cloud.network.create_port(name=f"{PREFIX}-control-1", network_id=network.id, security_groups=[group.id]),
        cloud.network.create_port(
            name=f"{PREFIX}-worker-1",
            network_id=network.id,
            description=str(Mark(PREFIX, STRANGER, "worker-1")),
            security_groups=[group.id],
        ),
    ]
    address = cloud.network.create_ip(floating_network_id=cloud.network.find_network("public").id)
    volume = cloud.block_storage.create_volume(name=f"{PREFIX}-worker-1-data", size=1)
    pair = cloud.compute.create_keypair(name=f"{PREFIX}-{STRANGER}")
    image = next(cloud.image.images(status="active"))
    server = cloud.compute.create_server(
        name=f"{PREFIX}-worker-1",
        flavor_id=cloud.compute.find_flavor("m1.tiny").id,
        image_id=image.id,
        networks=[{"port": ports[0].id}],
        metadata={marks.KEY: str(Mark(PREFIX, STRANGER, "worker-1"))},
    )
    try:
        cloud.compute.wait_for_server(server, interval=0.5, wait=300)
        theirs = belongings(cloud)
        provider = source(folder)
        assert {problem.code for problem in provider.check([CONTROL])} == {"openstack.lineage"}
        raised(provider, CONTROL)
        assert theirs < belongings(cloud) and list(provider.observe()) == ["control-1"]
        provider.delete("worker-1")
        lowered(provider)
        assert belongings(cloud) == theirs
        assert cloud.compute.get_server(server).status == "ACTIVE"
        assert [cloud.network.get_port(port).description for port in ports] == [port.description for port in ports]
    finally:
        delete(cloud, server)
        cloud.compute.delete_keypair(pair)
        for port in ports:
            cloud.network.delete_port(port)
        cloud.network.delete_ip(address)
        cloud.network.delete_subnet(subnet)
        cloud.network.delete_network(network)
        cloud.network.delete_security_group(group)
        cloud.block_storage.delete_volume(volume)
        cloud.block_storage.wait_for_delete(volume, interval=0.5, wait=60)


def test_down_from_tags(cloud: Any, folder: Path) -> None:
    """``./cantiere down --from-tags`` removes a facility whose state is lost, and nothing of another of that name."""
    before = belongings(cloud)
    raised(source(folder), CONTROL)
    site = folder / "site" / "cantiere.yml"
    site.parent.mkdir()
    state = folder / "lost"
    template = REPOSITORY / "tosca" / "templates" / "facility.yaml"
    told = {"plugin": "cantiere", "site": PREFIX.removeprefix("cantiere-"), "template": str(template), "platform": "kubernetes"}
    site.write_text(yaml.safe_dump({**told, "provider": OPTIONS, "kubernetes": KUBERNETES, "state_dir": str(state)}), encoding="utf-8")

    def down(*words: str) -> subprocess.CompletedProcess[str]:
        command = [REPOSITORY / "cantiere", "down", "--site", site, *words]
        return subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=False)

    done = down()
    assert done.returncode and "openstack.lineage" in done.stderr and "--from-tags" in done.stderr
    done = down("--from-tags")
    assert done.returncode == 0, done.stdout + done.stderr
    assert belongings(cloud) == before and not state.exists()
    assert "nothing is up" in down("--from-tags").stdout
    assert StateStore(folder).load() is not None
