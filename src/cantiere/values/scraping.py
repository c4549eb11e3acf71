"""Prometheus as network policies and other releases know it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cantiere.services import monitoring
from cantiere.values.model import Context, Link

NAMESPACE = "monitoring"
PROMETHEUS = {"app.kubernetes.io/name": "prometheus"}
SCRAPER: Mapping[str, Any] = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
    "podSelector": {"matchLabels": PROMETHEUS},
}
"""Prometheus as a peer of a network policy, which lets in only pods of its own namespace otherwise."""


def wanted(context: Context) -> bool:
    """Whether the facility has a Prometheus."""
    return bool(context.facility.of_type(monitoring.TYPE))


def link(labels: Mapping[str, str], port: int, context: Context) -> Link:
    """The connection from Prometheus to pods with these labels."""
    return Link(PROMETHEUS, dict(labels), port, "Prometheus reads metrics", NAMESPACE, context.namespace)
