"""Refuse before anything is touched: everything on an existing cluster that the releases cannot do with, all at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cantiere.cluster.client import Api
from cantiere.cluster.facts import quantity
from cantiere.cluster.model import ENFORCE, ClusterSeen, ClusterWanted, leaves
from cantiere.cluster.platform import Cluster
from cantiere.cluster.wanted import SYSTEM
from cantiere.errors import CantiereError, PreflightError, Problem
from cantiere.site import Site
from cantiere.supply.charts import files
from cantiere.values.model import POD_SECURITY, ClusterFacts, Release

LEAST = (1, 30)
"""The oldest Kubernetes that charts and policies here work with."""
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
INSIDE = {
    "Secret": ("", "secrets"),
    "ConfigMap": ("", "configmaps"),
    "Service": ("", "services"),
    "ServiceAccount": ("", "serviceaccounts"),
    "PersistentVolumeClaim": ("", "persistentvolumeclaims"),
    "Deployment": ("apps", "deployments"),
    "StatefulSet": ("apps", "statefulsets"),
    "DaemonSet": ("apps", "daemonsets"),
    "Job": ("batch", "jobs"),
    "NetworkPolicy": ("networking.k8s.io", "networkpolicies"),
    "Ingress": ("networking.k8s.io", "ingresses"),
    "Role": ("rbac.authorization.k8s.io", "roles"),
    "RoleBinding": ("rbac.authorization.k8s.io", "rolebindings"),
}
"""Kinds that releases make in their namespaces, with API group and resource."""
ALWAYS = frozenset({"Secret"})
"""What every release makes: Helm's own records."""
PLURALS = {
    "CustomResourceDefinition": ("apiextensions.k8s.io", "customresourcedefinitions"),
    "APIService": ("apiregistration.k8s.io", "apiservices"),
    "IngressClass": ("networking.k8s.io", "ingressclasses"),
    "GatewayClass": ("gateway.networking.k8s.io", "gatewayclasses"),
    "CSIDriver": ("storage.k8s.io", "csidrivers"),
    "StorageClass": ("storage.k8s.io", "storageclasses"),
    "ClusterRole": ("rbac.authorization.k8s.io", "clusterroles"),
    "MutatingWebhookConfiguration": ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    "ValidatingWebhookConfiguration": ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    "PriorityClass": ("scheduling.k8s.io", "priorityclasses"),
    "RuntimeClass": ("node.k8s.io", "runtimeclasses"),
}
AT_ONCE = 8
GIB = 1 << 30


def check(cluster: Cluster) -> None:
    """Check an existing cluster.

    Raises
    ------
    PreflightError
        All that is wrong, each with a remedy; nothing was touched.
    """
    api = cluster.api()
    if api is None or not cluster.asked:
        return
    try:
        api.get("/version")
        known, seen = cluster.known(api), cluster.observe(api)
        facts, wanted = cluster.facts(known), cluster.wanted(known, seen)
    except CantiereError as error:
        raise PreflightError(error.problems) from error
    for line in summary(facts, wanted, cluster.namespace if cluster.namespaced else ""):
        print(line, file=sys.stderr)
    problems = [
        *version(facts),
        *outside(cluster, wanted),
        *(() if cluster.namespaced else storage(facts, wanted)),
        *(() if cluster.namespaced else gpus(facts, wanted)),
        *names(wanted, seen),
        *pod_security(wanted, seen, cluster),
        *quotas(api, wanted, cluster),
        *rights(api, wanted, seen, cluster),
    ]
    if problems:
        raise PreflightError(problems)


def summary(facts: ClusterFacts, wanted: ClusterWanted, limit: str = "") -> Iterator[str]:
    """What the cluster has, in a few lines; of one whose user sees the namespace ``limit`` alone, just that."""
    if limit:
        yield f"cluster: Kubernetes {facts.kubernetes_version}; only namespace {limit} is looked at, the site's facts say the rest"
        return
    nodes = sum(pool.nodes for pool in facts.pools.values())
    yield f"cluster: Kubernetes {facts.kubernetes_version}, {nodes} nodes in pools {', '.join(facts.pools) or '(not to be seen)'}"
    classes = ", ".join(f"{item.name}{' (default)' if item.default else ''}" for item in facts.storage_classes.values())
    yield f"cluster: storage {classes or 'none'}; ingress {facts.ingress_class or facts.gateway or 'none'} {facts.ingress_address}".rstrip()
    held = "are held" if facts.network_policies else "are NOT held by any network that is known"
    found = sorted({name for pool in facts.pools.values() for name in pool.gpus})
    yield f"cluster: network policies {held}; GPUs {', '.join(found) or 'none'}"
    for name, why in wanted.adopted.items():
        yield f"cluster: release {name} is not installed: {why}"


