"""The machines that a facility asks for, what each of them does, and the cluster that they carry. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from cantiere.errors import Problem
from cantiere.machines import openings, roster
from cantiere.machines.model import CONTROL_PLANE, POOL, PREEMPTIBLE, PREEMPTIBLE_TAINT, WORKER, Machine
from cantiere.model import Facility, Node

NEEDS = ("num_cpus", "mem_size", "disk_size", "num_gpus")
KUBERNETES = (CONTROL_PLANE, WORKER)
"""What a machine of the cluster does; storage and GPU nodes are workers that do more."""
API_PORT = 6443
KEEPERS = (
    CONTROL_PLANE,
    "storage",
    "htcondor-central-manager",
    "htcondor-access-point",
    "xrootd-origin",
    "nfs-server",
    "registry",
)
"""What machines that may vanish at any time cannot do: others lose what these keep."""


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


def machines(facility: Facility, there: roster.There | None = None, asked: roster.Asked | None = None) -> tuple[Machine, ...]:
    """The machines of all pools, without addresses; ``<pool>-1``, ``<pool>-2``, …, with gaps where some have left.

    Parameters
    ----------
    facility:
        What the template declares.
    there:
        Machines that exist: a pool that may grow keeps what it has grown to, and those that stay keep their names.
    asked:
        What this run asks of pools beside the template.
    """
    given = there or roster.There(), asked or roster.Asked()
    return tuple(_machine(pool, number) for pool in facility.of_type(POOL) for number in roster.numbers(pool, *given))


def labels_of(pool: Node) -> dict[str, str]:
    """Labels of the nodes of a pool's machines."""
    return {**({PREEMPTIBLE: "true"} if pool.properties.get("preemptible") else {}), **(pool.properties.get("labels") or {})}


def taints_of(pool: Node) -> tuple[str, ...]:
    """Taints of the nodes of a pool's machines: on those that may vanish only what bears that is placed."""
    return (*(pool.properties.get("taints") or ()), *([PREEMPTIBLE_TAINT] if pool.properties.get("preemptible") else []))


def vanishing(facility: Facility) -> tuple[str, ...]:
    """Key of the taint of machines that may vanish at any time, where there are such: what loses nothing with them tolerates it."""
    pools = [pool for pool in facility.of_type(POOL) if pool.properties.get("preemptible")]
    return (PREEMPTIBLE,) if any(pool.properties["count"] or pool.properties["max_count"] for pool in pools) else ()


def _machine(pool: Node, number: int) -> Machine:
    given = pool.properties
    return Machine(
        name=f"{pool.name}-{number}",
        pool=pool.name,
        roles=tuple(given["roles"]),
        address="",
        labels=labels_of(pool),
        taints=taints_of(pool),
        needs={key: int(given[key]) for key in NEEDS if given.get(key)},
        preemptible=bool(given.get("preemptible")),
        public=openings.of_pool(pool),
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
    return [*problems, *_keepers(facility), *openings.check(facility)]


def _keepers(facility: Facility) -> list[Problem]:
    """Pools whose machines may vanish and that are to do what has to last."""
    found = []
    for pool in facility.of_type(POOL):
        keeps = [role for role in pool.properties["roles"] if role in KEEPERS]
        if pool.properties.get("preemptible") and keeps:
            message = f"machines of {pool.name} may vanish at any time, and are to be {', '.join(keeps)}"
            remedy = "give these roles to a pool that is not preemptible"
            place = f"topology_template.node_templates.{pool.name}.properties.preemptible"
            found.append(Problem("pool.preemptible", message, remedy, pool.where, place))
    return found


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
