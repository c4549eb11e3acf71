"""Which rules the machines' security groups have: those that a link of the facility or the site's file asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cantiere.machines.registry import WRITE_PORT
from cantiere.machines.wanted import API_PORT
from cantiere.providers.reading import OpenPort

MACHINES, CONTROL = "machines", "control-plane"
"""Groups: of all machines, and of those with a control plane."""
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
    """

    protocol: str = ""
    port: int = 0
    source: str = ""

    def __str__(self) -> str:
        what = f"{self.protocol} {self.port}" if self.port else self.protocol or "all ports"
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
            found |= {"port_range_min": self.port, "port_range_max": self.port}
        return found | ({"remote_ip_prefix": self.source} if self.source else {"remote_group_id": machines})


class Opening(Protocol):
    """A site's options that open ports."""

    @property
    def admin_cidrs(self) -> tuple[str, ...]:
        """Networks of its admins."""

    @property
    def open_ports(self) -> tuple[OpenPort, ...]:
        """What else is open."""


def rules(options: Opening, pod_subnet: str) -> Mapping[str, frozenset[Rule]]:
    """Group to its rules.

    Machines of a facility reach each other, and pods reach machines by their own addresses; admins reach SSH, the cluster's API and the
    place where images are written; everybody else reaches what the site opens.

    Parameters
    ----------
    options:
        The site's.
    pod_subnet:
        Network of the pods.
    """
    machines = {Rule(), Rule(source=pod_subnet)}
    machines |= {Rule(protocol, port, source) for source in options.admin_cidrs for protocol, port in (("tcp", SSH), ("icmp", 0))}
    machines |= {Rule(item.protocol, item.port, source) for item in options.open_ports for source in item.sources}
    control = {Rule("tcp", port, source) for source in options.admin_cidrs for port in (API_PORT, WRITE_PORT)}
    return {MACHINES: frozenset(machines), CONTROL: frozenset(control)}


def asks(options: Opening) -> Mapping[Rule, str]:
    """Rule to who asks for it, as the end of a sentence; those of machines among each other are left out."""
    ports = {Rule(item.protocol, item.port, source): item.asks for item in options.open_ports for source in item.sources}
    own = [("icmp", 0), *(("tcp", port) for port in (SSH, API_PORT, WRITE_PORT))]
    admins = {Rule(*traffic, source): "admin_cidrs" for source in options.admin_cidrs for traffic in own}
    return {rule: f", asked for by {who}" for rule, who in {**ports, **admins}.items()}


def seen(listed: Iterable[Mapping[str, Any]], machines: str) -> dict[Rule, str]:
    """The rules for incoming traffic that a group has, with their identifiers.

    A rule that ours cannot say (a range of ports, IPv6, a strange group) gets a source of its own, so that it
    counts as foreign.

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
        ours = item["ethertype"] == "IPv4" and first == last and item.get("remote_group_id") in (None, machines)
        source = item.get("remote_ip_prefix") or ("" if item.get("remote_group_id") else "0.0.0.0/0")
        rule = Rule(item.get("protocol") or "", first or 0, source) if ours else Rule(source=f"{STRANGE}{item['id']}")
        found[rule] = item["id"]
    return found