def version(facts: ClusterFacts) -> Iterator[Problem]:
    """A cluster that is too old."""
    numbers = tuple(int(part) for part in facts.kubernetes_version.split(".")[:2] if part.isdigit())
    if numbers < LEAST:
        yield Problem(
            "cluster.old",
            f"the cluster runs Kubernetes {facts.kubernetes_version}, {LEAST[0]}.{LEAST[1]} is the oldest that works",
            "upgrade the cluster, or use another one",
            path="kubernetes_version",
        )


def outside(cluster: Cluster, wanted: ClusterWanted) -> Iterator[Problem]:
    """What a user whose rights end with one namespace cannot have."""
    if not cluster.namespaced:
        return
    for release in wanted.installed:
        if release.namespace != cluster.namespace:
            yield Problem(
                "namespace.limit",
                f"release {release.name} goes to namespace {release.namespace}, and the site has rights in {cluster.namespace} alone",
                f"set releases.{release.name}.installed to false in the site's file, or ask the administrator to install it",
                path=release.name,
            )
        elif release.owns:
            yield Problem(
                "namespace.limit",
                f"release {release.name} brings {', '.join(release.owns[:3])}, which belong to the whole cluster",
                "turn it off, and ask the administrator to install it: it is used as it is then",
                path=release.name,
            )


def storage(facts: ClusterFacts, wanted: ClusterWanted) -> Iterator[Problem]:
    """Classes that values name and nothing brings."""
    brought = {item.partition("/")[2] for release in wanted.installed for item in release.owns if item.startswith("StorageClass/")}
    known = {*facts.storage_classes, *brought, ""}
    for release in wanted.installed:
        named = {str(value) for path, value in leaves(release.values) if path.rpartition(".")[2] in ("storageClassName", "storageClass")}
        for name in sorted(item for item in named if item not in known and item != "None"):
            yield Problem(
                "storage.class",
                f"release {release.name} asks for StorageClass {name!r}, which the cluster does not have",
                f"name one in the template or as facts.storage_class of the site: {', '.join(sorted(known - {''})) or '(there is none)'}",
                path=release.name,
            )


def gpus(facts: ClusterFacts, wanted: ClusterWanted) -> Iterator[Problem]:
    """GPUs that values ask for and no node has; a release that brings their driver may still make them."""
    there = {name for pool in facts.pools.values() for name, number in pool.gpus.items() if number}
    if any("gpu" in release.chart for release in wanted.installed):
        return
    for release in wanted.installed:
        asked = {path for path, value in leaves(release.values) if "nvidia.com/" in path and value}
        if asked and not there:
            yield Problem(
                "gpu.none",
                f"release {release.name} asks for GPUs ({sorted(asked)[0]}), and no node of the cluster offers any",
                "add GPU nodes with their device plugin, or take the GPU out of the template",
                path=release.name,
            )


def names(wanted: ClusterWanted, seen: ClusterSeen) -> Iterator[Problem]:
    """Releases of our names that somebody else made."""
    for release in wanted.installed:
        if f"{release.namespace}/{release.name}" in seen.foreign:
            yield Problem(
                "release.taken",
                f"there is a Helm release {release.name} in namespace {release.namespace} that was not made for this facility",
                "give the site another provider.namespace, or rename the node in the template; what is there is not touched",
                path=release.name,
            )


