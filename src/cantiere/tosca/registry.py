"""Types by kind and name: what they derive from, and what they get from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cantiere.tosca import grammar
from cantiere.tosca.elements import Element, Map, Scalar, Seq, kind
from cantiere.tosca.grammar import Grammar
from cantiere.tosca.namespaces import Namespaces
from cantiere.tosca.problems import Mark, Problems, TooManyError, quote
from cantiere.tosca.sources import Document

MAX_ANCESTORS = 64
MAX_TYPES = 4000
_SHORT = {
    "node_types": ("tosca.nodes.", "tosca.nodes.network."),
    "capability_types": ("tosca.capabilities.", "tosca.capabilities.network."),
    "relationship_types": ("tosca.relationships.", "tosca.relationships.network."),
    "data_types": ("tosca.datatypes.", "tosca.datatypes.network."),
    "artifact_types": ("tosca.artifacts.",),
    "interface_types": ("tosca.interfaces.", "tosca.interfaces.node.lifecycle."),
    "group_types": ("tosca.groups.",),
    "policy_types": ("tosca.policies.",),
}
PRIMITIVES = frozenset(
    (
        "string",
        "integer",
        "float",
        "boolean",
        "timestamp",
        "version",
        "range",
        "list",
        "map",
        "scalar-unit.size",
        "scalar-unit.time",
        "scalar-unit.frequency",
        "scalar-unit.bitrate",
    )
)
SCALAR = "scalar"
"""What data types with units of their own derive from (TOSCA 2.0)."""


@dataclass(eq=False, slots=True)
class Type:
    """A type as it is written.

    Parameters
    ----------
    section:
        ``node_types`` and so on.
    name, mark:
        Its name, and where that stands.
    body:
        Its definition.
    normative:
        Whether TOSCA itself defines it.
    ancestors:
        The types that it derives from, nearest first; empty until :meth:`Registry.link` has run.
    """

    section: str
    name: str
    mark: Mark
    body: Map
    normative: bool
    ancestors: tuple[Type, ...] = field(default=(), repr=False)

    @property
    def path(self) -> str:
        """Where the type stands in its document."""
        return f"{self.section}.{self.name}"

    @property
    def counts(self) -> bool:
        """Whether it is a data type that defines units."""
        parent = self.body.entries.get("derived_from")
        return self.section == "data_types" and isinstance(parent, Scalar) and parent.text == SCALAR

    def chain(self) -> tuple[Type, ...]:
        """The type itself, then what it derives from."""
        return (self, *self.ancestors)

    def derives(self, other: Type) -> bool:
        """Whether this is the other type or derives from it."""
        return self is other or other in self.ancestors


class Registry:
    """All types of one load."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.room = MAX_TYPES
        self.grammar = Grammar(problems)
        self.prefixes: set[str] = set()
        self.namespaces: Namespaces | None = None
        self.types: dict[str, dict[str, Type]] = {section: {} for section in grammar.TYPE_SECTIONS}

    def add(self, document: Document | Map) -> None:
        """Take the types of a document; a bare mapping holds the normative types."""
        normative = isinstance(document, Map)
        root = document if isinstance(document, Map) else document.root
        for section, what in grammar.TYPE_SECTIONS.items():
            known = self.types[section]
            for name, value, path in self.grammar.named(root, section, ""):
                body = value
                if not isinstance(body, Map):
                    if not grammar.empty(value):
                        self.grammar.wrong(value, f"A {what} is a mapping, not {kind(value)}.", "Write its keywords.", path)
                    body = Map(name.mark)
                first = known.get(name.text)
                if first is not None:
                    where = "TOSCA itself" if first.normative else f"{first.mark.name}:{first.mark.line + 1}"
                    message = f"The {what} {quote(name.text)} is already defined by {where}."
                    self.problems.error("type.duplicate", message, "Give one of them another name.", name, path)
                    continue
                if section == "data_types" and (name.text in PRIMITIVES or name.text == SCALAR):
                    self.problems.error("type.duplicate", f"{quote(name.text)} is a type of TOSCA itself.", "Rename it.", name, path)
                    continue
                known[name.text] = Type(section, name.text, name.mark, body, normative)
                self.room -= 0 if normative else 1
                if self.room < 0:
                    message = f"The template and its imports define more than {MAX_TYPES} types."
                    self.problems.error("type.many", message, "Import fewer types.", name, path)
                    raise TooManyError

    def link(self) -> None:
        """Find what every type derives from; unknown parents and cycles are recorded and cut."""
        for section in self.types:
            parents = {type_: self._parent(type_) for type_ in self.types[section].values()}
            for type_ in parents:
                self._ancestors(type_, parents)

    def _parent(self, type_: Type) -> Type | None:
        if "derived_from" not in type_.body.entries:
            return None
        written = self.grammar.text(type_.body, "derived_from", type_.path)
        if written is None or type_.counts or (type_.section == "data_types" and written.text in PRIMITIVES):
            return None
        found = self.find(type_.section, written)
        if found is None:
            self.unknown(type_.section, written, f"{type_.path}.derived_from")
        return found

    def _ancestors(self, type_: Type, parents: dict[Type, Type | None]) -> None:
        chain: list[Type] = []
        parent = parents[type_]
        while parent is not None:
            if parent is type_:
                names = " → ".join(link.name for link in (type_, *chain, type_))
                at = type_.body.get("derived_from")
                self.problems.error(
                    "type.cycle", f"Types derive from each other: {names}.", "Break the cycle.", at, f"{type_.path}.derived_from"
                )
                chain = []
                break
            if parent in chain:
                break
            if len(chain) >= MAX_ANCESTORS:
                message = f"{quote(type_.name)} derives from more than {MAX_ANCESTORS} types."
                self.problems.error("type.depth", message, "Derive less deep.", type_.mark, type_.path)
                chain = []
                break
            chain.append(parent)
            parent = parents[parent]
        type_.ancestors = tuple(chain)

    def find(self, section: str, name: str | Scalar) -> Type | None:
        """The type of that name, after a prefix of an import or without; normative types also by their short names (``Compute``).

        Parameters
        ----------
        section:
            ``node_types`` and so on.
        name:
            The name, or what is written: then only a type that the file sees which it stands in.
        """
        if isinstance(name, Scalar):
            found = self.find(section, name.text)
            return found if found is None or self._seen(found, name) else None
        types = self.types[section]
        found = types.get(name)
        prefix, colon, rest = name.partition(":")
        if found is None and colon and prefix in self.prefixes:
            return self.find(section, rest)
        if found is None and ("." not in name or name.startswith("tosca:")):
            short = name.removeprefix("tosca:")
            for prefix in _SHORT[section]:
                found = found or types.get(prefix + short)
        return found

    def unknown(self, section: str, written: Scalar, path: str) -> None:
        """Record that there is no such type."""
        what = grammar.TYPE_SECTIONS[section]
        names = self.types[section] if self.namespaces is None else self._spelled(section, written)
        candidates = [*names, *(PRIMITIVES if section == "data_types" else ())]
        ending = [name for name in candidates if name.rpartition(".")[2].lower() == written.text.rpartition(".")[2].lower()]
        otherwise = f"Did you mean {quote(ending[0])}?" if ending else "Import the file that defines it, or correct the name."
        remedy = self.hidden(section, written) or self.problems.suggest(written.text, candidates, otherwise)
        self.problems.error("type.unknown", f"There is no {what} {quote(written.text)}.", remedy, written, path)

    def _seen(self, type_: Type, written: Scalar) -> bool:
        """Whether a name of a type means that type in the file where it is written."""
        if self.namespaces is None or type_.normative:
            return True
        words = written.text.removesuffix(type_.name).split(":")
        return self.namespaces.sees(written.mark.name, tuple(words[:-1]), type_.mark.name)

    def _spelled(self, section: str, written: Scalar) -> Iterator[str]:
        """The names of all types as they are written in a file, those that it does not see left out."""
        for type_ in self.types[section].values():
            prefixes = () if type_.normative or self.namespaces is None else self.namespaces.prefixes(written.mark.name, type_.mark.name)
            if prefixes is not None:
                yield ":".join((*prefixes, type_.name))

    def hidden(self, section: str, written: Scalar) -> str:
        """A remedy for a type's name without the right prefix before it; empty where that is not what is wrong."""
        plain = written.text.rpartition(":")[2]
        type_ = self.types[section].get(plain)
        if self.namespaces is None or type_ is None:
            return ""
        prefixes = self.namespaces.prefixes(written.mark.name, type_.mark.name)
        return f"Did you mean {quote(':'.join((*prefixes, plain)))}?" if prefixes is not None else ""

    def reference(self, section: str, parent: Map, key: str, path: str) -> Type | None:
        """The type that a keyword names; what it cannot name is recorded."""
        written = self.grammar.text(parent, key, path)
        if written is None:
            return None
        found = self.find(section, written)
        if found is None:
            self.unknown(section, written, f"{path}.{key}")
        return found

    def names(self, parent: Map, key: str, path: str, *sections: str) -> None:
        """Check a list of names of types of any of the sections; what names none is recorded."""
        sequence = self.grammar.sequence(parent, key, path)
        for item in sequence.items if sequence else ():
            if not isinstance(item, Scalar) or not isinstance(item.value, str):
                message = f"{quote(key)} lists names of types, not {kind(item)}."
                self.grammar.wrong(item, message, "Write the name of a type.", f"{path}.{key}")
            elif all(self.find(section, item) is None for section in sections):
                self.unknown(sections[0], item, f"{path}.{key}")

    def references(self, section: str, parent: Map, key: str) -> list[Type]:
        """The known types that a list of names holds."""
        element = parent.entries.get(key)
        names = [item for item in element.items if isinstance(item, Scalar)] if isinstance(element, Seq) else []
        return [found for name in names if (found := self.find(section, name)) is not None]

    def inherited(self, type_: Type, key: str) -> Iterator[tuple[Type, Scalar, Element]]:
        """Entries of a mapping of the type and of its ancestors, farthest ancestor first."""
        for owner in reversed(type_.chain()):
            element = owner.body.entries.get(key)
            if isinstance(element, Map):
                for name, value in element.items():
                    yield owner, name, value

    def own(self) -> Iterator[Type]:
        """All types that TOSCA itself does not define."""
        for types in self.types.values():
            for type_ in types.values():
                if not type_.normative:
                    yield type_

    def nearest(self, type_: Type, key: str, usable: Callable[[Element], bool]) -> Element | None:
        """The keyword of the type, else of the nearest ancestor that has it."""
        for owner in type_.chain():
            element = owner.body.entries.get(key)
            if element is not None and usable(element):
                return element
        return None
