"""Whether a template speaks the dialect, and every rule that is relaxed for it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cantiere.tosca.elements import Element, Map, Scalar
from cantiere.tosca.problems import Mark, Place, Problems

FAMILIES = (
    "tosca.nodes.indigo.",
    "tosca.nodes.DODAS.",
    "tosca.nodes.ec3.",
    "tosca.nodes.im.",
    "tosca.nodes.eosc.",
    "tosca.nodes.aisprint.",
    "tosca.datatypes.indigo.",
)
"""Beginnings of the names by which the dialect is known."""

ALL = "indigo/custom_types.yaml"
"""File that imports all of our own writing of the dialect's types, below the folder of all types."""

FOLDER = "indigo"
"""Folder of our own writing of the dialect's types, below that of all types."""

YES_NO = {"yes": True, "on": True, "no": False, "off": False}
"""Booleans of YAML 1.1, in lower case."""


def _always(_path: str, _value: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that is relaxed.

    Parameters
    ----------
    event:
        What the front end was about to refuse; several rules may share one.
    message:
        What is told of it; ``{}`` is what is written there.
    remedy:
        How the standard has it; empty where nothing has to be done.
    holds:
        Whether the rule is meant, by path and value.
    told:
        Whether a notice tells it; what is in our own files nobody else can change.
    """

    event: str
    message: str
    remedy: str
    holds: Callable[[str, Any], bool] = _always
    told: bool = True


RULES = {
    "types": Rule("import", "The types of {} are served by our own, nothing is fetched.", ""),
    "own": Rule("own", "Types of {} that we have are read as our own.", "Rename types of yours that differ from those of the dialect."),
    "yes-no": Rule("boolean", "{} is read as a boolean of YAML 1.1.", "Write true or false."),
    "constraints": Rule("constraints", "Constraints of {} are a mapping; it is read as a list.", "Write '- ' before each constraint."),
    "repeated": Rule("repeated", "{} is written twice, once without a value; the value counts.", "Remove the empty one."),
    "default": Rule(
        "constraint",
        "{}, which its own constraints refuse; it is taken as it is.",
        "Give the input a value that they allow.",
        lambda path, _: path.startswith("topology_template.inputs.") and path.endswith(".default"),
    ),
    "no-volume": Rule(
        "constraint",
        "{}; a volume of size 0 is none.",
        "Leave it, or ask for a size.",
        lambda path, value: value == 0 and path.endswith(".properties.size"),
    ),
    "empty-list": Rule("empty-list", "{} asks for an entry of an empty list; it has no value.", "Give the list an entry."),
    "late": Rule("late", "{} is known only when the deployment runs.", ""),
    "host": Rule(
        "mismatch", "{}; it is taken as it is.", "Name a node that the requirement allows.", lambda path, _: path.endswith(".host")
    ),
    "role": Rule("role", "{} is not installed; our services have roles of their own.", "Remove it, or leave it."),
    "refinement": Rule("refinement", "{}", "", lambda _, file: f"/{FOLDER}/" in file, told=False),
    "parent": Rule("parent", "The template is an add-on of {}; the two are merged.", ""),
}
"""Rule to what is relaxed; the code of its notices is ``dialect.`` and its name."""

LATE = {
    "tosca.nodes.indigo.iam.client": ("client_id", "registration_access_token"),
    "tosca.nodes.indigo.network.Network": ("proxy_host",),
}
"""Node type to its properties that the orchestrator fills in while it deploys."""


class Dialect:
    """Tells what is tolerated.

    Parameters
    ----------
    problems:
        Where notices go.
    """

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def tolerates(self, event: str, subject: str, at: Place | Mark | None, path: str = "", value: Any = None) -> bool:
        """Whether something that the standard refuses is tolerated; it is told then.

        Parameters
        ----------
        event:
            What was about to be refused.
        subject:
            What is written there, at the beginning of a sentence.
        at, path, value:
            Where it is, and its value where it has one.
        """
        for name, rule in RULES.items():
            if rule.event == event and rule.holds(path, value):
                if rule.told:
                    self.problems.note(f"dialect.{name}", rule.message.format(subject), rule.remedy, at, path)
                return True
        return False


def served(url: str) -> str:
    """The file below the folder of all types that stands for a URL, if we have one of its name."""
    return f"{FOLDER}/{posixpath.basename(url.partition('?')[0])}"


def speaks(root: Map) -> bool:
    """Whether a file uses or defines a type of the dialect."""
    return any(name.startswith(FAMILIES) for name in _types(root))


def defines(root: Map) -> bool:
    """Whether a file defines a type of the dialect."""
    defined = root.get("node_types")
    return isinstance(defined, Map) and any(name.startswith(FAMILIES) for name in defined.entries)


def _types(root: Map) -> Iterator[str]:
    """Names of the types that a file defines, and that its nodes and inputs have."""
    defined = root.get("node_types")
    yield from defined.entries if isinstance(defined, Map) else ()
    topology = root.get("topology_template")
    for section in ("node_templates", "inputs"):
        entries = topology.get(section) if isinstance(topology, Map) else None
        for entry in entries.entries.values() if isinstance(entries, Map) else ():
            for holder in (entry, entry.get("entry_schema") if isinstance(entry, Map) else None):
                yield from _named(holder)


def _named(holder: Element | None) -> Iterator[str]:
    written = holder.get("type") if isinstance(holder, Map) else holder
    if isinstance(written, Scalar):
        yield written.text
