"""The network policies that the chart jupyterhub makes of its values, for checks before there are manifests. Pure.

As its templates do: https://z2jh.jupyter.org/en/stable/resources/reference.html (``singleuser.networkPolicy``, ``hub.networkPolicy``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cantiere.values.checks.policies import Policy
from cantiere.values.checks.subject import items, mapping
from cantiere.values.model import Release

CHART = "jupyterhub"
MARK = "values of "
"""Begins the name of such a policy."""

COMPONENTS: Mapping[str, str] = {"singleuser": "singleuser-server", "hub": "hub"}
"""Key of the values to the label ``component`` of its pods."""

FLAGS: Mapping[str, Mapping[str, bool]] = {
    "singleuser": {"nonPrivateIPs": True, "privateIPs": False},
    "hub": {"nonPrivateIPs": True, "privateIPs": True},
}
DNS_FLAGS = ("dnsPortsKubeSystemNamespace", "dnsPortsPrivateIPs")
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
METADATA = "169.254.169.254/32"
OWN_PORTS: Mapping[str, tuple[tuple[str, int], ...]] = {
    "singleuser": (("hub", 8081),),
    "hub": (("proxy", 8001), ("singleuser-server", 8888)),
}
"""Whom a component may always reach, and where."""


def policies(release: Release) -> Iterator[Policy]:
    """The egress rules of hub and notebooks; one policy for either way of labels that charts of JupyterHub have had."""
    for key, component in COMPONENTS.items():
        given = mapping(release.values, key, "networkPolicy")
        if given.get("enabled", True) is False:
            continue
        rules = [*items(given, "egress"), *_predefined(key, mapping(given, "egressAllowRules"))]
        for label in ("component", "app.kubernetes.io/component"):
            spec = {"podSelector": {"matchLabels": {label: component}}, "policyTypes": ["Egress"], "egress": rules}
            yield Policy(f"{MARK}{key}", release.namespace, release.name, spec)


def path(name: str, direction: str) -> str:
    """Where the values take a rule of such a policy."""
    return f"{name.removeprefix(MARK)}.networkPolicy.{direction.lower()}"


def _predefined(key: str, flags: Mapping[str, Any]) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = [
        {"to": [{"podSelector": {"matchLabels": {label: peer}}}], "ports": [{"port": port}]}
        for peer, port in OWN_PORTS[key]
        for label in ("component", "app.kubernetes.io/component")
    ]
    if any(flags.get(flag, True) for flag in DNS_FLAGS):
        rules.append({"to": [{"namespaceSelector": {}}], "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]})
    if flags.get("nonPrivateIPs", FLAGS[key]["nonPrivateIPs"]):
        rules.append({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [*PRIVATE, METADATA]}}]})
    if flags.get("privateIPs", FLAGS[key]["privateIPs"]):
        rules.append({"to": [{"ipBlock": {"cidr": cidr}} for cidr in PRIVATE]})
    return rules
