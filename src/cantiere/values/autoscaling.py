"""Metrics by which Kubernetes scales: of pods and nodes, of HTCondor's slots for HPAs, and KEDA; each metrics API has one owner. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node
from cantiere.values import certificates, monitoring, monitoring_pool, scraping
from cantiere.values.addons import MONITORING, OPERATOR_CRDS, active, broken, definitions, enabled, has_operator, resources, several
from cantiere.values.model import Context, Link, Release

TYPE = "cantiere.nodes.Autoscaling"
METRICS_SERVER = "metrics-server"
ADAPTER = "prometheus-adapter"
KEDA = "keda"
RELIST = "30s"
"""How often the adapter looks for new series: a Prometheus that scrapes less often than this loses metrics in between."""

_AREA = "autoscaling"
_KEDA_OWNS = (
    *definitions("keda.sh", ("clustertriggerauthentications", "scaledjobs", "scaledobjects", "triggerauthentications")),
    *definitions("eventing.keda.sh", ("cloudeventsources", "clustercloudeventsources")),
    "APIService/v1beta1.external.metrics.k8s.io",
)


def needs(facility: Facility, style: str) -> tuple[str, ...]:
    """Releases after which a way of scaling works.

    Parameters
    ----------
    facility:
        What the template declares.
    style:
        ``hpa`` (metrics of a Job), ``keda``, or ``resource`` (cores and memory of pods).
    """
    flag, release = {"hpa": ("prometheus_adapter", ADAPTER), "keda": ("keda", KEDA), "resource": ("metrics_server", METRICS_SERVER)}[style]
    return tuple(release for node in active(facility, TYPE) if node.properties[flag])


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """metrics-server, prometheus-adapter with the rules of the facility's pools, and KEDA; those turned off are not installed.

    Parameters
    ----------
    node:
        A node of :data:`TYPE`.
    context:
        The facility and its cluster.
    """
    return (_metrics_server(node, context), _adapter(node, context), _keda(node, context))


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of autoscaling, and between it and monitoring."""
    given = node.properties
    rules = (
        (
            "prometheus",
            given["prometheus_adapter"] and not given["prometheus_url"] and not active(facility, MONITORING),
            "prometheus-adapter asks a Prometheus, and the template has none",
            "add a node of type cantiere.nodes.Monitoring, set prometheus_url, or set prometheus_adapter to false",
        ),
        (
            "external",
            bool(given["external_rules"]) and given["keda"],
            "KEDA and prometheus-adapter with external_rules both serve v1beta1.external.metrics.k8s.io",
            "take external_rules away (KEDA asks Prometheus by itself), or set keda to false",
        ),
        (
            "rules",
            bool(given["external_rules"]) and not given["prometheus_adapter"],
            "external_rules are for prometheus-adapter, which is turned off",
            "set prometheus_adapter to true, or take external_rules away",
        ),
        several(node, facility, "serve the metrics APIs"),
    )
    return broken(_AREA, node, rules)


def _metrics_server(node: Node, context: Context) -> Release:
    given = node.properties
    signed = bool(active(context.facility, certificates.TYPE))
    watched = has_operator(context.facility)
    values: dict[str, Any] = {
        "args": [] if given["kubelet_certificates"] else ["--kubelet-insecure-tls"],
        "replicas": given["replicas"],
        "podDisruptionBudget": {"enabled": given["replicas"] > 1, **({"maxUnavailable": 1} if given["replicas"] > 1 else {})},
        "apiService": {"create": True, "insecureSkipTLSVerify": not signed},
        "tls": {"type": "cert-manager" if signed else "metrics-server", "clusterDomain": context.cluster.cluster_domain},
        "metrics": {"enabled": watched},
        "serviceMonitor": {"enabled": watched},
        "resources": resources("50m", "100Mi", "300Mi"),
    }
    return Release(
        METRICS_SERVER,
        "kube-system",
        METRICS_SERVER,
        values,
        node.name,
        needs=(OPERATOR_CRDS, *certificates.manager(context.facility)),
        installed=enabled(node) and bool(given["metrics_server"]),
        pod_security="privileged",
        owns=("APIService/v1beta1.metrics.k8s.io",),
    )


def _adapter(node: Node, context: Context) -> Release:
    given = node.properties
    signed = bool(active(context.facility, certificates.TYPE))
    watched = active(context.facility, MONITORING)
    url, port = _prometheus(given["prometheus_url"], watched, context)
    values: dict[str, Any] = {
        "prometheus": {"url": url, "port": port},
        "rules": {"default": False, "custom": monitoring_pool.adapter_rules(), "external": list(given["external_rules"])},
        "metricsRelistInterval": RELIST,
        "replicas": given["replicas"],
        "podDisruptionBudget": {"enabled": given["replicas"] > 1},
        "certManager": {"enabled": signed},
        "logLevel": 2,
        "resources": resources("50m", "96Mi", "384Mi"),
    }
    external = ("APIService/v1beta1.external.metrics.k8s.io",) if given["external_rules"] else ()
    return Release(
        ADAPTER,
        scraping.NAMESPACE,
        ADAPTER,
        values,
        node.name,
        needs=(*(monitoring.release_name(other) for other in watched), *certificates.manager(context.facility)),
        installed=enabled(node) and bool(given["prometheus_adapter"]),
        pod_security="privileged",
        owns=("APIService/v1beta1.custom.metrics.k8s.io", *external),
        links=tuple(
            Link(
                {"app.kubernetes.io/name": ADAPTER},
                scraping.PROMETHEUS,
                monitoring.PORT,
                "the adapter asks Prometheus",
                scraping.NAMESPACE,
                scraping.NAMESPACE,
            )
            for _ in watched[:1]
        ),
    )


def _prometheus(url: str, watched: tuple[Node, ...], context: Context) -> tuple[str, int]:
    """Address and port as the chart wants them: apart."""
    if url:
        head, _, port = url.rstrip("/").rpartition(":")
        return (head, int(port)) if port.isdigit() else (url.rstrip("/"), 443 if url.startswith("https:") else 80)
    host = monitoring.host(watched[0], context) if watched else f"prometheus.{scraping.NAMESPACE}.svc"
    return f"http://{host}", monitoring.PORT


def _keda(node: Node, context: Context) -> Release:
    given = node.properties
    replicas = given["replicas"]
    watched = has_operator(context.facility)
    metrics = {"enabled": watched, "serviceMonitor": {"enabled": watched}}
    budget = {"maxUnavailable": 1} if replicas > 1 else {}
    values: dict[str, Any] = {
        "crds": {"install": True},
        "clusterName": context.facility.name,
        "clusterDomain": context.cluster.cluster_domain,
        "image": {"pullPolicy": "IfNotPresent"},
        "operator": {"replicaCount": replicas},
        "metricsServer": {"replicaCount": replicas},
        "webhooks": {"enabled": True, "replicaCount": replicas, "failurePolicy": "Ignore"},
        "podDisruptionBudget": {"operator": budget, "metricServer": budget, "webhooks": budget},
        "prometheus": {"operator": metrics, "metricServer": metrics, "webhooks": metrics},
        "resources": {
            "operator": resources("50m", "128Mi", "512Mi"),
            "metricServer": resources("50m", "96Mi", "384Mi"),
            "webhooks": resources("10m", "48Mi", "128Mi"),
        },
        "priorityClassName": "system-cluster-critical",
    }
    return Release(
        KEDA,
        KEDA,
        KEDA,
        values,
        node.name,
        needs=(OPERATOR_CRDS,),
        installed=enabled(node) and bool(given["keda"]),
        pod_security="restricted",
        owns=_KEDA_OWNS,
    )
