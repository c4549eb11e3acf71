"""Values of the types that the profile declares, to put where a template has an empty list or map. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SIZE = 8 << 30
"""Bytes of a made-up size."""
TIME = 120.0
DEEPEST = 4
NUMBER = {"integer": 2, "float": 2.0, "scalar-unit.size": SIZE, "scalar-unit.time": TIME, "boolean": True, "string": "other"}


def samples(profile: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
    """Node type and property to a value with one entry, for all properties that are lists or maps.

    Parameters
    ----------
    profile:
        The documents of ``tosca/types``.
    """
    documents = list(profile)
    data = {name: item for document in documents for name, item in document.get("data_types", {}).items()}
    types = {name: item for document in documents for name, item in document.get("node_types", {}).items()}
    found: dict[tuple[str, str], Any] = {}
    for name in types:
        for key, definition in _properties(name, types).items():
            if definition.get("type") in ("list", "map"):
                found[name, key] = sample(definition, data)
    return found


def sample(definition: Mapping[str, Any], data: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that a property's definition takes, as a facility has it: sizes in bytes, times in seconds.

    Parameters
    ----------
    definition:
        ``type``, ``entry_schema`` and ``constraints``, as TOSCA writes them.
    data:
        Data types by name.
    """
    kind = definition.get("type", "string")
    for clause in definition.get("constraints", []):
        if "valid_values" in clause:
            return clause["valid_values"][0]
    if kind in ("list", "map"):
        entry = definition.get("entry_schema") or {"type": "string"}
        one = sample(entry if isinstance(entry, Mapping) else {"type": entry}, data, depth + 1) if depth < DEEPEST else None
        if one is None:
            return [] if kind == "list" else {}
        return [one] if kind == "list" else {"other": one}
    if kind in data:
        return {key: sample(item, data, depth + 1) for key, item in _properties(kind, data).items()}
    return NUMBER.get(kind, "other")


def _properties(name: str, types: Mapping[str, Any]) -> dict[str, Any]:
    """Definitions of a type's properties, with those that it inherits."""
    if name not in types:
        return {}
    return {**_properties(str(types[name].get("derived_from")), types), **types[name].get("properties", {})}
