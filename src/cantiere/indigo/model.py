"""Node templates of the dialect as they were checked, and how the table says what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cantiere.tosca.problems import Mark


@dataclass(frozen=True, slots=True, eq=False)
class Theirs:
    """A node template of theirs.

    Parameters
    ----------
    name, mark:
        Its name, and where that is written.
    types:
        Its type, then what that derives from.
    properties, capabilities:
        Values, defaults applied; capabilities by name, each with its properties. None stands for what only the running facility knows.
    requirements:
        Requirement to who fulfils it.
    written:
        The properties that the template itself gives.
    """

    name: str
    mark: Mark
    types: tuple[str, ...]
    properties: Mapping[str, Any]
    capabilities: Mapping[str, Mapping[str, Any]]
    requirements: Mapping[str, tuple[Theirs, ...]]
    written: Mapping[str, Mark]

    def value(self, path: str) -> Any:
        """A property by its name, one of a capability (``host.num_cpus``) or of who fulfils a requirement; None where there is none."""
        first, _, rest = path.partition(".")
        if not rest:
            return self.properties.get(first)
        if first in self.requirements:
            return self.requirements[first][0].value(rest)
        return self.capabilities.get(first, {}).get(rest)

    def given(self, path: str) -> bool:
        """Whether a value is there that says something."""
        return self.value(path) not in (None, "", [], {}, False, 0)


Convert = Callable[[Any], Any]
When = Callable[[Theirs], bool]


def same(value: Any) -> Any:
    """The value as it is."""
    return value


def always(_: Theirs) -> bool:
    """For every node."""
    return True


@dataclass(frozen=True, slots=True)
class Carry:
    """A property of ours that a value of theirs becomes.

    Parameters
    ----------
    theirs:
        Path of the value, see :meth:`Theirs.value`; where it is empty or not known, ours keeps its default.
    ours:
        The property.
    convert:
        From one to the other, as TOSCA writes it.
    """

    theirs: str
    ours: str
    convert: Convert = same


@dataclass(frozen=True, slots=True)
class Part:
    """A node of ours that a node of theirs becomes, or a part of it.

    Parameters
    ----------
    type:
        Our node type.
    carries:
        Its properties that come from theirs.
    fixed:
        Its properties that are the same for all.
    name:
        Its name; the name of theirs where it is empty. What several nodes of theirs say of one name is put together, the last one counts.
    when:
        Whether it is there.
    fallback:
        Whether it is there only where no other node makes one of its name.
    """

    type: str
    carries: Sequence[Carry] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    when: When = always
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Mapped:
    """What becomes of a node type of theirs.

    Parameters
    ----------
    parts:
        The nodes of ours.
    roles:
        What the machines do that it stands on.
    machines:
        Properties of the pool of these machines.
    machines_of:
        The requirements that lead to them, one after the other.
    left:
        Properties that are not carried over, and what is in their place.
    taken:
        Properties that need no word: what they say is done in another way, or is theirs alone.
    instead:
        Where nothing of ours is made of it: what is in its place.
    """

    parts: Sequence[Part] = ()
    roles: Sequence[str] = ()
    machines: Sequence[Carry] = ()
    machines_of: Sequence[str] = ("host",)
    left: Mapping[str, str] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    instead: str = ""
