"""A machine that goes down for a change: its pods leave before, and come back when its node is ready in the new boot."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere.errors import CantiereError, Problem
from cantiere.machines import nodes
from cantiere.machines.apply import Apply
from cantiere.machines.model import Change, Machine, MachineSeen
from cantiere.machines.plan import ClusterSeen, Converged, FleetSeen, NodeSeen
from cantiere.machines.ssh import Ssh
from cantiere.plan.definition import Action, Kind, Step
from cantiere.state import State, StateStore

CONTROL = Machine("control-1", "control", ("control-plane",), "10.0.0.11")
WORKER = Machine("worker-1", "worker", ("worker",), "10.0.0.21")
STEP = Step(Kind.MACHINE, "worker-1", Action.UPDATE, "its flavor changes")


class Site(Ssh):
    """A cluster whose node is ready in its new boot from the third time on that somebody asks."""

    def __init__(self, folder: Path, said: list[str]) -> None:
        super().__init__(folder)
        self.said, self.asked, self.stuck = said, 0, False

    def run(self, name: str, command: Any, **_: Any) -> CompletedProcess[str]:
        answer, code = "", 0
        if "boot_id" in command:
            answer = "boot-2\n"
        elif "get node worker-1" in command:
            self.asked += 1
            answer = "boot-2 True" if self.asked > 2 else "boot-1 True"
        elif "get pods" in command:
            answer = '{"items": []}'
        elif " drain " in command:
            code = int(self.stuck)
        words = ("annotate --overwrite", "drain", "uncordon")
        self.said += [f"{word.split()[0]} by {name}" for word in words if all(part in command.split() for part in word.split())]
        return CompletedProcess(command, code, answer, "")


class Provider:
    makes_machines = True

    def __init__(self, said: list[str]) -> None:
        self.said, self.full = said, False

    def update(self, machine: Machine, log: Any) -> MachineSeen:
        self.said.append(f"update {machine.name}")
        if self.full:
            raise CantiereError(Problem("openstack.no_host", "no host has room", "wait", path=machine.name))
        return MachineSeen(machine.name, "running", machine.address)


def applying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, *others: str, state: str = "running") -> tuple[Apply, Site]:
    monkeypatch.setattr(nodes, "POLL_SECONDS", 0.0)
    said: list[str] = []
    site = Site(tmp_path, said)
    names = ("worker-1", *others)
    seen = FleetSeen(
        machines={"worker-1": MachineSeen("worker-1", state)},
        changes={"worker-1": change},
        converged={"control-1": Converged(True)},
        cluster=ClusterSeen(True, True, {name: NodeSeen(True, "1", "") for name in names}),
    )
    fleet: Any = SimpleNamespace(ssh=site, provider=Provider(said))
    return Apply(fleet, StateStore(tmp_path), State("3f0c"), (CONTROL, WORKER), seen, said.append), site


def words(site: Site) -> list[str]:
    return [word for word in site.said if word != "worker-1: waiting for its node"]


def test_pods_leave_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply, site = applying(tmp_path, monkeypatch, Change(("its flavor changes",), restarts=True), "control-1")
    apply.evaluate(STEP)
    assert words(site) == ["annotate by control-1", "drain by control-1", "update worker-1", "uncordon by control-1"]
    assert site.asked == 3, "a node that was ready before it went down is not taken for one that came back"
    assert apply.store.load() is not None


def test_nothing_leaves_where_nothing_goes_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply, site = applying(tmp_path, monkeypatch, Change(("its data volume grows",)), "control-1")
    apply.evaluate(STEP)
    assert words(site) == ["update worker-1"]


def test_pods_that_have_nowhere_to_go_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply, site = applying(tmp_path, monkeypatch, Change(("its flavor changes",), restarts=True))
    apply.evaluate(STEP)
    assert words(site) == ["update worker-1", "uncordon by control-1"]


def test_a_machine_is_not_changed_while_its_pods_cannot_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply, site = applying(tmp_path, monkeypatch, Change(("its flavor changes",), restarts=True), "control-1")
    site.stuck = True
    with pytest.raises(CantiereError, match="could not be drained"):
        apply.evaluate(STEP)
    assert "update worker-1" not in site.said


def test_pods_come_back_where_the_change_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply, site = applying(tmp_path, monkeypatch, Change(("its flavor changes",), restarts=True), "control-1")
    apply.fleet.provider.full = True  # type: ignore[attr-defined]
    with pytest.raises(CantiereError, match="no host has room"):
        apply.evaluate(STEP)
    assert words(site)[-2:] == ["update worker-1", "uncordon by control-1"]


def test_a_node_that_does_not_come_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply, site = applying(tmp_path, monkeypatch, Change(), "control-1", state="changing")
    monkeypatch.setattr(nodes, "READY_SECONDS", -1)
    with pytest.raises(CantiereError, match="the node worker-1 is not ready"):
        apply.evaluate(STEP)
    assert "uncordon by control-1" not in site.said
