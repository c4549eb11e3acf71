"""What a template or the profile declares before any input has a value: what forms, exports and editors are made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cantiere.errors import TemplateError
from cantiere.tosca import sources
from cantiere.tosca.compile import Loaded, load
from cantiere.tosca.constraints import Constraints
from cantiere.tosca.document import Budget, parse
from cantiere.tosca.elements import Element, Map, Point, Scalar, Seq
from cantiere.tosca.problems import Problems, TooManyError
from cantiere.tosca.registry import Registry, Type
from cantiere.tosca.schema import Definitions, Schema
from cantiere.tosca.sources import Document
from cantiere.tosca.values import Values

TOPOLOGY = "topology_template"


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a template.

    Parameters
    ----------
    name:
        Its name.
    schema:
        What its value has to be.
    body:
        Its declaration.
    users:
        Names of the node templates whose values ask for it.
    """

    name: str
    schema: Schema
    body: Map
    users: tuple[str, ...]

    @property
    def description(self) -> str:
        """What it means."""
        return text(self.body.get("description")).strip()

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What is said of it beside, for forms."""
        found = plain(self.body.get("metadata"))
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Declared:
    """A template as it is written, with its types.

    Parameters
    ----------
    path:
        The file.
    documents:
        The template itself, then what it imports.
    definitions:
        What its types define.
    inputs:
        Inputs by name, in the order written.
    """

    path: Path
    documents: tuple[Document, ...]
    definitions: Definitions
    inputs: Mapping[str, Input]

    @property
    def root(self) -> Map:
        """The template."""
        return self.documents[0].root

    @property
    def topology(self) -> Map:
        """What it declares."""
        return mapping(self.root.get(TOPOLOGY))

    @property
    def nodes(self) -> Map:
        """Its node templates."""
        return mapping(self.topology.get("node_templates"))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What it says of itself."""
        return plain(mapping(self.root.get("metadata")))  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        """Its ``template_name``, or the file's name."""
        return str(self.metadata.get("template_name") or self.path.stem)

    @property
    def description(self) -> str:
        """Its description, on one line."""
        return " ".join(text(self.root.get("description")).split())

    def type_of(self, node: str) -> Type | None:
        """The type of a node template."""
        return self.definitions.registry.find("node_types", text(mapping(self.nodes.get(node)).get("type")))


def checked(path: Path, inputs: Mapping[str, Any] | None = None, inputs_file: Path | None = None) -> Loaded | None:
    """Check a template as ``validate`` does; that inputs have no value yet is no fault.

    Returns
    -------
    Loaded or None
        What it means; None where inputs are missing.

    Raises
    ------
    TemplateError
        Anything else is wrong.
    """
    try:
        return load(path, inputs, inputs_file)
    except TemplateError as error:
        problems = [problem for problem in error.problems if problem.code != "input.missing"]
        if problems:
            raise TemplateError(problems) from None
        return None


def declared(path: Path) -> Declared:
    """What a template declares.

    Raises
    ------
    TemplateError
        It cannot be read.
    """
    problems = Problems()
    try:
        read = sources.load(path, problems, Budget())
        if read is not None and not problems.errors:
            definitions = _definitions(read.documents, problems)
            return Declared(path, tuple(read.documents), definitions, _inputs(read.template, definitions))
    except TooManyError:
        pass
    raise TemplateError(problems.finish())


def profile() -> tuple[Definitions, tuple[Document, ...]]:
    """What the types of the project define, and the files that define them."""
    problems, budget = Problems(), Budget()
    documents = []
    for path in sorted(sources.TYPES.rglob("*.yaml")):
        name = f"tosca/types/{path.relative_to(sources.TYPES).as_posix()}"
        root = parse(path.read_bytes(), name, problems, budget)
        if isinstance(root, Map):
            documents.append(Document(name, root))
    return _definitions(documents, problems), tuple(documents)


def _definitions(documents: Iterable[Document], problems: Problems) -> Definitions:
    registry = Registry(problems)
    registry.add(sources.normative())
    for document in documents:
        registry.add(document)
    registry.link()
    values = Values(problems)
    constraints = Constraints(problems, values.operand)
    values.definitions = Definitions(registry, problems, constraints)
    return values.definitions


def _inputs(root: Map, definitions: Definitions) -> dict[str, Input]:
    topology = mapping(root.get(TOPOLOGY))
    users: dict[str, list[str]] = {}
    for node, body in mapping(topology.get("node_templates")).entries.items():
        for name in asked(body):
            users.setdefault(name, []).append(node)
    found = {}
    for key, body in mapping(topology.get("inputs")).items():
        entry = mapping(body)
        untyped = None if "type" in entry.entries else Schema("any", key.mark)
        schema = definitions.property(key, entry, f"{TOPOLOGY}.inputs.{key.text}", untyped)
        found[key.text] = Input(key.text, schema, entry, tuple(users.get(key.text, ())))
    return found


def asked(element: Element) -> list[str]:
    """Names of the inputs that functions below an element ask for, each once."""
    found: dict[str, None] = {}
    todo = [element]
    while todo:
        one = todo.pop()
        if isinstance(one, Map):
            call = one.get("get_input")
            first = call.items[0] if isinstance(call, Seq) and call.items else call
            if isinstance(first, Scalar):
                found[first.text] = None
            todo += one.entries.values()
        elif isinstance(one, Seq):
            todo += one.items
    return list(found)


def mapping(element: Element | None) -> Map:
    """The element where it is a mapping, else an empty one."""
    return element if isinstance(element, Map) else Map(Point(""))


def text(element: Element | None) -> str:
    """The element's text where it is a single value, else nothing."""
    return element.text if isinstance(element, Scalar) and element.value is not None else ""


def plain(element: Element | None) -> Any:
    """An element as Python knows it."""
    if isinstance(element, Map):
        return {name: plain(value) for name, value in element.entries.items()}
    if isinstance(element, Seq):
        return [plain(item) for item in element.items]
    return element.value if element is not None else None


def clauses(schema: Schema) -> list[tuple[str, Any]]:
    """The constraints of a schema as they are written: operator and operand."""
    written = (plain(clause) for clause in schema.clauses)
    return [pair for clause in written if isinstance(clause, dict) for pair in clause.items()]
