from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cantiere.machines.growth import PATIENCE, Change, Pod, Pool, decide

GIB = 1 << 30
WORKER = Pool("worker", 2, 1, 5, {"cpu": 4.0, "memory": 8 * GIB}, idle={"worker-2": 700.0, "worker-1": 5.0})


def pod(name: str, cpu: float = 1.0, **more: object) -> Pod:
    return Pod(name, {"cpu": cpu, "memory": GIB}, **({"waiting": 60.0} | more))  # type: ignore[arg-type]


def test_waiting_pods_get_as_few_machines_as_hold_them() -> None:
    made = decide([WORKER], [pod("a", 3), pod("b", 2), pod("c", 2), pod("d", 1)])
    assert made.changes == (Change("worker", 4, "4 pods wait for a place: a, b, c and 1 more"),)
    assert not made.stuck


def test_a_pod_that_has_just_begun_to_wait_makes_no_machine_and_keeps_idle_ones() -> None:
    assert decide([WORKER], [pod("a", waiting=PATIENCE - 1)]).changes == ()


def test_limits_hold_and_who_gets_no_place_is_told_why() -> None:
    made = decide([replace(WORKER, count=4)], [pod("a", 4), pod("b", 4), pod("huge", 16)])
    assert made.changes[0].count == 5
    assert made.stuck["b"] == "worker has 4 machines and may have 5"
    assert made.stuck["huge"] == "a machine of worker has 4 of cpu for pods, 16 are asked"


def test_labels_taints_and_extended_resources_choose_the_pool() -> None:
    gpu = Pool("gpu", 0, 0, 2, {"cpu": 8, "memory": 64 * GIB, "nvidia.com/gpu": 1}, {"kind": "gpu"}, ("gpu=yes:NoSchedule",))
    wanting = Pod("g", {"cpu": 1, "nvidia.com/gpu": 1}, {}, ("gpu",), 60)
    assert decide([WORKER, gpu], [wanting]).changes == (Change("gpu", 1, "1 pods wait for a place: g"),)
    assert decide([WORKER, gpu], [replace(wanting, tolerations=())]).stuck["g"].endswith("gpu has the taint gpu=yes:NoSchedule")
    assert decide([gpu], [pod("l", selector={"kind": "cpu"}, tolerations=("*",))]).stuck["l"] == "gpu has no label kind=cpu"
    assert decide([], [wanting]).stuck == {"g": "no pool of machines may grow"}


def test_those_that_idle_go_whatever_their_numbers_and_never_below_the_least() -> None:
    reason = "1 of 2 machines idle for 600 s or longer"
    assert decide([WORKER], []).changes == (Change("worker", 1, reason, ("worker-2",)),)
    assert decide([replace(WORKER, idle={"worker-2": 5.0, "worker-1": 700.0})], []).changes == (Change("worker", 1, reason, ("worker-1",)),)
    both = replace(WORKER, idle={"worker-2": 700.0, "worker-1": 900.0})
    assert decide([both], []).changes == (Change("worker", 1, reason, ("worker-2",)),)
    assert decide([replace(WORKER, least=2)], []).changes == ()


@given(st.lists(st.floats(0.1, 4.0), max_size=30), st.integers(0, 5))
def test_machines_made_are_within_limits_and_no_waiting_pod_is_forgotten(cpus: list[float], count: int) -> None:
    pods = [pod(f"p{number}", cpu) for number, cpu in enumerate(cpus)]
    made = decide([replace(WORKER, count=count, idle={})], pods)
    assert all(WORKER.least <= change.count <= WORKER.most and change.count > count for change in made.changes)
    more = made.changes[0].count - count if made.changes else 0
    placed = [entry for entry in pods if entry.name not in made.stuck]
    assert sum(entry.requests["cpu"] for entry in placed) <= 4.0 * more + 1e-9
    assert not placed or more
