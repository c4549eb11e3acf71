"""What the facility's namespace may use and who may reach it: a quota, default requests, a shut door, and priority classes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node
from cantiere.values.addons import active, broken, enabled, several
from cantiere.values.model import Context, Release
from cantiere.values.units import quantity

TYPE = "cantiere.nodes.NamespacePolicies"
RELEASE = "namespace-policies"
PRIORITIES: Mapping[str, tuple[int, bool, str]] = {
    "facility-services": (100000, True, "Central services: the hub, the pool's heads, caches, stores."),
    "facility-interactive": (10000, True, "Notebooks: people wait for them."),
    "facility-batch": (1000, False, "Workers: they take what is left."),
}
"""Name of a priority class to its value, whether it pushes others away, and what it is for."""

_AREA = "policies"


def needs(facility: Facility) -> tuple[str, ...]:
    """Releases after which pods may name a class of :data:`PRIORITIES`."""
    return tuple(RELEASE for node in active(facility, TYPE)[:1] if node.properties["priorities"])


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The one release of a node.

    Parameters
    ----------
    node:
        A node of :data:`TYPE`.
    context:
        The facility and its cluster.
    """
    given = node.properties
    classes = PRIORITIES if given["priorities"] else {}
    values: dict[str, Any] = {
        "quota": _quota(given),
        "defaults": {"requests": {"cpu": "50m", "memory": "64Mi"} if given["default_requests"] else {}, "limits": {}},
        "shut": given["shut"],
        "priorities": {
            name: {"value": value, "preempts": preempts, "description": text} for name, (value, preempts, text) in classes.items()
        },
    }
    return (
        Release(
            RELEASE,
            context.namespace,
            RELEASE,
            values,
            node.name,
            installed=enabled(node),
            owns=tuple(f"PriorityClass/{name}" for name in classes),
        ),
    )


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between a namespace's policies and others of the template."""
    return broken(_AREA, node, [several(node, facility, "hold the policies of the facility's namespace")])


def _quota(given: Mapping[str, Any]) -> dict[str, str]:
    """Hard limits, of those that are set; limits of memory equal what may be asked for, as the facility's charts write them."""
    found = {}
    if given.get("max_cpus"):
        found["requests.cpu"] = str(given["max_cpus"])
    if given.get("max_memory"):
        found["requests.memory"] = quantity(given["max_memory"])
    if given.get("max_storage"):
        found["requests.storage"] = quantity(given["max_storage"])
    if given.get("max_pods"):
        found["pods"] = str(given["max_pods"])
    if given.get("max_gpus") is not None:
        found["requests.nvidia.com/gpu"] = str(given["max_gpus"])
    return found
