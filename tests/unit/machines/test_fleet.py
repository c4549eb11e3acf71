"""A fleet knows which machines its pools have: by the state, and by one look at its provider where that does not tell enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere.errors import Problem, TemplateError
from cantiere.machines.fleet import Fleet
from cantiere.machines.model import POOL, Machine, MachineSeen
from cantiere.state import State, StateStore
from cantiere.tosca.compile import load


class Counting:
    """A provider that counts how often somebody looks."""

    def __init__(self, *names: str, **states: str) -> None:
        self.states, self.looks = dict.fromkeys(names, "running") | {name.replace("_", "-"): it for name, it in states.items()}, 0

    def observe(self) -> dict[str, MachineSeen]:
        self.looks += 1
        return {name: MachineSeen(name, state) for name, state in self.states.items()}

    def place(self, machines: Sequence[Machine]) -> tuple[tuple[Machine, ...], list[Problem]]:
        return tuple(replace(machine, address=f"10.0.0.{number}") for number, machine in enumerate(machines)), []


def fleet(repository: Path, folder: Path, provider: Counting, known: Sequence[str] = (), **changes: Any) -> Fleet:
    """A fleet of one control plane, one worker and what ``changes`` say of the pool of workers."""
    StateStore(folder).save(State("3f0c", objects={f"machine/{name}": {"name": name} for name in known}))
    facility = load(repository / "tosca" / "templates" / "facility.yaml", {"worker_machines": 1}).facility
    nodes = tuple(
        replace(node, properties={**node.properties, **changes}) if node.type == POOL and node.name == "worker" else node
        for node in facility.nodes
    )
    site: Any = SimpleNamespace(state_dir=folder)
    made = Fleet(site, replace(facility, nodes=nodes))
    made.__dict__["provider"] = provider
    return made


def workers(found: Sequence[Machine]) -> list[str]:
    return [machine.name for machine in found if machine.name.startswith("worker")]


def test_a_pool_keeps_what_it_has_grown_to_by_one_look(repository: Path, tmp_path: Path) -> None:
    provider = Counting("control-1", "worker-1", "worker-2", "worker-3")
    growing = fleet(repository, tmp_path, provider, max_count=5)
    assert workers(growing.asked()) == ["worker-1", "worker-2", "worker-3"]
    provider.states = {}
    assert growing.asked() == growing.asked() and len(growing.asked()) == 4, "what goes meanwhile was not asked to go"
    assert provider.looks == 1


def test_nobody_looks_where_the_state_knows_enough(repository: Path, tmp_path: Path) -> None:
    provider = Counting("worker-1", "worker-2")
    assert workers(fleet(repository, tmp_path, provider).asked()) == ["worker-1"]
    assert workers(fleet(repository, tmp_path, provider, ["worker-2"]).asked()) == ["worker-2"], "the gap that worker-1 left stays"
    assert provider.looks == 0


def test_a_machine_that_vanished_is_asked_for_still(repository: Path, tmp_path: Path) -> None:
    shrunk = fleet(repository, tmp_path, Counting("worker-1", "worker-3"), ["worker-1", "worker-2", "worker-3"], max_count=5)
    assert workers(shrunk.asked()) == ["worker-1", "worker-2", "worker-3"]


def test_those_that_leave_can_be_logged_in_to_until_they_go(repository: Path, tmp_path: Path) -> None:
    there = Counting("control-1", "worker-1", "worker-2")
    shrinking = fleet(repository, tmp_path, there, ["control-1", "worker-1", "worker-2"], removal_list=["worker-1"])
    assert workers(shrinking.machines()) == ["worker-2"]
    assert [(machine.name, bool(machine.address)) for machine in shrinking.leaving()] == [("worker-1", True)]


def test_a_list_that_is_too_long_is_refused_before_anything_else(repository: Path, tmp_path: Path) -> None:
    named = fleet(repository, tmp_path, Counting("worker-1", "worker-2"), removal_list=["worker-1", "worker-2", "worker-9"])
    with pytest.raises(TemplateError, match=r"shrinks by 1, .*pool\.removal"):
        named.machines()
    assert [problem.path.rpartition(".")[2] for problem in named.absent()] == ["removal_list"]


def test_what_a_round_of_the_loop_brings_back(repository: Path, tmp_path: Path) -> None:
    """Preemptible machines that do not run, whatever became of them; of others those of which a refusal left a part."""
    states = {"control_1": "running", "worker_1": "stopped", "worker_2": "broken"}
    lasting = fleet(repository, tmp_path, Counting(**states), max_count=5)
    assert lasting.lost() == ("worker-2",)
    known = ["control-1", "worker-1", "worker-2", "worker-3"]
    spot = fleet(repository, tmp_path, Counting(**states), known, max_count=5, preemptible=True)
    assert spot.lost() == ("worker-1", "worker-2", "worker-3")
