"""Spark: Kubeflow's operator. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node
from cantiere.values.addons import OPERATOR_CRDS, broken, definitions, enabled, has_operator, resources
from cantiere.values.model import Context, Release

TYPE = "cantiere.nodes.SparkOperator"
NAMESPACE = "spark-operator"
ACCOUNT = "spark"
"""ServiceAccount of drivers in each of the namespaces."""
KINDS = ("scheduledsparkapplications", "sparkapplications", "sparkconnects")


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The operator by its chart 2.5.2, in a namespace of its own."""
    told = node.properties
    many = told["replicas"] > 1
    watched = has_operator(context.facility)
    part: dict[str, Any] = {
        "replicas": told["replicas"],
        "resources": resources("50m", "300Mi"),
        "leaderElection": {"enable": True},
        "podDisruptionBudget": {"enable": many},
    }
    values = {
        "fullnameOverride": node.name,
        "hook": {"upgradeCrd": False},
        "controller": {**part, "uiIngress": {"enable": False}},
        "webhook": {**part, "enable": True, "failurePolicy": "Fail", "resourceQuotaEnforcement": {"enable": True}},
        "spark": {
            "jobNamespaces": list(told["namespaces"]) or [context.namespace],
            "serviceAccount": {"create": True, "name": ACCOUNT},
            "rbac": {"create": True},
        },
        "prometheus": {"metrics": {"enable": True}, "podMonitor": {"create": watched}},
    }
    return (
        Release(
            name=node.name,
            namespace=NAMESPACE,
            chart="spark-operator",
            values=values,
            node=node.name,
            needs=(OPERATOR_CRDS,) if watched else (),
            installed=enabled(node),
            pod_security="restricted",
            owns=definitions("sparkoperator.k8s.io", KINDS),
        ),
    )


def check(node: Node, facility: Facility) -> list[Problem]:
    """Namespaces that are listed twice, or that the operator would share with its own pods."""
    namespaces = list(node.properties["namespaces"])
    rules = (
        ("namespaces", len(set(namespaces)) < len(namespaces), "a namespace is listed twice", "list each once"),
        (
            "namespace",
            NAMESPACE in namespaces,
            f"applications would run beside the operator itself in {NAMESPACE}",
            "list namespaces of users, or none for the facility's",
        ),
    )
    return broken("spark", node, rules)
