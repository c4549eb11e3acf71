from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from cantiere.compose import digest
from cantiere.errors import CantiereError, Problem
from cantiere.plan.build import Wanted, build, build_removal
from cantiere.plan.definition import Action, Kind, Observation, Plan, Seen, Stage, Step
from cantiere.plan.walk import explain, walk
from unit.core.samples import HUB, STORE, wanted


def complete(target: Wanted) -> Observation:
    return Observation(
        images=frozenset(reference for _, _, reference in target.images),
        networks=frozenset({target.project.name}),
        volumes=frozenset(f"{target.project.name}-{name}" for name in target.project.volumes),
        containers={name: Seen(digest(item), item, "running") for name, item in target.specifications.items()},
        names=target.names,
    )


def lines(plan: Plan) -> list[str]:
    return [str(step) for step in plan.steps]


def test_nothing_is_there_all_is_made_each_after_what_it_waits_for() -> None:
    plan = build(wanted(), Observation())
    ids = [step.id for step in plan.steps]
    assert set(ids) == {
        "image/base", "image/minio", "image/jupyterhub", "network/cantiere-test", "volume/cantiere-test-store-data",
        "names/cantiere-test", "container/store", "container/hub",
    }  # fmt: skip
    for step in plan.steps:
        assert all(ids.index(name) < ids.index(step.id) for name in step.after)
    assert "container/store" in next(step.after for step in plan.steps if step.id == "container/hub")


def test_all_is_there_nothing_is_done() -> None:
    assert build(wanted(), complete(wanted())).steps == ()


def test_one_changed_setting_replaces_one_container_and_says_why() -> None:
    seen = complete(wanted())
    target = wanted(STORE, replace(HUB, settings={"max": 4}))
    assert lines(build(target, seen)) == ["~ container hub: settings.max 2 → 4"]


def test_a_stopped_container_is_started_and_an_unwanted_one_deleted() -> None:
    seen = complete(wanted())
    seen = replace(
        seen, containers={**seen.containers, "store": replace(seen.containers["store"], state="exited"), "old": Seen("", {}, "running")}
    )
    assert sorted(lines(build(wanted(), seen))) == [
        "- container old: the template no longer asks for it",
        "> container store: it is exited",
    ]


def test_a_new_container_leaves_the_others_alone() -> None:
    more = replace(HUB, name="hub-2", needs=())
    plan = build(wanted(STORE, HUB, more), complete(wanted()))
    assert [step.id for step in plan.steps] == ["names/cantiere-test", "container/hub-2"]


def test_removal_ends_containers_before_what_they_use() -> None:
    seen = replace(complete(wanted()), notebooks=frozenset({"jupyter-alice"}))
    ids = [step.id for step in build_removal("cantiere-test", seen, ["localhost/minio:1", "localhost/base:1"]).steps]
    assert ids.index("container/jupyter-alice") < ids.index("network/cantiere-test")
    assert ids.index("container/hub") < ids.index("container/store") < ids.index("volume/cantiere-test-store-data")
    assert ids.index("image/localhost/minio:1") < ids.index("image/localhost/base:1")


def test_an_empty_observation_has_nothing_to_remove() -> None:
    assert build_removal("cantiere-test", Observation()).steps == ()


def test_a_mount_that_nobody_uses_goes_after_the_containers() -> None:
    seen = replace(complete(wanted()), mounts=frozenset({"/srv/cvmfs"}), containers={})
    last = build(wanted(), seen).part(Stage.CONVERGE).steps[-1]
    assert (last.id, last.action) == ("mount//srv/cvmfs", Action.DELETE)


def test_a_part_of_a_plan_waits_only_for_its_own_steps() -> None:
    part = build(wanted(), Observation()).part(Stage.CONVERGE)
    assert {name for step in part.steps for name in step.after} == {"container/store"}


class Recorder:
    def __init__(self, fail: str = "") -> None:
        self.fail = fail
        self.done: list[str] = []
        self.lock = threading.Lock()

    def evaluate(self, step: Step) -> None:
        if step.id == self.fail:
            raise CantiereError(Problem("x.y", "broken", "mend it"))
        with self.lock:
            self.done.append(step.id)


def test_explain_tells_the_steps_that_apply_does() -> None:
    plan = build(wanted(), Observation())
    told: list[str] = []
    explain(plan, told.append)
    recorder = Recorder()
    walk(plan, recorder, jobs=1)
    assert [line.strip() for line in told] == lines(plan)
    assert sorted(recorder.done) == sorted(step.id for step in plan.steps)


def test_a_failed_step_silences_its_followers_and_the_rest_goes_on() -> None:
    recorder = Recorder(fail="container/store")
    with pytest.raises(CantiereError) as caught:
        walk(build(wanted(), Observation()), recorder)
    assert [problem.code for problem in caught.value.problems] == ["x.y", "plan.left"]
    assert "container/hub" in caught.value.problems[1].message
    assert "names/cantiere-test" in recorder.done


def test_a_spare_step_that_fails_is_left_and_those_that_wait_for_it_go_on() -> None:
    spot, other = Step(Kind.MACHINE, "spot-1", Action.CREATE, "", spare=True), Step(Kind.MACHINE, "last-1", Action.UPDATE, "")
    recorder, told = Recorder(fail=spot.id), list[str]()
    after = replace(other, after=(spot.id,))
    left = walk(Plan("x", (spot, after)), recorder, report=lambda event, step, *_: told.append(f"{event} {step.id}"))
    assert {step: [problem.code for problem in problems] for step, problems in left.items()} == {spot.id: ["x.y"]}
    assert recorder.done == [other.id] and f"failed {spot.id}" in told
    with pytest.raises(CantiereError):
        walk(Plan("x", (replace(spot, spare=False), after)), Recorder(fail=spot.id))


def test_steps_that_do_not_wait_run_at_the_same_time() -> None:
    meet = threading.Barrier(2, timeout=10)

    class Meeting:
        def evaluate(self, step: Step) -> None:
            meet.wait()

    steps = tuple(Step(Kind.VOLUME, name, Action.CREATE, "") for name in ("a", "b"))
    walk(Plan("x", steps), Meeting(), jobs=2)
