"""Values that only the running facility knows: what asks for them, and of which type they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cantiere.model import Expression
from cantiere.tosca.elements import Call, Element, Map, Scalar
from cantiere.tosca.lifecycle import Lifecycle
from cantiere.tosca.problems import Mark, locate, quote
from cantiere.tosca.schema import Schema
from cantiere.tosca.topology import Template
from cantiere.tosca.values import Void

if TYPE_CHECKING:
    from cantiere.tosca.functions import Functions, Scope, Trail

_TEXTS = frozenset(("concat", "join", "token", "get_artifact"))


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A call whose value is not known.

    Parameters
    ----------
    function:
        Its name.
    schema:
        What the value will be, where that is declared.
    node, path:
        The node template that it asks, and the names after that.
    mark:
        Where it is written.
    """

    function: str
    schema: Schema | None
    node: str
    path: tuple[str, ...]
    mark: Mark

    def expression(self) -> Expression:
        """What the facility has of it."""
        return Expression(self.function, self.schema.title if self.schema else "any", self.node, self.path, locate(self.mark))


class Late:
    """Functions whose value is not known before the facility runs; what they refer to has to exist."""

    lifecycle: Lifecycle

    def __init__(self, functions: Functions) -> None:
        self.functions, self.definitions = functions, functions.definitions
        self.topology, self.problems = functions.topology, functions.problems
        self.places: dict[str, Asked] = {}
        self._calls: dict[int, Asked] = {}

    def ask(self, name: str, element: Map, trail: Trail) -> None:
        """Remember that a call has no value, unless it is that of another, which it only passes on."""
        if trail[-1][0] == id(element):
            text = name in _TEXTS and not isinstance(element.keys[name], Call)
            self._calls.setdefault(id(element), Asked(name, Schema("string", element.mark) if text else None, "", (), element.mark))

    def take(self, element: Element, schema: Schema | None, path: str, trail: Trail) -> Void:
        """Note what a place will have.

        Parameters
        ----------
        element:
            What is written there.
        schema:
            What it has to be, if anything.
        path:
            Its path.
        trail:
            The calls that led to the one that is not known.
        """
        asked = self._calls.get(trail[-1][0]) if trail else None
        if asked is None:
            return Void.UNKNOWN
        if schema is not None and asked.schema is not None and not fits(asked.schema, schema) and self.problems.dialect is None:
            what = ".".join((asked.node, *asked.path)) if asked.node else asked.function
            message = f"{quote(what)} is of type {asked.schema.title}, where {schema.title} is wanted."
            self.problems.error("function.type", message, "Refer to something of that type.", element, path)
            return Void.INVALID
        self.places[path] = asked
        return Void.UNKNOWN

    def expressions(self, prefix: str) -> dict[str, Expression]:
        """What was noted below a path, by the rest of the path; the notes are cleared."""
        found = {path.removeprefix(prefix): asked.expression() for path, asked in self.places.items() if path.startswith(prefix)}
        self.places.clear()
        return found

    def attribute(self, element: Map, words: list[Scalar], scope: Scope, path: str) -> Void:
        """get_attribute."""
        nodes = self.functions.nodes(words[0], scope, path)
        if not nodes or any(node.type is None for node in nodes):
            return Void.INVALID
        known: list[str] = []
        for node in nodes:
            assert node.type is not None
            schemas = {**self.definitions.properties(node.type), **self.definitions.properties(node.type, "attributes")}
            if words[1].text in schemas:
                return self._asked("get_attribute", element, self._inside(schemas[words[1].text], words[2:]), node, words[1:])
            known += schemas
            if len(words) > 2 and self._remote(node, words[1].text, words[2].text):
                return self._asked("get_attribute", element, None, node, words[1:])
        remedy = self.problems.suggest(words[1].text, known, "Name an attribute of its type.")
        message = f"{quote(nodes[0].name)} has no attribute {quote('.'.join(word.text for word in words[1:]))}."
        return self.functions.wrong("attribute", words[1], message, remedy, path)

    def other(self, name: str, element: Map, arguments: Sequence[Element], scope: Scope, path: str) -> Void:
        """get_artifact and get_operation_output."""
        words = [item for item in arguments if isinstance(item, Scalar) and item.value is not None]
        least, shape = (4, "node, interface, operation, output") if name == "get_operation_output" else (2, "node, artifact")
        if len(words) != len(arguments) or len(words) < least:
            return self.functions.wrong("arguments", element, f"{name} has {least} words.", f"Write '{name}: [{shape}]'.", path)
        node = self.functions.template(words[0], scope, path)
        if node is None or node.type is None:
            return Void.INVALID
        if name == "get_operation_output":
            if not self.lifecycle.operation(node, words[1].text, words[2].text, words[2], path):
                return Void.INVALID
            return self._asked(name, element, None, node, words[1:])
        if self.lifecycle.artifact(node, words[1].text):
            return self._asked(name, element, Schema("string", element.mark), node, words[1:])
        message = f"{quote(node.name)} has no artifact {quote(words[1].text)}."
        return self.functions.wrong("artifact", words[1], message, "Add it under 'artifacts:'.", path)

    def _asked(self, name: str, element: Map, schema: Schema | None, node: Template, words: Sequence[Scalar]) -> Void:
        self._calls[id(element)] = Asked(name, schema, node.name, tuple(word.text for word in words), element.mark)
        return Void.UNKNOWN

    def _inside(self, schema: Schema | None, keys: Sequence[Scalar]) -> Schema | None:
        """The schema of what keys and indexes lead to; None where nobody declares it."""
        for key in keys:
            if schema is None:
                break
            if schema.base == "complex" and schema.data is not None:
                schema = self.definitions.properties(schema.data).get(key.text)
            else:
                schema = schema.entry
        return schema

    def _remote(self, node: Template, name: str, attribute: str) -> bool:
        """Whether an attribute is one of a capability of the node, or of what fulfils its requirement."""
        assert node.type is not None
        reached = [(node, name)]
        if name in self.definitions.requirements(node.type):
            links = self.topology.links(node).get(name, [])
            reached += [(link.target, link.capability) for link in links]
            for link in links:
                if link.target.type and attribute in self.definitions.properties(link.target.type, "attributes"):
                    return True
        for owner, capability in reached:
            found = self.definitions.capabilities(owner.type).get(capability) if owner.type else None
            if found and (
                attribute in found.properties or (found.type and attribute in self.definitions.properties(found.type, "attributes"))
            ):
                return True
        return False


def fits(asked: Schema, wanted: Schema) -> bool:
    """Whether a value of one type may stand where another is wanted."""
    if "any" in (asked.base, wanted.base):
        return True
    if asked.base != wanted.base:
        return asked.base == "integer" and wanted.base == "float"
    if asked.base == "complex" or asked.scale is not None:
        return asked.data is None or wanted.data is None or asked.data.derives(wanted.data)
    return asked.entry is None or wanted.entry is None or fits(asked.entry, wanted.entry)
