"""Machines that may vanish and that the cloud has no room for now: the rest of the facility goes on, and the next run tries them again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere import converge, inventory
from cantiere.errors import CantiereError
from cantiere.machines import fleet as fleets
from cantiere.machines import raising, stages
from cantiere.machines.fleet import Fleet
from cantiere.machines.model import Machine
from cantiere.machines.probe import Probed
from cantiere.machines.seen import ClusterSeen
from cantiere.plan.definition import Done
from cantiere.runner import Run
from cantiere.state import StateStore
from cantiere.up import Raised
from support.small_cloud import SmallCloud
from unit.providers.test_openstack_growth import Pools, named


@pytest.fixture
def pools(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pools:
    """A facility whose artifacts are all there, and whose machines answer as soon as they run."""

    def reached(ssh: Any, machines: Sequence[Machine]) -> Mapping[str, Probed]:
        return {machine.name: Probed(True, facts={"machine_id": machine.name}) for machine in machines}

    monkeypatch.setattr(Fleet, "artifacts", lambda self: ())
    monkeypatch.setattr(Fleet, "registry_place", lambda self, placed: None)
    monkeypatch.setattr(fleets, "probe", reached)
    monkeypatch.setattr(fleets.nodes, "await_api", lambda *given: ClusterSeen())
    return Pools(repository, tmp_path / "state")


def provided(pools: Pools, events: Path | None = None) -> Done:
    workspace: Any = SimpleNamespace(fleet=pools.fleet(), store=StateStore(pools.folder))
    return converge._machines(workspace, converge.Request("lab", events=events), stages.provide)


def test_the_others_go_on_while_there_is_no_room(cloud: SmallCloud, pools: Pools, tmp_path: Path) -> None:
    cloud.no_room = {"f-medium"}
    done = provided(pools, tmp_path / "events")
    ((step, (problem,)),) = done.left.items()
    assert (step, problem.code, problem.path) == ("machine/preemptible-1", "openstack.no_host", "preemptible-1")
    assert sorted(done.groups) == ["control-1", "worker-1"], "no play is for a machine that is not there"
    assert pools.fleet().away() == {"preemptible-1"} and pools.fleet().lost() == ("preemptible-1",)
    told = [json.loads(line) for line in (tmp_path / "events").read_text(encoding="utf-8").splitlines()]
    assert [item["problems"][0]["code"] for item in told if item["event"] == "left"] == ["openstack.no_host"]
    assert "machine/preemptible-1" not in (StateStore(pools.folder).load() or pytest.fail("no state")).objects

    cloud.no_room = set()
    again = provided(pools)
    assert (again.left, named(cloud)) == ({}, ["control-1", "preemptible-1", "worker-1"])
    assert "preemptible-1" in again.groups and pools.fleet().away() == frozenset()


def test_a_machine_that_lasts_is_waited_for(cloud: SmallCloud, pools: Pools) -> None:
    cloud.no_room = {"f-small", "f-medium"}
    with pytest.raises(CantiereError) as caught:
        provided(pools)
    assert {problem.path for problem in caught.value.problems} == {"control-1", "worker-1", "preemptible-1"}


def test_the_inventory_has_those_that_run(cloud: SmallCloud, pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plays that wait for all nodes of the cluster wait for those that can come."""
    monkeypatch.setattr(Fleet, "variables", lambda self, placed: ((machine, {}) for machine in placed))
    cloud.no_room = {"f-medium"}
    provided(pools)
    workspace: Any = SimpleNamespace(fleet=pools.fleet())
    assert [machine.name for machine in inventory._fleet(workspace)] == ["control-1", "worker-1"]


def test_the_run_says_that_it_is_incomplete(
    cloud: SmallCloud, pools: Pools, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.no_room = {"f-medium"}
    left = [problem for problems in provided(pools).left.values() for problem in problems]
    monkeypatch.setattr(raising, "raised", lambda *_: Raised(Run(left=left), 2.0))
    monkeypatch.setattr(raising, "remember", lambda *_: None)
    monkeypatch.setattr(raising, "outputs", lambda _: {})
    workspace: Any = SimpleNamespace(site=SimpleNamespace(name="lab"), facility=pools.fleet().facility, cluster=None)
    fleet: Any = SimpleNamespace(machines=lambda: (), network=SimpleNamespace(virtual_address=""))
    assert raising.up(workspace, fleet, as_json=False) == raising.INCOMPLETE
    said = capsys.readouterr().out
    assert "no changes" not in said and "Incomplete: " in said and "[openstack.no_host]" in said
    assert raising.up(workspace, fleet, as_json=True) == raising.INCOMPLETE
    assert [item["code"] for item in json.loads(capsys.readouterr().out)["left"]] == ["openstack.no_host"]
    left.clear()
    assert raising.up(workspace, fleet, as_json=False) == 0
    assert "Incomplete" not in capsys.readouterr().out
