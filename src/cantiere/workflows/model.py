"""Workflows with every name resolved, and the values that are known only while they run. Frozen data, no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cantiere.errors import Location

if TYPE_CHECKING:
    from cantiere.model import Clause


class Kind(StrEnum):
    """What an activity does."""

    DELEGATE = "delegate"
    SET_STATE = "set_state"
    CALL = "call_operation"
    INLINE = "inline"


@dataclass(frozen=True, slots=True)
class Given:
    """The value of an input of the workflow, or of a part of it."""

    name: str
    keys: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Attribute:
    """The value that an attribute of a node has by then."""

    node: str
    name: str


@dataclass(frozen=True, slots=True)
class Output:
    """What an operation gave back when it was called last."""

    node: str
    interface: str
    operation: str
    name: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Texts put together, with another between them."""

    parts: tuple[Any, ...]
    between: Any = ""


LATE = (Given, Attribute, Output, Joined)


def is_late(value: Any) -> bool:
    """Whether a value holds anything that is known only while the workflow runs."""
    if isinstance(value, Mapping):
        return any(map(is_late, value.values()))
    if isinstance(value, list | tuple):
        return any(map(is_late, value))
    return isinstance(value, LATE)


@dataclass(frozen=True, slots=True)
class Condition:
    """What has to hold of attributes.

    Parameters
    ----------
    word:
        ``and``, ``or``, ``not`` (of several: not all of them), or ``""`` for what is asked of one attribute.
    parts:
        What ``and``, ``or`` and ``not`` are about.
    node, attribute, clauses:
        Whose attribute, which, and what it has to fulfil.
    where:
        Where it is written.
    """

    word: str
    where: Location = field(compare=False)
    parts: tuple[Condition, ...] = ()
    node: str = ""
    attribute: str = ""
    clauses: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a node, or of one of its relationships, with what implements it.

    Parameters
    ----------
    node, interface, name:
        Whose operation, and which. Of a relationship, the node and the requirement (``web.database``).
    file:
        The playbook or script, as a path below the template's folder; empty where the operation has no implementation.
    dependencies:
        Files that have to be beside it.
    host:
        The node on whose machines it runs; empty for the machine that the workflow is run from.
    timeout:
        Seconds that it may take; 0 is any time.
    inputs:
        Its inputs.
    outputs:
        Output to the node and attribute that take its value.
    where:
        Where the implementation is named.
    """

    node: str
    interface: str
    name: str
    where: Location = field(compare=False)
    file: str = ""
    dependencies: tuple[str, ...] = ()
    host: str = ""
    timeout: int = 0
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing that a step does.

    Parameters
    ----------
    kind:
        What.
    nodes:
        With which nodes.
    word:
        The state, the workflow, or the operation as it is written.
    inputs:
        Inputs of the workflow that is inlined.
    operations:
        Of a call one for each node.
    where:
        Where it is written.
    """

    kind: Kind
    nodes: tuple[str, ...]
    word: str
    where: Location = field(compare=False)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a workflow.

    Parameters
    ----------
    name:
        Its name.
    filter:
        Conditions without which it is passed over.
    activities:
        What it does, one after the other.
    on_success, on_failure:
        Steps that follow it.
    where:
        Where it is written.
    """

    name: str
    where: Location = field(compare=False)
    filter: tuple[Condition, ...] = ()
    activities: tuple[Activity, ...] = ()
    on_success: tuple[str, ...] = ()
    on_failure: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow of a template.

    Parameters
    ----------
    name, description:
        What it is called, and what it is for.
    inputs:
        Input to its value, those without one left out.
    preconditions:
        What has to hold before it begins.
    steps:
        Its steps, in the order written.
    where:
        Where it is written.
    """

    name: str
    description: str
    where: Location = field(compare=False)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    preconditions: tuple[Condition, ...] = ()
    steps: tuple[Step, ...] = ()

    def operations(self) -> Iterator[Operation]:
        """All operations that its own steps call."""
        for step in self.steps:
            for activity in step.activities:
                yield from activity.operations
