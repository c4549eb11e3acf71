"""The OpenStack test bed in scenarios: its command line, and a site whose provider is its project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh
from cantiere.providers.openstack import OpenStack
from cantiere.state import StateStore
from support.tree import REPOSITORY
from support.waiting import until

sys.path.insert(0, str(REPOSITORY))
from tests.openstack.bed import seen_from_here
from tests.openstack.layout import SUBNET

PREFIX = "cantiere-ctos"
OPTIONS: dict[str, Any] = {
    "type": "openstack",
    "cloud": "testbed",
    "network": {"subnet": "10.30.0.0/24", "external": "public"},
    "image": {"properties": {"os_distro": "debian"}},
    "admin_cidrs": [str(SUBNET)],
}
KUBERNETES = {"virtual_address": "10.30.0.10"}
CONTROL = Machine("control-1", "control", ("control-plane",), "")
WORKER = Machine("worker-1", "worker", ("worker",), "")
RAISE = "import sys; from support.testbed import raised, source; raised(source(sys.argv[1]))"
LOWER = "import sys; from support.testbed import lowered, source; lowered(source(sys.argv[1]))"
"""Programs that raise and remove the two machines of the site whose state is in a folder, to be killed meanwhile."""
DELETE_SECONDS = 120.0


def bed(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the test bed."""
    command = [sys.executable, "-m", "tests.openstack", *words]
    return subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=False)


def start(*words: str) -> subprocess.Popen[bytes]:
    """Start a program of Python's with what scenarios import, in a process group of its own."""
    return subprocess.Popen([sys.executable, *words], cwd=REPOSITORY, env=environment(), start_new_session=True)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY / 'tests'}"}


@contextmanager
def running(*kinds: str) -> Iterator[str]:
    """What drives the servers of a bed that is up: one of some kinds, the first where it has to be started; one that is up stays up."""
    state = json.loads(bed("status").stdout)
    mine = not state["up"] or state["compute"] not in kinds
    try:
        if mine:
            assert bed("down").returncode == 0
            done = bed("up", "--compute", kinds[0])
            assert done.returncode == 0, done.stdout + done.stderr
        yield kinds[0] if mine else str(state["compute"])
    finally:
        if mine:
            assert bed("down").returncode == 0


def service(task: str, name: str) -> None:
    """Start a service of the bed, or kill it."""
    done = bed(task, name)
    assert done.returncode == 0, done.stderr


@contextmanager
def stopped(name: str) -> Iterator[None]:
    """While a service is gone."""
    service("stop", name)
    with started(name):
        yield


@contextmanager
def started(name: str) -> Iterator[None]:
    """A service is there again afterwards."""
    try:
        yield
    finally:
        service("start", name)


@contextmanager
def configured(name: str, file: str, **options: object) -> Iterator[None]:
    """While a service has other options, in the section ``DEFAULT`` of a file of the bed's."""
    path = seen_from_here() / file
    before = path.read_text(encoding="utf-8")
    assert "[DEFAULT]\n" in before
    lines = "".join(f"{key} = {value}\n" for key, value in options.items())
    path.write_text(before.replace("[DEFAULT]\n", f"[DEFAULT]\n{lines}", 1), encoding="utf-8")
    try:
        service("start", name)
        yield
    finally:
        path.write_text(before, encoding="utf-8")
        service("start", name)


def delete(cloud: Any, server: Any) -> None:
    """Delete a server, and wait until the cloud has it no more: it is ``DELETED`` before, and stays so where its host goes then."""
    cloud.compute.delete_server(server)
    until(DELETE_SECONDS, lambda: cloud.compute.find_server(server.id), lambda found: found is None)


def host_is(state: str, admin: Any, within: float) -> None:
    """Wait for so many seconds until the scheduler knows that the host is gone (``down``), or back (``up``)."""
    until(within, lambda: [item.state for item in admin.compute.services(binary="nova-compute")], lambda seen: seen == [state])


def named() -> dict[str, str]:
    """The variables by which clients find the bed's clouds.yaml."""
    return dict(item.split("=", 1) for item in bed("env").stdout.removeprefix("export ").split())


@contextmanager
def project() -> Iterator[Any]:
    """The project of a real OpenStack whose servers are system containers; one that is up already stays up."""
    with running("nspawn"):
        os.environ.update(named())
        import openstack

        yield openstack.connect(cloud="testbed")


def belongings(cloud: Any) -> set[str]:
    """Everything that the project has."""
    mine = {"project_id": cloud.current_project_id}
    kinds = {
        "server": cloud.compute.servers(),
        "key pair": cloud.compute.keypairs(),
        "server group": cloud.compute.server_groups(),
        "volume": cloud.block_storage.volumes(),
        "port": cloud.network.ports(**mine),
        "network": cloud.network.networks(**mine),
        "subnet": cloud.network.subnets(**mine),
        "router": cloud.network.routers(**mine),
        "security group": cloud.network.security_groups(**mine),
        "floating IP": cloud.network.ips(**mine),
    }
    return {f"{kind} {item.id}" for kind, items in kinds.items() for item in items}


def source(folder: str | Path, **options: Any) -> OpenStack:
    """The provider of a site whose state is in a folder."""
    store = StateStore(Path(folder))
    if store.load() is None:
        store.save(store.new("test"))
    return OpenStack(PREFIX, Path(folder), {**OPTIONS, **options}, KUBERNETES)


def lineage(provider: OpenStack) -> str:
    """The lineage in the state of its site."""
    state = provider.store.load()
    assert state is not None
    return state.lineage


def raised(provider: OpenStack, *machines: Machine) -> tuple[Machine, ...]:
    """Machines made at the same time, with their log-in."""
    wanted: Sequence[Machine] = machines or (CONTROL, WORKER)
    placed, problems = provider.place(wanted)
    assert problems == []
    provider.prepare(lineage(provider), print)
    Ssh.each(placed, lambda machine: provider.create(machine, lineage(provider), print))
    return provider.place(wanted)[0]


def lowered(provider: OpenStack) -> None:
    """All machines removed at the same time, and then what they shared."""
    Ssh.each([Machine(name, "", (), "") for name in provider.observe()], lambda machine: provider.delete(machine.name))
    provider.release()
