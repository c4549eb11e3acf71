"""What a cluster is: one look at its API becomes the facts that values are compiled from."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import yaml

from cantiere.cluster.client import DISCOVERY, METADATA, Api, ApiError, Object
from cantiere.values.model import PLACEHOLDER, ClusterFacts, NodePool, StorageClass

SHARED = (
    "driver.longhorn.io",
    "nfs.csi.k8s.io",
    "cephfs.csi.ceph.com",
    "efs.csi.aws.com",
    "file.csi.azure.com",
    "filestore.csi.storage.gke.io",
    "manila.csi.openstack.org",
    "smb.csi.k8s.io",
    "weka.io",
    "lustre.csi",
    "nfs-subdir-external-provisioner",
    "nfs-provisioner",
)
"""Ends or parts of the names of provisioners whose volumes pods of several nodes can write to."""
ENFORCING = ("calico-node", "canal", "cilium", "kube-router", "antrea-agent", "weave-net", "ovnkube-node", "kube-ovn-cni")
"""DaemonSets of networks that hold NetworkPolicies."""
BY_HAND = "kubernetes.io/no-provisioner"
POOL_LABEL = "cantiere.io/pool"
ROLE_LABEL = "node-role.kubernetes.io/"
GPU_PREFIXES = ("nvidia.com/", "amd.com/", "gpu.intel.com/")
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
DEFAULT_INGRESS = "ingressclass.kubernetes.io/is-default-class"
RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
OWNED = {
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "APIService": "/apis/apiregistration.k8s.io/v1/apiservices",
    "IngressClass": "/apis/networking.k8s.io/v1/ingressclasses",
    "GatewayClass": "/apis/gateway.networking.k8s.io/v1/gatewayclasses",
    "CSIDriver": "/apis/storage.k8s.io/v1/csidrivers",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "RuntimeClass": "/apis/node.k8s.io/v1/runtimeclasses",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "MutatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
}
"""Cluster-scoped kinds that only one release may bring, and where they are listed."""
UNITS = {unit: Decimal(1000) ** power for power, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)}
UNITS |= {"K": UNITS["k"]} | {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}
HELM_MANAGER = "helm"
KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
FORBIDDEN = 403


def observe(api: Api, given: Mapping[str, Any], *, namespaced: bool = False) -> ClusterFacts:
    """The facts of a cluster.

    Parameters
    ----------
    api:
        The cluster.
    given:
        What the site knows better: fields of :class:`ClusterFacts`.
    namespaced:
        Whether the user's rights end with a namespace: beyond the version and the kinds that are served nothing is asked then.
    """
    look = _Look(api, shut=namespaced)
    classes = _storage_classes(look)
    kubeadm = _kubeadm(look)
    network = kubeadm.get("networking", {})
    nodes = look.list("/api/v1/nodes")
    found = {
        "kubernetes_version": str((api.get("/version") or {}).get("gitVersion", "")).removeprefix("v").partition("+")[0],
        "cluster_domain": str(network.get("dnsDomain") or "cluster.local"),
        "zone": "",
        "ingress_class": _ingress_class(look),
        "ingress_address": _ingress_address(look),
        "gateway": _first(look, "/apis/gateway.networking.k8s.io/v1/gateways"),
        "issuer": _first(look, "/apis/cert-manager.io/v1/clusterissuers").rpartition("/")[2],
        "ca": "",
        "storage_class": _preferred(list(classes.values())),
        "shared_storage_class": _preferred([item for item in classes.values() if item.shared]),
        "storage_classes": classes,
        "pools": pools(nodes),
        "registry": "",
        "pod_subnet": str(network.get("podSubnet") or _span([item["spec"].get("podCIDR", "") for item in nodes])),
        "service_subnet": str(network.get("serviceSubnet") or _service_subnet(look)),
        "api_address": str(kubeadm.get("controlPlaneEndpoint") or _api_address(look)),
        "network_policies": any(item["metadata"]["name"].startswith(ENFORCING) for item in look.list("/apis/apps/v1/daemonsets", METADATA)),
        "api_versions": _api_versions(api),
        "owners": _owners(look),
    }
    return ClusterFacts(**{**found, **given})


def expected(given: Mapping[str, Any]) -> ClusterFacts:
    """Typed placeholders for a cluster that does not exist yet, with what the site knows already."""
    from dataclasses import replace

    return replace(PLACEHOLDER, **dict(given))


class _Look:
    """Lists what may be listed; what the user may not see counts as not there, and where it is shut nothing is asked."""

    def __init__(self, api: Api, *, shut: bool) -> None:
        self.api = api
        self.shut = shut

    def list(self, path: str, accept: str = "", **query: str) -> list[Object]:
        try:
            return [] if self.shut else self.api.list(path, accept, **query)
        except ApiError as error:
            if error.status == FORBIDDEN:
                return []
            raise

    def get(self, path: str) -> Object:
        try:
            return {} if self.shut else self.api.get(path) or {}
        except ApiError as error:
            if error.status == FORBIDDEN:
                return {}
            raise


def _annotations(item: Object) -> Mapping[str, str]:
    return item["metadata"].get("annotations") or {}


def _storage_classes(look: _Look) -> dict[str, StorageClass]:
    return {
        item["metadata"]["name"]: StorageClass(
            name=item["metadata"]["name"],
            provisioner=item["provisioner"],
            default=_annotations(item).get(DEFAULT_CLASS) == "true",
            expandable=bool(item.get("allowVolumeExpansion")),
            waits=item.get("volumeBindingMode") == "WaitForFirstConsumer",
            shared=any(part in item["provisioner"] for part in SHARED),
        )
        for item in look.list("/apis/storage.k8s.io/v1/storageclasses")
    }


def _preferred(classes: list[StorageClass]) -> str:
    """The default class, or the only one there is."""
    made = [item for item in classes if item.provisioner != BY_HAND]
    chosen = [item.name for item in classes if item.default] or ([made[0].name] if len(made) == 1 else [])
    return chosen[0] if chosen else ""


def _ingress_class(look: _Look) -> str:
    found = look.list("/apis/networking.k8s.io/v1/ingressclasses")
    chosen = [item for item in found if _annotations(item).get(DEFAULT_INGRESS) == "true"] or (found if len(found) == 1 else [])
    return str(chosen[0]["metadata"]["name"]) if chosen else ""


def _ingress_address(look: _Look) -> str:
    """Address of the LoadBalancer Service that offers HTTPS."""
    for item in look.list("/api/v1/services"):
        spec = item["spec"]
        if spec.get("type") == "LoadBalancer" and {443, 80} & {port["port"] for port in spec.get("ports", ())}:
            for entry in item.get("status", {}).get("loadBalancer", {}).get("ingress") or ():
                return str(entry.get("ip") or entry.get("hostname") or "")
    return ""


def _first(look: _Look, path: str) -> str:
    """``namespace/name`` of the only object of a collection; ``""`` where there are none or several."""
    found = look.list(path)
    if len(found) != 1:
        return ""
    return f"{found[0]['metadata'].get('namespace', '')}/{found[0]['metadata']['name']}"


def pools(nodes: list[Object]) -> dict[str, NodePool]:
    """Nodes that can take pods, in pools by the label ``cantiere.io/pool``, else by their role."""
    groups: dict[str, list[Object]] = {}
    for item in nodes:
        groups.setdefault(_pool_of(item), []).append(item)
    return {name: _pool(name, items) for name, items in sorted(groups.items())}


def _pool_of(item: Object) -> str:
    labels = item["metadata"].get("labels") or {}
    roles = [label.removeprefix(ROLE_LABEL) for label in labels if label.startswith(ROLE_LABEL)]
    return str(labels.get(POOL_LABEL) or (roles[0] if roles else "worker"))


def _pool(name: str, items: list[Object]) -> NodePool:
    allocatable = [item["status"].get("allocatable", {}) for item in items]
    labels = [item["metadata"].get("labels") or {} for item in items]
    common = {key: value for key, value in labels[0].items() if all(other.get(key) == value for other in labels)}
    taints = {f"{taint['key']}={taint.get('value', '')}:{taint['effect']}" for item in items for taint in item["spec"].get("taints", ())}
    gpus = {key for found in allocatable for key in found if key.startswith(GPU_PREFIXES)}
    return NodePool(
        name=name,
        nodes=len(items),
        cpus=min(quantity(found.get("cpu", "0")) for found in allocatable),
        memory=int(min(quantity(found.get("memory", "0")) for found in allocatable)),
        labels=common,
        taints=tuple(sorted(taints)),
        gpus={key: int(max(quantity(found.get(key, "0")) for found in allocatable)) for key in sorted(gpus)},
    )


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number: ``500m`` is 0.5, ``1Ki`` is 1024."""
    number = text.rstrip("".join(UNITS))
    return float(Decimal(number) * UNITS[text.removeprefix(number)])


