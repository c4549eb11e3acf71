"""Names by which the outside finds the facility: a wildcard record, names made of the address, or records that are kept. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.values import ingress
from cantiere.values.addons import OPERATOR_CRDS, active, broken, enabled, has_operator, resources, several
from cantiere.values.model import Context, Release, SecretObject

TYPE = "cantiere.nodes.DNS"
NAMESPACE = "external-dns"
_AREA = "dns"


def zone(node: Node, address: str) -> str:
    """The zone of the facility's names, or ``""`` while the address that makes it is not known.

    Parameters
    ----------
    node:
        A node of :data:`TYPE`.
    address:
        Address of the ingress, or ``""``.
    """
    given = node.properties
    if given["mode"] != "address":
        return str(given["zone"])
    return f"{address.replace('.', '-').replace(':', '-')}.{given['suffix']}" if address else ""


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """external-dns, where records are kept; nothing for the other modes.

    Parameters
    ----------
    node:
        A node of :data:`TYPE`.
    context:
        The facility and its cluster.
    """
    return (_external_dns(node, context),) if node.properties["mode"] == "external-dns" else ()


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of DNS."""
    given = node.properties
    rules = (
        (
            "zone",
            given["mode"] != "address" and not given["zone"],
            f"mode {given['mode']} needs the zone of the facility's names",
            "set zone, as facility.example.org, or use mode address",
        ),
        (
            "provider",
            given["mode"] == "external-dns" and not given["provider"],
            "external-dns writes records at a provider, and none is given",
            "set provider to one that external-dns knows (rfc2136, cloudflare, aws, …), and its arguments and credentials",
        ),
        several(node, facility, "say what the facility's zone is"),
    )
    return broken(_AREA, node, rules)


def _external_dns(node: Node, context: Context) -> Release:
    given = node.properties
    secret = f"{node.name}-credentials"
    gateways = any(ingress.gateway(way) for way in active(context.facility, ingress.TYPE))
    watched = has_operator(context.facility)
    env: list[dict[str, Any]] = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}} for name in given["credentials"]
    ]
    files = tuple(SecretFile(Secret(f"{secret}-{name.lower()}", reference), name) for name, reference in given["credentials"].items())
    values = {
        "provider": {"name": given["provider"]},
        "sources": ["ingress", "service", *(("gateway-httproute",) if gateways else ())],
        "policy": "sync" if given["delete_records"] else "upsert-only",
        "registry": "txt",
        "txtOwnerId": context.facility.name,
        "txtPrefix": "cantiere-",
        "domainFilters": [given["zone"]],
        "interval": "1m",
        "extraArgs": [f"--{name}={value}" for name, value in given["arguments"].items()],
        "env": env,
        "resources": resources("10m", "64Mi", "192Mi"),
        "serviceMonitor": {"enabled": watched},
    }
    return Release(
        "external-dns",
        NAMESPACE,
        "external-dns",
        values,
        node.name,
        needs=(OPERATOR_CRDS, *((ingress.GATEWAY_CRDS,) if gateways else ())),
        installed=enabled(node),
        secrets=(SecretObject(secret, files),) if files else (),
        pod_security="restricted",
        crds="skip",
    )
