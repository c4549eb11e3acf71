"""Bind a facility to one machine: its containers, volumes and fixed addresses. Pure."""

from __future__ import annotations

import ipaddress
import re

from cantiere.model import Container, Facility, Project
from cantiere.services.catalogue import PLATFORM, SERVICES
from cantiere.services.facts import Facts

SINGLES_FROM = 10
PER_NODE = 8
NUMBERED = re.compile(r"-(\d+)$")


def bind(facility: Facility, facts: Facts, subnet: str, bind_address: str) -> Project:
    """The project that runs a facility on one machine.

    Parameters
    ----------
    facility:
        What the template declares.
    facts:
        Where its parts are found.
    subnet, bind_address:
        See :class:`cantiere.model.Project`.
    """
    containers: list[Container] = []
    addresses: dict[str, str] = {}
    network = ipaddress.IPv4Network(subnet)
    scaling = 0
    for index, node in enumerate(node for node in facility.nodes if node.type in SERVICES):
        mine = SERVICES[node.type].containers(node, facts)
        containers.extend(mine)
        plain = [c.name for c in mine if not NUMBERED.search(c.name)]
        numbered = {c.name: int(match.group(1)) for c in mine if (match := NUMBERED.search(c.name))}
        for place, name in enumerate(plain):
            addresses[name] = str(network[SINGLES_FROM + PER_NODE * index + place])
        if numbered:
            scaling += 1
        for name, number in numbered.items():
            addresses[name] = str(network[256 * scaling + number])
    volumes = sorted({mount.source for c in containers for mount in c.mounts if not mount.source.startswith("/")})
    return Project(
        name=facts.prefix,
        domain=facts.domain,
        subnet=subnet,
        bind_address=bind_address,
        volumes=tuple(volumes),
        containers=ordered(containers),
        addresses=addresses,
    )


def ordered(containers: list[Container]) -> tuple[Container, ...]:
    """The containers, each after those it needs; the order given is kept where it is free."""
    by_name = {c.name: c for c in containers}
    done: dict[str, Container] = {}

    def visit(container: Container) -> None:
        if container.name not in done:
            for name in container.needs:
                visit(by_name[name])
            done[container.name] = container

    for container in containers:
        visit(container)
    return tuple(done.values())


def domain(facility: Facility) -> str:
    """The DNS domain of the facility's platform."""
    platforms = facility.of_type(PLATFORM)
    return str(platforms[0].properties["domain"]) if platforms else "here.internal"


def notebook_range(subnet: str) -> str:
    """The part of the private network from which containers without a fixed address (notebooks) get theirs."""
    return str(list(ipaddress.IPv4Network(subnet).subnets(new_prefix=24))[-1])


def image_names(project: Project) -> tuple[str, ...]:
    """Names of the images that the project's containers run, in order of first use."""
    return tuple(dict.fromkeys(c.image for c in project.containers))