def _kubeadm(look: _Look) -> Mapping[str, Any]:
    data = look.get(f"{KUBE_SYSTEM}/configmaps/kubeadm-config").get("data") or {}
    found = yaml.safe_load(data.get("ClusterConfiguration", "")) or {}
    return found if isinstance(found, dict) else {}


def _span(subnets: list[str]) -> str:
    """The smallest network that holds all of them; ``""`` where there are none."""
    networks = [ipaddress.ip_network(text) for text in subnets if text and ":" not in text]
    if not networks:
        return ""
    found = networks[0]
    while not all(other.subnet_of(found) for other in networks):  # type: ignore[arg-type]
        found = found.supernet()
    return str(found)


def _service_subnet(look: _Look) -> str:
    for item in look.list("/apis/networking.k8s.io/v1/servicecidrs"):
        return str(next(iter(item["spec"].get("cidrs", ())), ""))
    return ""


def _api_address(look: _Look) -> str:
    for item in look.get("/api/v1/namespaces/default/endpoints/kubernetes").get("subsets", ()):
        return f"{item['addresses'][0]['ip']}:{item['ports'][0]['port']}"
    return ""


def _api_versions(api: Api) -> frozenset[str]:
    """``group/version/Kind`` of all that is served; two questions in all."""
    found = set()
    for path in ("/api", "/apis"):
        for group in (api.get(path, DISCOVERY) or {}).get("items", ()):
            name = (group.get("metadata") or {}).get("name", "")
            for version in group.get("versions", ()):
                served = f"{name}/{version['version']}" if name else version["version"]
                found |= {f"{served}/{entry['responseKind']['kind']}" for entry in version.get("resources", ()) if "responseKind" in entry}
    return frozenset(found)


def _owners(look: _Look) -> dict[str, str]:
    return dict(_owned(look))


def _owned(look: _Look) -> Iterator[tuple[str, str]]:
    for kind, path in OWNED.items():
        for item in look.list(path, METADATA):
            notes = _annotations(item)
            owner = f"{notes[RELEASE_NAMESPACE]}/{notes[RELEASE_NAME]}" if RELEASE_NAME in notes and RELEASE_NAMESPACE in notes else ""
            if kind == "CustomResourceDefinition" and not owner and _by_helm(item):
                continue  # of the crds folder of a chart, which Helm neither marks nor removes: it may be left over from a release of ours
            yield f"{kind}/{item['metadata']['name']}", owner
            if kind == "StorageClass" and notes.get(DEFAULT_CLASS) == "true":
                yield "StorageClass/default", owner
            if kind == "IngressClass" and notes.get(DEFAULT_INGRESS) == "true":
                yield "IngressClass/default", owner


def _by_helm(item: Object) -> bool:
    return any(entry.get("manager") == HELM_MANAGER for entry in item["metadata"].get("managedFields") or ())