def pod_security(wanted: ClusterWanted, seen: ClusterSeen, cluster: Cluster) -> Iterator[Problem]:
    """Namespaces of others that are too strict for what goes there."""
    for release in wanted.installed:
        found = seen.namespaces.get(release.namespace)
        if found is None or (found.ours and not cluster.namespaced) or release.namespace in SYSTEM:
            continue
        level = found.labels.get(ENFORCE, POD_SECURITY[-1])
        if level in POD_SECURITY and POD_SECURITY.index(level) < POD_SECURITY.index(release.pod_security):
            yield Problem(
                "namespace.security",
                f"namespace {release.namespace} enforces pod security {level!r}, release {release.name} needs {release.pod_security!r}",
                f"label it {ENFORCE}={release.pod_security}, or put the release into another namespace",
                path=release.name,
            )


def quotas(api: Api, wanted: ClusterWanted, cluster: Cluster) -> Iterator[Problem]:
    """Quotas of the namespaces that have nothing left."""
    for namespace in sorted({release.namespace for release in _reachable(wanted, cluster)}):
        for item in api.list(f"/api/v1/namespaces/{namespace}/resourcequotas"):
            hard, used = item.get("status", {}).get("hard", {}), item.get("status", {}).get("used", {})
            for name, limit in hard.items():
                if quantity(str(used.get(name, "0"))) >= quantity(str(limit)):
                    yield Problem(
                        "namespace.quota",
                        f"namespace {namespace} has used all of its quota {item['metadata']['name']}: {name} {used.get(name)} of {limit}",
                        "ask the administrator for more, or free some",
                        path=namespace,
                    )


def rights(api: Api, wanted: ClusterWanted, seen: ClusterSeen, cluster: Cluster) -> Iterator[Problem]:
    """Rights that the releases need and the kubeconfig's user has not; the API server itself is asked for each."""
    asked: dict[tuple[str, str, str, str], str] = {}
    for release in _reachable(wanted, cluster):
        for group, resource in _made(release, cluster.site):
            for verb in ("create", "patch", "delete"):
                asked.setdefault((release.namespace, group, resource, verb), release.name)
        for item in () if cluster.namespaced else release.owns:
            group, resource = PLURALS.get(item.partition("/")[0], ("", ""))
            if resource:
                asked.setdefault(("", group, resource, "create"), release.name)
    if not cluster.namespaced:
        for namespace in wanted.namespaces:
            if namespace not in seen.namespaces:
                asked.setdefault(("", "", "namespaces", "create"), namespace)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        allowed = dict(zip(asked, pool.map(lambda key: _may(api, *key), asked), strict=True))
    refused: dict[tuple[str, str], dict[str, list[str]]] = {}
    for (namespace, group, resource, verb), name in asked.items():
        if not allowed[namespace, group, resource, verb]:
            what = f"{resource}.{group}" if group else resource
            refused.setdefault((namespace, name), {}).setdefault(what, []).append(verb)
    for (namespace, name), missing in refused.items():
        where = f"in namespace {namespace}" if namespace else "in the whole cluster"
        verbs = "; ".join(f"{', '.join(verbs)} {what}" for what, verbs in missing.items())
        away = "turn the release off" if cluster.namespaced else "set provider.namespaced and leave cluster-wide releases to them"
        yield Problem(
            "cluster.rights",
            f"{name} needs rights {where} that the kubeconfig's user has not: {verbs}",
            f"ask the administrator for a RoleBinding to `admin` there, or {away}",
            path=name,
        )


def _reachable(wanted: ClusterWanted, cluster: Cluster) -> list[Release]:
    """Releases that go where the user may have rights; :func:`outside` tells of the others."""
    return [release for release in wanted.installed if not cluster.namespaced or release.namespace == cluster.namespace]


def _made(release: Release, site: Site) -> list[tuple[str, str]]:
    """API group and resource of what a release makes in its namespace; of a chart that is not here yet, all that it might."""
    found = files(release.chart, site)
    named = {str(value) for path, value in leaves(release.values) if path.rpartition(".")[2] == "kind"}
    kinds = ALWAYS | found.kinds | named if found and found.kinds | named else frozenset(INSIDE)
    return [resource for kind, resource in INSIDE.items() if kind in kinds]


def _may(api: Api, namespace: str, group: str, resource: str, verb: str) -> bool:
    attributes: dict[str, Any] = {"verb": verb, "group": group, "resource": resource, **({"namespace": namespace} if namespace else {})}
    review: Mapping[str, Any] = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(api.create(REVIEW, review).get("status", {}).get("allowed"))
