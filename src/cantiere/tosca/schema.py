"""Schemas of properties, and the definitions that a type has together with what it inherits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cantiere.tosca import grammar
from cantiere.tosca.constraints import Constraint, Constraints
from cantiere.tosca.elements import Element, Map, Scalar, Seq, kind
from cantiere.tosca.grammar import empty
from cantiere.tosca.problems import Mark, Problems, quote
from cantiere.tosca.registry import PRIMITIVES, SCALAR, Registry, Type
from cantiere.tosca.scalars import Scale
from cantiere.tosca.units import Units

MAX_NESTING = 16
_STATUS = ("supported", "unsupported", "experimental", "deprecated")


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """What a value has to be.

    Parameters
    ----------
    base:
        ``string``, ``integer``, ``list`` …; ``scalar`` for numbers with units of a data type's own; ``complex`` for a data type with
        properties; ``any`` where the type is unknown.
    data:
        The data type, where one is named.
    entry, key:
        Schemas of the entries and keys of a list or map.
    constraints:
        What else holds, those of the data type included.
    clauses:
        The same as they are written.
    required:
        Whether it must have a value.
    default:
        The value that it has otherwise.
    secret:
        Whether its metadata say that the value is secret.
    mark:
        Where the type is named.
    scale:
        How a scalar of TOSCA 2.0 counts.
    """

    base: str
    mark: Mark
    data: Type | None = None
    entry: Schema | None = None
    key: Schema | None = None
    constraints: tuple[Constraint, ...] = ()
    clauses: tuple[Element, ...] = ()
    required: bool = True
    default: Element | None = None
    secret: bool = False
    scale: Scale | None = None

    @property
    def title(self) -> str:
        """The type's name."""
        return self.data.name if self.data else self.base


