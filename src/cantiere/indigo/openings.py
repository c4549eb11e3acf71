"""Ports that a template of the dialect opens to the world: those of machines whose endpoint is on a public network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cantiere.indigo.model import Theirs
from cantiere.tosca.problems import Problems, quote

PORTS, NETWORK = "endpoint.ports", "endpoint.network_name"
PUBLIC = "PUBLIC"
PORT = "tosca.nodes.network.Port"
"""Type of the nodes that bind a machine to a network, where that is a node of its own."""
CARRIED = ("tcp", "udp")
WAYS = ("source", "source_range", "target", "target_range")
"""Where a port may be written; the first that is there is the one that the outside uses."""


def public(nodes: Iterable[Theirs]) -> frozenset[str]:
    """Names of the machines on a public network, by their endpoint or by a port that binds them: their ports are open to the world."""
    found = set()
    for node in nodes:
        if str(node.value(NETWORK)).partition(".")[0] == PUBLIC:  # PUBLIC.net-id names one of several
            found.add(node.name)
        if PORT in node.types and any(network.value("network_type") == "public" for network in node.requirements.get("link", ())):
            found |= {machine.name for machine in node.requirements.get("binding", ())}
    return frozenset(found)


def opened(node: Theirs, problems: Problems) -> list[dict[str, Any]]:
    """The ports of a public machine as ours has them.

    Parameters
    ----------
    node:
        The machine.
    problems:
        Where ports are told that cannot be.
    """
    found = [_port(node, name, given, problems) for name, given in (node.value(PORTS) or {}).items() if given]
    return [port for port in found if port]


def _port(node: Theirs, name: str, given: Mapping[str, Any], problems: Problems) -> dict[str, Any] | None:
    path, what = f"{node.name}.{PORTS}.{name}", f"The port {quote(name)} of {quote(node.name)}"
    protocol, way = given.get("protocol") or "tcp", next((way for way in WAYS if given.get(way)), "")
    if protocol not in CARRIED:
        problems.error("dialect.port", f"{what} has the protocol {quote(protocol)}.", "Write tcp or udp.", node.mark, f"{path}.protocol")
        return None
    if not way:
        remedy = "Write source: 443, or source_range: [8000, 8100]."
        problems.error("dialect.port", f"{what} has no number.", remedy, node.mark, path)
        return None
    first, last = (given[way][0], given[way][-1]) if way.endswith("_range") else (given[way], given[way])
    port = {"port": first, "protocol": protocol, **({"last_port": last} if last != first else {})}
    return port | ({"from": given["remote_cidr"]} if given.get("remote_cidr") else {})
