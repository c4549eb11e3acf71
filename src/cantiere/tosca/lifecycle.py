"""Interfaces with their operations, and artifacts: that what a node template writes of them exists."""

from __future__ import annotations

from cantiere.tosca import grammar
from cantiere.tosca.elements import Element, Map, Scalar, kind
from cantiere.tosca.grammar import Grammar
from cantiere.tosca.problems import Problems, listed, quote
from cantiere.tosca.registry import Registry, Type
from cantiere.tosca.topology import Template


class Lifecycle:
    """Knows the interfaces and artifacts of node types.

    Parameters
    ----------
    registry, problems:
        The types, and where errors go.
    """

    def __init__(self, registry: Registry, problems: Problems) -> None:
        self.registry, self.problems = registry, problems
        self.grammar = Grammar(problems)
        self._interfaces: dict[Type, dict[str, set[str]]] = {}

    def interfaces(self, type_: Type) -> dict[str, set[str]]:
        """Interface name to the names of its operations, for a node type with all that it inherits."""
        known = self._interfaces.get(type_)
        if known is None:
            known = self._interfaces[type_] = {}
            for _, name, element in self.registry.inherited(type_, "interfaces"):
                operations = known.setdefault(name.text, set())
                operations |= self._operations(element)
                word = element.get("type") if isinstance(element, Map) else element
                named = self.registry.find("interface_types", word if isinstance(word, Scalar) else name)
                for owner in named.chain() if named else ():
                    operations |= self._operations(owner.body)
        return known

    @staticmethod
    def _operations(element: Element) -> set[str]:
        """The operations that an interface's definition or assignment has, under 'operations' or beside its keywords."""
        if not isinstance(element, Map):
            return set()
        nested = element.entries.get("operations")
        found = set(nested.entries) if isinstance(nested, Map) else set()
        return found | {name for name in element.entries if name not in grammar.INTERFACE}

    def operation(self, node: Template, interface: str, operation: str, at: Scalar, path: str) -> bool:
        """Whether a node has an operation; where it has none, that is recorded.

        Parameters
        ----------
        node:
            The node template.
        interface:
            The interface's name, or that of its type.
        operation:
            The operation's name.
        at, path:
            Where it is called.
        """
        assert node.type is not None
        found = self._interface(node.type, interface)
        if found is None:
            known = self.interfaces(node.type)
            remedy = self.problems.suggest(interface, known, f"It has: {listed(known)}.")
            self.problems.error("interface.unknown", f"A {node.type.name} has no interface {quote(interface)}.", remedy, at, path)
            return False
        written = node.body.entries.get("interfaces")
        own = self._operations(written.entries[interface]) if isinstance(written, Map) and interface in written.entries else set()
        if operation in found or operation in own:
            return True
        remedy = self.problems.suggest(operation, found | own, f"It has: {listed(sorted(found | own))}.")
        self.problems.error("operation.unknown", f"The interface {quote(interface)} has no operation {quote(operation)}.", remedy, at, path)
        return False

    def _interface(self, type_: Type, name: str) -> set[str] | None:
        """The operations of an interface by its name or by the name of its type."""
        known = self.interfaces(type_)
        if name in known:
            return known[name]
        found = self.registry.find("interface_types", name)
        return set().union(*(self._operations(owner.body) for owner in found.chain())) if found else None

    def node(self, template: Template) -> None:
        """Check the interfaces and artifacts that a node template writes."""
        if template.type is None:
            return
        for name, entry, path in self.grammar.maps(template.body, "interfaces", template.path, "interface"):
            found = self._interface(template.type, name.text)
            if found is None and "type" not in entry.entries:
                known = self.interfaces(template.type)
                remedy = self.problems.suggest(name.text, known, f"It has: {listed(known)}.")
                self.problems.error("interface.unknown", f"A {template.type.name} has no interface {quote(name.text)}.", remedy, name, path)
                continue
            self._assigned(entry, found, path)
        for name, artifact, path in self.grammar.named(template.body, "artifacts", template.path):
            self._artifact(name, artifact, path)

    def _assigned(self, entry: Map, known: set[str] | None, path: str) -> None:
        """Check the operations of an interface's assignment."""
        nested = self.grammar.mapping(entry, "operations", path)
        for holder in (entry, *([nested] if nested else [])):
            for name in holder.keys.values():
                operation = holder.entries[name.text]
                if holder is entry and name.text in grammar.INTERFACE:
                    continue
                where = f"{path}.{name.text}"
                if known and name.text not in known:
                    remedy = self.problems.suggest(name.text, known, f"It has: {listed(sorted(known))}.")
                    self.problems.error("operation.unknown", f"The interface has no operation {quote(name.text)}.", remedy, name, where)
                elif isinstance(operation, Map):
                    self.grammar.keywords(operation, grammar.OPERATION, "operation", where)

    def _artifact(self, name: Scalar, entry: Element, path: str) -> None:
        if not isinstance(entry, Map):
            if not (isinstance(entry, Scalar) and isinstance(entry.value, str)):
                self.grammar.wrong(name, f"An artifact is a file, not {kind(entry)}.", "Write 'file:' and 'type:'.", path)
            return
        self.grammar.keywords(entry, grammar.ARTIFACT, "artifact", path)
        self.registry.reference("artifact_types", entry, "type", path)
        if "file" not in entry.entries:
            self.problems.error("artifact.file", f"The artifact {quote(name.text)} names no file.", "Add 'file:'.", name, path)

    def artifact(self, node: Template, name: str) -> bool:
        """Whether a node, or its type, has an artifact."""
        owners = [node.body, *(owner.body for owner in node.type.chain())] if node.type else [node.body]
        return any(name in entries.entries for body in owners if isinstance(entries := body.entries.get("artifacts"), Map))
