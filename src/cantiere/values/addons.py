"""What the compilers of the platform's own add-ons share. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node

MONITORING = "cantiere.nodes.Monitoring"
POOL = "cantiere.nodes.MachinePool"
OPERATOR_CRDS = "prometheus-operator-crds"
"""Release of the definitions without which no ServiceMonitor can be made."""


def enabled(node: Node) -> bool:
    """Whether a node is there."""
    return bool(node.properties.get("enabled", True))


def active(facility: Facility, *types: str) -> tuple[Node, ...]:
    """The enabled nodes of these types, in the template's order."""
    return tuple(node for node in facility.nodes if node.type in types and enabled(node))


def problem(area: str, reason: str, message: str, remedy: str, node: Node) -> Problem:
    """What is wrong with a node."""
    return Problem(f"{area}.{reason}", message, remedy, node.where, node.name)


Rule = tuple[str, bool, str, str]
"""The reason, whether it is wrong, what is wrong, and the remedy."""


def broken(area: str, node: Node, rules: Iterable[Rule]) -> list[Problem]:
    """What is wrong with a node by the rules of its kind; one that is turned off breaks none."""
    return [problem(area, reason, message, remedy, node) for reason, wrong, message, remedy in rules if wrong and enabled(node)]


def several(node: Node, facility: Facility, both: str, remedy: str = "leave one of them") -> Rule:
    """The rule that a facility has one enabled node of a type; told once, of the second.

    Parameters
    ----------
    both:
        Why there cannot be more: what two of them both do.
    """
    others = [other.name for other in active(facility, node.type)]
    return "several", len(others) > 1 and node.name == others[1], f"{' and '.join(others)} both {both}", remedy


def resources(cpu: str, memory: str, limit: str = "") -> dict[str, Any]:
    """Requests of cores and memory, and a limit of memory (the request where none is given); cores are never limited."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit or memory}}


def definitions(group: str, names: Iterable[str]) -> tuple[str, ...]:
    """CustomResourceDefinitions of an API group, as :attr:`Release.owns` writes them."""
    return tuple(f"CustomResourceDefinition/{name}.{group}" for name in names)


def has_operator(facility: Facility) -> bool:
    """Whether the template has monitoring, and with it the definitions without which no ServiceMonitor can be made."""
    return bool(active(facility, MONITORING))


def machines(facility: Facility, *roles: str) -> int:
    """How many machines of the template have one of these roles of the cluster."""
    return sum(pool.properties["count"] for pool in facility.of_type(POOL) if set(roles) & set(pool.properties["roles"]))


def spread(labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Constraint that keeps pods with these labels on different nodes where there are enough of them."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(labels)},
        }
    ]
