"""XRootD on a cluster: a release per level, an origin or a cache of one or several servers. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.services import iam, xrootd
from cantiere.services.facts import CA, IAM_PORT, Facts
from cantiere.services.xrootd_machine import CLUSTER_PORT
from cantiere.values import scraping, storage
from cantiere.values.model import Context, Link, Release, SecretObject

TYPES = xrootd.TYPES
CHART = "xcache"
HTTPS_PORT = 8443
METRICS_PORT = 9310
MONITOR = "127.0.0.1:9931"
FULL = 0.9
"""Part of its volume that a cache may use before it purges."""

GIB = 1 << 30


def pod_labels(name: str) -> dict[str, str]:
    """Labels by which the pods of the level ``name`` are found."""
    return {"app.kubernetes.io/name": CHART, "app.kubernetes.io/instance": name}


def members(node: Node, facts: Facts) -> list[str]:
    """Names of the single servers of a level, as one pattern: exact ones would be looked up once, and pods change their addresses."""
    return [facts.fqdn(f"*.{node.name}-servers")]


def manager(node: Node, facts: Facts) -> str:
    """Name of the redirector's pod, by which the servers of a level find it."""
    return facts.fqdn(f"{node.name}-redirector-0.{node.name}-redirector")


def secret(node: Node, context: Context) -> SecretObject:
    """The level's certificate: for its own name, for those of its servers however many there are, and for that outside."""
    facts = context.services
    servers = facts.fqdn(f"{node.name}-servers")
    names = [facts.fqdn(node.name), node.name, servers, f"*.{servers}", manager(node, facts)]
    if node.properties["exposed"]:
        names.append(context.outside(node.name))
    host = Secret(
        f"level-{node.name}",
        "generate:certificate",
        {"common_name": facts.fqdn(node.name), "names": ",".join(names)},
    )
    files = (
        SecretFile(CA, "ca.pem", "certificate"),
        SecretFile(host, "hostcert.pem", "certificate"),
        SecretFile(host, "hostkey.pem", "key"),
    )
    return SecretObject(node.name, files)


def settings(node: Node, context: Context) -> dict[str, Any]:
    """What each server of a level is told: as on one machine, with the exporter beside it, and its redirector where there are several."""
    facts = context.services
    told = xrootd.settings(node, facts) | {"monitor": MONITOR}
    above = [facts.facility.node(name) for name in xrootd.levels_above(node)]
    if watched := {level.name: facts.fqdn(f"{level.name}-servers") for level in above if level.properties.get("servers", 1) > 1}:
        told["watched"] = {f"{facts.fqdn(name)}:{xrootd.ROOT_PORT}": [f"{servers}:{xrootd.ROOT_PORT}"] for name, servers in watched.items()}
    if node.properties["exposed"]:
        told["audiences"] = [*told["audiences"], f"https://{context.outside(node.name)}"]
    if node.properties.get("servers", 1) > 1:
        told |= {"manager": manager(node, context.services), "cluster_port": CLUSTER_PORT}
    return told


def volume_size(node: Node) -> int:
    """Bytes of each server's volume."""
    named = int(node.properties["volume_size"])
    return named or -(-int(node.properties["high_watermark"] * 1.25) // GIB) * GIB


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The one release of a level."""
    facts, cache = context.services, node.type == xrootd.CACHE
    servers = int(node.properties.get("servers", 1))
    told = settings(node, context)
    values: dict[str, Any] = {
        "role": "cache" if cache else "origin",
        "servers": servers,
        "image": context.image("xrootd"),
        "clusterDomain": context.cluster.cluster_domain,
        "settings": told,
        "existingSecret": node.name,
        "storage": {"size": str(volume_size(node)), "storageClassName": context.storage_class(node)},
        "resources": _resources(node),
        "service": {"type": "LoadBalancer" if node.properties["exposed"] else "ClusterIP"},
        "networkPolicy": {"enabled": True, "egress": _egress(node, context)},
    }
    images = ["xrootd"]
    if servers > 1:
        values["redirector"] = {"settings": told | {"members": members(node, facts)}}
    if not cache and node.properties["sample_data"]:
        values["samples"] = {"image": context.image_reference("samples")}
        images.append("samples")
    if node.properties["exposed"]:
        values["networkPolicy"]["from"] = [{"podSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}]
    links = [
        Link(pod_labels(node.name), pod_labels(name), xrootd.ROOT_PORT, f"{node.name} asks {name}", context.namespace, context.namespace)
        for name in xrootd.levels_above(node)
    ]
    links += [
        Link({}, pod_labels(node.name), port, "users read with tokens", context.namespace, context.namespace)
        for port in (xrootd.ROOT_PORT, HTTPS_PORT)
    ]
    if scraping.wanted(context):
        values["networkPolicy"]["metricsFrom"] = [{"podSelector": {}}, dict(scraping.SCRAPER)]
        links.append(scraping.link(pod_labels(node.name), METRICS_PORT, context))
    return (
        Release(
            name=node.name,
            namespace=context.namespace,
            chart=CHART,
            values=values,
            node=node.name,
            needs=(*storage.needs(facts.facility), *_issuers(node, facts.facility), *xrootd.levels_above(node)),
            images=tuple(images),
            secrets=(secret(node, context),),
            pod_security="restricted",
            links=tuple(links),
        ),
    )


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong with a level on a cluster: watermarks that its volume cannot hold, and a door to a redirector."""
    problems = []
    size = volume_size(node)
    if node.type == xrootd.CACHE and node.properties["high_watermark"] > FULL * size:
        problems.append(
            Problem(
                "xrootd.volume",
                f"high_watermark ({node.properties['high_watermark']} bytes) is more than {FULL:.0%} of volume_size ({size} bytes)",
                "raise volume_size or lower high_watermark: a full volume stops the cache",
                node.where,
                node.name,
            )
        )
    if node.properties["exposed"] and node.properties.get("servers", 1) > 1:
        problems.append(
            Problem(
                "xrootd.exposed",
                "several servers cannot be exposed: the redirector sends clients to names that are known in the cluster alone",
                "use servers: 1 for an exposed level, or several levels",
                node.where,
                node.name,
            )
        )
    return problems


def _issuers(node: Node, facility: Facility) -> tuple[str, ...]:
    return tuple(name for name in node.requirements.get("issuer", ()) if not iam.external(facility.node(name)))


def _resources(node: Node) -> dict[str, Any]:
    """A cache's memory holds its blocks on their way to disk (pfc.ram), which is to be 60% of the limit at most."""
    if node.type == xrootd.ORIGIN:
        return {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "2Gi"}}
    memory = int(node.properties["memory"])
    return {"requests": {"cpu": "100m", "memory": str(memory // 4)}, "limits": {"memory": str(memory * 2)}}


def _egress(node: Node, context: Context) -> list[dict[str, Any]]:
    """The levels above, and issuers for their keys: pods of the development IAM, or any address where they are elsewhere."""
    rules: list[dict[str, Any]] = [
        {"ports": [{"port": xrootd.ROOT_PORT, "protocol": "TCP"}], "to": [{"podSelector": {"matchLabels": pod_labels(name)}}]}
        for name in xrootd.levels_above(node)
    ]
    facility = context.facility
    if any(not iam.external(facility.node(name)) for name in node.requirements.get("issuer", ())):
        rules.append({"ports": [{"port": IAM_PORT, "protocol": "TCP"}], "to": [{"podSelector": {}}]})
    rules.append({"ports": [{"port": 443, "protocol": "TCP"}]})
    return rules
