"""What the exporter counts, and what it costs to take an execute pod away: the parts without HTCondor."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

IMAGE = Path(__file__).resolve().parents[3] / "images" / "condor-exporter"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, IMAGE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


slots: Any = load("slots")
idle_jobs: Any = load("idle_jobs")
deletion_cost: Any = load("deletion_cost")

CLASSES = idle_jobs.classes(
    [
        {"name": "small", "cpus": 1, "memory": 2048},
        {"name": "large", "cpus": 8, "memory": 32768},
        {"name": "gpu", "cpus": 8, "memory": 32768, "gpus": 2},
    ]
)


def slot(kind: str, activity: str, cpus: int, name: str = "slot1@w1.here") -> dict[str, Any]:
    return {"Name": name, "Machine": "w1.here", "SlotType": kind, "Activity": activity, "Cpus": cpus, "WorkerClass": "small"}


def fraction(*ads: dict[str, Any]) -> float:
    seen = [busy for ad in ads for _, busy in slots.occupation(ad)]
    return sum(seen) / len(seen)


def test_the_busy_fraction() -> None:
    dynamic, retiring = slot("Dynamic", "Busy", 1), slot("Dynamic", "Retiring", 1)
    assert fraction(slot("Partitionable", "Idle", 0), dynamic) == 1.0
    assert fraction(slot("Partitionable", "Idle", 0), retiring) == 1.0
    assert fraction(slot("Partitionable", "Idle", 4)) == 0.0
    assert fraction(slot("Partitionable", "Idle", 1), dynamic, dynamic, dynamic) == 0.75


def test_idle_cores_are_series_of_their_own() -> None:
    names = [labels[1] for labels, _ in slots.occupation(slot("Partitionable", "Idle", 2))]
    assert names == ["slot1@w1.here/1", "slot1@w1.here/2"]


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ({"RequestCpus": 1, "RequestMemory": 1000}, "small"),
        ({"RequestCpus": 2, "RequestMemory": 1000}, "large"),
        ({"RequestCpus": 1, "RequestMemory": 4000}, "large"),
        ({"RequestCpus": 1, "RequestGPUs": 1}, "gpu"),
        ({"RequestCpus": 1, "RequestGPUs": 3}, ""),
        ({"RequestCpus": 16}, ""),
        ({"RequestCpus": 1, "WorkerClass": "large"}, "large"),
        ({"RequestCpus": 1, "WorkerClass": "gpu"}, ""),
        ({"RequestCpus": 1, "WorkerClass": "none of them"}, ""),
    ],
)
def test_the_class_that_a_job_waits_for(job: dict[str, Any], expected: str) -> None:
    found = idle_jobs.requested([job], CLASSES, lambda *_: True)
    assert [name for name, asked in found.items() if asked.jobs] == [expected]
    assert set(found) == {"", "small", "large", "gpu"}


def test_what_is_asked_for_adds_up() -> None:
    found = idle_jobs.requested([{"RequestCpus": 4, "RequestMemory": 100}] * 3, CLASSES, lambda *_: True)
    assert found["large"] == idle_jobs.Request(3, 12.0, 300, 0)


def test_jobs_whose_requirements_nothing_meets_start_no_pod() -> None:
    found = idle_jobs.requested([{"RequestCpus": 1}], CLASSES, lambda *_: False)
    assert found[""].jobs == 1 and found["small"].jobs == 0


def pod(name: str, cost: str = "", **metadata: Any) -> dict[str, Any]:
    annotations = {deletion_cost.COST: cost} if cost else {}
    return {"metadata": {"name": name, "annotations": annotations, **metadata}}


def test_idle_pods_cost_less_than_those_with_jobs() -> None:
    machines = {"busy-1.batch.svc": 3, "idle-1.batch.svc": 0}
    pods = [pod("busy-1"), pod("idle-1"), pod("new-1"), pod("ends-1", deletionTimestamp="2026")]
    assert deletion_cost.wanted(pods, machines) == {"busy-1": "13", "idle-1": "0", "new-1": "0"}


def test_costs_that_are_right_are_not_written_again() -> None:
    assert deletion_cost.wanted([pod("busy-1", "11"), pod("idle-1", "0")], {"busy-1.x": 1}) == {}
    assert deletion_cost.wanted([pod("busy-1", "11")], {}) == {"busy-1": "0"}


def test_jobs_are_counted_by_machine() -> None:
    ads = [slot("Partitionable", "Idle", 0), slot("Dynamic", "Busy", 1), slot("Dynamic", "Retiring", 1)]
    assert slots.jobs_by_machine(ads) == {"w1.here": 2}
