"""CVMFS on a cluster: cvmfs-csi with the site's proxies, the facility's own repository, or what nodes mount themselves. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.machines.wanted import vanishing
from cantiere.model import Facility, Node
from cantiere.services import cvmfs
from cantiere.values import squid, storage
from cantiere.values.model import Context, Link, Release

TYPE = cvmfs.TYPE
CHART = "cvmfs-volumes"
DRIVER_CHART = "cvmfs-csi"
DRIVER_NAMESPACE = "cvmfs"
OWN, CSI, ON_NODES = "own", "csi", "node"
PROVISIONER = "cvmfs.csi.cern.ch"
HUB_CLAIM = "cvmfs"
"""The claim that the hub's notebooks mount; those of the pool's jobs bear the node's name."""

MIB = 1 << 20


def pod_labels(name: str, component: str) -> dict[str, str]:
    """Labels by which the pods of the release ``name`` are found."""
    return {"app.kubernetes.io/name": CHART, "app.kubernetes.io/instance": name, "app.kubernetes.io/component": component}


def proxies(node: Node, context: Context) -> list[str]:
    """The proxies of the site: those of the template, then those named."""
    own = [context.facility.node(name) for name in node.requirements.get("proxy", ())]
    return [*(squid.url(proxy, context) for proxy in own if proxy.properties["enabled"]), *node.properties["proxies"]]


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The claims that pods mount, and what mounts behind them; all turned off where the node is not enabled."""
    driver = node.properties["driver"]
    if driver == CSI:
        return (_driver(node, context), _csi_volumes(node, context))
    if driver == ON_NODES:
        return (_volumes(node, context, {}),)
    return _own(node, context)


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of the repositories."""
    told = node.properties
    reachable = [facility.node(name) for name in node.requirements.get("proxy", ()) if facility.node(name).properties["enabled"]]
    problems = []
    if told["enabled"] and told["driver"] == CSI and not reachable and not told["proxies"]:
        problems.append(
            Problem(
                "cvmfs.proxy",
                f"{node.name} has no proxy, and that of cvmfs-csi answers at CERN alone",
                "add a node of type cantiere.nodes.Squid as its requirement proxy, or set proxies",
                node.where,
                node.name,
            )
        )
    if told["driver"] != CSI and told["repositories"]:
        problems.append(
            Problem(
                "cvmfs.repositories",
                f"repositories have claims of their own with driver {CSI} alone",
                f"set driver: {CSI}, or leave repositories empty",
                node.where,
                node.name,
            )
        )
    return problems


def _driver(node: Node, context: Context) -> Release:
    """cvmfs-csi 2.5.2; its default proxy, which answers at CERN alone, gives way to the site's."""
    lines = [
        "CVMFS_USE_GEOAPI=yes",
        f'CVMFS_HTTP_PROXY="{";".join(proxies(node, context))}"',
        "CVMFS_QUOTA_LIMIT={{ .Values.cache.local.cvmfsQuotaLimit }}",
        "CVMFS_CACHE_BASE={{ .Values.cache.local.location }}",
    ]
    keys = vanishing(context.facility)
    return Release(
        name=DRIVER_CHART,
        namespace=DRIVER_NAMESPACE,
        chart=DRIVER_CHART,
        values={
            "extraConfigMaps": {"cvmfs-csi-default-local": {"default.local": "\n".join(lines) + "\n"}},
            "cache": {"local": {"cvmfsQuotaLimit": int(node.properties["cache_size"]) // MIB}},
            **({"nodeplugin": {"tolerations": [{"key": key, "operator": "Exists"} for key in keys]}} if keys else {}),
        },
        node=node.name,
        needs=tuple(node.requirements.get("proxy", ())),
        installed=bool(node.properties["enabled"]),
        pod_security="privileged",
        owns=(f"CSIDriver/{PROVISIONER}",),
    )


def _csi_volumes(node: Node, context: Context) -> Release:
    claims = [{"name": f"cvmfs-{_plain(name)}", "repository": name} for name in node.properties["repositories"]]
    values: dict[str, Any] = {
        "mode": "csi",
        "csi": {"storageClass": node.name, "provisioner": PROVISIONER},
        "claims": [*_claims(node), *claims],
        "proxyProbe": {
            "proxies": proxies(node, context),
            "urls": list(node.properties["probe"]),
            "image": context.image_reference("base"),
        },
    }
    return Release(
        name=node.name,
        namespace=context.namespace,
        chart=CHART,
        values=values,
        node=node.name,
        needs=(DRIVER_CHART,),
        installed=bool(node.properties["enabled"]),
        images=("base",),
        pod_security="baseline",
        owns=tuple(
            f"StorageClass/{name}" for name in (node.name, *(f"{node.name}-{item['repository'].replace('.', '-')}" for item in claims))
        ),
    )


def _own(node: Node, context: Context) -> tuple[Release, ...]:
    """The repository's web server with the claims, and its client on each node in a namespace that allows it to mount."""
    told = cvmfs.settings(node, context.services)
    common = {"image": context.image("cvmfs"), "settings": told, "host": {"path": node.properties["node_path"]}}
    client = f"{node.name}-client"
    server = {
        "enabled": True,
        "name": node.name,
        "storage": {"size": "1Gi", "storageClassName": context.storage_class(node)},
        "from": [{"podSelector": {}}, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": DRIVER_NAMESPACE}}}],
    }
    link = Link(
        pod_labels(client, "client"),
        pod_labels(node.name, "server"),
        cvmfs.PORT,
        "nodes fetch software",
        DRIVER_NAMESPACE,
        context.namespace,
    )
    mounting = Release(
        name=client,
        namespace=DRIVER_NAMESPACE,
        chart=CHART,
        values={
            "mode": "host",
            **common,
            "client": {"enabled": True, "cacheSize": str(int(node.properties["cache_size"]))},
            "tolerations": [
                {"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in ("nvidia.com/gpu", *vanishing(context.facility))
            ],
        },
        node=node.name,
        needs=(node.name,),
        installed=bool(node.properties["enabled"]),
        images=("cvmfs",),
        pod_security="privileged",
        links=(link,),
    )
    return (_volumes(node, context, common | {"server": server}), mounting)


def _volumes(node: Node, context: Context, more: dict[str, Any]) -> Release:
    """Claims of what nodes have below a folder."""
    return Release(
        name=node.name,
        namespace=context.namespace,
        chart=CHART,
        values={"mode": "host", "host": {"path": node.properties["node_path"]}, "claims": _claims(node), **more},
        node=node.name,
        needs=storage.needs(context.facility) if more else (),
        installed=bool(node.properties["enabled"]),
        images=("cvmfs",) if more else (),
        pod_security="baseline",
    )


def _plain(repository: str) -> str:
    """A repository's name as objects of the cluster bear it."""
    return repository.replace(".", "-")


def _claims(node: Node) -> list[dict[str, str]]:
    return [{"name": name} for name in dict.fromkeys((node.name, HUB_CLAIM))]
