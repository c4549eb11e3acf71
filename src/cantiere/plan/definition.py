"""A plan as data: steps, each with an action, a reason, and what it waits for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from graphlib import TopologicalSorter
from typing import Any

from cantiere.errors import Problem
from cantiere.machines.model import Cost


class Action(StrEnum):
    """What a step does to its object."""

    CREATE = "create"
    REPLACE = "replace"
    START = "start"
    CONVERGE = "converge"
    UPDATE = "update"
    UPGRADE = "upgrade"
    DELETE = "delete"


class Kind(StrEnum):
    """What kind of object a step is about."""

    IMAGE = "image"
    SAMPLES = "samples"
    NETWORK = "network"
    VOLUME = "volume"
    MOUNT = "mount"
    ENGINE_API = "engine-api"
    NAMES = "names"
    CONTAINER = "container"
    ARTIFACT = "artifact"
    GROUND = "ground"
    MACHINE = "machine"
    ROLES = "roles"
    CLUSTER = "cluster"
    NODE = "node"
    DEPARTURE = "departure"
    NAMESPACE = "namespace"
    SECRET = "secret"
    REGISTRY_IMAGE = "registry-image"
    RELEASE = "release"


class Stage(StrEnum):
    """In which part of a run a step is done."""

    PROVIDER = "provider"
    ANSIBLE = "ansible"
    CONVERGE = "converge"
    RELEASES = "releases"


PROVIDER_KINDS = frozenset(
    {
        Kind.IMAGE,
        Kind.SAMPLES,
        Kind.NETWORK,
        Kind.VOLUME,
        Kind.MOUNT,
        Kind.ENGINE_API,
        Kind.ARTIFACT,
        Kind.GROUND,
        Kind.MACHINE,
        Kind.DEPARTURE,
    }
)
ANSIBLE_KINDS = frozenset({Kind.ROLES, Kind.CLUSTER, Kind.NODE})
RELEASE_KINDS = frozenset({Kind.NAMESPACE, Kind.SECRET, Kind.REGISTRY_IMAGE, Kind.RELEASE})
SYMBOLS: Mapping[Action, str] = {
    Action.CREATE: "+",
    Action.REPLACE: "~",
    Action.START: ">",
    Action.CONVERGE: "~",
    Action.UPDATE: "~",
    Action.UPGRADE: "^",
    Action.DELETE: "-",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Parameters
    ----------
    kind, name:
        The object.
    action:
        What is done to it.
    reason:
        Why, in words.
    after:
        Ids of steps of the same plan that must have ended well before.
    parts:
        What it does in detail: the roles that are converged.
    spare:
        Whether the rest goes on where it fails, and it is left for the next run.
    """

    kind: Kind
    name: str
    action: Action
    reason: str
    after: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    spare: bool = False

    @property
    def id(self) -> str:
        """Unique within a plan."""
        return f"{self.kind}/{self.name}"

    @property
    def stage(self) -> Stage:
        """The provider's objects are made first; what is no longer needed goes last, with the containers."""
        if self.kind in ANSIBLE_KINDS:
            return Stage.ANSIBLE
        if self.kind in RELEASE_KINDS:
            return Stage.RELEASES
        return Stage.PROVIDER if self.kind in PROVIDER_KINDS and self.action is not Action.DELETE else Stage.CONVERGE

    def __str__(self) -> str:
        return f"{SYMBOLS[self.action]} {self.kind} {self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in an order in which they can be done one by one.

    Parameters
    ----------
    facility:
        Which facility.
    steps:
        What to do; each step comes after those it waits for.
    notes:
        What is told beside them: what is otherwise than asked for, and is left so.
    cost:
        What the facility costs after it, where the site has a price list.
    """

    facility: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    cost: Cost | None = None

    def part(self, stage: Stage) -> Plan:
        """The steps of one stage; they no longer wait for those left out."""
        return Plan(self.facility, waiting_order([step for step in self.steps if step.stage is stage]))

    def as_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        steps = [asdict(step) | {"id": step.id} for step in self.steps]
        cost = {"cost": asdict(self.cost) | {"more": self.cost.month - self.cost.now}} if self.cost else {}
        return {"facility": self.facility, "steps": steps, "notes": list(self.notes), **cost}


@dataclass(frozen=True, slots=True)
class Done:
    """What a stage of a run did.

    Parameters
    ----------
    steps:
        Its steps, in words; empty where there was nothing to do.
    groups:
        Machine to the groups that put it into the plays that follow.
    left:
        Id of a step that could not be done now and is left for the next run, to what stood in its way.
    """

    steps: tuple[str, ...] = ()
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    left: Mapping[str, Sequence[Problem]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the engine says of one container.

    Parameters
    ----------
    digest:
        Of the specification it was made from.
    specification:
        That specification.
    state:
        ``running``, ``created``, ``exited``, …
    """

    digest: str
    specification: Mapping[str, Any]
    state: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What is there now; made by looking, never by remembering.

    Parameters
    ----------
    images:
        References of the images in the engine.
    networks:
        Names of the facility's networks.
    volumes:
        Names of the facility's volumes in the engine.
    containers:
        Short name to what is seen of it.
    notebooks:
        Names of users' notebook containers in the engine.
    samples:
        Whether the sample data is there.
    engine_api:
        Whether the engine's API answers.
    mounts:
        Shared mount points that are in place.
    names:
        Host names that the machine knows, with their addresses.
    """

    images: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    containers: Mapping[str, Seen] = field(default_factory=dict)
    notebooks: frozenset[str] = frozenset()
    samples: bool = False
    engine_api: bool = False
    mounts: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)


def waiting_order(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps, each after those it waits for; ids it waits for that are no steps are dropped.

    Raises
    ------
    graphlib.CycleError
        Steps wait for each other.
    """
    by_id = {step.id: step for step in steps}
    kept = [replace(step, after=tuple(name for name in step.after if name in by_id)) for step in steps]
    sorter = TopologicalSorter({step.id: step.after for step in kept})
    index = {step.id: step for step in kept}
    return tuple(index[name] for name in sorter.static_order())
