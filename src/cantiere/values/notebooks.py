"""What notebook servers may be on a cluster: where their sizes fit, and what they reach. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cantiere.machines.model import PREEMPTIBLE
from cantiere.model import Node
from cantiere.services import dask as dask_ports
from cantiere.services import htcondor, iam, jupyterhub, lab_extensions, minio, xrootd
from cantiere.services.facts import IAM_PORT
from cantiere.values import dask, s3, scraping
from cantiere.values.addons import active, enabled
from cantiere.values.iam import pod_labels as iam_labels
from cantiere.values.model import Context, Link, NodePool

POOL = "cantiere.io/pool"
"""Label of a machine that names its pool."""
GPU = "nvidia.com/gpu"
GPU_TOLERATION: Mapping[str, Any] = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}

CHART = "jupyterhub"
"""The chart's name, which is in its pods' labels."""

LARGE_MEMORY = 64 << 30
LARGE_CPUS = 8
LARGE = "Large memory with a GPU"

CACHE_PORTS = (xrootd.ROOT_PORT, 8443)
API_PORTS = (443, 6443)


@dataclass(frozen=True, slots=True)
class Way:
    """Something that pods of the hub or notebooks connect to.

    Parameters
    ----------
    labels:
        Of the pods there.
    ports:
        TCP ports of those pods.
    why:
        What it is for.
    until:
        Last port of a range that begins with the last of ``ports``; 0 where there is no range.
    """

    labels: Mapping[str, str]
    ports: tuple[int, ...]
    why: str
    until: int = 0

    def rule(self, namespace: str = "") -> dict[str, Any]:
        """The same as an egress rule of a NetworkPolicy; to pods of a namespace that is not the policy's own where one is given."""
        ports: list[dict[str, Any]] = [{"protocol": "TCP", "port": port} for port in self.ports]
        if self.until:
            ports[-1]["endPort"] = self.until
        where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}} if namespace else {}
        return {"to": [{**where, "podSelector": {"matchLabels": dict(self.labels)}}], "ports": ports}


def profiles(node: Node, context: Context) -> list[dict[str, Any]]:
    """The named sizes with where they run: those of the node, and a large one with a GPU where a pool has such machines."""
    found = [{key: item[key] for key in ("title", "cpus", "memory", "gpus")} | {"groups": list(item["groups"])} for item in _declared(node)]
    if not any(item["gpus"] and item["memory"] >= LARGE_MEMORY for item in found):
        pool = next((pool for pool in _pools(context) if pool.gpus and pool.memory >= LARGE_MEMORY), None)
        if pool:
            found.append({"title": LARGE, "cpus": min(LARGE_CPUS, int(pool.cpus)), "memory": LARGE_MEMORY, "gpus": 1, "groups": []})
    return [item | {"placement": placement(node, context, item["cpus"], item["memory"], item["gpus"])} for item in found]


def placement(node: Node, context: Context, cpus: int = 1, memory: int = 0, gpus: int = 0) -> dict[str, Any]:
    """Where a server of a size runs.

    Parameters
    ----------
    node, context:
        The hub.
    cpus, memory, gpus:
        Cores, bytes and GPUs.

    Returns
    -------
    dict
        ``gpu`` (the resource's name), ``node_selector`` and ``tolerations``. What fits nowhere waits for a machine that comes: a GPU is
        then NVIDIA's unless the node names another.
    """
    named = str(node.properties["gpu_resource"])
    fitting = [pool for pool in _pools(context) if _fits(pool, cpus, memory, gpus, named)]
    if not gpus and (not fitting or not fitting[0].taints):
        return {"gpu": "", "node_selector": {}, "tolerations": []}
    if not fitting:
        return {"gpu": named or GPU, "node_selector": {}, "tolerations": [dict(GPU_TOLERATION)]}
    pool = fitting[0]
    resource = named or min((name for name, count in pool.gpus.items() if count >= gpus), default="")
    selector = {POOL: pool.labels[POOL]} if POOL in pool.labels else {}
    tolerations = [_toleration(taint) for taint in pool.taints]
    if gpus and GPU_TOLERATION not in tolerations:
        tolerations.append(dict(GPU_TOLERATION))
    return {"gpu": resource if gpus else "", "node_selector": selector, "tolerations": tolerations}


