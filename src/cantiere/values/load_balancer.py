"""Addresses for Services that are reached from outside: MetalLB on bare metal, OpenStack's load balancers on that cloud. Pure."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node
from cantiere.values.addons import OPERATOR_CRDS, active, broken, definitions, enabled, has_operator, resources
from cantiere.values.model import Context, Release
from cantiere.values.storage_drivers import cloud_config

TYPE = "cantiere.nodes.LoadBalancer"
NAMESPACE = "metallb-system"
POOLS = "address-pools"
_AREA = "load-balancer"
_KINDS = (
    "bfdprofiles bgpadvertisements bgppeers communities configurationstates ipaddresspools l2advertisements "
    "servicebgpstatuses servicel2statuses"
).split()

_FRR_KINDS = "bgpsessionstates frrconfigurations frrk8sconfigurations frrnodestates".split()


def needs(facility: Facility) -> tuple[str, ...]:
    """Releases after which a Service of type LoadBalancer gets its address."""
    made = {"metallb": POOLS, "openstack": "openstack-cloud-controller-manager"}
    return tuple(made[node.properties["driver"]] for node in active(facility, TYPE) if node.properties["driver"] in made)


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """MetalLB and, once its webhook answers, its address pools; or the cloud controller; nothing where the cluster has its own.

    Parameters
    ----------
    node:
        A node of :data:`TYPE`.
    context:
        The facility and its cluster.
    """
    driver = node.properties["driver"]
    if driver == "metallb":
        return (_metallb(node, context), _pools(node))
    return (_openstack(node, context),) if driver == "openstack" else ()


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of a load balancer."""
    given = node.properties
    metallb = given["driver"] == "metallb"
    bad = [text for text in given["addresses"] if not _is_range(text)] if metallb else []
    rules = (
        (
            "addresses",
            metallb and not given["addresses"],
            "MetalLB has no addresses to give away",
            "set addresses to ranges of the machines' network that nothing else uses, as 192.0.2.10-192.0.2.20 or 192.0.2.16/28",
        ),
        (
            "range",
            bool(bad),
            f"{', '.join(bad)} is no range of addresses",
            "write a range as 192.0.2.10-192.0.2.20, the lower address first, or as 192.0.2.16/28",
        ),
        (
            "peers",
            metallb and given["mode"] == "bgp" and not given["peers"],
            "mode bgp announces addresses to routers, and no peers are given",
            "set peers, or use mode l2",
        ),
        (
            "cloud",
            given["driver"] == "openstack" and not given["cloud_config"],
            "driver openstack needs the cloud's configuration",
            "set cloud_config to a reference to a cloud.conf: file:PATH, env:NAME or vault:NAME",
        ),
    )
    return broken(_AREA, node, rules)


def _is_range(text: str) -> bool:
    try:
        if "-" in text:
            first, last = (ip_address(part.strip()) for part in text.split("-", 1))
            return first.version == last.version and int(first) <= int(last)
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _metallb(node: Node, context: Context) -> Release:
    watched = has_operator(context.facility)
    values: dict[str, Any] = {
        "crds": {"enabled": True, "validationFailurePolicy": "Fail"},
        "controller": {"resources": resources("25m", "64Mi", "128Mi"), "priorityClassName": "system-cluster-critical"},
        "speaker": {
            "frr": {"enabled": False},
            "resources": resources("25m", "64Mi", "192Mi"),
            "priorityClassName": "system-node-critical",
            "nodeSelector": dict(node.properties["node_selector"]),
        },
        "frrk8s": {"enabled": node.properties["mode"] == "bgp"},
        "prometheus": {
            "rbacPrometheus": False,
            "podMonitor": {"enabled": watched},
            "prometheusRule": {"enabled": watched},
        },
    }
    return Release(
        "metallb",
        NAMESPACE,
        "metallb",
        values,
        node.name,
        needs=(OPERATOR_CRDS,),
        installed=enabled(node),
        pod_security="privileged",
        owns=(
            *definitions("metallb.io", _KINDS),
            *(definitions("frrk8s.metallb.io", _FRR_KINDS) if node.properties["mode"] == "bgp" else ()),
        ),
    )


def _pools(node: Node) -> Release:
    given = node.properties
    values = {
        "pools": {
            node.name: {
                "addresses": [text.replace(" ", "") for text in given["addresses"]],
                "autoAssign": given["auto_assign"],
                "avoidBuggyIPs": True,
            }
        },
        "mode": given["mode"],
        "interfaces": list(given["interfaces"]),
        "peers": [
            {"address": peer["address"], "asn": peer["asn"], "localAsn": peer["local_asn"]}
            for peer in given["peers"]
            if given["mode"] == "bgp"
        ],
    }
    return Release(POOLS, NAMESPACE, POOLS, values, node.name, needs=("metallb",), installed=enabled(node), pod_security="privileged")


def _openstack(node: Node, context: Context) -> Release:
    values = {
        "secret": {"enabled": True, "create": False, "name": "cloud-config"},
        "cluster": {"name": context.facility.name},
        "enabledControllers": ["cloud-node", "cloud-node-lifecycle", "service"],
        "resources": resources("50m", "64Mi", "256Mi"),
        "priorityClassName": "system-cluster-critical",
    }
    return Release(
        "openstack-cloud-controller-manager",
        "kube-system",
        "openstack-cloud-controller-manager",
        values,
        node.name,
        installed=enabled(node),
        secrets=(cloud_config(node.properties["cloud_config"]),),
        pod_security="privileged",
    )
