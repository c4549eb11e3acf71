"""Monitoring on a cluster: the operator's definitions, Prometheus with Alertmanager and Grafana, our dashboards and alerts. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.services import htcondor, jupyterhub, xrootd
from cantiere.values import certificates, dask, ingress, monitoring_pool, storage
from cantiere.values.addons import OPERATOR_CRDS, active, broken, definitions, resources, several
from cantiere.values.model import Context, Release, SecretObject
from cantiere.values.scraping import NAMESPACE
from cantiere.values.units import duration, quantity

TYPE = htcondor.MONITORING
"""Label of Prometheus's pods."""

PORT = 9090
LONGEST_NAME = 26
"""Characters of a release's name that the chart keeps in the names of its objects."""

"""Of the hub's own Service ``hub``, where its metrics are."""

GPUS = "cantiere.nodes.GPUs"
_AREA = "monitoring"
_KINDS = (
    "alertmanagerconfigs alertmanagers podmonitors probes prometheusagents prometheuses prometheusrules scrapeconfigs servicemonitors "
    "thanosrulers"
).split()
_FILLED = 0.85
"""Part of its volume that Prometheus may fill: what it compacts needs room beside it."""


def release_name(node: Node) -> str:
    """Name of the release that Prometheus comes with."""
    return node.name


def host(node: Node, context: Context) -> str:
    """Host name of Prometheus in the cluster."""
    return f"{node.name}-prometheus.{NAMESPACE}.svc.{context.cluster.cluster_domain}"


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The operator's definitions, the stack, our dashboards and alerts, and the exporters of the pools that it watches.

    Parameters
    ----------
    node:
        A node of :data:`TYPE`.
    context:
        The facility and its cluster.
    """
    return (_definitions(node), _stack(node, context), _facility(node, context), *monitoring_pool.releases(node, context))


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of monitoring."""
    given = node.properties
    rules = (
        several(node, facility, "install the Prometheus operator", "leave one of them; it may watch several pools"),
        (
            "name",
            len(node.name) > LONGEST_NAME,
            f"the name has {len(node.name)} characters, and names of its Services are cut after {LONGEST_NAME}",
            "give the node a shorter name",
        ),
        (
            "alerts",
            bool(given["alert_config"]) and not given["alertmanager"],
            "alert_config says where alerts go, and Alertmanager is turned off",
            "set alertmanager to true, or leave alert_config out",
        ),
    )
    return broken(_AREA, node, rules)


def topics(facility: Facility) -> dict[str, bool]:
    """Which of our dashboards and groups of alerts a facility has a use for."""
    types = {node.type for node in facility.nodes if node.properties.get("enabled", True)}
    return {
        "caches": xrootd.CACHE in types,
        "gpu": GPUS in types,
        "hub": jupyterhub.TYPE in types,
        "platform": True,
        "pool": htcondor.TYPE in types,
    }


def _definitions(node: Node) -> Release:
    values = {"crds": {kind: {"enabled": True} for kind in _KINDS}}
    return Release(
        OPERATOR_CRDS,
        NAMESPACE,
        OPERATOR_CRDS,
        values,
        node.name,
        installed=node.properties["definitions"] == "install",
        pod_security="privileged",
        owns=definitions("monitoring.coreos.com", _KINDS),
    )


def _stack(node: Node, context: Context) -> Release:
    given = node.properties
    control = {"enabled": given["control_plane_metrics"]}
    signed = bool(certificates.manager(context.facility))
    secrets: list[SecretObject] = []
    values = {
        "fullnameOverride": node.name,
        "crds": {"enabled": False},
        "defaultRules": {"create": True},
        "kubeControllerManager": control,
        "kubeScheduler": control,
        "kubeEtcd": control,
        "kubeProxy": control,
        "nodeExporter": {"enabled": given["machine_metrics"]},
        "prometheusOperator": {
            "resources": resources("50m", "96Mi", "256Mi"),
            "admissionWebhooks": {"enabled": True, "certManager": {"enabled": signed}, "patch": {"enabled": not signed}},
        },
        "prometheus": {"prometheusSpec": _prometheus(node, context)},
        "alertmanager": _alertmanager(node, context, secrets),
        "grafana": _grafana(node, context, secrets),
    }
    return Release(
        release_name(node),
        NAMESPACE,
        "kube-prometheus-stack",
        values,
        node.name,
        needs=(
            OPERATOR_CRDS,
            *storage.needs(context.facility),
            *certificates.manager(context.facility),
            *ingress.needs(context.facility),
        ),
        secrets=tuple(secrets),
        pod_security="privileged",
        owns=(
            f"ValidatingWebhookConfiguration/{node.name}-admission",
            f"MutatingWebhookConfiguration/{node.name}-admission",
        ),
        timeout=900,
    )


def _prometheus(node: Node, context: Context) -> dict[str, Any]:
    given = node.properties
    size = given["storage"]
    everywhere = {f"{kind}SelectorNilUsesHelmValues": False for kind in ("serviceMonitor", "podMonitor", "probe", "rule", "scrapeConfig")}
    return {
        **everywhere,
        "replicas": given["replicas"],
        "retention": duration(given["retention"]),
        "retentionSize": f"{int(size * _FILLED) >> 20}MB",
        "scrapeInterval": duration(max(given["scrape_interval"], 15.0)),
        "evaluationInterval": "30s",
        "walCompression": True,
        "resources": resources("250m", quantity(given["memory"])),
        "storageSpec": {"volumeClaimTemplate": {"spec": _claim(size, context.storage_class(node))}},
        "additionalScrapeConfigs": scrape_configs(node, context),
    }


