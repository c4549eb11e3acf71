"""Ports of machines that the template opens to the outside: those of its ways in, and those that its pools ask for. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from cantiere.errors import Problem
from cantiere.machines.model import POOL, WORLD, Opening
from cantiere.model import Facility, Node
from cantiere.values import ingress


def of_pool(pool: Node) -> tuple[Opening, ...]:
    """What a pool asks for, of its own machines."""
    return tuple(
        Opening(pool.name, given["port"], given.get("last_port") or given["port"], given["protocol"], given["from"], pool.name)
        for given in pool.properties.get("public_ports") or ()
    )


def of(facility: Facility) -> tuple[Opening, ...]:
    """What a facility asks for: the ports of its pages on all machines, and those of pools."""
    pages = (Opening(node, port, port) for port, node in ingress.node_ports(facility).items())
    return (*pages, *(opening for pool in facility.of_type(POOL) for opening in of_pool(pool)))


def check(facility: Facility) -> list[Problem]:
    """What is wrong with what pools ask for."""
    return [problem for pool in facility.of_type(POOL) for problem in _wrong(pool)]


def _wrong(pool: Node) -> Iterator[Problem]:
    for number, opening in enumerate(of_pool(pool)):
        place = f"topology_template.node_templates.{pool.name}.properties.public_ports.{number}"
        if opening.last < opening.first:
            message = f"{pool.name} opens the ports from {opening.first} to {opening.last}, which are none"
            yield Problem("pool.ports", message, "write the lower one first", pool.where, f"{place}.last_port")
        try:
            ipaddress.IPv4Network(opening.source)
        except ValueError as error:
            message = f"{pool.name} opens port {opening.first} to {opening.source!r}, which is no network: {error}"
            remedy = f"write an IPv4 network such as 192.0.2.0/24, or {WORLD} for everybody"
            yield Problem("pool.ports", message, remedy, pool.where, f"{place}.from")
