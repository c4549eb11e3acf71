"""The machines that a facility asks for, what each of them does, and the cluster that they carry. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from cantiere.errors import Problem
from cantiere.machines.model import CONTROL_PLANE, WORKER, Machine
from cantiere.model import Facility, Node

POOL = "cantiere.nodes.MachinePool"
NEEDS = ("num_cpus", "mem_size", "disk_size", "num_gpus")
KUBERNETES = (CONTROL_PLANE, WORKER)
"""What a machine of the cluster does; storage and GPU nodes are workers that do more."""
API_PORT = 6443


@dataclass(frozen=True, slots=True)
class Network:
    """What the cluster takes of the site's network.

    Parameters
    ----------
    virtual_address:
        Address that the control plane answers on, whichever of its machines is up; "" with a single control-plane machine.
    pod_subnet, service_subnet:
        Networks inside the cluster, in CIDR notation.
    interface:
        Network interface of the machines that carries the cluster; "" takes that of the default route.
    machine_networks:
        Networks of the machines, which may reach every port of each other; empty takes the machines' own addresses.
    """

    virtual_address: str = ""
    pod_subnet: str = "10.244.0.0/16"
    service_subnet: str = "10.96.0.0/16"
    interface: str = ""
    machine_networks: tuple[str, ...] = ()


def network_of(given: Mapping[str, Any]) -> tuple[Network, list[Problem]]:
    """The site's ``kubernetes:`` mapping as a :class:`Network`, and what is wrong with it."""
    known = {item.name for item in fields(Network)}
    problems = [
        Problem("site.value", f"unknown key kubernetes.{key}", f"use one of: {', '.join(sorted(known))}", path=f"kubernetes.{key}")
        for key in sorted(set(map(str, given)) - known)
    ]
    for key in ("pod_subnet", "service_subnet"):
        try:
            ipaddress.IPv4Network(given.get(key, "10.0.0.0/16"))
        except ValueError as error:
            problems.append(
                Problem("site.value", f"kubernetes.{key}: {error}", "write a network like 10.244.0.0/16", path=f"kubernetes.{key}")
            )
    try:
        ipaddress.IPv4Address(given.get("virtual_address") or "192.0.2.1")
    except ValueError as error:
        problems.append(
            Problem("site.value", f"kubernetes.virtual_address: {error}", "write an IPv4 address that no machine has", path="kubernetes")
        )
    if problems:
        return Network(), problems
    values = {key: tuple(value) if isinstance(value, list) else str(value) for key, value in given.items()}
    return Network(**values), []  # type: ignore[arg-type]


def machines(facility: Facility, there: Collection[str] = (), scale: Mapping[str, int] | None = None) -> tuple[Machine, ...]:
    """The machines of all pools, without addresses; ``<pool>-1``, ``<pool>-2``, …

    Parameters
    ----------
    facility:
        What the template declares.
    there:
        Names of machines that exist: a pool that may grow keeps what it has grown to.
    scale:
        Pool to how many machines it gets now, within its limits.
    """
    numbers = {pool.name: _number(pool, there, scale or {}) for pool in facility.of_type(POOL)}
    return tuple(_machine(pool, number) for pool in facility.of_type(POOL) for number in range(1, numbers[pool.name] + 1))


def grows(pool: Node) -> bool:
    """Whether a pool may have more machines than the template asks for at least."""
    return bool(pool.properties["max_count"] > pool.properties["count"])


def _number(pool: Node, there: Collection[str], scale: Mapping[str, int]) -> int:
    least, most = int(pool.properties["count"]), int(pool.properties["max_count"])
    if not grows(pool):
        return least
    found = [int(number) for name, _, number in (machine.rpartition("-") for machine in there) if name == pool.name and number.isdigit()]
    return min(max(scale.get(pool.name, max(found, default=0)), least), most)


def _machine(pool: Node, number: int) -> Machine:
    given = pool.properties
    return Machine(
        name=f"{pool.name}-{number}",
        pool=pool.name,
        roles=tuple(given["roles"]),
        address="",
        labels=dict(given.get("labels") or {}),
        taints=tuple(given.get("taints") or ()),
        needs={key: int(given[key]) for key in NEEDS if given.get(key)},
    )


def check(facility: Facility, network: Network) -> list[Problem]:
    """What is wrong between pools and the site's network."""
    wanted = machines(facility)
    controls = [machine for machine in wanted if machine.controls]
    problems = []
    pools = {pool.name: pool.where for pool in facility.of_type(POOL)}
    if any(WORKER in machine.roles for machine in wanted) and not controls:
        name = next(machine.pool for machine in wanted if WORKER in machine.roles)
        problems.append(
            Problem("cluster.control", "workers without a control plane", f"give a pool the role {CONTROL_PLANE}", pools[name], name)
        )
    if len(controls) > 1 and not network.virtual_address:
        problems.append(
            Problem(
                "cluster.address",
                f"{len(controls)} control-plane machines need one address in common",
                "set kubernetes.virtual_address of the site to a free address of the machines' network",
                pools[controls[0].pool],
                controls[0].pool,
            )
        )
    if controls and len(controls) % 2 == 0:
        problems.append(
            Problem(
                "cluster.even",
                f"{len(controls)} control-plane machines bear no more failures than {len(controls) - 1}",
                "use 1, 3 or 5",
                pools[controls[0].pool],
                controls[0].pool,
            )
        )
    return problems


def in_cluster(machine: Machine) -> bool:
    """Whether a machine is a node of the cluster."""
    return any(role in machine.roles for role in KUBERNETES)


def groups_of(machine: Machine) -> tuple[str, ...]:
    """Ansible groups of a machine: all machines, its pool, and what it does."""
    groups = ["machines", f"pool_{machine.pool}", *machine.roles, *(["kubernetes"] if in_cluster(machine) else [])]
    return tuple(group.replace("-", "_") for group in groups)


def endpoint(placed: Sequence[Machine], network: Network) -> str:
    """Where the cluster's API is reached: ``address:port``, or ``""`` without a control plane."""
    controls = [machine for machine in placed if machine.controls]
    address = network.virtual_address or (controls[0].address if controls else "")
    return f"{address}:{API_PORT}" if address else ""
