"""TOSCA 2.0, written as 1.3 has it: the same elements at the same places, under the keywords that the rest of the front end reads."""

from __future__ import annotations

from collections.abc import Iterator

from cantiere.tosca import grammar
from cantiere.tosca.elements import Call, Element, Map, Scalar, Seq
from cantiere.tosca.operators import OPERATORS
from cantiere.tosca.problems import Problems, listed, quote
from cantiere.tosca.values import FUNCTIONS

VERSION = "tosca_2_0"
_COMPARISONS = {
    "$equal": "equal",
    "$greater_than": "greater_than",
    "$greater_or_equal": "greater_or_equal",
    "$less_than": "less_than",
    "$less_or_equal": "less_or_equal",
    "$in_range": "in_range",
    "$valid_values": "valid_values",
    "$matches": "pattern",
}
_LENGTHS = {"$equal": "length", "$greater_or_equal": "min_length", "$less_or_equal": "max_length"}
_TYPE_KEYWORDS = {
    "valid_source_node_types": "valid_source_types",
    "valid_target_node_types": "valid_target_types",
    "valid_capability_types": "valid_target_types",
}
_COMPUTING = (*OPERATORS, "$matches")
_STEPS = frozenset(("CAPABILITY", "RELATIONSHIP", "TARGET", "NODE"))


def is_modern(root: Map) -> bool:
    """Whether a file says that it is written in TOSCA 2.0."""
    version = root.entries.get("tosca_definitions_version")
    return isinstance(version, Scalar) and version.text == VERSION


def rewrite(root: Map, problems: Problems) -> None:
    """Rewrite a file of TOSCA 2.0 in place; what has no counterpart in 1.3 is recorded.

    Parameters
    ----------
    root:
        The file.
    problems:
        Where errors go.
    """
    _Rewriter(problems).file(root)


def rename(parent: Map, names: dict[str, str]) -> None:
    """Give entries of a mapping other names; their keys keep their place in the file."""
    found = {old: new for old, new in names.items() if old in parent.entries and new not in parent.entries}
    if found:
        keys = {name: Scalar(found[name], found[name], key.mark) if name in found else key for name, key in parent.keys.items()}
        parent.entries = {found.get(name, name): value for name, value in parent.entries.items()}
        parent.keys = {key.text: key for key in keys.values()}


def _maps(parent: Element | None, key: str) -> Iterator[Map]:
    """The mappings that stand under the names below a keyword: in a mapping, or in a list of mappings with one entry each."""
    element = parent.entries.get(key) if isinstance(parent, Map) else None
    holders = element.items if isinstance(element, Seq) else [element]
    for holder in holders:
        if isinstance(holder, Map):
            yield from (value for value in holder.entries.values() if isinstance(value, Map))


