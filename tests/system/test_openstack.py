"""Provider openstack on a real OpenStack: servers one can log in to, what is closed, faults and kills, and a project as empty as before."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cantiere.errors import CantiereError
from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh
from cantiere.providers.openstack import OpenStack
from cantiere.state import StateStore
from support.testbed import belongings, project
from support.tree import REPOSITORY

pytestmark = pytest.mark.full

PREFIX = "ctos"
OPTIONS: dict[str, Any] = {
    "type": "openstack",
    "cloud": "testbed",
    "network": {"subnet": "10.30.0.0/24", "external": "public"},
    "image": {"properties": {"os_distro": "debian"}},
    "admin_cidrs": ["10.150.0.0/16"],
}
KUBERNETES = {"virtual_address": "10.30.0.10"}
CONTROL = Machine("control-1", "control", ("control-plane",), "")
WORKER = Machine("worker-1", "worker", ("worker",), "")
DOOR = 8080
KILL_AFTER = (3.0, 8.0, 15.0)
"""Seconds; while shared objects are made, and while servers are."""
RAISE = "import sys; from test_openstack import raised, source; raised(source(sys.argv[1]))"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY / 'tests'}:{Path(__file__).parent}"}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Any]:
    """The project of a real OpenStack whose servers are system containers."""
    with project() as connection:
        yield connection


def source(folder: str | Path, **options: Any) -> OpenStack:
    """The provider of a site whose state is in a folder."""
    store = StateStore(Path(folder))
    if store.load() is None:
        store.save(store.new("test"))
    return OpenStack(PREFIX, Path(folder), {**OPTIONS, **options}, KUBERNETES)


def lineage(provider: OpenStack) -> str:
    state = provider.store.load()
    assert state is not None
    return state.lineage


def raised(provider: OpenStack, *machines: Machine) -> tuple[Machine, ...]:
    """Machines made at the same time, with their log-in."""
    wanted = machines or (CONTROL, WORKER)
    placed, problems = provider.place(wanted)
    assert problems == []
    provider.prepare(lineage(provider), print)
    Ssh.each(placed, lambda machine: provider.create(machine, lineage(provider), print))
    return provider.place(wanted)[0]


@pytest.fixture
def folder(cloud: Any, tmp_path: Path) -> Iterator[Path]:
    """State of a site; whatever a test makes is removed, and nothing else."""
    before = belongings(cloud)
    yield tmp_path
    provider = source(tmp_path)
    Ssh.each([Machine(name, "", (), "") for name in provider.observe()], lambda machine: provider.delete(machine.name))
    provider.release()
    provider.release()
    assert belongings(cloud) == before
    assert not provider.holds()


def opens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=3).close()
    except OSError:
        return False
    return True


def test_servers_one_can_log_in_to(cloud: Any, folder: Path) -> None:
    """Root logs in with pinned host keys, to the worker through the control plane; only what the site opens is open."""
    provider = source(folder)
    assert provider.check([CONTROL, WORKER]) == []
    began = time.monotonic()
    placed = raised(provider)
    print(f"2 servers from nothing to a log-in in {time.monotonic() - began:.0f} s")
    ssh = Ssh(folder / "ssh")
    ssh.write(placed)
    assert ssh.pin(placed) == []
    for machine in placed:
        assert ssh.must(machine.name, "hostname; id -un").split() == [machine.name, "root"]
    assert ssh.must("worker-1", "hostname -I").split() == [placed[1].address]

    door = placed[0].door
    ssh.must("control-1", f"systemd-run --quiet python3 -m http.server {DOOR}")
    knock = f"import socket; socket.create_connection(('{placed[0].address}', {DOOR}), 2)"
    ssh.must("worker-1", f'for i in $(seq 20); do python3 -c "{knock}" && exit; sleep 1; done; exit 1')
    assert opens(door, 22) and not opens(door, DOOR)
    opened = source(folder, open_ports=[{"port": DOOR, "from": ["10.150.0.0/16"]}])
    assert not opened.prepared()
    opened.prepare(lineage(opened), print)
    assert opened.prepared() and opens(door, DOOR)
    assert {one.state for one in provider.observe().values()} == {"running"}
    ssh.close()


def test_healing(cloud: Any, folder: Path) -> None:
    """A server that was removed behind our back is seen, and made again at its address; a stopped one is started with what it had."""
    provider = source(folder)
    [before] = raised(provider, CONTROL)
    ssh = Ssh(folder / "ssh")
    ssh.write([before])
    ssh.pin([before])
    ssh.must("control-1", "echo kept > /root/note; sync")
    provider.stop("control-1")
    assert provider.observe()["control-1"].state == "stopped"
    provider.start(before, print)
    assert ssh.must("control-1", "cat /root/note").strip() == "kept"
    ssh.close()

    [server] = [item for item in cloud.compute.servers() if item.name == f"{PREFIX}-control-1"]
    cloud.compute.delete_server(server)
    cloud.compute.wait_for_delete(server)
    assert provider.observe()["control-1"].state == "broken"
    [after] = raised(provider, CONTROL)
    assert (after.address, after.door) == (before.address, before.door) and after.host_key != before.host_key


def test_no_host_has_room(cloud: Any, folder: Path) -> None:
    """The cloud's own words are told."""
    gpu = Machine("gpu-1", "gpu", ("worker", "gpu"), "", needs={"num_gpus": 1})
    with pytest.raises(CantiereError, match="No valid host was found") as error:
        raised(source(folder, floating_ips="none"), gpu)
    assert error.value.problems[0].code == "openstack.no_host"


def test_killed(cloud: Any, folder: Path) -> None:
    """Killed at several moments, the next run goes on, and nothing is there twice."""
    for moment in KILL_AFTER:
        work = subprocess.Popen([sys.executable, "-c", RAISE, folder], env=environment(), start_new_session=True)
        time.sleep(moment)
        os.killpg(work.pid, signal.SIGKILL)
        work.wait()
    provider = source(folder)
    raised(provider)
    assert provider.prepared() and {one.state for one in provider.observe().values()} == {"running"}
    mine = {"project_id": cloud.current_project_id}
    assert sorted(item.name for item in cloud.compute.servers()) == [f"{PREFIX}-control-1", f"{PREFIX}-worker-1"]
    listed = (cloud.network.networks(**mine), cloud.network.routers(**mine), cloud.network.ips(**mine))
    assert [len(list(items)) for items in listed] == [1, 1, 1]


def test_lost_state(cloud: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without the state, objects are told and left; with the lineage that was told, they are removed."""
    first = source(folder)
    first.prepare(lineage(first), print)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.raises(CantiereError) as error:
        OpenStack(PREFIX, elsewhere, OPTIONS, KUBERNETES).holds()
    assert error.value.problems[0].code == "openstack.lineage"
    found = OpenStack(PREFIX, elsewhere, {**OPTIONS, "lineage": lineage(first)}, KUBERNETES)
    assert found.holds()
    found.release()
    assert not found.holds()