@dataclass(frozen=True, slots=True, eq=False)
class Capability:
    """A capability of a node type: its type, and its properties refined by the definition."""

    name: str
    type: Type | None
    properties: dict[str, Schema]
    sources: tuple[Type, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Requirement:
    """A requirement of a node type; ``filter`` is the node filter that its definition has."""

    name: str
    capability: Type | None
    node: Type | None
    relationship: Type | None
    least: int
    most: int | None
    mark: Mark
    filter: Map | None = None


class Definitions:
    """Everything that types define, read once each."""

    def __init__(self, registry: Registry, problems: Problems, constraints: Constraints) -> None:
        self.registry, self.problems, self.constraints = registry, problems, constraints
        self.grammar = registry.grammar
        self.units = Units(registry.grammar)
        self._properties: dict[tuple[Type, str], dict[str, Schema]] = {}
        self._capabilities: dict[Type, dict[str, Capability]] = {}
        self._requirements: dict[Type, dict[str, Requirement]] = {}
        self._data: dict[Type, Schema] = {}

    def schema(self, body: Map, path: str, inherited: Schema | None = None, depth: int = 0) -> Schema:
        """The schema that a property, input, or entry definition gives.

        Parameters
        ----------
        body:
            The definition.
        path:
            Where it stands.
        inherited:
            The definition that it refines.
        """
        if "type" not in body.entries and inherited is not None:
            result = inherited
        else:
            written = self.grammar.text(body, "type", path)
            result = self.named(written, f"{path}.type", depth) if written else Schema("any", body.mark)
        changes: dict[str, Schema] = {}
        for field, keyword in (("entry", "entry_schema"), ("key", "key_schema")):
            if keyword in body.entries:
                if result.base not in (("list", "map", "any") if field == "entry" else ("map", "any")):
                    message = f"A {result.title} has no {keyword}."
                    self.grammar.wrong(body.keys[keyword], message, "Remove it, or make the type a list or map.", f"{path}.{keyword}")
                elif found := self._nested(body.entries[keyword], f"{path}.{keyword}", depth):
                    changes[field] = found
        if changes:
            result = replace(result, entry=changes.get("entry", result.entry), key=changes.get("key", result.key))
        constraints = self.grammar.sequence(body, "constraints", path)
        if constraints:
            result = replace(result, constraints=(*result.constraints, *self.constraints.read(constraints, result, f"{path}.constraints")))
            result = replace(result, clauses=(*result.clauses, *constraints.items))
        return result

    def _nested(self, element: Element, path: str, depth: int) -> Schema | None:
        if depth >= MAX_NESTING:
            self.grammar.wrong(element, f"Schemas are nested more than {MAX_NESTING} deep.", "Define a data type.", path)
        elif isinstance(element, Map):
            self.grammar.keywords(element, grammar.SCHEMA, "schema", path)
            if "type" not in element.entries:
                self.grammar.wrong(element, "A schema names a type.", "Write 'type: string'.", path)
            return self.schema(element, path, None, depth + 1)
        elif isinstance(element, Scalar) and isinstance(element.value, str):
            return self.named(element, path, depth + 1)
        else:
            self.grammar.wrong(element, f"A schema is a mapping with a type, not {kind(element)}.", "Write '{type: string}'.", path)
        return None

    def named(self, written: Scalar, path: str, depth: int = 0) -> Schema:
        """The schema of a type by its name."""
        if written.text in PRIMITIVES:
            return Schema(written.text, written.mark)
        found = self.registry.find("data_types", written)
        if found is None:
            self.registry.unknown("data_types", written, path)
            return Schema("any", written.mark)
        return replace(self.data(found, depth), mark=written.mark)

    def data(self, type_: Type, depth: int = 0) -> Schema:
        """The schema of a data type: complex, or a primitive type with constraints."""
        known = self._data.get(type_)
        if known is not None:
            return known
        self._data[type_] = Schema("complex", type_.mark, type_)
        parent = self.data(type_.ancestors[0], depth) if type_.ancestors else None
        inherited = parent
        derived = type_.body.get("derived_from")
        if inherited is None and isinstance(derived, Scalar) and derived.text in PRIMITIVES:
            inherited = Schema(derived.text, derived.mark)
        elif type_.counts:
            scale = self.units.scale(type_)
            inherited = Schema("any", type_.mark) if scale is None else Schema(SCALAR, type_.mark, scale=scale)
        if inherited is None or (inherited.base == "complex" and "type" not in type_.body.entries):
            result = Schema("complex", type_.mark, type_, constraints=inherited.constraints if inherited else ())
            if type_.body.get("constraints") is not None and not type_.normative:
                message = "Only data types that derive from a primitive type have constraints."
                self.grammar.wrong(type_.body.keys["constraints"], message, "Put them on the properties.", f"{type_.path}.constraints")
        elif depth >= MAX_NESTING:
            result = Schema("any", type_.mark)
        else:
            result = self.schema(type_.body, type_.path, inherited, depth + 1)
        self._data[type_] = result = replace(result, data=type_, mark=type_.mark)
        return result

    def property(self, name: Scalar, element: Element, path: str, inherited: Schema | None = None) -> Schema:
        """The schema of a property definition; a bare word is a type (as the normative types have it)."""
        if isinstance(element, Scalar) and isinstance(element.value, str):
            return self.named(element, path)
        if not isinstance(element, Map):
            self.grammar.wrong(
                name if empty(element) else element, f"A property is a mapping, not {kind(element)}.", "Write its type.", path
            )
            return inherited or Schema("any", name.mark, required=False)
        if "type" not in element.entries and inherited is None:
            self.problems.error("property.untyped", f"{quote(name.text)} has no type.", "Add 'type: string' or another type.", name, path)
        result = self.schema(element, path, inherited)
        required = self.grammar.flag(element, "required", path, inherited.required if inherited else True)
        default = element.entries.get("default", inherited.default if inherited else None)
        status = element.get("status")
        if status is not None and not (isinstance(status, Scalar) and status.text in _STATUS):
            self.grammar.wrong(status, f"A status is one of {', '.join(_STATUS)}.", "Use one of these.", f"{path}.status")
        metadata = element.entries.get("metadata")
        told = metadata.entries.get("secret") if isinstance(metadata, Map) else None
        secret = inherited.secret if inherited and told is None else isinstance(told, Scalar) and told.text.lower() == "true"
        return replace(result, required=required, default=default, secret=secret)

    def properties(self, type_: Type, key: str = "properties") -> dict[str, Schema]:
        """The properties (or attributes) of a type with those that it inherits."""
        known = self._properties.get((type_, key))
        if known is None:
            known = dict(self.properties(type_.ancestors[0], key)) if type_.ancestors else {}
            self._properties[type_, key] = known
            self._refine(known, type_.body, key, type_.path, type_.normative)
        return known

    def _refine(self, known: dict[str, Schema], body: Map, key: str, path: str, normative: bool) -> None:
        for name, element, where in self.grammar.named(body, key, path):
            if isinstance(element, Map) and not normative:
                self.grammar.keywords(element, grammar.PROPERTY, "property definition", where)
            inherited = known.get(name.text)
            known[name.text] = schema = self.property(name, element, where, inherited)
            if inherited is not None and not normative and not _refines(schema, inherited):
                self._other(name, inherited.title, schema.title, where)

    def _other(self, name: Scalar, before: str, now: str, path: str) -> None:
        """Warn of a definition that does not refine the one that it takes the place of: public types do that, though TOSCA forbids it."""
        message = f"{quote(name.text)} is of type {before} in what this derives from; {now} does not derive from that."
        if not self.problems.tolerates("refinement", message, name, path, name.mark.name):
            self.problems.warn("type.refinement", message, f"Use a type that derives from {before}, or another name.", name, path)

    def capabilities(self, type_: Type) -> dict[str, Capability]:
        """The capabilities of a node type with those that it inherits."""
        known = self._capabilities.get(type_)
        if known is None:
            known = dict(self.capabilities(type_.ancestors[0])) if type_.ancestors else {}
            self._capabilities[type_] = known
            for name, element, path in self.grammar.named(type_.body, "capabilities", type_.path):
                inherited = known.get(name.text)
                known[name.text] = capability = self._capability(name, element, path, inherited)
                before, now = inherited.type if inherited else None, capability.type
                if before and now and not now.derives(before):
                    self._other(name, before.name, now.name, path)
        return known

    def _capability(self, name: Scalar, element: Element, path: str, inherited: Capability | None) -> Capability:
        if isinstance(element, Scalar) and isinstance(element.value, str):
            found = self.registry.find("capability_types", element)
            if found is None:
                self.registry.unknown("capability_types", element, path)
            return Capability(name.text, found, self.properties(found) if found else {}, self._sources(found, None))
        if not isinstance(element, Map):
            self.grammar.wrong(name, f"A capability is a mapping, not {kind(element)}.", "Write its type.", path)
            return Capability(name.text, None, {}, ())
        self.grammar.keywords(element, grammar.CAPABILITY_DEFINITION, "capability definition", path)
        self.grammar.occurrences(element, path, (1, None))
        if "type" in element.entries or inherited is None:
            if "type" not in element.entries:
                self.grammar.wrong(name, f"The capability {quote(name.text)} has no type.", "Add its type.", path)
            type_ = self.registry.reference("capability_types", element, "type", path)
            properties = dict(self.properties(type_)) if type_ else {}
        else:
            type_, properties = inherited.type, dict(inherited.properties)
        self.registry.names(element, "valid_source_types", path, "node_types")
        self._refine(properties, element, "properties", path, False)
        return Capability(name.text, type_, properties, self._sources(type_, element))

    def _sources(self, type_: Type | None, body: Map | None) -> tuple[Type, ...]:
        """The node types that may use a capability; empty for all."""
        if body is not None and (found := self.registry.references("node_types", body, "valid_source_types")):
            return tuple(found)
        for owner in type_.chain() if type_ else ():
            if found := self.registry.references("node_types", owner.body, "valid_source_types"):
                return tuple(found)
        return ()

    def requirements(self, type_: Type) -> dict[str, Requirement]:
        """The requirements of a node type with those that it inherits."""
        known = self._requirements.get(type_)
        if known is None:
            known = dict(self.requirements(type_.ancestors[0])) if type_.ancestors else {}
            self._requirements[type_] = known
            for name, element, path in self.grammar.listed(type_.body, "requirements", type_.path):
                inherited = known.get(name.text)
                known[name.text] = requirement = self._requirement(name, element, path, inherited)
                before, now = inherited.node if inherited else None, requirement.node
                if before and now and not now.derives(before):
                    self._other(name, before.name, now.name, path)
        return known

    def _requirement(self, name: Scalar, element: Element, path: str, inherited: Requirement | None) -> Requirement:
        if isinstance(element, Scalar) and isinstance(element.value, str):
            found = self.registry.find("capability_types", element)
            if found is None:
                self.registry.unknown("capability_types", element, path)
            return Requirement(name.text, found, None, None, 1, 1, name.mark)
        if not isinstance(element, Map):
            self.grammar.wrong(name, f"A requirement is a mapping, not {kind(element)}.", "Write its capability.", path)
            return inherited or Requirement(name.text, None, None, None, 0, None, name.mark)
        self.grammar.keywords(element, grammar.REQUIREMENT_DEFINITION, "requirement definition", path)
        if "capability" not in element.entries and inherited is None:
            self.grammar.wrong(name, f"The requirement {quote(name.text)} names no capability type.", "Add 'capability:'.", path)
        capability = self.registry.reference("capability_types", element, "capability", path)
        node = self.registry.reference("node_types", element, "node", path)
        relationship = element.get("relationship")
        holder, key, where = element, "relationship", path
        if isinstance(relationship, Map):
            self.grammar.keywords(relationship, grammar.RELATIONSHIP_ASSIGNMENT, "relationship", f"{path}.relationship")
            holder, key, where = relationship, "type", f"{path}.relationship"
        link = self.registry.reference("relationship_types", holder, key, where)
        least, most = self.grammar.occurrences(element, path, (inherited.least, inherited.most) if inherited else (1, 1))
        return Requirement(
            name.text,
            capability or (inherited.capability if inherited else None),
            node or (inherited.node if inherited else None),
            link or (inherited.relationship if inherited else None),
            least,
            most,
            name.mark,
            self.grammar.mapping(element, "node_filter", path) or (inherited.filter if inherited else None),
        )

    def targets(self, relationship: Type) -> list[Type]:
        """The capability types (or node types) that a relationship type may point at; empty for all."""
        body = self.registry.nearest(relationship, "valid_target_types", lambda element: isinstance(element, Seq))
        names = [item for item in body.items if isinstance(item, Scalar)] if isinstance(body, Seq) else []
        sections = ("capability_types", "node_types")
        return [found for name in names for section in sections if (found := self.registry.find(section, name)) is not None]


def _refines(schema: Schema, inherited: Schema) -> bool:
    """Whether a definition of a derived type may stand in place of the one that it inherits."""
    if "any" in (schema.base, inherited.base):
        return True
    if schema.base != inherited.base:
        return False
    return inherited.data is None or (schema.data is not None and schema.data.derives(inherited.data))