def ways(node: Node, context: Context) -> tuple[Way, ...]:
    """What notebooks reach in the facility, by what the hub's node requires."""
    found: list[Way] = []
    if queue := node.target("queue"):
        first, last = dask_ports.WORKER_PORTS
        found.append(Way(_instance(queue), (htcondor.PORT,), "notebooks submit jobs"))
        found.append(Way(workers(queue), (first,), "Dask workers hand over their results", last))
    found += data_ways(node, context)
    found += [
        Way(gateway_labels(gateway, "traefik"), (dask.PROXY_PORT,), "notebooks use Dask clusters") for gateway in gateways(node, context)
    ]
    return (*found, *login_ways(node, context))


def data_ways(node: Node, context: Context) -> tuple[Way, ...]:
    """Where their data are: the caches, and the stores of the facility's own cluster."""
    found = [Way(_instance(cache), CACHE_PORTS, "notebooks read data") for cache in node.requirements.get("cache", ())]
    for name in node.requirements.get("store", ()):
        driver = minio.driver(context.facility.node(name))
        if driver != minio.EXTERNAL:
            labels = {"release": name} if driver == minio.MINIO else _instance(name)
            found.append(Way(labels, (minio.PORT,), "notebooks use the object store"))
    return tuple(found)


def api_rule(context: Context) -> dict[str, Any]:
    """Egress to the API server, whose address behind its Service only the cluster knows: any address that is no pod's."""
    port = context.cluster.api_address.rpartition(":")[2]
    pods = {"except": [context.cluster.pod_subnet]} if context.cluster.pod_subnet else {}
    ports = sorted({*API_PORTS, *([int(port)] if port.isdecimal() else [])})
    return {
        "to": [{"ipBlock": {"cidr": "0.0.0.0/0", **pods}}],
        "ports": [{"protocol": "TCP", "port": port} for port in ports],
    }


def workers(queue: str) -> dict[str, str]:
    """Labels of the pods in which a pool's jobs run."""
    return {"app.kubernetes.io/name": "htcondor", **_instance(queue), "app.kubernetes.io/component": "execute-point"}


def dask_link(node: Node, context: Context) -> tuple[Link, ...]:
    """From jobs to the Dask scheduler in a notebook, where the hub has a pool."""
    place, queue = context.namespace, node.target("queue")
    why = "Dask workers join the scheduler of their notebook"
    return (Link(workers(queue), pod_labels(node, context), dask_ports.SCHEDULER_PORT, why, place, place),) if queue else ()


def gateways(node: Node, context: Context) -> tuple[Node, ...]:
    """The Dask gateways behind a hub."""
    return tuple(other for other in active(context.facility, dask.GATEWAY) if other.target("hub") == node.name)


def gateway_labels(gateway: Node, part: str) -> dict[str, str]:
    """Labels of the pods of a Dask gateway: of its ``traefik`` or of the ``gateway`` itself."""
    return {"app.kubernetes.io/name": "dask-gateway", "app.kubernetes.io/instance": gateway.name, "app.kubernetes.io/component": part}


def environment(node: Node, context: Context) -> dict[str, str]:
    """Variables by which notebooks find what only a cluster has."""
    found = {"CANTIERE_ISSUER": context.services.issuers(node)[0]}
    found |= lab_extensions.environment(servers(node, context), jupyterhub.TOKEN, jupyterhub.BUNDLE)
    for gateway in gateways(node, context):
        found |= {
            "DASK_GATEWAY__ADDRESS": dask.address(gateway, context),
            "DASK_GATEWAY__AUTH__TYPE": "jupyterhub",
            "DASK_GATEWAY__CLUSTER__OPTIONS__IMAGE": "{JUPYTER_IMAGE_SPEC}",
        }
    return found


