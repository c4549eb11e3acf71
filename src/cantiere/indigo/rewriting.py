"""What a template of the dialect writes differently, brought to the form of the standard. Each change is told as a notice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cantiere.indigo.dialect import LATE, YES_NO
from cantiere.tosca.constraints import OPERATORS
from cantiere.tosca.elements import Element, Map, Scalar, Seq
from cantiere.tosca.grammar import TYPE_SECTIONS, empty, join
from cantiere.tosca.problems import Problems, quote

GALAXY = "tosca.artifacts.AnsibleGalaxy."


def rewrite(root: Map, problems: Problems) -> None:
    """Change a file in place.

    Parameters
    ----------
    root:
        Its content.
    problems:
        Where notices go, and where keys that are written twice were recorded.
    """
    _repeated(root, problems)
    todo: list[tuple[Element, str]] = [(root, "")]
    seen: set[int] = set()
    while todo:
        element, path = todo.pop()
        if isinstance(element, Scalar) or id(element) in seen:
            continue
        seen.add(id(element))
        if isinstance(element, Seq):
            todo += [(item, f"{path}.{number}") for number, item in enumerate(element.items)]
            continue
        if "type" in element.entries:
            for change in CHANGES:
                change(element, path, problems)
        todo += [(value, join(path, name)) for name, value in element.entries.items()]


def without(root: Map, ours: Sequence[Map], problems: Problems) -> None:
    """Take the types out of a file that others define, with what is wrong in them.

    Parameters
    ----------
    root:
        A file with types of the dialect, as a copy of the public ones.
    ours:
        Files whose types count.
    """
    gone: list[Element] = []
    for section in TYPE_SECTIONS:
        written = root.get(section)
        known = {name for other in ours if isinstance(part := other.get(section), Map) for name in part.entries}
        for name in [name for name in written.entries if name in known] if isinstance(written, Map) else ():
            assert isinstance(written, Map)
            gone.append(written.entries.pop(name))
            del written.keys[name]
    inside = {id(element) for element in gone}
    while gone:
        element = gone.pop()
        more = list(element.entries.values()) if isinstance(element, Map) else element.items if isinstance(element, Seq) else []
        inside |= {id(item) for item in more}
        gone += more
    for parent, key, _ in problems.repeated:
        if id(parent) in inside:
            problems.withdraw("document.duplicate", key)
    if inside:
        problems.tolerates("own", quote(root.mark.name), root)


def _repeated(root: Map, problems: Problems) -> None:
    """Keys written twice of which one has no value; all others stay errors."""
    for parent, key, second in problems.repeated:
        first = parent.entries[key.text]
        if key.mark.name == root.mark.name and (empty(first) or empty(second)):
            problems.withdraw("document.duplicate", key)
            parent.entries[key.text] = second if empty(first) else first
            problems.tolerates("repeated", quote(key.text), key)


def _constraints(holder: Map, path: str, problems: Problems) -> None:
    """``constraints: {in_range: [1, 4]}``, as ``constraints: [{in_range: [1, 4]}]``."""
    written = holder.entries.get("constraints")
    if not isinstance(written, Map) or not written.entries or not all(name in OPERATORS for name in written.entries):
        return
    clauses = Seq(written.mark)
    for name, operand in written.items():
        clause = Map(name.mark)
        clause.entries[name.text], clause.keys[name.text] = operand, name
        clauses.items.append(clause)
    holder.entries["constraints"] = clauses
    problems.tolerates("constraints", quote(path.rpartition(".")[2]), written, join(path, "constraints"))


def _required(holder: Map, path: str, problems: Problems) -> None:
    """``required: yes``, as ``required: true``."""
    written = holder.entries.get("required")
    if isinstance(written, Scalar) and (value := YES_NO.get(written.text.lower())) is not None:
        holder.entries["required"] = Scalar(written.text, value, written.mark)
        problems.tolerates("boolean", f"'required: {written.text}'", written, join(path, "required"))


def _late(holder: Map, path: str, problems: Problems) -> None:
    """Properties that the orchestrator fills in: what asks for them gets what only the running facility knows."""
    named = holder.entries["type"]
    names = LATE.get(named.text, ()) if isinstance(named, Scalar) else ()
    written = holder.entries.get("properties")
    if not names or not path.startswith("topology_template.node_templates."):
        return
    if not isinstance(written, Map):
        written = Map(holder.mark)
        holder.entries["properties"] = written
        holder.keys["properties"] = Scalar("properties", "properties", holder.mark)
    for name in names:
        if name in written.entries:
            continue
        key, asked, arguments = Scalar(name, name, holder.mark), Map(holder.mark), Seq(holder.mark)
        arguments.items = [Scalar("SELF", "SELF", holder.mark), key]
        asked.entries["get_attribute"] = arguments
        asked.keys["get_attribute"] = Scalar("get_attribute", "get_attribute", holder.mark)
        written.entries[name], written.keys[name] = asked, key
        problems.tolerates("late", f"{quote(name)} of {quote(path.rpartition('.')[2])}", named, f"{path}.properties.{name}")


def _roles(holder: Map, path: str, problems: Problems) -> None:
    """Roles and collections of Ansible Galaxy, which nothing of ours needs."""
    written = holder.entries.get("artifacts")
    for name, entry in list(written.items()) if isinstance(written, Map) else ():
        type_ = entry.get("type") if isinstance(entry, Map) else None
        if isinstance(written, Map) and isinstance(entry, Map) and isinstance(type_, Scalar) and type_.text.startswith(GALAXY):
            file = entry.get("file")
            del written.entries[name.text], written.keys[name.text]
            what = quote(file.text if isinstance(file, Scalar) else name.text)
            problems.tolerates("role", what, name, f"{path}.artifacts.{name.text}")
    if isinstance(written, Map) and not written.entries:
        del holder.entries["artifacts"], holder.keys["artifacts"]


Change = Callable[[Map, str, Problems], None]
CHANGES: tuple[Change, ...] = (_constraints, _required, _late, _roles)
"""What is looked at in every mapping that names a type."""
