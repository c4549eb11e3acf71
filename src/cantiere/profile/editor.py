"""A JSON Schema of templates of the profile, by which editors complete and check them. It is draft 7: editors know that one best."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cantiere.declared import clauses, plain, text
from cantiere.profile.sheets import Catalogue, described
from cantiere.tosca import grammar
from cantiere.tosca.registry import PRIMITIVES, Type
from cantiere.tosca.scalars import units
from cantiere.tosca.schema import Requirement, Schema
from cantiere.tosca.values import FUNCTIONS

Rules = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
OURS = "^(cantiere|tosca\\.nodes\\.(Root|Compute|SoftwareComponent))"
VALUE = {"$ref": "#/definitions/function"}
DEEPEST = 8


def schema(types: Catalogue) -> Rules:
    """The schema of a template.

    Parameters
    ----------
    types:
        The profile.
    """
    return _Editor(types).document()


class _Editor:
    def __init__(self, types: Catalogue) -> None:
        self.types, self.definitions = types, types.definitions
        self.nodes = [type_ for type_ in types.definitions.registry.types["node_types"].values()]
        self.data: dict[str, Rules] = {}

    def document(self) -> Rules:
        found = [self.node(type_) for type_ in self.nodes]
        names = [type_.name for type_ in self.nodes]
        known = sorted({type_.name for type_ in self.definitions.registry.types["data_types"].values()} | PRIMITIVES)
        keywords: Rules = {name: {} for name in grammar.SERVICE_TEMPLATE}
        keywords |= {
            "tosca_definitions_version": {"enum": list(grammar.VERSIONS), "description": "Version of TOSCA that the file is written in."},
            "description": {"type": "string"},
            "metadata": {
                "type": "object",
                "description": "What the template says of itself.",
                "properties": {"template_name": {"type": "string"}},
            },
            "imports": {"type": "array", "description": "Files of types.", "items": {"type": ["string", "object"]}},
            "topology_template": {"$ref": "#/definitions/topology"},
            **{section: {"type": "object", "additionalProperties": {"type": "object"}} for section in grammar.TYPE_SECTIONS},
        }
        return {
            "$schema": DRAFT,
            "title": "Service template of the cantiere profile",
            "type": "object",
            "required": ["tosca_definitions_version"],
            "properties": keywords,
            "additionalProperties": False,
            "definitions": {
                "function": {"type": "object", "minProperties": 1, "maxProperties": 1, "propertyNames": {"enum": list(FUNCTIONS)}},
                "topology": self.topology(),
                "input": _definition(known),
                "node": {
                    "type": "object",
                    "required": ["type"],
                    "properties": {
                        **{name: {} for name in grammar.NODE_TEMPLATE},
                        "type": {
                            "anyOf": [{"enum": names}, {"type": "string", "not": {"pattern": OURS}}],
                            "description": "Type of the node.",
                        },
                        "properties": {"type": "object"},
                        "requirements": {"type": "array"},
                    },
                    "additionalProperties": False,
                    "allOf": found,
                },
                **self.data,
            },
        }

    def topology(self) -> Rules:
        keywords: Rules = {name: {} for name in grammar.TOPOLOGY}
        keywords |= {
            "inputs": {"type": "object", "additionalProperties": {"$ref": "#/definitions/input"}},
            "node_templates": {"type": "object", "additionalProperties": {"$ref": "#/definitions/node"}},
            "outputs": {"type": "object", "additionalProperties": {"type": "object", "required": ["value"]}},
        }
        return {"type": "object", "properties": keywords, "additionalProperties": False}

    def node(self, type_: Type) -> Rules:
        """What a node template of a type has."""
        schemas = self.definitions.properties(type_)
        properties = self.properties(schemas, type_)
        needed = [name for name, one in schemas.items() if one.required and one.default is None]
        keywords: Rules = {
            "properties": properties,
            "requirements": {"type": "array", "items": _requirements(self.definitions.requirements(type_).values())},
            "capabilities": self.capabilities(type_),
        }
        then: Rules = {"description": _description(type_), "properties": keywords}
        if needed:
            then["required"] = ["properties"]
        return {"if": {"properties": {"type": {"const": type_.name}}, "required": ["type"]}, "then": then}

    def capabilities(self, type_: Type) -> Rules:
        offers = self.definitions.capabilities(type_)
        found = {}
        for name, one in offers.items():
            inner = {key: self.value(rule, described(one.type, key) if one.type else "") for key, rule in one.properties.items()}
            properties = {"type": "object", "properties": inner, "additionalProperties": False}
            found[name] = {"type": "object", "properties": {**{key: {} for key in grammar.CAPABILITY_ASSIGNMENT}, "properties": properties}}
        return {"type": "object", "properties": found, "additionalProperties": False}

    def properties(self, schemas: Mapping[str, Schema], owner: Type, depth: int = 0) -> Rules:
        """The properties of a type."""
        needed = [name for name, one in schemas.items() if one.required and one.default is None]
        found: Rules = {
            "type": "object",
            "properties": {name: self.value(one, described(owner, name), depth) for name, one in schemas.items()},
            "additionalProperties": False,
        }
        return {**found, "required": needed} if needed else found

    def value(self, one: Schema, description: str, depth: int = 0) -> Rules:
        """A property: a value, or a function that gives one."""
        rules: Rules = {"anyOf": [self.rules(one, depth), VALUE]}
        if description:
            rules["description"] = description
        if one.default is not None:
            rules["default"] = plain(one.default)
        return rules

    def rules(self, one: Schema, depth: int) -> Rules:
        """What a value has to be."""
        base = one.base
        if base == "complex" and one.data is not None:
            return self.complex(one.data, depth)
        if base in ("list", "map"):
            inner = self.value(one.entry, "", depth + 1) if one.entry is not None and depth < DEEPEST else {}
            return {"type": "array", "items": inner} if base == "list" else {"type": "object", "additionalProperties": inner}
        if base == "range":
            return {"type": "array", "minItems": 2, "maxItems": 2}
        if base.startswith("scalar-unit."):
            return {"type": "string", "pattern": _scalar_pattern(base)}
        plain_type = {
            "string": "string",
            "integer": "integer",
            "float": "number",
            "boolean": "boolean",
            "timestamp": "string",
            "scalar": "string",
        }.get(base)
        if plain_type is None:
            return {}
        return {"type": plain_type, **_constraints(one)}

    def complex(self, type_: Type, depth: int) -> Rules:
        """A data type, described once."""
        name = f"data:{type_.name}"
        if name not in self.data and depth < DEEPEST:
            self.data[name] = {}
            schemas = self.definitions.properties(type_)
            self.data[name] = self.properties(schemas, type_, depth + 1) if schemas else {"type": "object"}
        return {"$ref": f"#/definitions/{name}"} if name in self.data else {"type": "object"}


def _description(type_: Type) -> str:
    return " ".join(text(type_.body.get("description")).split())


def _requirements(found: Iterable[Requirement]) -> Rules:
    """One entry of a node's requirements."""
    names: Rules = {}
    for one in found:
        wanted = one.node or one.capability
        names[one.name] = {"type": ["string", "object"], "description": f"Node template of type {wanted.name}" if wanted else ""}
    return {"type": "object", "minProperties": 1, "maxProperties": 1, "properties": names, "additionalProperties": False}


