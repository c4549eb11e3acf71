"""Kueue: quotas and a queue for jobs of Kubernetes. Pure."""

from __future__ import annotations

from typing import Any

import yaml

from cantiere.errors import Problem
from cantiere.model import Facility, Node
from cantiere.values.addons import POOL, broken, definitions, enabled, resources, several
from cantiere.values.model import Context, Release
from cantiere.values.units import quantity

TYPE = "cantiere.nodes.Kueue"
NAMESPACE = "kueue-system"
API = "kueue.x-k8s.io/v1beta2"
FRAMEWORKS = ("batch/job",)
"""Kinds of jobs that wait in the queue; pods, deployments and the kinds of operators stay out of its hands."""
KINDS = (
    "admissionchecks clusterqueues cohorts localqueues multikueueclusters multikueueconfigs provisioningrequestconfigs resourceflavors "
    "topologies workloadpriorityclasses workloads"
).split()


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """Kueue by its chart 0.19.2, and the queue after it: its webhook has to answer first."""
    configuration = {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": ":8081"},
        "metrics": {"bindAddress": ":8443"},
        "webhook": {"port": 9443},
        "leaderElection": {"leaderElect": True, "resourceName": "c1f6bfd2.kueue.x-k8s.io"},
        "manageJobsWithoutQueueName": False,
        "integrations": {"frameworks": [*FRAMEWORKS]},
    }
    values = {
        "fullnameOverride": node.name,
        "kubernetesClusterDomain": context.cluster.cluster_domain,
        "enableCertManager": False,
        "enablePrometheus": False,
        "enableKueueViz": False,
        "controllerManager": {"replicas": 1, "manager": {"resources": resources("100m", "256Mi", "512Mi")}},
        "managerConfig": {"controllerManagerConfigYaml": yaml.safe_dump(configuration, sort_keys=False)},
    }
    served = ("APIService/v1beta1.visibility.kueue.x-k8s.io", "APIService/v1beta2.visibility.kueue.x-k8s.io")
    queues = f"{node.name}-queues"
    names = [item["metadata"]["name"] for item in objects(node).values() if item["kind"] == "ResourceFlavor"]
    return (
        Release(
            name=node.name,
            namespace=NAMESPACE,
            chart="kueue",
            values=values,
            node=node.name,
            installed=enabled(node),
            pod_security="restricted",
            owns=(*definitions("kueue.x-k8s.io", KINDS), *served),
        ),
        Release(
            name=queues,
            namespace=context.namespace,
            chart="objects",
            values={"objects": objects(node)},
            node=node.name,
            needs=(node.name,),
            installed=enabled(node),
            owns=(f"ClusterQueue/{node.properties['queue']}", *(f"ResourceFlavor/{name}" for name in names)),
        ),
    )


def objects(node: Node) -> dict[str, Any]:
    """The queue, its quota, and the flavour of nodes that it is of: one for each pool, which share the quota evenly."""
    told = node.properties
    pools = list(told["pools"])
    flavours = {pool: {"nodeLabels": {"cantiere.io/pool": pool}} for pool in pools} or {"any": {}}
    quotas = {"cpu": told["cpus"], "memory": int(told["memory"]), **dict(sorted(told["gpus"].items()))}

    def share(resource: str, index: int) -> str:
        whole, rest = divmod(quotas[resource], len(flavours))
        part = whole + (1 if index < rest else 0)
        return quantity(part) if resource == "memory" else str(part)

    group = {
        "coveredResources": list(quotas),
        "flavors": [
            {"name": f"{node.name}-{pool}", "resources": [{"name": name, "nominalQuota": share(name, index)} for name in quotas]}
            for index, pool in enumerate(flavours)
        ],
    }
    found: dict[str, Any] = {
        f"flavour-{pool}": {"apiVersion": API, "kind": "ResourceFlavor", "metadata": {"name": f"{node.name}-{pool}"}, "spec": spec}
        for pool, spec in flavours.items()
    }
    found["cluster-queue"] = {
        "apiVersion": API,
        "kind": "ClusterQueue",
        "metadata": {"name": told["queue"]},
        "spec": {"namespaceSelector": {}, "queueingStrategy": "BestEffortFIFO", "resourceGroups": [group]},
    }
    found["queue"] = {
        "apiVersion": API,
        "kind": "LocalQueue",
        "metadata": {"name": told["queue"]},
        "spec": {"clusterQueue": told["queue"]},
    }
    return found


def check(node: Node, facility: Facility) -> list[Problem]:
    """Pools that the template does not have, and a second Kueue."""
    there = {pool.name for pool in facility.of_type(POOL)}
    missing = [pool for pool in node.properties["pools"] if there and pool not in there]
    rules = (
        ("pools", bool(missing), f"the template has no machine pool {', '.join(missing)}", f"use some of: {', '.join(sorted(there))}"),
        several(node, facility, "queue the same jobs"),
    )
    return broken("kueue", node, rules)
