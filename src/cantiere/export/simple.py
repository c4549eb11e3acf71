"""A template in TOSCA Simple Profile 1.0, in one file with the types that it uses: what an INDIGO orchestrator reads.

What 1.0 has another word for is written so; what it cannot say is an error where the meaning would be lost, and a notice where only
a check or a remark is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from cantiere.declared import TOPOLOGY, Declared
from cantiere.errors import Problem, TemplateError
from cantiere.export.written import Tree, tree
from cantiere.tosca.elements import Element, Map, Scalar, Seq
from cantiere.tosca.grammar import TYPE_SECTIONS, empty
from cantiere.tosca.problems import Place, Problems, quote
from cantiere.tosca.registry import Type

VERSION = "tosca_simple_yaml_1_0"
KNOWN = {
    "tosca.nodes": "Root Compute SoftwareComponent WebServer WebApplication DBMS Database ObjectStorage BlockStorage LoadBalancer "
    "Container.Runtime Container.Application network.Network network.Port",
    "tosca.capabilities": "Root Node Container Endpoint Endpoint.Public Endpoint.Admin Endpoint.Database Attachment OperatingSystem "
    "Scalable network.Bindable network.Linkable",
    "tosca.relationships": "Root DependsOn HostedOn ConnectsTo AttachesTo RoutesTo network.LinksTo network.BindsTo",
    "tosca.datatypes": "Root Credential network.NetworkInfo network.PortInfo network.PortDef network.PortSpec",
    "tosca.interfaces": "Root node.lifecycle.Standard relationship.Configure",
    "tosca.artifacts": "Root File Deployment Deployment.Image Deployment.Image.VM Deployment.Image.VM.ISO Deployment.Image.VM.QCOW2 "
    "Deployment.Image.Container.Docker Implementation Implementation.Bash Implementation.Python",
    "tosca.policies": "Root Placement Scaling Update Performance",
    "tosca.groups": "Root",
}
NORMATIVE = frozenset(f"{family}.{name}" for family, names in KNOWN.items() for name in names.split())
RENAMED = {
    "tosca.nodes.Storage.BlockStorage": "tosca.nodes.BlockStorage",
    "tosca.nodes.Storage.ObjectStorage": "tosca.nodes.ObjectStorage",
    "tosca.capabilities.Compute": "tosca.capabilities.Container",
}
DIRECTIVES = {"select": "selectable", "substitute": "substitutable"}
FAMILIES = re.compile(r"tosca\.[a-z]+\.(indigo|DODAS|ec3|im|eosc|aisprint|AnsibleGalaxy)\.")
"""Types that an INDIGO orchestrator has by the URL that the template imports; ours of these names stay here."""
LOST_FUNCTIONS = ("join",)
LOST_TYPES = ("scalar-unit.bitrate",)
LOST_KEYS = {"workflows": "imperative workflows", "triggers": "triggers of policies"}
LOST_WITHIN = {
    "interfaces": {
        "notifications": "notifications of interfaces",
        "outputs": "outputs of operations",
        "timeout": "timeouts of operations",
        "operation_host": "hosts of operations",
    },
    "substitution_mappings": {
        "properties": "mapped properties",
        "attributes": "mapped attributes",
        "interfaces": "mapped interfaces",
        "substitution_filter": "filters of substitutions",
    },
}
LEFT_OUT = {"key_schema": "schemas of keys", "metadata": "metadata of definitions", "external-schema": "external schemas"}
LEFT_WITHIN = {
    "artifacts": {
        "checksum": "checksums of artifacts",
        "checksum_algorithm": "checksums of artifacts",
        "artifact_version": "versions of artifacts",
        "properties": "properties of artifacts",
    }
}
DEFINITIONS = ("inputs", "outputs", "properties", "attributes")
NAMES = frozenset((*DEFINITIONS, "capabilities", "requirements", "interfaces", "operations", "artifacts"))
"""Keywords below which somebody chose the names."""


def simple(template: Declared) -> tuple[dict[str, Tree], tuple[Problem, ...]]:
    """A template in TOSCA Simple Profile 1.0.

    Parameters
    ----------
    template:
        A valid template.

    Returns
    -------
    tuple
        The document, and notices of what it says less of.

    Raises
    ------
    TemplateError
        It says what 1.0 cannot say.
    """
    converter = _Converter(template)
    document = converter.document()
    if converter.problems.errors:
        raise TemplateError(converter.problems.finish())
    return document, tuple(converter.problems.warnings)


class _Converter:
    def __init__(self, template: Declared) -> None:
        self.template, self.problems = template, Problems()
        self.registry = template.definitions.registry
        self.noticed: set[str] = set()
        imports = template.root.get("imports")
        self.kept = (
            [entry for entry in imports.items if any("://" in word.text for word in _words(entry))] if isinstance(imports, Seq) else []
        )

    def document(self) -> dict[str, Tree]:
        root = self.template.root
        found: dict[str, Tree] = {"tosca_definitions_version": VERSION}
        for key in ("metadata", "description"):
            if key in root.entries and not empty(root.entries[key]):
                found[key] = tree(root.entries[key])
        if self.template.metadata.get("template_name") != self.template.name:
            found["metadata"] = {**found.get("metadata", {}), "template_name": self.template.name}
        for key in ("dsl_definitions", "repositories"):
            if key in root.entries and not empty(root.entries[key]):
                found[key] = tree(root.entries[key])
        if self.kept:
            found["imports"] = [tree(entry) for entry in self.kept]
        for type_ in self.types():
            found.setdefault(type_.section, {})[type_.name] = self.convert(type_.body, (type_.section, type_.name))
        found[TOPOLOGY] = self.convert(self.template.topology, (TOPOLOGY,))
        self.operations()
        return found

    def lost(self, at: Place, what: str) -> None:
        """Record what 1.0 cannot say."""
        remedy = "Say it in another way, or give the template to an orchestrator that knows a newer TOSCA."
        self.problems.error("export.lost", f"TOSCA 1.0 has no {what}.", remedy, at)

    def notice(self, at: Place, what: str, remedy: str) -> None:
        """Tell once what is left out."""
        if what not in self.noticed:
            self.noticed.add(what)
            self.problems.warn("export.left_out", what, remedy, at)

    def types(self) -> list[Type]:
        """The types that the template uses and TOSCA itself does not define, each after what it derives from."""
        found: dict[Type, None] = {}
        todo: list[Element] = [self.template.topology]
        while todo:
            for word in _words(todo.pop()):
                for section in TYPE_SECTIONS:
                    type_ = self.registry.find(section, word.text)
                    if type_ is not None and type_ not in found and not type_.normative and not self.outside(type_):
                        found[type_] = None
                        todo.append(type_.body)
        return sorted(found, key=lambda type_: (list(TYPE_SECTIONS).index(type_.section), len(type_.ancestors), type_.name))

    def convert(self, element: Element, path: tuple[str, ...]) -> Tree:
        """An element as 1.0 writes it."""
        if isinstance(element, Seq):
            return [self.convert(item, path) for item in element.items]
        if isinstance(element, Scalar):
            return self.word(element)
        found: dict[str, Tree] = {}
        defines, named = _defines(path), _named(path)
        if not defines and _assigns(path):
            return self.value(element)
        for key, value in element.items():
            name = key.text
            lost = "" if named else LOST_KEYS.get(name, "") or _within(LOST_WITHIN, path, name)
            left = "" if named else _within(LEFT_WITHIN, path, name) or (LEFT_OUT.get(name, "") if defines or path[0] != TOPOLOGY else "")
            if lost or self.unknown(element):
                self.lost(key, lost or self.unknown(element))
            elif left:
                self.left(key, left)
            elif name == "directives" and isinstance(value, Seq):
                found[name] = [DIRECTIVES.get(item.text, item.text) for item in value.items if isinstance(item, Scalar)]
            elif name == "operations" and isinstance(value, Map) and path[-2:-1] == ("interfaces",):
                found.update(self.convert(value, (*path, "operations")))
            elif name in ("default", "value") and (defines or "outputs" in path[-2:]):
                found[name] = self.value(value)
            elif name == "occurrences" and path[0] == TOPOLOGY and not named:
                self.left(key, "occurrences of requirements in node templates")
            else:
                found[name] = self.convert(value, (*path, name))
        return found

    def left(self, at: Place, what: str) -> None:
        """Tell that 1.0 says less."""
        remedy = "`cantiere validate` goes on checking the template itself."
        self.notice(at, f"TOSCA 1.0 has no {what}; they are left out.", remedy)

    def value(self, element: Element) -> Tree:
        """A value: nothing in it is a keyword, only functions are looked at."""
        if isinstance(element, Map):
            if what := self.unknown(element):
                self.lost(next(iter(element.keys.values())), what)
            return {name: self.value(inner) for name, inner in element.entries.items()}
        return [self.value(item) for item in element.items] if isinstance(element, Seq) else element

    @staticmethod
    def unknown(element: Map) -> str:
        """What of a function 1.0 does not know; empty where it knows all of it, or it is none."""
        name, inner = next(iter(element.entries.items()), ("", None))
        if len(element.entries) != 1 or not isinstance(inner, Seq):
            return ""
        if name == "get_input" and len(inner.items) > 1:
            return "parts of inputs: get_input takes one name"
        return f"function {quote(name)}" if name in LOST_FUNCTIONS else ""

    def word(self, scalar: Scalar) -> Tree:
        """A word where a type may stand."""
        if scalar.text in RENAMED:
            return RENAMED[scalar.text]
        newer = scalar.text not in NORMATIVE and self.normative(scalar.text)
        if scalar.text in LOST_TYPES or newer:
            self.lost(scalar, f"type {quote(scalar.text)}")
        return scalar

    def normative(self, name: str) -> bool:
        """Whether a name is that of a type which TOSCA itself defines."""
        return any(name in self.registry.types[section] and self.registry.types[section][name].normative for section in TYPE_SECTIONS)

    def operations(self) -> None:
        """Tell which nodes an orchestrator would note without running anything."""
        idle: dict[str, Scalar] = {}
        for name, body in self.template.nodes.items():
            type_ = self.template.type_of(name.text)
            own = isinstance(body, Map) and "interfaces" in body.entries
            if type_ is not None and not own and not self.outside(type_) and not any(map(_acts, type_.chain())):
                idle.setdefault(type_.name, name)
        if idle:
            what = f"These types have no operations, so an orchestrator runs nothing for their nodes: {', '.join(idle)}."
            self.notice(next(iter(idle.values())), what, "Raise the facility with `cantiere up`, or give the types interfaces.")

    def outside(self, type_: Type) -> bool:
        """Whether the orchestrator gets a type from a URL that the template imports."""
        return bool(self.kept) and (FAMILIES.match(type_.name) is not None or "://" in type_.mark.name)


def _acts(type_: Type) -> bool:
    """Whether an orchestrator does something for nodes of a type."""
    if type_.normative:
        return type_.name not in ("tosca.nodes.Root", "tosca.nodes.SoftwareComponent")
    return "interfaces" in type_.body.entries


def _words(element: Element) -> Iterator[Scalar]:
    """Every word below an element."""
    todo = [element]
    while todo:
        one = todo.pop()
        if isinstance(one, Scalar):
            if isinstance(one.value, str):
                yield one
        else:
            todo += one.entries.values() if isinstance(one, Map) else one.items


def _defines(path: tuple[str, ...]) -> bool:
    """Whether a path leads into the definition of a property, an input or a schema."""
    if path[-1] in ("entry_schema", "key_schema"):
        return True
    if path[0] == TOPOLOGY:
        return len(path) == 3 and path[1] in ("inputs", "outputs")
    return len(path) > 2 and path[-2] in DEFINITIONS and path[0] in TYPE_SECTIONS


def _assigns(path: tuple[str, ...]) -> bool:
    """Whether a path leads to values that somebody gives: of properties, attributes, or inputs of operations."""
    if path[-1] == "inputs" and "interfaces" in path:
        return True
    return path[0] == TOPOLOGY and path[-1] in ("properties", "attributes") and path[-2:-1] != ("substitution_mappings",)


def _within(table: Mapping[str, Mapping[str, str]], path: tuple[str, ...], name: str) -> str:
    """What a table says of a keyword at a path."""
    return next((words[name] for step, words in table.items() if step in path and name in words), "")


def _named(path: tuple[str, ...]) -> bool:
    """Whether the keys at a path are names that somebody chose."""
    if path[0] == TOPOLOGY and len(path) == 2:
        return path[1] != "substitution_mappings"
    return path[-1] in NAMES