class _Rewriter:
    """Walks a file by its grammar, so that names of properties are never taken for keywords."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.seen: set[int] = set()

    def wrong(self, element: Element, what: str, remedy: str) -> None:
        """Record what 1.3 has no counterpart for."""
        self.problems.error("modern.unsupported", what, remedy, element)

    def file(self, root: Map) -> None:
        """The whole file."""
        rename(root, {"service_template": "topology_template"})
        if "functions" in root.entries:
            what = "Functions that a template defines itself are not carried out."
            self.wrong(root.keys["functions"], what, f"Use those of TOSCA: {', '.join(f'${name}' for name in FUNCTIONS)} and more.")
            del root.entries["functions"], root.keys["functions"]
        for section in grammar.TYPE_SECTIONS:
            for body in _maps(root, section):
                self.type(body)
        topology = root.entries.get("topology_template")
        for key in ("inputs", "outputs"):
            for body in _maps(topology, key):
                self.schema(body)
        for body in _maps(topology, "node_templates"):
            for requirement in _maps(body, "requirements"):
                self.requirement(requirement)
        self.functions(root)

    def type(self, body: Map) -> None:
        """A type: its own keywords, and those of all that it defines."""
        nodes, capabilities = body.entries.get("valid_target_node_types"), body.entries.get("valid_capability_types")
        if isinstance(nodes, Seq) and isinstance(capabilities, Seq):
            nodes.items += capabilities.items  # 1.3 has one list for both
            del body.entries["valid_capability_types"], body.keys["valid_capability_types"]
        rename(body, _TYPE_KEYWORDS)
        self.schema(body)
        for key in ("properties", "attributes"):
            for definition in _maps(body, key):
                self.schema(definition)
        for capability in _maps(body, "capabilities"):
            rename(capability, _TYPE_KEYWORDS)
            for definition in _maps(capability, "properties"):
                self.schema(definition)
        for requirement in _maps(body, "requirements"):
            self.requirement(requirement)

    def requirement(self, body: Map) -> None:
        """A requirement's definition or assignment."""
        rename(body, {"count_range": "occurrences"})
        count = body.entries.get("count")
        if count is not None and not (isinstance(count, Scalar) and count.value == 1):
            self.wrong(body.keys["count"], "A requirement counts once.", "Write it once for each node that fulfils it.")
        condition = body.entries.get("node_filter")
        if isinstance(condition, Map) and condition.entries and all(name.startswith("$") for name in condition.entries):
            body.entries["node_filter"] = self.filter(condition)

    def schema(self, body: Map, depth: int = 0) -> None:
        """A definition of a value: its validation clause becomes constraints."""
        if id(body) in self.seen or depth > 16:
            return
        self.seen.add(id(body))
        clause = body.entries.get("validation")
        if clause is not None:
            rename(body, {"validation": "constraints"})
            constraints = Seq(clause.mark)
            constraints.items.extend(self.clauses(clause))
            body.entries["constraints"] = constraints
        for key in ("entry_schema", "key_schema"):
            inner = body.entries.get(key)
            if isinstance(inner, Map):
                self.schema(inner, depth + 1)

    def clauses(self, clause: Element) -> Iterator[Element]:
        """The constraint clauses that a validation clause means."""
        for name, arguments in self.comparisons(clause):
            subject = arguments.items[0]
            size = isinstance(subject, Map) and "$length" in subject.entries
            operator = (_LENGTHS if size else _COMPARISONS).get(name.text)
            if operator is None or not (size or (isinstance(subject, Scalar) and subject.text == "$value")):
                self.wrong(name, "This validation cannot be checked.", "Compare $value, or its $length, with something.")
            else:
                yield _pair(name, operator, arguments.items[1])

    def comparisons(self, condition: Element) -> Iterator[tuple[Scalar, Seq]]:
        """Operators with their two arguments, of a condition and of all that it joins with ``$and``."""
        todo = [condition]
        while todo:
            element = todo.pop()
            if not isinstance(element, Map) or len(element.entries) != 1:
                self.wrong(element, "A condition is one function with its arguments.", "Write '$in_range: [$value, [1, 4]]'.")
                continue
            name, arguments = next(element.items())
            if name.text == "$and" and isinstance(arguments, Seq):
                todo += reversed(arguments.items)
            elif name.text not in _COMPARISONS:
                remedy = self.problems.suggest(name.text, _COMPARISONS, f"Use one of: {listed(['$and', *_COMPARISONS])}.")
                self.wrong(name, f"{quote(name.text)} is no condition that can be checked.", remedy)
            elif not isinstance(arguments, Seq) or len(arguments.items) != 2:
                self.wrong(arguments, f"{name.text} compares two values.", "Give it a list of two.")
            else:
                yield name, arguments

    def filter(self, condition: Map) -> Map:
        """The node filter that a condition means."""
        found = Map(condition.mark)
        capabilities: dict[str, Map] = {}
        for name, arguments in self.comparisons(condition):
            asked, operand = arguments.items
            words = asked.entries.get("$get_property") if isinstance(asked, Map) else None
            path = [item for item in words.items if isinstance(item, Scalar)][1:] if isinstance(words, Seq) else []
            if len(path) == 3 and path[0].text == "CAPABILITY":
                holder = capabilities.get(path[1].text)
                if holder is None:
                    holder = capabilities[path[1].text] = Map(path[1].mark)
                    _append(found, "capabilities", _pair(path[1], path[1].text, holder))
            elif len(path) == 1:
                holder = found
            else:
                self.wrong(name, "A node filter compares a property of the candidate.", "Write '$get_property: [SELF, name]'.")
                continue
            _append(holder, "properties", _pair(path[-1], path[-1].text, _pair(name, _COMPARISONS[name.text], operand)))
        return found

    def functions(self, root: Map) -> None:
        """Calls anywhere: ``$get_input`` as ``get_input``, ``$$`` as ``$``, and paths without the words that 1.3 does not write."""
        todo: list[Element] = [root]
        seen: set[int] = set()
        while todo:
            element = todo.pop()
            if id(element) in seen:
                continue
            seen.add(id(element))
            if isinstance(element, Seq):
                todo += element.items
            elif isinstance(element, Map):
                self._call(element)
                todo += element.entries.values()
            elif element.text.startswith("$$") and isinstance(element.value, str):
                element.text = element.value = element.text[1:]

    def _call(self, element: Map) -> None:
        for name in element.entries:
            if name in _COMPUTING:
                element.keys[name] = Call(name, name, element.keys[name].mark)
        names = {name: name[1:] for name in element.entries if name.startswith("$") and name not in _COMPUTING}
        rename(element, names)
        for name, plain in names.items():
            if plain not in element.entries:
                continue
            if name == "$concat":
                element.keys[plain] = Call(plain, plain, element.keys[plain].mark)
            if not name.startswith("$$") and plain not in FUNCTIONS:
                known = [*(f"${function}" for function in FUNCTIONS), *_COMPUTING]
                remedy = self.problems.suggest(name, known, f"Use one of: {', '.join(known)}.")
                self.problems.error("function.unknown", f"There is no function {quote(name)} here.", remedy, element.keys[plain])
            arguments = element.entries[plain]
            if plain in ("get_property", "get_attribute") and isinstance(arguments, Seq):
                arguments.items[:] = [item for item in arguments.items if not (isinstance(item, Scalar) and item.text in _STEPS)]


def _pair(name: Scalar, key: str, value: Element) -> Map:
    """A mapping of one entry."""
    found = Map(name.mark)
    found.keys[key] = Scalar(key, key, name.mark)
    found.entries[key] = value
    return found


def _append(parent: Map, key: str, entry: Map) -> None:
    """Add an entry to the list under a key."""
    sequence = parent.entries.get(key)
    if not isinstance(sequence, Seq):
        sequence = parent.entries[key] = Seq(entry.mark)
        parent.keys[key] = Scalar(key, key, entry.mark)
    sequence.items.append(entry)
