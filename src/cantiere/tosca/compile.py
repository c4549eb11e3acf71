"""From a template and its inputs to a facility: everything that is wrong is told at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cantiere.errors import Location, Problem, TemplateError
from cantiere.indigo.model import Theirs
from cantiere.indigo.outputs import Late, late
from cantiere.model import Facility, Node
from cantiere.tosca import secrets, sources
from cantiere.tosca.check import Checker, unused_inputs
from cantiere.tosca.constraints import Constraints
from cantiere.tosca.document import Budget, parse
from cantiere.tosca.elements import Element, Map, Point, Scalar, from_python
from cantiere.tosca.functions import Functions, Scope
from cantiere.tosca.grammar import TYPE_SECTIONS, Grammar, empty
from cantiere.tosca.members import SECTION
from cantiere.tosca.namespaces import Namespaces
from cantiere.tosca.problems import OPTION, Problems, TooManyError, listed, locate, quote
from cantiere.tosca.registry import Registry
from cantiere.tosca.requirements import Requirements
from cantiere.tosca.schema import Definitions, Schema
from cantiere.tosca.sources import Sources
from cantiere.tosca.topology import Template, Topology
from cantiere.tosca.values import Values, Void
from cantiere.tosca.workflows import Workflows


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a template means.

    Parameters
    ----------
    facility:
        The facility that it declares.
    warnings:
        What is probably a mistake but does no harm.
    notices:
        What a template of a dialect says differently, and what is not carried out of it.
    became:
        Of a template of a dialect, each node to the nodes of the facility that it has become.
    late:
        Of a template of a dialect, outputs that only the running facility can answer, with what they ask for.
    """

    facility: Facility
    warnings: tuple[Problem, ...]
    notices: tuple[Problem, ...] = ()
    became: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    late: Mapping[str, Late] = field(default_factory=dict)


def load(
    path: Path,
    inputs: Mapping[str, Any] | None = None,
    inputs_file: Path | None = None,
    fetch: sources.Fetch | None = None,
    workflow: str = "",
) -> Loaded:
    """Read, check and compile a template.

    Parameters
    ----------
    path:
        The template.
    inputs:
        Input name to value, as the command line gives them; they win over the inputs file. A string for an input that is not
        of type string is read as YAML (``"4"``, ``"[/cms]"``).
    inputs_file:
        A YAML file with input names and values.
    fetch:
        Gets what a URL has, for imports; without it URLs are refused.
    workflow:
        The workflow that is to be run: ``inputs`` may give values of its inputs too, and each has to have one.

    Returns
    -------
    Loaded
        The facility and warnings.

    Raises
    ------
    TemplateError
        The template or its inputs are invalid; it holds every problem that was found.
    """
    problems = Problems()
    budget = Budget()
    with _no_collection():
        try:
            read = sources.load(path, problems, budget, fetch)
            if read is not None:
                compiler = _Compiler(path, read, problems, budget)
                loaded = compiler.compile(inputs or {}, inputs_file, workflow)
                return loaded if problems.dialect is None or not loaded.facility.nodes else _translated(path, compiler, loaded, problems)
        except TooManyError:
            pass
    raise TemplateError(problems.finish(), problems.shown(problems.warnings))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Leave out the collector of cyclic garbage: a document is a tree of very many objects, and none of them is garbage before the end."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.freeze()
            gc.unfreeze()  # all that was made is old by now: the collector does not look through it at once
            gc.enable()


def _translated(path: Path, compiler: _Compiler, theirs: Loaded, problems: Problems) -> Loaded:
    """The facility of ours that a template of the dialect means."""
    from cantiere.indigo.translate import translate  # only such templates need it, and it is the larger part of this package

    translation = translate(compiler.described(), sources.homes(), problems)
    problems.dialect = None
    budget = Budget()
    ours = _Compiler(path, sources.with_imports(translation.root, path, problems, budget), problems, budget).compile({}, None)
    about = theirs.facility
    if about.workflows:
        message = "Workflows of the template act on its own nodes; they are not carried over to ours."
        problems.note("dialect.workflows", message, "Write them in a template of cantiere's types.", compiler.root.entries[SECTION])
    facility = replace(ours.facility, name=about.name, description=about.description, outputs=about.outputs, late=about.late)
    return Loaded(facility, *_told(problems), translation.became, compiler.late(about.outputs, translation.became))


def _told(problems: Problems) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    notices = sorted(problems.notices, key=lambda notice: notice.where or Location(""))
    return tuple(problems.shown(problems.warnings)), tuple(notices)


