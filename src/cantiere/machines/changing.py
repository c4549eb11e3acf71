"""Machines that differ from what is asked for: what is told of them, and which steps take them down for a while. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from cantiere.machines.model import Change, MachineSeen
from cantiere.plan.definition import Action, Kind, Step


def notes(changes: Mapping[str, Change], replaced: Collection[str]) -> tuple[str, ...]:
    """What is told of machines that only a machine made anew would make right; they go on until they are replaced.

    Parameters
    ----------
    changes:
        Machine to how it differs.
    replaced:
        Machines that are made anew now.
    """
    return tuple(
        f"machine {name}: {'; '.join(change.anew)}: it goes on as it is; `up --replace {name}` makes it anew"
        for name, change in changes.items()
        if change.anew and name not in replaced
    )


def down(steps: Iterable[Step], machines: Mapping[str, MachineSeen], changes: Mapping[str, Change]) -> frozenset[str]:
    """Ids of the steps in which a node is away: it leaves, or its machine goes down for a change.

    Parameters
    ----------
    steps:
        Of a plan.
    machines, changes:
        What is seen of machines, and how they differ.
    """
    changed = {step.id: step.name for step in steps if step.kind is Kind.MACHINE and step.action is Action.UPDATE}
    away = {step for step, name in changed.items() if machines[name].state != "running" or changes[name].restarts}
    return frozenset(away | {step.id for step in steps if step.kind is Kind.DEPARTURE})
