"""Releases made up for the tests of the checks, and a context for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cantiere.errors import Location
from cantiere.model import Facility, Node
from cantiere.services.facts import Facts
from cantiere.values.checks import ChartFiles, check
from cantiere.values.model import PLACEHOLDER, ClusterFacts, Context, Release

WHERE = Location("facility.yaml", 12, 5)
NODES = ("one", "two", "hub", "pool")


def node(name: str, type_name: str = "t.Node", properties: Mapping[str, Any] | None = None, **requirements: tuple[str, ...]) -> Node:
    """A node template."""
    return Node(name, type_name, properties or {}, requirements, WHERE)


def context(cluster: ClusterFacts = PLACEHOLDER, *nodes: Node) -> Context:
    """A facility of the given nodes in a namespace ``facility``."""
    facility = Facility("test", "", nodes or tuple(node(name) for name in NODES), {})
    facts = Facts(facility, f"facility.svc.{cluster.cluster_domain}", {}, "", "", "", {})
    return Context(facility, cluster, facts, "facility", {"iam": "1"})


def real(**changes: Any) -> ClusterFacts:
    """Facts of a cluster that is there."""
    return replace(PLACEHOLDER, **({"api_versions": frozenset({"v1/ConfigMap"}), "storage_classes": {}} | changes))


def release(name: str = "one", chart: str = "chart", values: Mapping[str, Any] | None = None, **more: Any) -> Release:
    """A release of the node of its name."""
    return Release(**{"name": name, "namespace": "facility", "chart": chart, "values": values or {}, "node": name} | more)


def problems(*releases: Release, charts: tuple[ChartFiles, ...] = (), cluster: ClusterFacts = PLACEHOLDER, **rendered: Any) -> list[str]:
    """What the checks find, as ``code path``; ``rendered`` is release name to manifests."""
    return [f"{found.code} {found.path}" for found in full(*releases, charts=charts, cluster=cluster, **rendered)]


def full(*releases: Release, charts: tuple[ChartFiles, ...] = (), cluster: ClusterFacts = PLACEHOLDER, **rendered: Any) -> list[Any]:
    """What the checks find."""
    return check(releases, {chart.name: chart for chart in charts}, context(cluster), rendered)


def workload(spec: Mapping[str, Any] | None = None, container: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A Deployment of one container that keeps to the level ``restricted``."""
    safe = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    one = {"name": "main", "image": "registry.test/one:1", "securityContext": safe} | dict(container or {})
    inner = {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [one]}
    template = {"metadata": {"labels": more.pop("labels", {"app": "one"})}, "spec": inner | dict(spec or {})}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "work", **more}, "spec": {"template": template}}