class _Compiler:
    """The rooms of the front end, wired together for one template."""

    def __init__(self, path: Path, read: Sources, problems: Problems, budget: Budget) -> None:
        self.path, self.problems, self.budget = path, problems, budget
        self.root = read.template
        self.grammar = Grammar(problems)
        self.registry = Registry(problems)
        self.registry.add(sources.normative())
        for document in read.documents:
            self.registry.add(document)
            if document.root is not self.root and "topology_template" in document.root.entries:
                message, key = "The topology template of an imported file is not used.", document.root.keys["topology_template"]
                problems.warn("import.topology", message, "Import files that hold types alone.", key, SECTION)
        self.registry.prefixes |= read.prefixes
        if read.prefixes and problems.dialect is None:
            self.registry.namespaces = Namespaces(read.imports)
        self.registry.link()
        self.values = Values(problems, budget.share)
        self.constraints = Constraints(problems, self.values.operand, budget.share)
        self.definitions = Definitions(self.registry, problems, self.constraints)
        self.topology = Topology(self.registry, problems, share=budget.share)
        self.inputs: dict[str, Element | Void] = {}
        self.values.definitions = self.definitions
        self.values.functions = functions = Functions(self.inputs, self.topology, self.definitions, self.values, problems)
        self.topology.matcher = self.requirements = Requirements(self.topology, self.definitions, self.values, problems)
        self.checker = Checker(self.definitions, self.values, self.topology, problems)
        functions.late.lifecycle = self.checker.lifecycle

    def compile(self, given: Mapping[str, Any], inputs_file: Path | None, workflow: str = "") -> Loaded:
        """The facility, or every problem; ``workflow`` is the one that is to be run."""
        self.checker.types()
        body = self.grammar.mapping(self.root, "topology_template", "")
        if body is None:
            holds_types = any(section in self.root.entries for section in TYPE_SECTIONS)
            if "topology_template" not in self.root.entries and holds_types and not self.problems.errors:
                return Loaded(Facility(*self._about(), (), {}), *_told(self.problems))
            if "topology_template" not in self.root.entries and not holds_types:
                message = "The template has no topology_template."
                self.problems.error("template.empty", message, "Add 'topology_template:' with node templates.", self.root)
            raise TemplateError(self._all() or [_nothing(self.path)], self._warned())
        declared = self.checker.inputs(body)
        flows = Workflows(self.checker, body)
        mine = {name: entry for name, entry in flows.inputs.get(workflow, {}).items() if name in given and name not in declared}
        self._inputs(declared, {name: value for name, value in given.items() if name not in mine}, inputs_file)
        self.topology.read(body, self.grammar)
        self.checker.topology_keywords(body)
        self.properties = properties = {template: self.checker.node(template) for template in self.topology.templates.values()}
        self.checker.relationship_templates(body)
        ordered = self.topology.order()
        outputs = self.checker.outputs(body)
        workflows = flows.compile(workflow, {name: self._option(name, given[name], schema) for name, (_, schema) in mine.items()})
        unused_inputs(body, declared, self.problems)
        name, description = self._about()
        if problems := self._all():
            raise TemplateError(problems, self._warned())
        nodes = tuple(self._node(template, properties[template]) for template in ordered)
        self.ordered = ordered
        return Loaded(Facility(name, description, nodes, outputs, workflows, self.checker.late), *_told(self.problems))

    def _warned(self) -> tuple[Problem, ...]:
        return tuple(self.problems.shown(self.problems.warnings))

    def described(self) -> list[Theirs]:
        """What was compiled, each node with its capabilities and those it requires before it."""
        found: dict[Template, Theirs] = {}
        for template in self.ordered:
            assert template.type is not None
            found[template] = Theirs(
                template.name,
                template.mark,
                tuple(type_.name for type_ in template.type.chain()),
                self.properties[template],
                self.checker.assigned.get(template, {}),
                {name: tuple(found[link.target] for link in links) for name, links in self.topology.links(template).items()},
                {name: key.mark for name, key in template.properties.keys.items()} if template.properties else {},
            )
        return sorted(found.values(), key=lambda node: self.topology.templates[node.name].index)

    def late(self, outputs: Mapping[str, Any], became: Mapping[str, tuple[str, ...]]) -> dict[str, Late]:
        """What the outputs without a value ask for, where ours has an answer."""
        found: dict[str, Late] = {}
        body = self.grammar.mapping(self.root, "topology_template", "")
        for name, entry, path in self.grammar.maps(body, "outputs", SECTION, "output") if body else ():
            element = entry.get("value")
            if element is not None and outputs.get(name.text) is None:
                asked = late(element, became, lambda part, path=path: self.values.untyped(part, Scope(None), path))  # type: ignore[misc]
                if asked is not None:
                    found[name.text] = asked
        return found

    def _all(self) -> tuple[Problem, ...]:
        return self.problems.finish()

    def _node(self, template: Template, properties: dict[str, Any]) -> Node:
        assert template.type is not None
        links = self.topology.links(template)
        requirements = {name: tuple(link.target.name for link in found) for name, found in links.items()}
        filters = self.requirements.outside.get(template, {})
        return Node(
            template.name,
            template.type.name,
            properties,
            requirements,
            locate(template.mark),
            filters,
            self.checker.expected.get(template, {}),
        )

    def _about(self) -> tuple[str, str]:
        """The template's name and description."""
        metadata = self.grammar.mapping(self.root, "metadata", "")
        name = metadata.get("template_name") if metadata else None
        name = name or self.root.get("template_name")
        description = self.grammar.text(self.root, "description", "")
        return name.text if isinstance(name, Scalar) and name.text else Path(
            self.root.mark.name
        ).stem, description.text.strip() if description else ""

    def _inputs(self, declared: dict[str, tuple[Scalar, Schema]], given: Mapping[str, Any], inputs_file: Path | None) -> None:
        """Find the value of every input and check it."""
        written = sources.inputs(inputs_file, self.problems, self.budget) if inputs_file is not None else None
        if any(schema.secret for _, schema in declared.values()):
            self.problems.texts.pop(str(inputs_file), None)
        values: dict[str, Element] = {}
        for key, element in written.items() if written else ():
            if key.text in declared:
                values[key.text] = element
            else:
                self._unknown(key.text, declared, key)
        for name, value in given.items():
            if name not in declared:
                self._unknown(name, declared, Point(OPTION + name))
            elif (element_ := self._option(name, value, declared[name][1])) is not None:
                values[name] = element_
            else:
                self.inputs[name] = Void.INVALID
        for name, (key, schema) in declared.items():
            if name not in self.inputs:
                self.inputs[name] = self._input(name, key, schema, values.get(name))

    def _unknown(self, name: str, declared: Mapping[str, object], at: Scalar | Point) -> None:
        remedy = self.problems.suggest(name, declared, f"The template has: {listed(declared, 30)}.")
        self.problems.error("input.unknown", f"The template has no input {quote(name)}.", remedy, at, name)

    def _option(self, name: str, value: Any, schema: Schema) -> Element | None:
        """An input of the command line as an element; None where it cannot be one, which is recorded."""
        place = OPTION + name
        if isinstance(value, str) and schema.base != "string":
            return parse(value.encode("utf-8", "surrogateescape"), place, self.problems, self.budget) or Scalar("", None, Point(place))
        try:
            return from_python(value, name)
        except ValueError as error:
            self.problems.error(
                "input.type", f"The input {quote(name)} cannot be used: {error}.", "Give a plain value.", Point(place), name
            )
            return None

    def _input(self, name: str, key: Scalar, schema: Schema, given: Element | None) -> Element | Void:
        """The element that is an input's value."""
        path = f"{SECTION}.inputs.{name}"
        fixed = self._fixed(name)
        if schema.default is not None:
            default = self.values.convert(schema.default, schema, None, f"{path}.default")
            if given is None and fixed is None and isinstance(default, Void):
                return Void.INVALID
        element = given if given is not None else fixed if fixed is not None else schema.default
        if element is not None and not secrets.check(name, schema, element, self.problems):
            return Void.INVALID
        if element is None:
            if not schema.required:
                return Void.ABSENT
            remedy = f"Give it with --input {name}=… or in the inputs file."
            self.problems.error("input.missing", f"The input {quote(name)} has no value.", remedy, key, path)
            return Void.INVALID
        if element is schema.default:
            return element
        if empty(element) and schema.base != "any":
            remedy = f"Write a value of type {schema.title}, or remove the line."
            self.problems.error("property.type", f"The input {quote(name)} is given without a value.", remedy, element, path)
            return Void.INVALID
        return Void.INVALID if isinstance(self.values.convert(element, schema, None, path, unconstrained=schema.secret), Void) else element

    def _fixed(self, name: str) -> Element | None:
        """The value that the template itself gives an input."""
        element: Element | None = self.root
        for step in (SECTION, "inputs", name, "value"):
            element = element.entries.get(step) if isinstance(element, Map) else None
        return element


def _nothing(path: Path) -> Problem:
    """What to say of a template whose topology is empty."""
    message = "The template's topology_template is empty."
    return Problem("template.empty", message, "Add node templates.", locate(Point(str(path))), SECTION)
