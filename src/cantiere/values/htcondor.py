"""An HTCondor pool on a cluster: the release of ``charts/htcondor``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from cantiere.errors import Problem
from cantiere.machines.wanted import vanishing
from cantiere.model import Facility, Node, SecretFile
from cantiere.services import dask, htcondor, iam, job_containers, monitoring, xrootd
from cantiere.services.facts import CA, IAM_PORT
from cantiere.services.htcondor_pod import Pod
from cantiere.values import iam as iam_values
from cantiere.values import notebooks, parts, scraping, storage
from cantiere.values import xrootd as xrootd_values
from cantiere.values.model import Context, Link, Release, SecretObject
from cantiere.values.units import quantity

TYPE = htcondor.TYPE
CHART = "htcondor"
DEFAULT_CLASS = "default"
FASTEST_LOOK = 15
"""Seconds between two looks at the queue by KEDA."""

SCALING: Mapping[str, Any] = {"style": "fixed", "min": 1, "max": 20, "target": 0.75, "cooldown": 300.0}
CLASS: Mapping[str, Any] = {
    "gpus": 0,
    "gpu_resource": "nvidia.com/gpu",
    "simulated_gpus": False,
    "image": "worker",
    "scaling": {},
    "scratch": 10 << 30,
    "requested_cpus": 0.0,
    "node_selector": {},
    "tolerated_taints": [],
}
"""What a class is where the template does not say."""

NOTEBOOKS: Mapping[str, str] = {"app.kubernetes.io/name": "jupyterhub", "app.kubernetes.io/component": "singleuser-server"}
DATA_PORTS = (xrootd.ROOT_PORT, xrootd_values.HTTPS_PORT)
EXPORTER: Mapping[str, str] = {"app.kubernetes.io/name": "condor-exporter"}
LOCAL = "$(LOCAL_ADMINISTRATORS)"
WORLD = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class WorkerClass:
    """A kind of execute pod.

    Parameters
    ----------
    name:
        Its name in the pool.
    cpus, memory, gpus:
        What one offers to jobs: cores, bytes, GPUs.
    properties:
        The rest of ``cantiere.datatypes.WorkerClass``, defaults applied.
    scaling:
        ``cantiere.datatypes.WorkerScaling``, defaults applied.
    """

    name: str
    cpus: int
    memory: int
    gpus: int
    properties: Mapping[str, Any]
    scaling: Mapping[str, Any]


def described_job(pool: str) -> str:
    """Name of the Job whose metric the busy fraction of a pool is; it stands in the series' label ``job``."""
    return f"{pool}-workers"


def pod_labels(pool: str, component: str) -> dict[str, str]:
    """Labels by which pods of a pool are found; the component is ``central-manager``, ``access-point`` or ``execute-point``."""
    return {"app.kubernetes.io/name": CHART, "app.kubernetes.io/instance": pool, "app.kubernetes.io/component": component}


