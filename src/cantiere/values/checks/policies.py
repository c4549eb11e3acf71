"""What NetworkPolicies let through, as the Kubernetes API defines it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cantiere.values.checks.subject import items, mapping

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label by which every namespace says its name."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class End:
    """One end of a connection.

    Parameters
    ----------
    namespace:
        ``""`` for what is outside of the cluster.
    labels:
        The pod's.
    namespace_labels:
        Its namespace's.
    ports:
        Names of the pod's ports to their numbers.
    networks:
        Where its address lies, in CIDR notation; an end outside of the cluster has none that is known.
    offers:
        Numbers of the ports that its containers name.
    """

    namespace: str
    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    offers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """A NetworkPolicy.

    Parameters
    ----------
    name, namespace:
        Its own.
    release:
        The release that brings it.
    spec:
        As the manifest has it.
    """

    name: str
    namespace: str
    release: str
    spec: Mapping[str, Any]

    def holds(self, direction: str) -> bool:
        """Whether it rules ``Ingress`` or ``Egress``."""
        types = items(self.spec, "policyTypes")
        return direction in types if types else direction == "Ingress" or "egress" in self.spec

    def selects(self, end: End, direction: str) -> bool:
        """Whether it rules traffic of a pod in a direction."""
        return self.holds(direction) and end.namespace == self.namespace and matches(mapping(self.spec, "podSelector"), end.labels)

    def lets(self, direction: str, peer: End, target: End, port: int, protocol: str, inside: Sequence[str]) -> bool:
        """Whether one of its rules lets a connection through.

        Parameters
        ----------
        peer:
            The other end, seen from the pod that the policy selects.
        target:
            The end that listens.
        inside:
            The cluster's own networks.
        """
        key, side = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
        for rule in items(self.spec, key):
            peers = items(rule, side)
            if (not peers or any(self._is(peer, written, inside) for written in peers)) and _port(rule, target, port, protocol):
                return True
        return False

    def _is(self, end: End, written: Mapping[str, Any], inside: Sequence[str]) -> bool:
        if "ipBlock" in written:
            return in_block(end, mapping(written, "ipBlock"), inside)
        if not end.namespace:
            return False
        if "namespaceSelector" in written:
            labels = {**end.namespace_labels, NAMESPACE_NAME: end.namespace}
            if not matches(mapping(written, "namespaceSelector"), labels):
                return False
        elif end.namespace != self.namespace:
            return False
        return "podSelector" not in written or matches(mapping(written, "podSelector"), end.labels)


def cut_by(
    policies: Sequence[Policy], direction: str, here: End, peer: End, target: End, port: int, protocol: str, inside: Sequence[str]
) -> list[Policy]:
    """The policies that cut a connection at one end; none where it passes.

    Policies add up: where some select the pod, one of them has to let the connection through; where none does, everything passes.
    """
    ruling = [policy for policy in policies if policy.selects(here, direction)]
    if not here.namespace or any(policy.lets(direction, peer, target, port, protocol, inside) for policy in ruling):
        return []
    return ruling


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector fits; an empty one fits everything."""
    if any(labels.get(key) != value for key, value in mapping(selector, "matchLabels").items()):
        return False
    return all(_expression(term, labels) for term in items(selector, "matchExpressions"))


def _expression(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = str(term.get("key")), items(term, "values")
    match term.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False


def in_block(end: End, block: Mapping[str, Any], inside: Sequence[str]) -> bool:
    """Whether an address block of a policy holds an end.

    A pod is held where the whole of its network is, less what the block leaves out. An end outside of the cluster is held by every block
    that reaches beyond the cluster's own networks: its address is not known here.
    """
    whole = _network(block.get("cidr"))
    if whole is None:
        return False
    left_out = [network for text in items(block, "except") if (network := _network(text)) is not None]
    if not end.namespace:
        return not any(_within(whole, network) for text in inside if (network := _network(text)) is not None)
    own = [network for text in end.networks if (network := _network(text)) is not None]
    return bool(own) and all(
        _within(network, whole) and not any(_overlap(network, hole) for hole in left_out)
        for network in own
        if network.version == whole.version
    )


def _network(text: Any) -> Network | None:
    try:
        return ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return None


def _within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    return isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and (_within(one, other) or _within(other, one))


def _port(rule: Mapping[str, Any], target: End, port: int, protocol: str) -> bool:
    written = items(rule, "ports")
    for entry in written:
        if entry.get("protocol", "TCP") != protocol:
            continue
        first = entry.get("port")
        if isinstance(first, str) and not first.isdigit():
            first = target.ports.get(first, -1)
        if first is None or int(first) <= port <= int(entry.get("endPort", first)):
            return True
    return not written
