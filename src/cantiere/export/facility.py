"""A facility as JSON; its schema is ``docs/reference/facility.schema.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cantiere.errors import Location
from cantiere.model import Condition, Expression, Facility, Node
from cantiere.tosca.constraints import Constraint

VERSION = 1
"""Of the shape: it grows where what is there changes its meaning, not where something is added."""


def as_dict(facility: Facility) -> dict[str, Any]:
    """A facility as JSON knows it."""
    return {
        "version": VERSION,
        "name": facility.name,
        "description": facility.description,
        "nodes": [_node(node) for node in facility.nodes],
        "outputs": _plain(facility.outputs),
        "late": _late(facility.late),
    }


def _node(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": node.name,
        "type": node.type,
        "properties": _plain(node.properties),
        "requirements": {name: list(targets) for name, targets in node.requirements.items()},
        "where": _where(node.where),
    }
    if node.late:
        found["late"] = _late(node.late)
    if node.filters:
        found["filters"] = {name: [_condition(one) for one in conditions] for name, conditions in node.filters.items()}
    return found


def _late(expressions: Mapping[str, Expression]) -> dict[str, Any]:
    return {
        path: {"function": one.function, "type": one.type, "node": one.node, "path": list(one.path), "where": _where(one.where)}
        for path, one in expressions.items()
    }


def _where(place: Location) -> dict[str, Any]:
    return {"file": place.file, "line": place.line, "column": place.column}


def _condition(condition: Condition) -> dict[str, Any]:
    clauses = [{"operator": one.operator, "operand": one.shown} for one in condition.clauses if isinstance(one, Constraint)]
    return {"capability": condition.capability, "property": condition.property, "constraints": clauses}


def _plain(value: Any) -> Any:
    """A value as JSON knows it; what is no number there is a text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
