"""Releases and objects that templates of the dialect bring themselves: charts that we have a service for, and plain objects."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cantiere.indigo.model import Mapped, Part, Theirs
from cantiere.indigo.table import GPUS, METRICS, TRAEFIK, N
from cantiere.tosca.document import Budget, parse
from cantiere.tosca.elements import Element, Map, Scalar
from cantiere.tosca.problems import Problems

CHART = "tosca.nodes.indigo.Helm.Chart"
INSTALL = "tosca.nodes.DODAS.HelmInstall"
OTHER = "tosca.nodes.indigo.Kubernetes.HelmChart"
OBJECT = "tosca.nodes.indigo.KubernetesObject"
NAMES: Mapping[str, str] = {CHART: "name", INSTALL: "chart", OTHER: "name"}
"""Type of a release to the property that names its chart."""

LEFT = {
    name: "the chart is ours, and its values are compiled from the facility"
    for name in ("values", "values_file", "values_url", "version", "namespace", "repository_url", "repository", "repos", "inline_options")
}
TAKEN = frozenset({"name", "chart", "chart_url", "repository_name", "kubeconfig_path", "helm_version", "role_name"})


def _of(*parts: Part) -> Mapped:
    return Mapped(parts=parts, left=LEFT, taken=TAKEN)


_HUB = Part(f"{N}JupyterHub", name="hub")
_GATEWAY = Part(f"{N}DaskGateway", name="dask")
_MONITORING = Part(f"{N}Monitoring", name="monitoring")
_INGRESS = Part(f"{N}Ingress", fixed=TRAEFIK, name="ingress")

CHARTS: Mapping[str, Mapped] = {
    "daskhub": _of(_HUB, _GATEWAY),
    "dask-gateway": _of(_GATEWAY),
    "dask-kubernetes-operator": _of(Part(f"{N}DaskOperator", name="dask-operator")),
    "jupyterhub": _of(_HUB),
    "minio": _of(Part(f"{N}ObjectStore", name="store")),
    "htcondor": _of(Part(f"{N}HTCondorPool", name="pool")),
    "spark-operator": _of(Part(f"{N}SparkOperator", name="spark")),
    "longhorn": _of(Part(f"{N}BlockStorage", fixed={"driver": "longhorn"}, name="volumes")),
    "local-path-provisioner": _of(Part(f"{N}BlockStorage", fixed={"driver": "local-path"}, name="volumes")),
    "kube-prometheus-stack": _of(_MONITORING),
    "prometheus": _of(_MONITORING),
    "grafana": _of(_MONITORING),
    "metrics-server": _of(METRICS),
    "keda": _of(Part(METRICS.type, METRICS.carries, {**METRICS.fixed, "keda": True}, "metrics")),
    "cert-manager": _of(Part(f"{N}Certificates", name="certificates")),
    "traefik": _of(_INGRESS),
    "ingress-nginx": _of(_INGRESS),
    "gpu-operator": _of(Part(GPUS, name="gpus")),
    "kueue": _of(Part(f"{N}Kueue", name="kueue")),
}
"""Name of a chart to what of ours does the same."""

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease", "default"})


def known(node: Theirs, type_: str) -> Mapped | None:
    """What becomes of a release of a type, by the name of its chart; None where we have nothing that does the same."""
    return CHARTS.get(str(node.value(NAMES[type_]) or "").rpartition("/")[2])


def brought(node: Theirs) -> Mapped | None:
    """The release that brings an object of Kubernetes; None where it cannot be one, as it is no object or a Secret."""
    if OBJECT not in node.types:
        return None
    found = parse(str(node.value("spec") or "").encode(), node.name, Problems(), Budget())
    metadata = _under(found, "metadata")
    kind, name, space = _word(found, "kind"), _word(metadata, "name"), _word(metadata, "namespace")
    if not isinstance(found, Map) or not kind or not name or kind == "Secret" or not _word(found, "apiVersion"):
        return None
    namespace = space if _NAMESPACE.fullmatch(space) and space not in _SYSTEM else ""
    objects = {re.sub(r"[^a-z0-9-]", "-", f"{kind}-{name}".lower()).strip("-"): found}
    part = Part(f"{N}HelmRelease", (), {"chart": "objects", "namespace": namespace, "values": {"objects": objects}})
    return Mapped(parts=(part,), taken=frozenset({"spec"}))


def _under(element: Element | None, key: str) -> Element | None:
    return element.get(key) if isinstance(element, Map) else None


def _word(element: Element | None, key: str) -> str:
    found = _under(element, key)
    return found.text if isinstance(found, Scalar) and isinstance(found.value, str) else ""
