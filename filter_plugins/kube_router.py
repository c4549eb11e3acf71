"""Filter: the objects of kube-router. Thin: the body is :mod:`cantiere.kubernetes.kube_router`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cantiere.kubernetes import kube_router
from cantiere.kubernetes.text import documents, plain


def kube_router_manifests(settings: Mapping[str, Any]) -> str:
    """The objects as YAML documents."""
    return documents(kube_router.manifests(**plain(settings)))


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"kube_router_manifests": kube_router_manifests}
