from __future__ import annotations

from typing import Any

import pytest

from cantiere.cluster import load
from cantiere.errors import Location
from cantiere.machines.growth import Pod
from cantiere.model import Node

NOW = 1_700_000_100.0
GIB = 1 << 30


def pool(name: str, count: int, most: int, **more: Any) -> Node:
    given = {"count": count, "max_count": most, "idle_time": 600.0, "num_gpus": 0, "labels": {}, "taints": [], **more}
    return Node(name, "cantiere.nodes.MachinePool", given, {}, Location("t.yaml"))


def node(name: str, cpu: str = "4") -> dict[str, Any]:
    labels = {"cantiere.io/pool": name.rpartition("-")[0]}
    return {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": {"cpu": cpu, "memory": "8Gi"}}}


def pod(name: str, where: str = "", owner: str = "ReplicaSet", phase: str = "Running", **spec: Any) -> dict[str, Any]:
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": "2023-11-14T22:13:40Z"}
    containers = spec.pop("containers", [{"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}])
    return {
        "metadata": {"name": name, "namespace": "facility", "ownerReferences": [{"kind": owner, "name": "x"}]},
        "spec": {"containers": containers, **({"nodeName": where} if where else {}), **spec},
        "status": {"phase": phase, "conditions": [] if where else [waits]},
    }


def test_waiting_pods_with_what_they_ask_for() -> None:
    tolerations = [{"key": "gpu", "operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}, {"operator": "Exists"}]
    given = pod(
        "p",
        nodeSelector={"kind": "x"},
        tolerations=tolerations,
        containers=[{"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}, {"resources": {"requests": {"cpu": "500m"}}}, {}],
        initContainers=[{"resources": {"requests": {"cpu": "200m", "memory": "3Gi"}}}],
    )
    wanted = Pod("facility/p", {"cpu": 1.5, "memory": 3 * GIB}, {"kind": "x"}, ("gpu", "a=b:NoSchedule", "*"), 80.0)
    assert load.waiting([given, pod("placed", "worker-1")], NOW) == [wanted]


def test_pools_know_their_room_and_which_machines_idle() -> None:
    cluster = [node("control-1"), node("worker-1"), node("worker-10"), node("worker-2")]
    pods = [
        pod("agent", "worker-2", "DaemonSet"),
        pod("proxy", "worker-2", "Node"),
        pod("job", "worker-1"),
        pod("ended", "worker-10", phase="Succeeded"),
    ]
    made, idle = load.pools([pool("control", 1, 0), pool("worker", 1, 12)], cluster, pods, {"worker-2": NOW - 700, "gone-1": 1.0}, NOW)
    assert [(one.name, one.count, one.least, one.most) for one in made] == [("worker", 3, 1, 12)]
    assert made[0].idle == {"worker-10": 0.0, "worker-2": 700.0}  # one has just become idle, one has been, worker-1 works
    assert list(made[0].idle) == ["worker-10", "worker-2"]
    assert made[0].room["cpu"] in (3.0, 4.0) and made[0].labels == {"cantiere.io/pool": "worker"}
    assert idle == {"control-1": NOW, "worker-10": NOW, "worker-2": NOW - 700}


def test_an_empty_pool_has_what_the_template_asks_for() -> None:
    made, _ = load.pools([pool("gpu", 0, 2, num_cpus=8, mem_size=64 * GIB, num_gpus=2)], [], [], {}, NOW)
    assert made[0].room == pytest.approx({"cpu": 8, "memory": 64 * GIB, "nvidia.com/gpu": 2})


def test_only_what_bears_it_makes_preemptible_machines() -> None:
    (made,), _ = load.pools([pool("spot", 0, 2, preemptible=True, taints=["a=b:NoSchedule"])], [], [], {}, NOW)
    assert made.taints == ("a=b:NoSchedule", "cantiere.io/preemptible=true:NoSchedule")
    assert made.labels == {"cantiere.io/pool": "spot", "cantiere.io/preemptible": "true"}
