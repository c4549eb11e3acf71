"""What a cluster's nodes and pods ask for, as the decision on more or fewer machines needs it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from cantiere.cluster.client import Api, Object
from cantiere.cluster.facts import quantity
from cantiere.machines.growth import Pod, Pool
from cantiere.machines.model import POOL_LABEL
from cantiere.machines.wanted import labels_of, taints_of
from cantiere.model import Node

MACHINE_OWN = ("Node", "DaemonSet")
"""Owners of pods that are on every machine, and no reason to keep one."""
ENDED = ("Succeeded", "Failed")


def waiting(pods: Sequence[Object], now: float) -> list[Pod]:
    """The pods that the scheduler found no place for.

    Parameters
    ----------
    pods:
        All pods of the cluster.
    now:
        Seconds since 1970.
    """
    found = []
    for pod in pods:
        for condition in pod["status"].get("conditions") or []:
            if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable" and not pod["spec"].get("nodeName"):
                since = datetime.fromisoformat(condition["lastTransitionTime"].replace("Z", "+00:00")).timestamp()
                found.append(_pod(pod, max(now - since, 0.0)))
    return found


def _pod(pod: Object, seconds: float) -> Pod:
    meta, spec = pod["metadata"], pod["spec"]
    tolerations = tuple(_toleration(entry) for entry in spec.get("tolerations") or [])
    return Pod(f"{meta['namespace']}/{meta['name']}", requests(spec), spec.get("nodeSelector") or {}, tolerations, seconds)


def _toleration(entry: Mapping[str, str]) -> str:
    key, value, effect = entry.get("key", ""), entry.get("value", ""), entry.get("effect", "")
    if not key:
        return "*"
    if entry.get("operator") == "Exists":
        return key
    return f"{key}={value}:{effect}" if effect else f"{key}={value}"


def requests(spec: Mapping[str, object]) -> dict[str, float]:
    """What a pod asks of its node: the sum of its containers, or its largest init container where that asks for more."""

    def of(containers: object) -> list[dict[str, float]]:
        given = containers if isinstance(containers, list) else []
        return [{key: quantity(value) for key, value in ((one.get("resources") or {}).get("requests") or {}).items()} for one in given]

    total: dict[str, float] = {}
    for one in of(spec.get("containers")):
        for key, amount in one.items():
            total[key] = total.get(key, 0.0) + amount
    for one in of(spec.get("initContainers")):
        for key, amount in one.items():
            total[key] = max(total.get(key, 0.0), amount)
    return total


def pools(
    nodes: Sequence[Node], cluster: Sequence[Object], pods: Sequence[Object], idle_since: Mapping[str, float], now: float
) -> tuple[list[Pool], dict[str, float]]:
    """The pools that may grow or shrink, and since when which of their nodes are idle.

    Parameters
    ----------
    nodes:
        The template's pools of machines.
    cluster:
        The cluster's nodes.
    pods:
        All pods of the cluster.
    idle_since:
        Node to the time (seconds since 1970) from which on it was seen idle.
    now:
        The present time.
    """
    busy, own = _used(pods)
    idle = {
        item["metadata"]["name"]: idle_since.get(item["metadata"]["name"], now) for item in cluster if item["metadata"]["name"] not in busy
    }
    made = []
    for node in nodes:
        properties = node.properties
        if properties.get("max_count", 0) <= properties["count"]:
            continue
        mine = sorted(
            (item for item in cluster if item["metadata"].get("labels", {}).get(POOL_LABEL) == node.name),
            key=lambda item: int(item["metadata"]["name"].rpartition("-")[2]),
            reverse=True,
        )
        made.append(
            Pool(
                name=node.name,
                count=len(mine),
                least=properties["count"],
                most=properties["max_count"],
                room=_room(mine, own, node),
                labels={POOL_LABEL: node.name, **labels_of(node)},
                taints=taints_of(node),
                idle={name: now - idle[name] for item in mine if (name := item["metadata"]["name"]) in idle},
                idle_time=properties["idle_time"],
            )
        )
    return made, idle


def _used(pods: Sequence[Object]) -> tuple[set[str], dict[str, dict[str, float]]]:
    """Nodes that run a pod of somebody, and what the pods that belong to the machine itself ask of each node."""
    busy: set[str] = set()
    own: dict[str, dict[str, float]] = {}
    for pod in pods:
        name = pod["spec"].get("nodeName")
        if not name or pod["status"].get("phase") in ENDED:
            continue
        if any(owner["kind"] in MACHINE_OWN for owner in pod["metadata"].get("ownerReferences") or []):
            mine = own.setdefault(name, {})
            for key, amount in requests(pod["spec"]).items():
                mine[key] = mine.get(key, 0.0) + amount
        else:
            busy.add(name)
    return busy, own


def _room(mine: Sequence[Object], own: Mapping[str, Mapping[str, float]], node: Node) -> dict[str, float]:
    """What one machine of a pool has for pods: as its smallest node has it, or as the template asks for it where there is none yet."""
    rooms = []
    for item in mine:
        taken = own.get(item["metadata"]["name"], {})
        rooms.append({key: quantity(value) - taken.get(key, 0.0) for key, value in item["status"]["allocatable"].items()})
    if rooms:
        return min(rooms, key=lambda room: room.get("cpu", 0.0))
    given = node.properties
    return {"cpu": float(given.get("num_cpus") or 1), "memory": float(given.get("mem_size") or 0), "nvidia.com/gpu": given["num_gpus"]}


def look(api: Api) -> tuple[list[Object], list[Object], float]:
    """The cluster's nodes and pods, and when that was."""
    return api.list("/api/v1/nodes"), api.list("/api/v1/pods"), time.time()