def worker_classes(node: Node) -> tuple[WorkerClass, ...]:
    """The kinds of execute pods: the one that ``cpus_per_worker`` and its like describe, then those of ``worker_classes``."""
    own = node.properties
    first = {
        "name": DEFAULT_CLASS,
        "cpus": own["cpus_per_worker"],
        "memory": own["memory_per_worker"],
        "image": own.get("worker_image", "worker"),
        "requested_cpus": own.get("requested_cpus_per_worker", 0.0),
        "scaling": own.get("worker_scaling", {}),
    }
    if (SCALING | first["scaling"])["style"] == "fixed":
        first["scaling"] = {**first["scaling"], "min": own["workers"], "max": own["workers"]}
    return tuple(_class(given) for given in (first, *own.get("worker_classes", ())))


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The one release of a pool."""
    facts = context.services
    head, access, *_ = htcondor.containers(node, facts)
    pool = htcondor.pool(node, facts)
    classes = worker_classes(node)
    # its own daemons come to the central manager by the Service's address, known by the file system
    local = {"central_manager": f"{LOCAL}, {pool.identities['central_manager']}"}
    manager = replace(pool, identities={**pool.identities, **local}, pod=Pod(facts.fqdn(head.name), _network(node, context)))
    submitter = replace(pool, pod=Pod(facts.fqdn(access.name), _network(node, context)))
    values = {
        "clusterDomain": context.cluster.cluster_domain,
        "image": context.image("htcondor"),
        "centralManager": {"settings": htcondor.variables(manager, head.role), "existingSecret": head.name, "secretDigest": ""},
        "accessPoint": {
            "settings": htcondor.variables(submitter, access.role),
            "existingSecret": access.name,
            "secretDigest": "",
            "storage": {"size": quantity(node.properties.get("spool_size", 20 << 30)), "storageClassName": context.storage_class(node)},
            "service": {"type": node.properties.get("access_point_service", "ClusterIP")},
        },
        "execute": {"classes": [_class_values(node, context, one) for one in classes]},
        "cvmfs": _software(node, context),
        "networkPolicy": {
            "enabled": True,
            "clients": [_peer(NOTEBOOKS), _peer(EXPORTER)],
            "issuers": _issuers(node, context),
            "jobs": _jobs(node, context),
            "listeners": _listeners(node, context),
        },
    }
    secrets = [SecretObject(container.name, container.secrets) for container in (head, access)]
    secrets += [SecretObject(_worker(node, one), _worker_secrets(node, context, one)) for one in classes]
    needed = [name for name in node.requirements.get("issuer", ()) if not iam.external(context.facility.node(name))]
    return (
        Release(
            name=node.name,
            namespace=context.namespace,
            chart=CHART,
            values=values,
            node=node.name,
            needs=(*storage.needs(context.facility), *needed, *node.requirements.get("software", ()), *_scaler(classes)),
            images=parts.own_images(context, "htcondor", *(job_containers.worker_image(node, one.properties["image"]) for one in classes)),
            secrets=tuple(secrets),
            links=_links(node, context),
        ),
    )


def check(node: Node, facility: Facility) -> list[Problem]:
    """Classes that cannot be told apart, images that are not pinned, and a scale from none that nothing can start."""
    problems = []
    where = f"topology_template.node_templates.{node.name}.properties"
    classes = worker_classes(node)
    names = [one.name for one in classes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        remedy = "give every class a name of its own; 'default' is that of cpus_per_worker"
        problems.append(Problem("pool.class", f"there are two worker classes {name!r}", remedy, node.where, f"{where}.worker_classes"))
    watched = any(node.name in other.requirements.get("queue", ()) for other in facility.of_type(htcondor.MONITORING))
    for one in classes:
        style, least, most = one.scaling["style"], one.scaling["min"], one.scaling["max"]
        if least > most:
            remedy = "make min the smaller one"
            problems.append(
                Problem("pool.scaling", f"class {one.name} has at least {least} and at most {most} pods", remedy, node.where, where)
            )
        if style != "fixed" and not watched:
            remedy = "add a node of type cantiere.nodes.Monitoring whose queue is this pool, or choose the style fixed"
            problems.append(
                Problem("pool.unwatched", f"class {one.name} scales by metrics, and nobody watches {node.name}", remedy, node.where, where)
            )
    return problems


def _scaler(classes: tuple[WorkerClass, ...]) -> tuple[str, ...]:
    """The release that knows ScaledJobs, where there are some."""
    return ("keda",) if any(one.scaling["style"] == "keda" for one in classes) else ()


def _class(given: Mapping[str, Any]) -> WorkerClass:
    properties = {**CLASS, **given}
    scaling = {**SCALING, **properties["scaling"]}
    return WorkerClass(properties["name"], properties["cpus"], properties["memory"], properties["gpus"], properties, scaling)


def _network(node: Node, context: Context) -> str:
    return f"{node.name}.{context.namespace}"


def _worker(node: Node, one: WorkerClass) -> str:
    return f"{node.name}-worker-{one.name}"


def _worker_secrets(node: Node, context: Context, one: WorkerClass) -> tuple[SecretFile, ...]:
    """All pods of a class are one identity, which may do nothing but join the pool and read it."""
    token = htcondor.idtoken(node, context.services, _worker(node, one), "READ", "ADVERTISE_STARTD", "ADVERTISE_MASTER")
    return (SecretFile(CA, "ca.pem", "certificate"), token)


def _class_values(node: Node, context: Context, one: WorkerClass) -> dict[str, Any]:
    facts, properties, scaling = context.services, one.properties, one.scaling
    pod = Pod(
        hostname=f"$ENV(POD_NAME).{facts.domain}",
        private_network=_network(node, context),
        worker_class=one.name,
        gpus=one.gpus,
        simulated_gpus=properties["simulated_gpus"],
        leave_after=round(scaling["cooldown"]) if scaling["style"] == "keda" else 0,
    )
    pool = replace(htcondor.pool(node, facts), cpus=one.cpus, memory=one.memory, pod=pod)
    seccomp = {"seccompProfile": dict(job_containers.SECCOMP)} if pool.job_containers else {}
    requested = {"cpu": f"{round(properties['requested_cpus'] * 1000)}m"} if properties["requested_cpus"] else {}
    return {
        "name": one.name,
        "image": parts.image(context, job_containers.worker_image(node, properties["image"])),
        "settings": htcondor.variables(pool, "execute-point"),
        "gpuResource": properties["gpu_resource"],
        "existingSecret": _worker(node, one),
        "secretDigest": "",
        "podLabels": _job_labels(node, context),
        **seccomp,
        "style": scaling["style"],
        "autoscaling": {
            "min": max(scaling["min"], 1) if scaling["style"] == "hpa" else scaling["min"],
            "max": scaling["max"],
            "target": f"{scaling['target']:g}",
            "cooldown": round(scaling["cooldown"]),
            "pollingInterval": FASTEST_LOOK,
            "prometheus": _prometheus(node, context),
        },
        "requests": requested,
        "scratch": {"size": quantity(properties["scratch"])},
        "nodeSelector": dict(properties["node_selector"]),
        "tolerations": [{"key": key, "operator": "Exists"} for key in (*properties["tolerated_taints"], *vanishing(context.facility))],
    }


def _prometheus(node: Node, context: Context) -> str:
    """Address of the Prometheus that watches the pool; ``""`` where none does."""
    for other in context.facility.of_type(htcondor.MONITORING):
        if node.name in other.requirements.get("queue", ()):
            return f"http://{other.name}-prometheus.{scraping.NAMESPACE}.svc.{context.cluster.cluster_domain}:{monitoring.PORT}"
    return ""


def _software(node: Node, context: Context) -> dict[str, Any]:
    name = node.target("software")
    if name is None or not context.facility.node(name).properties.get("enabled"):
        return {"enabled": False}
    return {"enabled": True, "claim": name}


def _peer(labels: Mapping[str, str]) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": dict(labels)}}


def _egress(labels: Mapping[str, str], *ports: int) -> dict[str, Any]:
    rule: dict[str, Any] = {"to": [_peer(labels)]}
    return rule | ({"ports": [{"port": port, "protocol": "TCP"} for port in ports]} if ports else {})


def _issuers(node: Node, context: Context) -> list[dict[str, Any]]:
    """Ways to the issuers' keys: to the pods of the facility's own, to the port that the address of any other names."""
    rules = []
    ports = set()
    own = {context.services.issuer_url(context.facility.node(name)): name for name in node.requirements.get("issuer", ())}
    for url in context.services.issuers(node):
        name = own.get(url)
        if name and not iam.external(context.facility.node(name)):
            rules.append(_egress(iam_values.pod_labels(name), IAM_PORT))
            if urlsplit(url).port == IAM_PORT:
                continue
            ports.add(IAM_PORT)  # through the ingress, whose pods have a port of their own
        ports.add(urlsplit(url).port or 443)
    return [*rules, *({"ports": [{"port": port, "protocol": "TCP"}]} for port in sorted(ports))]


def _jobs(node: Node, context: Context) -> list[dict[str, Any]]:
    """What jobs may connect to: data, what notebooks that send them use, those notebooks (Dask), and the world outside of the cluster."""
    ways = [notebooks.Way(xrootd_values.pod_labels(name), DATA_PORTS, "jobs read data") for name in node.requirements.get("cache", ())]
    ways += [way for hub in _hubs(node, context) for way in notebooks.ways(hub, context) if way.ports != (htcondor.PORT,)]
    rules = [*([_egress(NOTEBOOKS, dask.SCHEDULER_PORT)] if _hubs(node, context) else []), *(way.rule() for way in ways)]
    if node.properties.get("jobs_reach_outside", True):
        rules.append({"to": [{"ipBlock": {"cidr": WORLD, "except": list(context.cluster.own_networks())}}]})
    return [rule for place, rule in enumerate(rules) if rule not in rules[:place]]


def _listeners(node: Node, context: Context) -> list[dict[str, Any]]:
    """Who connects to jobs: Dask workers give their results to each other and to the notebook that sent them."""
    if not _hubs(node, context):
        return []
    first, last = dask.WORKER_PORTS
    peers = [_peer(NOTEBOOKS), _peer(pod_labels(node.name, "execute-point"))]
    return [{"from": peers, "ports": [{"port": first, "endPort": last, "protocol": "TCP"}]}]


def _hubs(node: Node, context: Context) -> list[Node]:
    return [hub for hub in context.facility.of_type(iam.HUB_TYPE) if hub.target("queue") == node.name]


def _job_labels(node: Node, context: Context) -> dict[str, str]:
    """Labels by which services know that jobs may connect, as the notebooks may that send them."""
    found: dict[str, str] = {}
    for hub in _hubs(node, context):
        found |= notebooks.client_labels(hub, context)
    return found


def _links(node: Node, context: Context) -> tuple[Link, ...]:
    here = context.namespace

    def inner(source: Mapping[str, str], target: str, why: str) -> Link:
        return Link(source, pod_labels(node.name, target), htcondor.PORT, why, here, here)

    workers, access = pod_labels(node.name, "execute-point"), pod_labels(node.name, "access-point")
    links = [
        inner(workers, "central-manager", "execute pods join the pool"),
        inner(access, "central-manager", "the access point joins the pool"),
        inner(workers, "access-point", "execute pods fetch jobs"),
        inner(access, "execute-point", "the access point starts jobs"),
        inner(pod_labels(node.name, "central-manager"), "access-point", "the negotiator asks for idle jobs"),
    ]
    if _hubs(node, context):
        links += [inner(NOTEBOOKS, target, "notebooks submit jobs") for target in ("central-manager", "access-point")]
        links += [Link(workers, workers, port, "Dask workers share their results", here, here) for port in dask.WORKER_PORTS]
    return tuple(links)
