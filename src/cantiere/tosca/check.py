"""What is checked of types, inputs, outputs and all that stands in a template beside its nodes."""

from __future__ import annotations

from typing import Any

from cantiere.model import Expression
from cantiere.tosca import grammar
from cantiere.tosca.elements import Element, Map, Scalar, Seq, kind
from cantiere.tosca.functions import Scope
from cantiere.tosca.grammar import Grammar, join
from cantiere.tosca.lifecycle import Lifecycle
from cantiere.tosca.members import SECTION, Members
from cantiere.tosca.problems import Problems, listed, quote
from cantiere.tosca.registry import Type
from cantiere.tosca.schema import Definitions, Schema
from cantiere.tosca.topology import Template, Topology
from cantiere.tosca.values import Values, Void, call

NOT_RUN = {
    "groups": "Groups are checked, and nothing uses them",
    "policies": "Policies are checked, and not carried out",
    "substitution_mappings": "Substitution mappings are checked, and not used",
}
NOT_RUN_NODE = {
    "interfaces": "Interfaces are checked, and without a workflow nothing calls them",
    "artifacts": "Artifacts are checked, and without a workflow nothing uses them",
}


class Checker:
    """Checks what compiling alone would not look at."""

    def __init__(self, definitions: Definitions, values: Values, topology: Topology, problems: Problems) -> None:
        self.definitions, self.values, self.topology, self.problems = definitions, values, topology, problems
        self.registry = definitions.registry
        self.grammar = Grammar(problems)
        self.assigned: dict[Template, dict[str, dict[str, Any]]] = {}
        self.late: dict[str, Expression] = {}
        self.expected: dict[Template, dict[str, Expression]] = {}
        self.lifecycle = Lifecycle(self.registry, problems)
        self.workflows = False

    def types(self) -> None:
        """Check every type that TOSCA itself does not define."""
        for type_ in self.registry.own():
            allowed = grammar.SCALAR_TYPE if type_.counts else grammar.TYPES.get(type_.section)
            if allowed is not None:
                self.grammar.keywords(type_.body, allowed, grammar.TYPE_SECTIONS[type_.section], type_.path)
            for key in ("properties", "attributes"):
                self._defaults(type_, key)
            if type_.section == "data_types":
                self.definitions.data(type_)
            if type_.section == "node_types":
                self.definitions.capabilities(type_)
                self.definitions.requirements(type_)
            self.registry.names(type_.body, "valid_source_types", type_.path, "node_types")
            self.registry.names(type_.body, "valid_target_types", type_.path, "capability_types", "node_types")

    def _defaults(self, type_: Type, key: str) -> None:
        """Check the defaults that a type writes against its schemas."""
        schemas = self.definitions.properties(type_, key)
        body = type_.body.get(key)
        for name in body.entries if isinstance(body, Map) else ():
            schema = schemas[name]
            definition = body.entries[name] if isinstance(body, Map) else None
            if schema.default is not None and isinstance(definition, Map) and "default" in definition.entries:
                self.values.convert(schema.default, schema, None, f"{type_.path}.{key}.{name}.default")

    def topology_keywords(self, body: Map) -> None:
        """Check the keywords of ``topology_template``, and tell what is not carried out."""
        self.grammar.keywords(body, grammar.TOPOLOGY, "topology template", SECTION)
        self.workflows = "workflows" in body.entries
        for keyword, what in NOT_RUN.items():
            if keyword in body.entries:
                self.problems.warn(
                    "topology.unused", f"{what}.", "Remove them if they are not needed.", body.keys[keyword], f"{SECTION}.{keyword}"
                )
        Members(self).check(body)

    def relationship_templates(self, body: Map) -> None:
        """Check the properties of relationship templates."""
        for name, entry, path in self.grammar.named(body, "relationship_templates", SECTION):
            type_ = self.topology.relationships.get(name.text)
            if type_ is not None and isinstance(entry, Map):
                written = self.grammar.mapping(entry, "properties", path)
                schemas = self.definitions.properties(type_)
                self.values.assign(written, schemas, Scope(None), f"{path}.properties", name, f"A {type_.name}")

    def node(self, template: Template) -> dict[str, Any]:
        """Check a node template; its properties, defaults applied."""
        for keyword, what in NOT_RUN_NODE.items():
            if keyword in template.body.entries and not self.workflows:
                key = template.body.keys[keyword]
                self.problems.warn("node.unused", f"{what}.", "Remove them if they are not needed.", key, f"{template.path}.{keyword}")
        self.lifecycle.node(template)
        if template.type is None:
            return {}
        scope = Scope(template)
        self.grammar.mapping(template.body, "properties", template.path)
        what = f"A {template.type.name}"
        late = self.values.functions.late
        late.places.clear()
        values = self.values.assign(
            template.properties, self.definitions.properties(template.type), scope, f"{template.path}.properties", template, what
        )
        if late.places:
            self.expected[template] = late.expressions(f"{template.path}.properties.")
        attributes = self.grammar.mapping(template.body, "attributes", template.path)
        known = {**self.definitions.properties(template.type), **self.definitions.properties(template.type, "attributes")}
        for key, element in attributes.items() if attributes else ():
            path = f"{template.path}.attributes.{key.text}"
            if key.text in known:
                self.values.convert(element, known[key.text], scope, path)
            else:
                remedy = self.problems.suggest(key.text, known, f"It has: {listed(known)}.")
                self.problems.error("attribute.unknown", f"{what} has no attribute {quote(key.text)}.", remedy, key, path)
        self._capabilities(template, scope)
        return {} if isinstance(values, Void) else values

    def _capabilities(self, template: Template, scope: Scope) -> None:
        """Check what a node template assigns to its capabilities."""
        assert template.type is not None
        known = self.definitions.capabilities(template.type)
        written = self.grammar.mapping(template.body, "capabilities", template.path)
        for key, element in written.items() if written else ():
            path = f"{template.path}.capabilities.{key.text}"
            capability = known.get(key.text)
            if capability is None:
                remedy = self.problems.suggest(key.text, known, f"It has: {listed(known)}.")
                message = f"A {template.type.name} has no capability {quote(key.text)}."
                self.problems.error("capability.unknown", message, remedy, key, path)
                continue
            if not isinstance(element, Map):
                self.grammar.wrong(element, f"A capability is a mapping, not {kind(element)}.", "Write 'properties:' in it.", path)
                continue
            self.grammar.keywords(element, grammar.CAPABILITY_ASSIGNMENT, "capability", path)
            self.grammar.occurrences(element, path, (1, None))
            properties = self.grammar.mapping(element, "properties", path)
            if capability.type is not None:
                what = f"A {capability.type.name}"
                values = self.values.assign(properties, capability.properties, scope, f"{path}.properties", key, what)
                self.assigned.setdefault(template, {})[key.text] = {} if isinstance(values, Void) else values

    def inputs(self, body: Map) -> dict[str, tuple[Scalar, Schema]]:
        """Input name to where it is declared and its schema; defaults are checked."""
        found: dict[str, tuple[Scalar, Schema]] = {}
        for name, entry, path in self.grammar.maps(body, "inputs", SECTION, "input"):
            self.grammar.keywords(entry, grammar.INPUT, "input", path)
            schema = self.definitions.property(name, entry, path, None if "type" in entry.entries else _untyped(name))
            found[name.text] = name, schema
        return found

    def outputs(self, body: Map) -> dict[str, Any]:
        """Output name to its value, None where only the running facility knows it."""
        found: dict[str, Any] = {}
        self.values.functions.late.places.clear()
        for name, entry, path in self.grammar.maps(body, "outputs", SECTION, "output"):
            self.grammar.keywords(entry, grammar.OUTPUT, "output", path)
            element = entry.get("value")
            if element is None:
                self.problems.error("output.missing", f"The output {quote(name.text)} has no value.", "Add 'value:'.", name, path)
                continue
            if "type" in entry.entries:
                value = self.values.convert(element, self.definitions.schema(entry, path), Scope(None), f"{path}.value")
            else:
                value = self.values.untyped(element, Scope(None), f"{path}.value")
            if value is Void.ABSENT and call(element) != "get_input":
                message = f"The output {quote(name.text)} can never have a value: what it refers to is not given."
                self.problems.error(
                    "output.absent", message, "Give that a value or a default, or remove the output.", element, f"{path}.value"
                )
            found[name.text] = None if isinstance(value, Void) else value
            found_late = self.values.functions.late.expressions(f"{path}.value")
            self.late |= {name.text + rest: expression for rest, expression in found_late.items()}
        return found


