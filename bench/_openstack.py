"""A project of the benchmark's own on the test bed, and programs with the time, processor time and memory that they take."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import openstack
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
NAME = "cantiere-bench"
"""Of the project, its user and its cloud."""
EXTERNAL, IMAGE, FLAVOR = "public", "debian-13", "m1.small"
ADMINS = "10.150.0.0/16"
DATA_GIB = 1
GONE_SECONDS, AT_ONCE = 600.0, 8
UNLIMITED = -1
LEAST_NODES, SERVERS_OF_NODE = 4, 20
LIMITS = {
    "compute": ("instances", "cores", "ram"),
    "network": ("port", "security_group_rule"),
    "volume": ("volumes", "gigabytes"),
}
"""What a thousand servers ask for beyond the usual quota."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a program took.

    Parameters
    ----------
    seconds:
        From start to end.
    processor:
        Seconds on a processor, its children's with it.
    memory:
        Bytes at most of its largest process.
    output:
        What it printed.
    """

    seconds: float
    processor: float
    memory: int
    output: str


def measured(command: Sequence[str | Path], folder: Path, *, progress: bool = False, **environment: str) -> Used:
    """Run a program to its end.

    Parameters
    ----------
    command, folder, environment:
        The program, where it runs, and what it finds in its environment beside ours.
    progress:
        Whether what it writes to its error output is shown, as it tells there how far it is.

    Raises
    ------
    SystemExit
        It failed; shows the end of what it printed.
    """
    log = folder / "output"
    begin = time.monotonic()
    with log.open("wb") as written:
        program = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=None if progress else subprocess.STDOUT,
        )
        _, status, usage = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    seconds, text = time.monotonic() - begin, log.read_text(encoding="utf-8", errors="replace")
    if program.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {program.returncode}:\n{text[-3000:]}")
    return Used(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10, text)


@contextmanager
def bed(servers: int) -> Iterator[tuple[str, bool]]:
    """A test bed whose servers are records: the path of its clouds.yaml, and whether it goes down again; one that is up stays up.

    Parameters
    ----------
    servers:
        For how many at most it gets its nodes.
    """
    state = json.loads(_bed("status").stdout)
    if state["up"] and state["compute"] != "fake":
        raise SystemExit("a test bed with servers of another kind is up: python -m tests.openstack down")
    if not state["up"] and (done := _bed("up", "--nodes", str(max(LEAST_NODES, servers // SERVERS_OF_NODE)))).returncode:
        raise SystemExit(done.stdout + done.stderr)
    try:
        yield json.loads(_bed("status").stdout)["clouds"], not state["up"]
    finally:
        if not state["up"]:
            _bed("down")


@contextmanager
def project(clouds: str, folder: Path, *, kept: bool) -> Iterator[Any]:
    """A connection to a project that is there as long as this lasts; ``$OS_CLIENT_CONFIG_FILE`` names its cloud.

    Parameters
    ----------
    clouds:
        The bed's clouds.yaml.
    folder:
        Where one with the project's cloud goes.
    kept:
        Whether it stays as it is in the end, because the bed goes down with it.
    """
    given = yaml.safe_load(Path(clouds).read_text(encoding="utf-8"))["clouds"]["testbed-admin"]
    admin = openstack.connect(load_yaml_config=False, load_envvars=False, **given)
    with ExitStack() as removal:
        made = admin.identity.create_project(name=NAME, domain_id="default")
        removal.callback(admin.identity.delete_project, made)
        password = secrets.token_urlsafe(16)
        user = admin.identity.create_user(name=NAME, password=password, domain_id="default", default_project_id=made.id)
        removal.callback(admin.identity.delete_user, user)
        admin.identity.assign_project_role_to_user(made, user, admin.identity.find_role("member", ignore_missing=False))
        removal.callback(_limited, admin, made.id)
        admin.set_compute_quotas(made.id, **dict.fromkeys(LIMITS["compute"], UNLIMITED))
        admin.set_network_quotas(made.id, **dict.fromkeys(LIMITS["network"], UNLIMITED))
        admin.set_volume_quotas(made.id, **dict.fromkeys(LIMITS["volume"], UNLIMITED))
        auth = {**given["auth"], "username": NAME, "password": password, "project_name": NAME}
        file = folder / "clouds.yaml"
        file.touch(0o600)
        file.write_text(yaml.safe_dump({"clouds": {NAME: {**given, "auth": auth}}}), encoding="utf-8")
        os.environ |= {"OS_CLIENT_CONFIG_FILE": str(file), "OS_CLOUD": NAME}
        link = openstack.connect(cloud=NAME)
        removal.callback(_as_before, link, belongings(link))
        if kept:
            removal.pop_all()
        yield link


def _limited(admin: Any, project_id: str) -> None:
    """Take from a project what it was given beside what it made itself: its group `default`, and its quota."""
    for group in admin.network.security_groups(project_id=project_id):
        admin.network.delete_security_group(group)
    admin.delete_compute_quotas(project_id)
    admin.delete_network_quotas(project_id)
    admin.delete_volume_quotas(project_id)


def _as_before(link: Any, usual: set[str]) -> None:
    """Empty the project, and look whether it is as it was."""
    empty(link)
    if left := belongings(link) - usual:
        raise SystemExit(f"the project is not as it was before: {', '.join(sorted(left))}")


def _kinds(link: Any) -> Mapping[str, tuple[Any, Any]]:
    """How each kind of object is listed and removed, in an order in which they can be removed."""
    network, compute, volumes, mine = link.network, link.compute, link.block_storage, {"project_id": link.current_project_id}
    return {
        "server": (partial(compute.servers, details=False), compute.delete_server),
        "volume": (partial(volumes.volumes, details=False), volumes.delete_volume),
        "port": (lambda: [port for port in network.ports(**mine) if not port.device_owner.startswith("network:")], network.delete_port),
        "router": (lambda: network.routers(**mine), lambda item: _delete_router(network, item)),
        "network": (lambda: network.networks(**mine), network.delete_network),
        "security group": (
            lambda: [group for group in network.security_groups(**mine) if group.name != "default"],
            network.delete_security_group,
        ),
        "server group": (compute.server_groups, compute.delete_server_group),
        "key pair": (compute.keypairs, compute.delete_keypair),
    }


def belongings(link: Any) -> set[str]:
    """Everything that the project has."""
    return {f"{kind} {item.name or item.id}" for kind, (listing, _) in _kinds(link).items() for item in listing()}


def empty(link: Any) -> None:
    """Remove everything that the project has, whoever made it."""
    for kind, (listing, delete) in _kinds(link).items():
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(delete, listing()))
        end = time.monotonic() + GONE_SECONDS
        while kind in ("server", "volume") and any(listing(limit=1)):
            if time.monotonic() > end:
                raise SystemExit(f"there is still a {kind}, {GONE_SECONDS:.0f} s after it was to be removed")
            time.sleep(1)


def processor(clouds: str) -> float:
    """Seconds on a processor that the whole bed has taken.

    Parameters
    ----------
    clouds:
        Its clouds.yaml; the folder has the name of its control groups.
    """
    name, root = Path(clouds).parent.name, Path("/sys/fs/cgroup")
    usage = root / "cpuacct" / name / "cpuacct.usage"
    if usage.is_file():
        return int(usage.read_text(encoding="utf-8")) / 1e9
    return int(dict(line.split() for line in (root / name / "cpu.stat").read_text(encoding="utf-8").splitlines())["usage_usec"]) / 1e6


def active(link: Any) -> int:
    """How many servers are there, each of them with its port and its volume."""
    found = [item for item in link.compute.servers(details=True) if item.status == "ACTIVE" and item.addresses and item.attached_volumes]
    return len(found)


def _delete_router(network: Any, router: Any) -> None:
    for port in network.ports(device_id=router.id, device_owner="network:router_interface"):
        network.remove_interface_from_router(router, port_id=port.id)
    network.delete_router(router)


def _bed(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.openstack", *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
