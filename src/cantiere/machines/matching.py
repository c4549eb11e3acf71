"""Which of the machines that a site has becomes which machine of the template. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cantiere.errors import Problem
from cantiere.machines.model import Machine
from cantiere.model import Condition
from cantiere.tosca import scalars

SHOWN = 8
GIB = 1024**3
NEEDS = {"num_cpus": "cpus", "mem_size": "memory", "disk_size": "disk", "num_gpus": "gpus"}
"""What a pool asks for, and the fact that answers it."""
NOUNS = {"num_cpus": "cores", "mem_size": "of memory", "disk_size": "of disk at /var/lib", "num_gpus": "GPUs"}
SIZES = ("mem_size", "disk_size")
SYSTEM = {"distribution": "os_id", "version": "os_version", "architecture": "arch"}
MOST_FREE_LAST = ("gpus", "memory", "cpus", "disk")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A machine that the site has.

    Parameters
    ----------
    name:
        Its name in the site's list.
    roles:
        What it may be used for; empty for anything.
    labels:
        Its labels in the site's list.
    facts:
        What was found on it: ``cpus``, ``memory``, ``disk`` (bytes), ``gpus``, ``os_id``, ``os_version``, ``arch``.
    used_by:
        The machine of the facility that it is already, or ``""``.
    """

    name: str
    roles: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    used_by: str = ""


Filters = Mapping[str, tuple[Condition, ...]]
"""Pool to what its node filter asks of each machine."""


def match(wanted: Sequence[Machine], candidates: Sequence[Candidate], filters: Filters) -> tuple[dict[str, str], list[Problem]]:
    """Give each machine of the template one that the site has: as many as can be, by augmenting paths.

    A machine of the template takes the listed one of its own name before all others, then one that is listed for its roles, then the
    one with the most labels in common, then the smallest that is enough, then the first by name.

    Parameters
    ----------
    wanted:
        Machines of the template that have no place yet.
    candidates:
        All machines that the site has, those in use among them.
    filters:
        See :data:`Filters`.

    Returns
    -------
    tuple
        Machine to candidate, and a problem for each pool whose machines found no place, which tells of every candidate why.
    """
    free = sorted((candidate for candidate in candidates if not candidate.used_by), key=lambda candidate: candidate.name)
    choices = {machine.name: _choices(machine, free, filters) for machine in wanted}
    order = sorted(wanted, key=lambda machine: (len(choices[machine.name]), machine.name))
    holder: dict[str, str] = {}
    for machine in order:
        _augment(machine.name, choices, holder)
    placed = {machine: candidate for candidate, machine in holder.items()}
    left: dict[str, list[Machine]] = {}
    for machine in wanted:
        if machine.name not in placed:
            left.setdefault(machine.pool, []).append(machine)
    everyone = [candidate for candidate in candidates if not candidate.used_by] + [other for other in candidates if other.used_by]
    return placed, [_unplaced(machines, everyone, holder, filters) for machines in left.values()]


def misfits(machine: Machine, candidate: Candidate, conditions: Sequence[Condition]) -> list[str]:
    """Why a candidate cannot be that machine, each as the end of a sentence; empty where it can."""
    return [*_listed(machine, candidate), *_small(machine, candidate.facts), *_filtered(conditions, candidate)]


def _listed(machine: Machine, candidate: Candidate) -> Iterator[str]:
    missing = [role for role in machine.roles if role not in candidate.roles] if candidate.roles else []
    if missing:
        yield f"is listed for {', '.join(candidate.roles)}, not for {', '.join(missing)}"
    for key, value in machine.labels.items():
        if candidate.labels.get(key, value) != value:
            yield f"has the label {key}={candidate.labels[key]}, {value} is asked"


def _small(machine: Machine, facts: Mapping[str, Any]) -> Iterator[str]:
    for need, asked in machine.needs.items():
        has = int(facts.get(NEEDS[need], 0))
        if has < asked:
            size = need in SIZES
            shown = (f"{has / GIB:.1f} GiB", f"{asked / GIB:.1f} GiB") if size else (str(has), str(asked))
            if shown[0] == shown[1]:
                shown = f"{has} bytes", f"{asked} bytes"
            yield f"has {shown[0]} {NOUNS[need]}, {shown[1]} are asked"


def _filtered(conditions: Sequence[Condition], candidate: Candidate) -> Iterator[str]:
    for condition in conditions:
        name = f"{condition.capability}.{condition.property}" if condition.capability else condition.property
        value = known(condition, candidate)
        if value is None:
            yield f"does not tell its {name}, which the filter at {condition.where} asks for"
            continue
        for clause in condition.clauses:
            try:
                broken = clause.broken(value)
            except ValueError as error:
                broken = f"cannot be compared: {error}"
            if broken:
                yield f"its {name} is {value} and {broken} ({condition.where})"


def known(condition: Condition, candidate: Candidate) -> Any:
    """The value of the property that a condition asks for, as TOSCA types it; None where the machine does not tell it."""
    facts, name = candidate.facts, condition.property
    if not condition.capability:
        return {"name": candidate.name, "labels": dict(candidate.labels)}.get(name)
    if condition.capability == "host":
        return facts.get(NEEDS.get(name, ""))
    value = facts.get(SYSTEM.get(name, "")) or None
    if name == "version" and value is not None:
        value = value if "." in value else f"{value}.0"
        return value if scalars.version(value) else None
    return value


def _choices(machine: Machine, free: Sequence[Candidate], filters: Filters) -> list[str]:
    """Who can be that machine, the best first."""
    good = [candidate for candidate in free if not misfits(machine, candidate, filters.get(machine.pool, ()))]

    def rank(candidate: Candidate) -> tuple[Any, ...]:
        common = sum(candidate.labels.get(key) == value for key, value in machine.labels.items())
        capacity = [candidate.facts.get(key, 0) for key in MOST_FREE_LAST]
        return candidate.name != machine.name, not candidate.roles, -common, *capacity, candidate.name

    return [candidate.name for candidate in sorted(good, key=rank)]


def _augment(machine: str, choices: Mapping[str, Sequence[str]], holder: dict[str, str]) -> None:
    """Place a machine, moving those that were placed before where nothing else is free: along the shortest augmenting path."""
    place = {held: candidate for candidate, held in holder.items()}
    reached_by: dict[str, str] = {}
    waiting = deque([machine])
    while waiting:
        asks = waiting.popleft()
        for candidate in choices[asks]:
            if candidate in reached_by:
                continue
            reached_by[candidate] = asks
            if candidate in holder:
                waiting.append(holder[candidate])
                continue
            moved = candidate
            while True:
                holder[moved] = reached_by[moved]
                if holder[moved] == machine:
                    return
                moved = place[holder[moved]]


def _unplaced(machines: Sequence[Machine], candidates: Sequence[Candidate], holder: Mapping[str, str], filters: Filters) -> Problem:
    first, names = machines[0], ", ".join(machine.name for machine in machines)
    reasons: list[tuple[int, str]] = []
    for candidate in candidates:
        user = candidate.used_by or holder.get(candidate.name, "")
        found = [f"is {user}"] if user else misfits(first, candidate, filters.get(first.pool, ()))
        reasons.append((len(found), f"{candidate.name} {', '.join(found)}"))
    reasons.sort(key=lambda reason: reason[0])
    more = f"; and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
    tried = "; ".join(text for _, text in reasons[:SHOWN]) + more or "the site lists no machine that answers"
    return Problem(
        "machine.unplaced",
        f"no machine of the site can be {names}: {tried}",
        f"list more machines in the site's file, or lower what the pool {first.pool} asks for",
        path=first.pool,
    )
