"""What a type is, in words: where it comes from, what it has, and an example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cantiere.declared import clauses, mapping, plain, profile, text
from cantiere.errors import CantiereError, Problem
from cantiere.export.written import dump
from cantiere.tosca.grammar import TYPE_SECTIONS
from cantiere.tosca.problems import Problems
from cantiere.tosca.registry import Type
from cantiere.tosca.scalars import EXAMPLES
from cantiere.tosca.schema import Definitions, Requirement, Schema

SAMPLES: Mapping[str, Any] = {
    "string": "text",
    "integer": 1,
    "float": 1.0,
    "boolean": True,
    "version": "1.0.0",
    "timestamp": "2030-01-31T12:00:00Z",
    "range": [1, 4],
    "list": [],
    "map": {},
    **EXAMPLES,
}
TEXTS = (
    "text",
    "env:NAME",
    "https://example.org",
    "https://example.org/token",
    "name@example.org",
    "example.org",
    "/data",
    "1.0.0",
    "192.0.2.0/24",
    "192.0.2.1:3128",
    "Kind/name",
    "0" * 64,
)
"""Texts of which one often matches what a property asks for."""
DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The types of the profile and those that TOSCA itself defines.

    Parameters
    ----------
    definitions:
        What they define.
    """

    definitions: Definitions

    def own(self) -> tuple[Type, ...]:
        """The types of the profile."""
        return tuple(
            type_ for section in TYPE_SECTIONS for type_ in self.definitions.registry.types[section].values() if not type_.normative
        )

    def find(self, name: str) -> Type:
        """The type of that name; its last part is enough where no other type ends so.

        Raises
        ------
        CantiereError
            There is none, or there are several.
        """
        registry = self.definitions.registry
        everything = [type_ for section in TYPE_SECTIONS for type_ in registry.types[section].values()]
        ending = [type_ for type_ in everything if type_.name == name]
        ending = ending or [type_ for type_ in everything if type_.name.endswith(f".{name}")]
        own = [type_ for type_ in ending if not type_.normative]
        if len(own or ending) == 1:
            return (own or ending)[0]
        if ending:
            names = ", ".join(type_.name for type_ in ending)
            raise CantiereError(Problem("type.several", f"several types are called {name!r}", f"use one of: {names}", path=name))
        known = [word for type_ in everything for word in (type_.name, type_.name.rpartition(".")[2])]
        hint = Problems().suggest(name, known, "see `cantiere types` for all of them")
        raise CantiereError(Problem("type.unknown", f"there is no type {name!r}", hint, path=name))

    def sheet(self, type_: Type) -> dict[str, Any]:
        """What a type is, as JSON knows it."""
        definitions = self.definitions
        found: dict[str, Any] = {
            "name": type_.name,
            "kind": TYPE_SECTIONS[type_.section],
            "description": " ".join(text(type_.body.get("description")).split()),
            "file": type_.mark.name,
            "line": type_.mark.line + 1,
            "derived_from": [parent.name for parent in type_.ancestors],
            "properties": self.properties(definitions.properties(type_), type_),
        }
        attributes = self.properties(definitions.properties(type_, "attributes"), type_, "attributes")
        if attributes:
            found["attributes"] = [{**one, "required": False} for one in attributes]
        if type_.section == "node_types":
            found["requirements"] = [_requirement(one) for one in definitions.requirements(type_).values()]
            offers = definitions.capabilities(type_).values()
            found["capabilities"] = [{"name": one.name, "type": one.type.name if one.type else ""} for one in offers]
            found["example"] = self.example(type_)
        elif type_.section == "data_types":
            base = definitions.data(type_)
            found["example"] = dump({"value": self.sample(base)})
        return found

    def properties(self, schemas: Mapping[str, Schema], owner: Type, key: str = "properties") -> list[dict[str, Any]]:
        """Properties of a type as its sheet lists them."""
        return [_property(name, schema, described(owner, name, key)) for name, schema in schemas.items()]

    def example(self, type_: Type) -> str:
        """A node template of a type, with the properties and requirements that it cannot do without."""
        name = type_.name.rpartition(".")[2].lower()
        node: dict[str, Any] = {"type": type_.name}
        needed = {key: self.sample(schema) for key, schema in self.definitions.properties(type_).items() if _needed(schema)}
        if needed:
            node["properties"] = needed
        asked = [{one.name: self._name(one)} for one in self.definitions.requirements(type_).values() if one.least > 0]
        if asked:
            node["requirements"] = asked
        return dump({name: node})

    def sample(self, schema: Schema, depth: int = 0) -> Any:
        """A value that a schema could have."""
        if schema.default is not None:
            return plain(schema.default)
        rules = dict(clauses(schema))
        if rules.get("valid_values"):
            return rules["valid_values"][0]
        if schema.base in ("integer", "float"):
            bounds = (*rules.get("in_range", ()), rules.get("greater_or_equal"), rules.get("equal"), 1)
            return next(bound for bound in bounds if type(bound) in (int, float))
        if schema.base == "complex" and schema.data is not None and depth < DEEPEST:
            inner = self.definitions.properties(schema.data)
            return {name: self.sample(one, depth + 1) for name, one in inner.items() if _needed(one)}
        if schema.base == "string":
            return next((word for word in TEXTS if not any(one.broken(word) for one in schema.constraints)), TEXTS[0])
        return f"1 {schema.scale.canonical}" if schema.scale is not None else SAMPLES.get(schema.base, TEXTS[0])

    def target(self, one: Requirement) -> Type | None:
        """The first type whose nodes could fulfil a requirement; the one that it names where that does."""
        nodes = self.definitions.registry.types["node_types"].values()
        wanted = [type_ for type_ in nodes if one.node is None or type_.derives(one.node)]
        fitting = [type_ for type_ in wanted if one.capability is None or self._offers(type_, one.capability)]
        return next(iter(sorted(fitting, key=lambda type_: type_ is not one.node)), one.node)

    def _offers(self, type_: Type, capability: Type) -> bool:
        return any(offer.type is not None and offer.type.derives(capability) for offer in self.definitions.capabilities(type_).values())

    def _name(self, one: Requirement) -> str:
        found = self.target(one)
        return found.name.rpartition(".")[2].lower() if found else one.name


def catalogue() -> Catalogue:
    """The types of the profile."""
    return Catalogue(profile()[0])


def described(owner: Type, name: str, key: str = "properties") -> str:
    """What a type, or the nearest that it derives from, says of a property."""
    for type_ in owner.chain():
        body = mapping(mapping(type_.body.get(key)).get(name))
        if said := text(body.get("description")):
            return " ".join(said.split())
    return ""


def title(schema: Schema) -> str:
    """A schema's type as a person reads it: ``list of string``."""
    return f"{schema.title} of {title(schema.entry)}" if schema.entry is not None else schema.title


def _needed(schema: Schema) -> bool:
    return schema.required and schema.default is None


def _property(name: str, schema: Schema, description: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "type": title(schema), "required": _needed(schema)}
    if schema.default is not None:
        found["default"] = plain(schema.default)
    if schema.clauses:
        found["constraints"] = [{operator: operand} for operator, operand in clauses(schema)]
    return {**found, "description": description}


def _requirement(one: Requirement) -> dict[str, Any]:
    return {
        "name": one.name,
        "capability": one.capability.name if one.capability else "",
        "node": one.node.name if one.node else "",
        "relationship": one.relationship.name if one.relationship else "",
        "least": one.least,
        "most": one.most,
    }