def _definition(known: list[str]) -> Rules:
    """The declaration of an input."""
    keywords: Rules = {name: {} for name in grammar.INPUT}
    keywords |= {
        "type": {"anyOf": [{"enum": known}, {"type": "string", "pattern": r"\."}], "description": "Type of the value."},
        "description": {"type": "string"},
        "required": {"type": "boolean"},
        "constraints": {"type": ["array", "object"]},
    }
    return {"type": "object", "properties": keywords, "additionalProperties": False}


def _constraints(one: Schema) -> Rules:
    """Constraints that JSON Schema knows too."""
    found: Rules = {}
    every: list[Rules] = []
    for operator, operand in clauses(one):
        if operator == "valid_values":
            every.append({"enum": operand})
        elif operator == "equal":
            every.append({"const": operand})
        elif operator == "pattern":
            every.append({"pattern": f"^(?:{operand})$"})
        elif operator in _LENGTHS:
            found |= {key: operand for key in _LENGTHS[operator]}
        elif one.base in ("integer", "float"):
            bounds = operand if operator == "in_range" else (operand,)
            found |= {key: bound for key, bound in zip(_BOUNDS[operator], bounds, strict=True) if bound != "UNBOUNDED"}
    if len(every) == 1:
        return found | every[0]
    return {**found, "allOf": every} if every else found


_LENGTHS = {"length": ("minLength", "maxLength"), "min_length": ("minLength",), "max_length": ("maxLength",)}
_BOUNDS = {
    "in_range": ("minimum", "maximum"),
    "greater_or_equal": ("minimum",),
    "less_or_equal": ("maximum",),
    "greater_than": ("exclusiveMinimum",),
    "less_than": ("exclusiveMaximum",),
}


def _scalar_pattern(base: str) -> str:
    """A number with a unit, whose case matters for bit rates alone."""
    folded = base != "scalar-unit.bitrate"
    names = sorted(units(base), key=len, reverse=True)
    letters = ["".join(f"[{char.lower()}{char.upper()}]" for char in name) if folded else re.escape(name) for name in names]
    return rf"^\s*[0-9]+(\.[0-9]+)?\s*({'|'.join(letters)})\s*$"
