"""``scale --auto``: what was applied is opened anew each time that it decides."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere import raising, scale_verbs, workspace
from cantiere.errors import CantiereError, Location, PreflightError, Problem
from cantiere.machines.growth import Change, Decision
from cantiere.machines.model import POOL
from cantiere.machines.raising import INCOMPLETE
from cantiere.model import Facility, Node
from cantiere.workspace import Workspace

OPTIONS = argparse.Namespace(site="machines", auto=True, every=30, json=False, pools=[], remove=[])


def test_each_round_decides_for_what_is_applied_then(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = iter(("first", "second"))
    decided: list[str] = []

    def opened(site: str) -> tuple[Any, None]:
        return SimpleNamespace(site=SimpleNamespace(name=site), fleet=SimpleNamespace(lost=lambda: ()), cluster=next(templates)), None

    def slept(seconds: float) -> None:
        assert seconds == OPTIONS.every
        if len(decided) == 2:
            raise KeyboardInterrupt

    def decide(cluster: str, alone: frozenset[str]) -> Decision:
        decided.append(cluster)
        return Decision((), {})

    monkeypatch.setattr(workspace, "open_applied", opened)
    monkeypatch.setattr(scale_verbs, "decide", decide)
    monkeypatch.setattr(scale_verbs.time, "sleep", slept)
    with pytest.raises(KeyboardInterrupt):
        scale_verbs.scale(OPTIONS)
    assert decided == ["first", "second"]


def test_a_site_without_machines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(site=SimpleNamespace(name="here"), fleet=None, cluster=None)
    monkeypatch.setattr(workspace, "open_applied", lambda site: (found, None))
    with pytest.raises(CantiereError, match="makes no machines"):
        scale_verbs.scale(OPTIONS)


QUOTA = Problem("openstack.quota", "the project lacks 2 cores", "ask the cloud for more", path="small")


def pool(name: str, count: int, most: int, preemptible: bool = False) -> Node:
    given = {"count": count, "max_count": most, "removal_list": [], "preemptible": preemptible}
    return Node(name, POOL, given, {}, Location("facility.yaml", 7, 3))


def opened(monkeypatch: pytest.MonkeyPatch, lost: tuple[str, ...] = ()) -> None:
    """A site of machines whose workers may grow, and whose fleet says what is lost."""
    facility = Facility("lab", "", (pool("control", 1, 0), pool("worker", 1, 3), pool("spot", 0, 3, preemptible=True)), {})
    site: Any = SimpleNamespace(name="lab", platform="kubernetes", state_dir=None)
    made = Workspace(site, facility, {}, "podman")
    made.__dict__["fleet"], made.__dict__["cluster"] = SimpleNamespace(lost=lambda: lost), "its cluster"
    monkeypatch.setattr(workspace, "open_applied", lambda name: (made, None))


def test_a_refusal_of_the_cloud_is_told_and_tried_again_later_and_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loop goes on after quota and no_host, with pauses that grow, and with the usual one after a round that went well."""
    answers = iter((PreflightError(QUOTA), PreflightError(QUOTA), None, CantiereError(Problem("openstack.no_host", "no host", "wait"))))
    slept: list[float] = []

    def up(asked: Workspace, as_json: bool) -> int:
        assert asked.scale == {"worker": 3}
        if error := next(answers):
            raise error
        return 0

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            raise KeyboardInterrupt

    opened(monkeypatch)
    monkeypatch.setattr(scale_verbs, "decide", lambda cluster, alone: Decision((Change("worker", 3, "2 pods wait for a place"),)))
    monkeypatch.setattr(raising, "up", up)
    monkeypatch.setattr(scale_verbs.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        scale_verbs.scale(OPTIONS)
    assert slept == [60.0, 120.0, 30.0, 60.0]
    said = capsys.readouterr().err
    assert said.count("the project lacks 2 cores [openstack.quota]") == 2 and "tried again in 120 s" in said


def test_a_pool_that_cannot_be_made_now_is_left_alone_for_a_while_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its growth and its lost machines are tried again later and later; every round looks at all others at its usual time."""
    clock, rounds = [0.0], list[tuple[float, frozenset[str], tuple[str, ...]]]()
    room = [False]

    def decide(cluster: str, alone: frozenset[str]) -> Decision:
        growing = (Change("worker", 2, "a pod waits"), Change("spot", 1, "a pod waits"))
        rounds.append((clock[0], frozenset(alone), ()))
        return Decision(tuple(change for change in growing if change.pool not in alone))

    def up(asked: Workspace, as_json: bool) -> int:
        rounds[-1] = (*rounds[-1][:2], tuple(sorted(asked.scale)))
        return INCOMPLETE if "spot" in asked.scale and not room[0] else 0

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        room[0] = clock[0] >= 180
        if clock[0] > 210:
            raise KeyboardInterrupt

    opened(monkeypatch, lost=("spot-1",))
    monkeypatch.setattr(scale_verbs, "decide", decide)
    monkeypatch.setattr(raising, "up", up)
    monkeypatch.setattr(scale_verbs, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    with pytest.raises(KeyboardInterrupt):
        scale_verbs.scale(OPTIONS)
    both, without = ("spot", "worker"), ("worker",)
    assert [made for _, _, made in rounds] == [both, without, both, without, without, without, both, both]
    assert {alone for _, alone, made in rounds if made == without} == {frozenset({"spot"})}
    said = capsys.readouterr().out
    assert "spot: cannot be made now, tried again in 60 s" in said and said.count("tried again in 120 s") == 1
    assert said.count("spot-1: lost, made again") == 4, "lost machines of such a pool are left alone too"


def test_a_single_round_ends_with_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise PreflightError(QUOTA)

    opened(monkeypatch)
    monkeypatch.setattr(scale_verbs, "decide", lambda cluster, alone: Decision((Change("worker", 3, "pods wait"),)))
    monkeypatch.setattr(raising, "up", refuse)
    with pytest.raises(PreflightError, match=r"openstack\.quota"):
        scale_verbs.scale(argparse.Namespace(**{**vars(OPTIONS), "every": 0.0}))


def test_pauses_grow_up_to_a_limit() -> None:
    assert [scale_verbs.pause(60, refused) for refused in (0, 1, 2, 3, 4, 100)] == [60, 120, 240, 480, 900, 900]
    assert scale_verbs.pause(3600, 5) == 3600


def test_what_is_lost_is_made_again_though_no_pool_grows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Workspace] = []
    opened(monkeypatch, ("worker-2",))
    monkeypatch.setattr(scale_verbs, "decide", lambda cluster, alone: Decision())
    monkeypatch.setattr(raising, "up", lambda given, as_json: asked.append(given) or 0)
    assert scale_verbs.scale(argparse.Namespace(**{**vars(OPTIONS), "every": 0.0})) == 0
    assert [dict(given.scale) for given in asked] == [{}]
    assert capsys.readouterr().out == "worker-2: lost, made again\n"


def test_idle_machines_leave_by_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Workspace] = []
    opened(monkeypatch)
    monkeypatch.setattr(
        scale_verbs, "decide", lambda cluster, alone: Decision((Change("worker", 1, "1 of 2 machines idle", ("worker-1",)),))
    )
    monkeypatch.setattr(raising, "up", lambda given, as_json: asked.append(given) or 0)
    scale_verbs.scale(argparse.Namespace(**{**vars(OPTIONS), "every": 0.0}))
    assert [(given.removal, dict(given.scale)) for given in asked] == [(("worker-1",), {"worker": 1})]
    assert capsys.readouterr().out == "worker: 1 machines, 1 of 2 machines idle; worker-1 to leave\n"


def named(*removal: str, pools: tuple[str, ...] = ()) -> argparse.Namespace:
    return argparse.Namespace(site="lab", auto=False, every=0.0, json=False, pools=list(pools), remove=list(removal))


def test_machines_that_are_named_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Workspace] = []
    opened(monkeypatch)
    monkeypatch.setattr(raising, "up", lambda given, as_json: asked.append(given) or 0)
    scale_verbs.scale(named("worker-1"))
    scale_verbs.scale(named("worker-1", pools=("worker=2",)))
    assert [(given.removal, dict(given.scale)) for given in asked] == [(("worker-1",), {}), (("worker-1",), {"worker": 2})]


@pytest.mark.parametrize(("name", "code"), [("gpu-1", "scale.machine"), ("control-1", "scale.fixed"), ("", "scale.nothing")])
def test_who_cannot_be_named(monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    opened(monkeypatch)
    with pytest.raises(CantiereError) as caught:
        scale_verbs.scale(named(*filter(None, [name])))
    assert [problem.code for problem in caught.value.problems] == [code]
