"""Intrinsic functions. They give back elements, so that whoever asked checks them against its own type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cantiere.tosca.computing import Computing
from cantiere.tosca.elements import Call, Element, Map, Scalar, Seq, kind
from cantiere.tosca.late import Late
from cantiere.tosca.operators import OPERATORS
from cantiere.tosca.problems import Place, Problems, quote
from cantiere.tosca.schema import Definitions, Schema
from cantiere.tosca.topology import Template, Topology
from cantiere.tosca.values import Values, Void, call

MAX_REFERENCES = 64
MAX_TEXT = 65_536
CALL = 3

Trail = tuple[tuple[int, int], ...]


class Scope(NamedTuple):
    """Where a function stands: in a node template, or (None) in the outputs."""

    template: Template | None


Found = tuple[Element | Void, Scope | None, Trail]
"""An element or why there is none, the scope in which its own functions are read, and the calls that led there."""


class Functions:
    """Evaluates functions.

    Parameters
    ----------
    inputs:
        Input name to the element that is its value.
    topology, definitions, values, problems:
        What there is to refer to, and where errors go.
    """

    def __init__(
        self, inputs: dict[str, Element | Void], topology: Topology, definitions: Definitions, values: Values, problems: Problems
    ) -> None:
        self.inputs, self.topology, self.definitions = inputs, topology, definitions
        self.values, self.problems = values, problems
        self.computing = Computing(self)
        self.late = Late(self)
        self.cycles: set[frozenset[tuple[int, int]]] = set()

    def wrong(self, code: str, at: Place, message: str, remedy: str, path: str) -> Void:
        """Record an error of a call."""
        self.problems.error(f"function.{code}", message, remedy, at, path)
        return Void.INVALID

    def follow(self, element: Element, scope: Scope | None, path: str, trail: Trail, schema: Schema | None = None) -> Found:
        """Follow calls until there is an element that is none.

        Parameters
        ----------
        element:
            What is written: a call, or anything else.
        scope:
            Where it stands; None for literals.
        path:
            The path of the value that is asked for.
        trail:
            The calls that led here; one that comes again is a cycle.
        schema:
            What the value has to be, where that is known.
        """
        while scope is not None and (name := call(element)) is not None and isinstance(element, Map):
            self.values.spend(CALL)
            here = (id(element), id(scope.template))
            if here in trail:
                loop = frozenset(trail[trail.index(here) :])
                if loop not in self.cycles:
                    self.cycles.add(loop)
                    self.wrong("cycle", element, "The value refers to itself.", "Give one of the properties a value of its own.", path)
                return Void.INVALID, scope, trail
            if len(trail) >= MAX_REFERENCES:
                message = f"The value is more than {MAX_REFERENCES} references away."
                return self.wrong("depth", element, message, "Refer to the value itself.", path), scope, trail
            trail = (*trail, here)
            argument = element.entries[name]
            if name in OPERATORS:
                found, scope = self.computing.result(name, element, argument, scope, path, trail, schema), None
            else:
                found, scope, trail = self._call(name, element, argument, scope, path, trail)
            if isinstance(found, Void):
                if found is Void.UNKNOWN:
                    self.late.ask(name, element, trail)
                return found, scope, trail
            element = found
        return element, scope, trail

    def _call(self, name: str, element: Map, argument: Element, scope: Scope, path: str, trail: Trail) -> Found:
        arguments = argument.items if isinstance(argument, Seq) else [argument]
        if name == "get_input":
            return self._input(element, arguments, path, trail)
        if name in ("concat", "token"):
            if not isinstance(argument, Seq):
                return (
                    self.wrong("arguments", argument, f"{name} has a list, not {kind(argument)}.", f"Write '{name}: [...]'.", path),
                    scope,
                    trail,
                )
            if name == "concat" and isinstance(element.keys[name], Call) and isinstance(self._first(arguments, scope, path, trail), Seq):
                return self.computing.lists(element, arguments, scope, path, trail), None, trail
            if name == "concat":
                return self._concat(element, arguments, scope, path, trail), None, trail
            return self._token(element, arguments, scope, path, trail), None, trail
        if name in ("get_property", "get_attribute"):
            if len(arguments) < 2 or not all(isinstance(item, Scalar) and item.value is not None for item in arguments):
                message = f"{name} has a node and a name after it, all of them single words."
                return self.wrong("arguments", argument, message, f"Write '{name}: [node, name]'.", path), scope, trail
            words = [item for item in arguments if isinstance(item, Scalar)]
            if name == "get_property":
                return self._property(words, scope, path, trail)
            return self.late.attribute(element, words, scope, path), scope, trail
        if name == "join":
            return self._join(element, arguments, scope, path, trail), None, trail
        if name == "$matches":
            return self.computing.matches(element, argument, scope, path, trail), None, trail
        if name == "get_nodes_of_type":
            return self._of_type(element, arguments, path), None, trail
        return self.late.other(name, element, arguments, scope, path), scope, trail

    def _first(self, arguments: Sequence[Element], scope: Scope, path: str, trail: Trail) -> Element | Void:
        return self.follow(arguments[0], scope, path, trail)[0] if arguments else Void.ABSENT

    def _join(self, element: Map, arguments: Sequence[Element], scope: Scope, path: str, trail: Trail) -> Element | Void:
        """The texts of a list, with another text between them."""
        listing = self._first(arguments, scope, path, trail)
        if isinstance(listing, Void) and listing is not Void.ABSENT:
            return listing
        if not isinstance(listing, Seq) or len(arguments) > 2:
            return self.wrong(
                "arguments", element, "join has a list of texts and what stands between them.", "Write 'join: [[a, b], \":\"]'.", path
            )
        parts: list[Element] = []
        for item in listing.items:
            parts += [arguments[1], item] if parts and len(arguments) == 2 else [item]
        return self._concat(element, parts, scope, path, trail)

    def _of_type(self, element: Map, arguments: Sequence[Element], path: str) -> Element | Void:
        """The names of all node templates of a type."""
        word = arguments[0] if len(arguments) == 1 else element
        if not isinstance(word, Scalar):
            return self.wrong(
                "arguments", element, "get_nodes_of_type has the name of a node type.", "Write 'get_nodes_of_type: NAME'.", path
            )
        wanted = self.topology.registry.find("node_types", word)
        if wanted is None:
            self.topology.registry.unknown("node_types", word, path)
            return Void.INVALID
        found = Seq(element.mark)
        for template in self.topology.templates.values():
            self.values.spend()
            if template.type is not None and template.type.derives(wanted):
                found.items.append(Scalar(template.name, template.name, element.mark))
        return found

    def _input(self, element: Map, arguments: Sequence[Element], path: str, trail: Trail) -> Found:
        name = arguments[0] if arguments else element
        if not isinstance(name, Scalar) or not all(isinstance(item, Scalar) for item in arguments):
            return self.wrong("arguments", element, "get_input names an input.", "Write 'get_input: name'.", path), None, trail
        value = self.inputs.get(name.text)
        if value is None:
            remedy = self.problems.suggest(name.text, self.inputs, "Declare it under topology_template.inputs.")
            return self.wrong("input", name, f"There is no input {quote(name.text)}.", remedy, path), None, trail
        return self._walk(value, None, None, arguments[1:], path, trail)

    def _walk(
        self, found: Element | Void, schema: Schema | None, scope: Scope | None, keys: Sequence[Element], path: str, trail: Trail
    ) -> Found:
        """Follow keys and indexes into a value."""
        for key in keys:
            if isinstance(found, Void):
                break
            found, scope, trail = self.follow(found, scope, path, trail)
            assert isinstance(key, Scalar)
            inner: Element | None = None
            if isinstance(found, Map):
                inner = found.entries.get(key.text)
                schemas = self.definitions.properties(schema.data) if schema and schema.data and schema.base == "complex" else {}
                schema = schemas.get(key.text) or (schema.entry if schema and schema.base == "map" else None)
                if inner is None and schema is not None and key.text in schemas:
                    found, scope = (schema.default, None) if schema.default is not None else (Void.ABSENT, scope)
                    continue
            elif isinstance(found, Seq):
                schema = schema.entry if schema else None
                if isinstance(key.value, int) and 0 <= key.value < len(found.items):
                    inner = found.items[key.value]
                elif not found.items and self.problems.tolerates("empty-list", quote(path), key, path):
                    return Void.UNKNOWN, scope, trail
            elif isinstance(found, Void):
                break
            if inner is None:
                message = f"There is no {quote(key.text)} in the value, which is {kind(found)}."
                return self.wrong("path", key, message, "Correct the path into the value.", path), scope, trail
            found = inner
        return found, scope, trail

    def template(self, word: Scalar, scope: Scope, path: str) -> Template | None:
        """The node template that the first argument means; what it cannot mean is recorded."""
        if word.text == "SELF" and scope.template is not None:
            return scope.template
        if word.text in ("SELF", "HOST", "SOURCE", "TARGET"):
            where = "the outputs" if scope.template is None else "a node template"
            self.wrong("keyword", word, f"{word.text} has no meaning in {where}.", "Write the name of a node template.", path)
            return None
        found = self.topology.templates.get(word.text)
        if found is None:
            candidates = [*self.topology.templates, "SELF", "HOST"]
            remedy = self.problems.suggest(word.text, candidates, "Write the name of a node template.")
            self.wrong("node", word, f"There is no node template {quote(word.text)}.", remedy, path)
        return found

    def nodes(self, word: Scalar, scope: Scope, path: str) -> list[Template]:
        """Where to look: one node template, or for HOST all below which this one stands, nearest first."""
        if word.text != "HOST" or scope.template is None:
            found = self.template(word, scope, path)
            return [found] if found else []
        hosts: list[Template] = []
        at: Template | None = scope.template
        while (at := self.topology.host(at) if at else None) is not None and len(hosts) < MAX_REFERENCES:
            self.values.spend()
            hosts.append(at)
        if not hosts:
            self.wrong("host", word, f"{quote(scope.template.name)} is hosted on nothing.", "Write the name of a node template.", path)
        return hosts

    def _property(self, words: list[Scalar], scope: Scope, path: str, trail: Trail) -> Found:
        nodes = self.nodes(words[0], scope, path)
        if not nodes or any(node.type is None for node in nodes):
            return Void.INVALID, scope, trail
        for node in nodes:
            for body, schemas, place, keys in self._holders(node, words[1:]):
                schema = schemas.get(keys[0].text)
                if schema is None:
                    continue
                written = body.entries.get(keys[0].text) if body else None
                found: Element | Void = Void.ABSENT
                inside: Scope | None = Scope(place)
                if written is not None:
                    found = written
                elif schema.default is not None:
                    found, inside = schema.default, None
                return self._walk(found, schema, inside, keys[1:], path, trail)
            if self._unfulfilled(node, words[1]):
                return Void.ABSENT, scope, trail
        known = [name for node in nodes if node.type for name in self.definitions.properties(node.type)]
        remedy = self.problems.suggest(words[-1].text, known, "Name a property of its type.")
        message = f"{quote(nodes[0].name)} has no property {quote('.'.join(word.text for word in words[1:]))}."
        return self.wrong("property", words[-1], message, remedy, path), scope, trail

    def _unfulfilled(self, node: Template, word: Scalar) -> bool:
        """Whether a word names a requirement that nothing fulfils."""
        return (
            node.type is not None and word.text in self.definitions.requirements(node.type) and not self.topology.links(node).get(word.text)
        )

    def _holders(self, node: Template, words: list[Scalar]) -> list[tuple[Map | None, dict[str, Schema], Template, list[Scalar]]]:
        """Who may have the property: the node itself, what fulfils its requirement, its capability."""
        assert node.type is not None
        holders = [(node.properties, self.definitions.properties(node.type), node, words)]
        if len(words) < 2:
            return holders
        name, rest = words[0].text, words[1:]
        if name in self.definitions.requirements(node.type):
            for link in self.topology.links(node).get(name, [])[:1]:
                target = link.target
                if target.type is None:
                    continue
                capability = self.definitions.capabilities(target.type).get(link.capability)
                if capability is not None:
                    holders.append((target.capability(link.capability), capability.properties, target, rest))
                holders.append((target.properties, self.definitions.properties(target.type), target, rest))
        capability = self.definitions.capabilities(node.type).get(name)
        if capability is not None:
            holders.append((node.capability(name), capability.properties, node, rest))
        return holders

    def _text(self, element: Element, scope: Scope, path: str, trail: Trail) -> str | Void:
        """An argument of concat or token as a text."""
        found, _, _ = self.follow(element, scope, path, trail)
        if found is Void.ABSENT:
            return self.wrong("absent", element, "What is referred to has no value.", "Give it a value or a default.", path)
        if isinstance(found, Void):
            return found
        if not isinstance(found, Scalar) or found.value is None:
            return self.wrong("arguments", element, f"A text is expected, not {kind(found)}.", "Refer to a string.", path)
        return str(found.value).lower() if isinstance(found.value, bool) else found.text

    def _concat(self, element: Map, arguments: Sequence[Element], scope: Scope, path: str, trail: Trail) -> Element | Void:
        parts = [self._text(item, scope, path, trail) for item in arguments]
        for void in (Void.INVALID, Void.UNKNOWN):
            if void in parts:
                return void
        text = "".join(part for part in parts if isinstance(part, str))
        if len(text) > MAX_TEXT:
            return self.wrong("size", element, f"The text has more than {MAX_TEXT} characters.", "Concatenate less.", path)
        return Scalar(text, text, element.mark)

    def _token(self, element: Map, arguments: Sequence[Element], scope: Scope, path: str, trail: Trail) -> Element | Void:
        index = arguments[2] if len(arguments) == 3 else element
        if not isinstance(index, Scalar) or type(index.value) is not int:
            message = "token has a text, the characters that separate its parts, and a number."
            return self.wrong("arguments", element, message, 'Write \'token: ["a:b", ":", 0]\'.', path)
        parts = [self._text(item, scope, path, trail) for item in arguments[:2]]
        text, separators = parts
        if not isinstance(text, str) or not isinstance(separators, str):
            return Void.INVALID if Void.INVALID in parts else Void.UNKNOWN
        if not separators:
            return self.wrong("arguments", arguments[1], "token has no character that separates.", "Write one, such as ':'.", path)
        for char in separators[1:]:
            text = text.replace(char, separators[0])
        pieces = text.split(separators[0])
        if not 0 <= index.value < len(pieces):
            message = f"The text has {len(pieces)} parts; there is no number {index.value}."
            return self.wrong("index", index, message, "Count from 0.", path)
        return Scalar(pieces[index.value], pieces[index.value], element.mark)
