"""The only writer of machines: does the provider's steps of a plan, and the departures from the cluster."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cantiere import supply
from cantiere.errors import CantiereError
from cantiere.machines import jobs, nodes
from cantiere.machines.fleet import ARCHITECTURE, Fleet
from cantiere.machines.model import Change, Machine
from cantiere.machines.plan import FleetSeen
from cantiere.plan.definition import Action, Kind, Step
from cantiere.state import State, StateStore

REMEMBERED = frozenset({Kind.GROUND, Kind.MACHINE})


class Apply:
    """Does steps; keeps the state after each step that makes or removes a provider's object.

    Parameters
    ----------
    fleet:
        The machines.
    store, state:
        The site's state; the caller holds the lock.
    machines:
        Those that should be there, placed.
    seen:
        What the plan was made from.
    log:
        Takes lines of long work.
    """

    def __init__(
        self, fleet: Fleet, store: StateStore, state: State, machines: Sequence[Machine], seen: FleetSeen, log: Callable[[str], None]
    ) -> None:
        self.fleet = fleet
        self.store = store
        self.state = state
        self.machines = {machine.name: machine for machine in machines}
        self.seen = seen
        self.log = log
        self._saving = threading.Lock()
        self._handlers: Mapping[tuple[Kind, Action], Callable[[str], dict[str, Any] | None]] = {
            (Kind.ARTIFACT, Action.CREATE): self._make_artifact,
            (Kind.GROUND, Action.CREATE): self._prepare,
            (Kind.GROUND, Action.UPDATE): self._prepare,
            (Kind.GROUND, Action.DELETE): self._release,
            (Kind.MACHINE, Action.CREATE): self._create,
            (Kind.MACHINE, Action.START): self._start,
            (Kind.MACHINE, Action.UPDATE): self._update,
            (Kind.MACHINE, Action.REPLACE): self._replace,
            (Kind.MACHINE, Action.DELETE): self._delete,
            (Kind.DEPARTURE, Action.REPLACE): self._depart,
            (Kind.DEPARTURE, Action.DELETE): self._depart,
        }

    def evaluate(self, step: Step) -> None:
        """Do one step and remember what it made."""
        result = self._handlers[step.kind, step.action](step.name)
        if step.kind in REMEMBERED:
            with self._saving:
                self.state = self.store.save(self.state.with_object(step.id, result))

    def _make_artifact(self, name: str) -> None:
        supply.ensure([name], self.fleet.site, ARCHITECTURE, self.log)

    def _prepare(self, name: str) -> dict[str, Any]:
        self.fleet.provider.prepare(self.state.lineage, self.log)
        return {"name": name}

    def _release(self, _name: str) -> None:
        self.fleet.provider.release()

    def _create(self, name: str) -> dict[str, Any]:
        seen = self.fleet.provider.create(self.machines[name], self.state.lineage, self.log)
        return {"name": name, "address": seen.address}

    def _start(self, name: str) -> dict[str, Any]:
        seen = self.fleet.provider.start(self.machines[name], self.log)
        return {"name": name, "address": seen.address}

    def _update(self, name: str) -> dict[str, Any]:
        """Change a machine in place; where that takes it down, its pods leave before and may come back when its node is ready again."""
        change, node = self.seen.changes.get(name, Change()), self.seen.cluster.nodes.get(name)
        down = node is not None and (change.restarts or self.seen.machines[name].state != "running")
        others = any(other.ready for it, other in self.seen.cluster.nodes.items() if it != name)
        if down and node and node.ready and others:
            nodes.empty(self.fleet.ssh, self._controls(), name, self.log)
        try:
            seen = self.fleet.provider.update(self.machines[name], self.log)
        except CantiereError:
            if down:
                with contextlib.suppress(CantiereError):
                    nodes.allow(self.fleet.ssh, self._controls(), name)
            raise
        if down:
            self.fleet.ssh.disconnect(name)  # of its last boot
            nodes.take_back(self.fleet.ssh, self._controls(), self.machines[name], self.log)
        return {"name": name, "address": seen.address}

    def _replace(self, name: str) -> dict[str, Any]:
        self._delete(name)
        return self._create(name)

    def _delete(self, name: str) -> None:
        self.fleet.ssh.forget(name)
        self.fleet.provider.delete(name)

    def _depart(self, name: str) -> None:
        found = self.seen.converged.get(name)
        if found and found.runs_jobs:
            jobs.retire(self.fleet.ssh, name, self.log)
        if name not in self.seen.cluster.nodes:
            return
        node, machine = self.seen.cluster.nodes.get(name), self.seen.machines.get(name)
        powered = not self.fleet.provider.makes_machines or (machine is not None and machine.state == "running")
        nodes.depart(self.fleet.ssh, self._controls(), name, powered and node is not None and node.ready, self.log)

    def _controls(self) -> list[Machine]:
        """Control-plane machines that answered when the plan was made."""
        running = {other for other, found in self.seen.converged.items() if found.reachable}
        return [machine for machine in self.machines.values() if machine.controls and machine.name in running]
