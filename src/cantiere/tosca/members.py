"""What stands in a topology beside its nodes: groups, policies, and what the whole template can stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cantiere.tosca import grammar
from cantiere.tosca.elements import Element, Map, Scalar, Seq, kind
from cantiere.tosca.functions import Scope
from cantiere.tosca.grammar import empty
from cantiere.tosca.problems import listed, quote
from cantiere.tosca.registry import Type

if TYPE_CHECKING:
    from cantiere.tosca.check import Checker

SECTION = "topology_template"


class Members:
    """Checks groups, policies and substitution mappings.

    Parameters
    ----------
    checker:
        Whose types, values and topology these are.
    """

    def __init__(self, checker: Checker) -> None:
        self.checker, self.problems, self.grammar = checker, checker.problems, checker.grammar
        self.definitions, self.registry = checker.definitions, checker.registry
        self.templates = checker.topology.templates

    def check(self, body: Map) -> None:
        """Check all of a topology."""
        groups = self._entries(body, "groups")
        self.groups = {name.text: entry for name, entry, _ in groups}
        for name, entry, path in groups:
            self._member(name, entry, "group_types", grammar.GROUP, "members", path)
        for name, entry, path in self._entries(body, "policies"):
            self._member(name, entry, "policy_types", grammar.POLICY, "targets", path)
            for _, trigger, where in self.grammar.maps(entry, "triggers", path, "trigger"):
                self.grammar.keywords(trigger, grammar.TRIGGER, "trigger", where)
        substitution = self.grammar.mapping(body, "substitution_mappings", SECTION)
        if substitution is not None:
            self._substitution(substitution, f"{SECTION}.substitution_mappings")

    def _entries(self, body: Map, key: str) -> list[tuple[Scalar, Map, str]]:
        """Name, definition and path of each group or policy, which 1.0 has in a mapping and later versions in a list too."""
        pairs = self.grammar.listed(body, key, SECTION) if isinstance(body.get(key), Seq) else self.grammar.named(body, key, SECTION)
        found = []
        for name, entry, path in pairs:
            if isinstance(entry, Map):
                found.append((name, entry, path))
            else:
                self.grammar.wrong(name, f"{quote(name.text)} is a mapping, not {kind(entry)}.", "Write its keywords.", path)
        return found

    def _member(self, name: Scalar, body: Map, section: str, keywords: tuple[str, ...], key: str, path: str) -> None:
        """Check a group or policy: its type, its properties, and that the nodes that it names exist and are of a type that may be named."""
        self.grammar.keywords(body, keywords, grammar.TYPE_SECTIONS[section].removesuffix(" type"), path)
        if "type" not in body.entries:
            self.grammar.wrong(name, f"{quote(name.text)} has no type.", "Add 'type:'.", path)
        type_ = self.registry.reference(section, body, "type", path)
        if type_ is not None:
            written = self.grammar.mapping(body, "properties", path)
            schemas = self.definitions.properties(type_)
            self.checker.values.assign(written, schemas, Scope(None), f"{path}.properties", name, f"A {type_.name}")
        sequence = self.grammar.sequence(body, key, path)
        wanted = self._wanted(type_, key) if type_ else []
        for item in sequence.items if sequence else ():
            if isinstance(item, Scalar) and item.text not in self.templates and item.text not in self.groups:
                remedy = self.problems.suggest(item.text, [*self.templates, *self.groups], "Name a node template.")
                self.problems.error("node.unknown", f"There is no node template {quote(item.text)}.", remedy, item, f"{path}.{key}")
                continue
            target = self.templates.get(item.text) if isinstance(item, Scalar) else None
            if wanted and target and target.type and not any(target.type.derives(asked) for asked in wanted):
                takes = listed([asked.name for asked in wanted])
                message = f"{quote(target.name)} is a {target.type.name}: {quote(name.text)} takes {takes} only."
                self.problems.error("member.type", message, "Remove it, or name another node.", item, f"{path}.{key}")

    def _wanted(self, type_: Type, key: str) -> list[Type]:
        """The node types that members may have; empty for all."""
        for owner in type_.chain():
            if key in owner.body.entries:
                found = self.registry.references("node_types", owner.body, key)
                groups = self.registry.references("group_types", owner.body, key)
                return [] if groups else found
        return []

    def _substitution(self, body: Map, path: str) -> None:
        """Check what a template stands for: the node type, and that everything that is mapped exists on both sides."""
        self.grammar.keywords(body, grammar.SUBSTITUTION, "substitution mapping", path)
        type_ = self.registry.reference("node_types", body, "node_type", path)
        known: dict[str, Iterable[str]] = {}
        if type_ is not None:
            known = {"capabilities": self.definitions.capabilities(type_), "requirements": self.definitions.requirements(type_)}
        for key in ("capabilities", "requirements"):
            entries = self.grammar.listed(body, key, path) if isinstance(body.get(key), Seq) else self.grammar.named(body, key, path)
            for name, element, where in entries:
                if type_ is not None and name.text not in known[key]:
                    remedy = self.problems.suggest(name.text, known[key], f"It has: {listed(list(known[key]))}.")
                    message = f"A {type_.name} has no {'capability' if key == 'capabilities' else 'requirement'} {quote(name.text)}."
                    self.problems.error("substitution.unknown", message, remedy, name, where)
                self._mapped(element, key, where)

    def _mapped(self, element: Element, key: str, path: str) -> None:
        """Check one mapping to a node template of the topology and its capability or requirement."""
        target = element.get("mapping") if isinstance(element, Map) else element
        pair = words(target)
        if empty(element) or (isinstance(element, Map) and target is None):
            return
        if len(pair) != 2:
            self.grammar.wrong(
                element, f"A mapping names a node template and its {key}, not {kind(element)}.", "Write '[node, name]'.", path
            )
            return
        node = self.templates.get(pair[0].text)
        if node is None:
            remedy = self.problems.suggest(pair[0].text, self.templates, "Name a node template.")
            self.problems.error("node.unknown", f"There is no node template {quote(pair[0].text)}.", remedy, pair[0], path)
        elif node.type is not None:
            have = self.definitions.capabilities(node.type) if key == "capabilities" else self.definitions.requirements(node.type)
            if pair[1].text not in have:
                remedy = self.problems.suggest(pair[1].text, have, f"It has: {listed(have)}.")
                message = f"{quote(node.name)} has none of the {key} {quote(pair[1].text)}."
                self.problems.error("substitution.unknown", message, remedy, pair[1], path)


def words(element: Element | None) -> list[Scalar]:
    """The single values of a list, or the one that stands there alone."""
    items = element.items if isinstance(element, Seq) else [element]
    return [item for item in items if isinstance(item, Scalar) and not empty(item)]