def _untyped(name: Scalar) -> Schema:
    """The schema of an input without a type: anything."""
    return Schema("any", name.mark)


def inputs_used(root: Element | None) -> set[str]:
    """The inputs that functions anywhere below an element ask for."""
    found: set[str] = set()
    seen: set[int] = set()
    todo: list[Element] = [root] if root is not None else []
    while todo:
        element = todo.pop()
        if isinstance(element, Scalar) or id(element) in seen:
            continue
        seen.add(id(element))
        if isinstance(element, Map):
            asked = element.entries.get("get_input")
            first = asked.items[0] if isinstance(asked, Seq) and asked.items else asked
            if isinstance(first, Scalar):
                found.add(first.text)
            todo += [value for value in element.entries.values() if not isinstance(value, Scalar)]
        else:
            todo += [item for item in element.items if not isinstance(item, Scalar)]
    return found


def unused_inputs(body: Map, declared: dict[str, tuple[Scalar, Schema]], problems: Problems) -> None:
    """Warn of inputs that nothing uses."""
    used: set[str] = set()
    for key, element in body.entries.items():
        if key != "inputs":
            used |= inputs_used(element)
    for name, (key_, _) in declared.items():
        if name not in used:
            remedy = "Use it with get_input, or remove it."
            problems.warn("input.unused", f"The input {quote(name)} is not used.", remedy, key_, join(f"{SECTION}.inputs", name))
