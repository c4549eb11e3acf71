"""Which rules the machines' security groups have: those that a link of the facility or the site's file asks for. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cantiere.machines.model import WORLD
from cantiere.machines.registry import WRITE_PORT
from cantiere.machines.wanted import API_PORT
from cantiere.providers.reading import Access, OpenPort

MACHINES, CONTROL = "machines", "control-plane"
"""Groups: of all machines, and of those with a control plane."""
RANGED = ("tcp", "udp")
"""Protocols with ports."""
SSH = 22
STRANGE = "?"


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """Traffic that is let in.

    Parameters
    ----------
    protocol:
        ``tcp``, ``udp``, ``icmp``, or ``""`` for all of IPv4.
    port:
        Port, or 0 for all.
    source:
        Network in CIDR notation, or ``""`` for the machines of the facility.
    last:
        Of several ports in a row the last; 0 is one port.
    """

    protocol: str = ""
    port: int = 0
    source: str = ""
    last: int = 0

    def __str__(self) -> str:
        ports = f"{self.port}-{self.last}" if self.last else str(self.port)
        what = f"{self.protocol} {ports}" if self.port else self.protocol or "all ports"
        if self.source.startswith(STRANGE):
            return f"a rule that was added by hand ({self.source.removeprefix(STRANGE)})"
        return f"{what} to {self.source or 'the machines'}"

    def body(self, group: str, machines: str) -> dict[str, Any]:
        """It as Neutron takes it.

        Parameters
        ----------
        group, machines:
            Identifiers of the group that gets it, and of the group of all machines.
        """
        found: dict[str, Any] = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4"}
        if self.protocol:
            found["protocol"] = self.protocol
        if self.port:
            found |= {"port_range_min": self.port, "port_range_max": self.last or self.port}
        return found | ({"remote_ip_prefix": self.source} if self.source else {"remote_group_id": machines})


def rules(options: Access, pod_subnet: str) -> Mapping[str, frozenset[Rule]]:
    """Group to its rules.

    Machines of a facility reach each other, and pods reach machines by their own addresses; admins reach SSH, the cluster's API and the
    place where images are written; everybody else reaches what the site or the template opens, the latter on machines of the pool that
    asks for it.

    Parameters
    ----------
    options:
        The site's.
    pod_subnet:
        Network of the pods.
    """
    machines = {Rule(), Rule(source=pod_subnet)}
    machines |= {Rule(protocol, port, source) for source in options.admin_cidrs for protocol, port in (("tcp", SSH), ("icmp", 0))}
    control = {Rule("tcp", port, source) for source in options.admin_cidrs for port in (API_PORT, WRITE_PORT)}
    found = {MACHINES: machines, CONTROL: control}
    for item in options.open_ports:
        found.setdefault(_group(item), set()).update(_opened(item))
    return {group: frozenset(wanted) for group, wanted in found.items()}


def group_of(pool: str) -> str:
    """The group of a pool's machines; it is there where the pool opens ports of its own."""
    return f"pool-{pool}"


def groups_of(pool: str, *, controls: bool, there: Container[str]) -> tuple[str, ...]:
    """The groups of a machine.

    Parameters
    ----------
    pool, controls:
        Its pool, and whether it has a control plane.
    there:
        The groups that there are: not every pool has one of its own.
    """
    own = group_of(pool)
    return (MACHINES, *([CONTROL] if controls else []), *([own] if own in there else []))


def _group(item: OpenPort) -> str:
    return group_of(item.pool) if item.pool else MACHINES


def _opened(item: OpenPort) -> set[Rule]:
    last = item.last if item.last > item.port else 0
    return {Rule(item.protocol, item.port, source, last) for source in item.sources}


def asks(options: Access) -> Mapping[tuple[str, Rule], str]:
    """Group and rule to who asks for it, as the end of a sentence; those of machines among each other are left out."""
    ports = {(_group(item), rule): item.asks for item in options.open_ports for rule in _opened(item)}
    own = [("icmp", 0), *(("tcp", port) for port in (SSH, API_PORT, WRITE_PORT))]
    rules_ = [Rule(*traffic, source) for source in options.admin_cidrs for traffic in own]
    admins = {(group, rule): "admin_cidrs" for group in (MACHINES, CONTROL) for rule in rules_}
    return {rule: f", asked for by {who}" for rule, who in {**ports, **admins}.items()}


def seen(listed: Iterable[Mapping[str, Any]], machines: str) -> dict[Rule, str]:
    """The rules for incoming traffic that a group has, with their identifiers.

    A rule that ours cannot say (IPv6, a kind of ICMP, a strange group) gets a source of its own, so that it counts as foreign.

    Parameters
    ----------
    listed:
        Neutron's rules of one group.
    machines:
        Identifier of the group of all machines.
    """
    found = {}
    for item in listed:
        if item["direction"] != "ingress":
            continue
        first, last = item.get("port_range_min"), item.get("port_range_max")
        sayable = first == last or item.get("protocol") in RANGED
        ours = item["ethertype"] == "IPv4" and sayable and item.get("remote_group_id") in (None, machines)
        source = item.get("remote_ip_prefix") or ("" if item.get("remote_group_id") else WORLD)
        several = int(last or 0) if last != first else 0
        rule = Rule(item.get("protocol") or "", first or 0, source, several) if ours else Rule(source=f"{STRANGE}{item['id']}")
        found[rule] = item["id"]
    return found