def scrape_configs(node: Node, context: Context) -> list[dict[str, Any]]:
    """What Prometheus reads beside the ServiceMonitors: the pools' exporters, the hub, and pods that carry ``prometheus.io/scrape``.

    Parameters
    ----------
    node:
        A node of :data:`TYPE`.
    context:
        The facility and its cluster.
    """
    labels = {"namespace": context.namespace}
    hubs = [
        {
            "job_name": "jupyterhub",
            "metrics_path": "/hub/metrics",
            "static_configs": [{"targets": [f"{context.services.fqdn(f'{hub.name}-hub')}:{dask.HUB_PORT}"], "labels": labels}],
        }
        for hub in active(context.facility, jupyterhub.TYPE)[:1]
    ]
    return [*monitoring_pool.scrape_configs(node, context), *hubs, _pods(context.namespace)]


def _pods(namespace: str) -> dict[str, Any]:
    annotation = "__meta_kubernetes_pod_annotation_prometheus_io_"
    taken = {
        "__meta_kubernetes_namespace": "namespace",
        "__meta_kubernetes_pod_name": "pod",
        "__meta_kubernetes_pod_label_app_kubernetes_io_name": "app",
        "__meta_kubernetes_pod_label_app_kubernetes_io_component": "component",
    }
    return {
        "job_name": "facility-pods",
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [namespace]}}],
        "relabel_configs": [
            {"source_labels": [f"{annotation}scrape"], "action": "keep", "regex": "true"},
            {"source_labels": ["__meta_kubernetes_pod_phase"], "action": "drop", "regex": "Pending|Succeeded|Failed|Completed"},
            {
                "source_labels": ["__address__", f"{annotation}port"],
                "regex": r"([^:]+)(?::\d+)?;(\d+)",
                "replacement": "$1:$2",
                "target_label": "__address__",
            },
            {"source_labels": [f"{annotation}path"], "regex": "(.+)", "target_label": "__metrics_path__"},
            *({"source_labels": [source], "target_label": target} for source, target in taken.items()),
        ],
    }


def _claim(size: int, storage_class: str) -> dict[str, Any]:
    return {
        "storageClassName": storage_class,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": quantity(size)}},
    }


def _alertmanager(node: Node, context: Context, secrets: list[SecretObject]) -> dict[str, Any]:
    given = node.properties
    if not given["alertmanager"]:
        return {"enabled": False}
    spec: dict[str, Any] = {
        "replicas": given["replicas"],
        "resources": resources("10m", "64Mi", "128Mi"),
        "storage": {"volumeClaimTemplate": {"spec": _claim(1 << 30, context.storage_class(node))}},
    }
    if given["alert_config"]:
        name = f"{node.name}-alerts"
        secrets.append(SecretObject(name, (SecretFile(Secret(name, given["alert_config"]), "alertmanager.yaml"),)))
        spec |= {"useExistingSecret": True, "configSecret": name}
    return {"enabled": True, "alertmanagerSpec": spec}


def _grafana(node: Node, context: Context, secrets: list[SecretObject]) -> dict[str, Any]:
    if not node.properties["grafana"]:
        return {"enabled": False}
    name = f"{node.name}-grafana-admin"
    secrets.append(SecretObject(name, (SecretFile(Secret(name), "admin-password"),)))
    host_name = context.outside("grafana")
    reached = bool(context.cluster.ingress_class) and not context.cluster.gateway
    issuer = context.cluster.issuer
    return {
        "enabled": True,
        "admin": {"existingSecret": name, "passwordKey": "admin-password"},
        "env": {"GF_SECURITY_ADMIN_USER": "admin", "GF_SERVER_ROOT_URL": f"https://{host_name}", "GF_ANALYTICS_REPORTING_ENABLED": "false"},
        "defaultDashboardsEnabled": True,
        "sidecar": {
            "dashboards": {"enabled": True, "label": "grafana_dashboard", "labelValue": "1", "searchNamespace": NAMESPACE},
            "datasources": {"enabled": True, "initDatasources": True},
        },
        "ingress": {
            "enabled": reached,
            "ingressClassName": context.cluster.ingress_class,
            "annotations": {"cert-manager.io/cluster-issuer": issuer} if issuer else {},
            "hosts": [host_name],
            "tls": [{"hosts": [host_name], "secretName": f"{node.name}-grafana-tls"}],
        },
        "resources": resources("50m", "192Mi", "512Mi"),
        "testFramework": {"enabled": False},
    }


def _facility(node: Node, context: Context) -> Release:
    values = {
        "topics": topics(context.facility),
        "dashboards": {"enabled": node.properties["grafana"]},
        "alerts": {"enabled": True},
        "namespace": context.namespace,
    }
    return Release(
        f"{node.name}-facility",
        NAMESPACE,
        "facility-monitoring",
        values,
        node.name,
        needs=(OPERATOR_CRDS, release_name(node)),
        pod_security="privileged",
    )
