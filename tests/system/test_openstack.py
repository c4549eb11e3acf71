"""Provider openstack on a real OpenStack: servers one can log in to, what is closed, faults and kills, and a project as empty as before."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from cantiere.errors import CantiereError
from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh
from cantiere.providers.openstack import OpenStack
from support.testbed import CONTROL, KUBERNETES, OPTIONS, PREFIX, RAISE, WORKER, delete, lineage, raised, source, start

pytestmark = pytest.mark.full

DOOR = 8080
KILL_AFTER = (3.0, 8.0, 15.0)
"""Seconds; while shared objects are made, and while servers are."""


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
    opened = source(folder, open_ports=[{"port": DOOR, "from": OPTIONS["admin_cidrs"]}])
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
    delete(cloud, server)
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
        work = start("-c", RAISE, str(folder))
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