def servers(node: Node, context: Context) -> lab_extensions.Servers:
    """What extensions of JupyterLab talk to: servers of the template, by their pages outside, else those that properties name."""
    found = lab_extensions.outside(node)
    there = {name: target for name in lab_extensions.OUTSIDE if (target := node.target(name)) and enabled(context.facility.node(target))}
    if rucio := there.get(lab_extensions.CATALOGUE):
        page = f"https://{context.outside(rucio)}" if context.facility.node(rucio).properties["web"] else ""
        found = replace(
            found,
            rucio=f"https://{context.outside(f'{rucio}-api')}",
            rucio_auth=f"https://{context.outside(f'{rucio}-auth')}",
            rucio_page=page,
        )
    if reana := there.get(lab_extensions.WORKFLOWS):
        found = replace(found, reana=f"https://{context.outside(reana)}")
    return found


def login_ways(node: Node, context: Context) -> tuple[Way, ...]:
    """The issuers of the facility's own cluster: the hub logs in there, and notebooks' oidc-agent."""
    issuers = [context.facility.node(name) for name in node.requirements["issuer"]]
    return tuple(
        Way(iam_labels(issuer.name), (IAM_PORT,), "the hub and oidc-agent ask the IAM")
        for issuer in issuers
        if issuer.type == iam.TYPE and not iam.external(issuer)
    )


def client_labels(node: Node, context: Context) -> dict[str, str]:
    """Labels of notebooks by which services know that they may connect."""
    found: dict[str, str] = {}
    for name in node.requirements.get("store", ()):
        found |= s3.client_label(context.facility.node(name))
    return found


def pod_labels(node: Node, context: Context) -> dict[str, str]:
    """All labels of notebooks' pods by which policies may choose them."""
    return {**component(node, "singleuser-server"), "hub.jupyter.org/network-access-hub": "true", **client_labels(node, context)}


def component(node: Node, name: str) -> dict[str, str]:
    """Labels that the jupyterhub chart gives the pods of one of its components."""
    old = {"app": CHART, "release": node.name, "component": name}
    return {
        **old,
        "app.kubernetes.io/name": CHART,
        "app.kubernetes.io/instance": node.name,
        "app.kubernetes.io/component": name,
    }


def links(node: Node, context: Context) -> tuple[Link, ...]:
    """Connections of the hub and its notebooks that have to work."""
    place = (context.namespace, context.namespace)
    notebook, hub = pod_labels(node, context), component(node, "hub")
    return (
        *(Link(notebook, way.labels, port, way.why, *place) for way in ways(node, context) for port in way.ports),
        *(Link(hub, way.labels, port, way.why, *place) for way in login_ways(node, context) for port in way.ports),
        Link(hub, component(node, "proxy"), 8001, "the hub tells its proxy the way", *place),
        Link(notebook, hub, dask.HUB_PORT, "notebooks ask the hub for tokens", *place),
        *dask_link(node, context),
        *([scraping.link(hub, dask.HUB_PORT, context)] if scraping.wanted(context) else []),
        Link({}, component(node, "proxy"), 8443 if not context.services.zone else jupyterhub.PORT, "users log in", *place),
    )


def _declared(node: Node) -> list[Mapping[str, Any]]:
    return list(node.properties["profiles"])


def _instance(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/instance": name}


def _pools(context: Context) -> list[NodePool]:
    """Pools, those that everybody may use first, then the smaller ones; without those whose machines may vanish at any time."""
    lasting = [pool for pool in context.cluster.pools.values() if PREEMPTIBLE not in pool.labels]
    return sorted(lasting, key=lambda pool: (bool(pool.taints), pool.memory, pool.name))


def _fits(pool: NodePool, cpus: int, memory: int, gpus: int, resource: str) -> bool:
    offered = max((count for name, count in pool.gpus.items() if resource in ("", name)), default=0)
    return pool.cpus >= cpus and pool.memory >= memory and offered >= gpus


def _toleration(taint: str) -> dict[str, Any]:
    rest, _, effect = taint.rpartition(":")
    key, _, value = rest.partition("=")
    match = {"operator": "Equal", "value": value} if value else {"operator": "Exists"}
    return {"key": key, **match, "effect": effect}
