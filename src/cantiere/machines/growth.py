"""How many machines the pools of a cluster should have, from the pods that wait and the nodes that idle. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

PATIENCE = 20.0
"""Seconds that a pod has to wait for a place before a machine is made for it; the scheduler may just be slow."""

NO_SCHEDULE = ("NoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that has to run somewhere.

    Parameters
    ----------
    name:
        ``namespace/name``.
    requests:
        What it asks for: ``cpu`` in cores, ``memory`` in bytes, extended resources by their names.
    selector:
        Labels that its node must have.
    tolerations:
        Taints that it bears, as ``key``, ``key=value`` or ``key=value:Effect``; ``*`` bears all.
    waiting:
        Seconds since the scheduler found no place for it; 0 where it has one.
    """

    name: str
    requests: Mapping[str, float]
    selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[str, ...] = ()
    waiting: float = 0.0


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of machines that may grow.

    Parameters
    ----------
    name:
        The node template.
    count:
        How many machines it has.
    least, most:
        Its limits.
    room:
        What one empty machine of it has for pods beside those that run on every node.
    labels, taints:
        Of its nodes.
    idle:
        Machine to the seconds since which it has had no pod of its own: those with the highest numbers first.
    idle_time:
        Seconds after which an idle machine goes.
    """

    name: str
    count: int
    least: int
    most: int
    room: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    idle: Mapping[str, float] = field(default_factory=dict)
    idle_time: float = 600.0


@dataclass(slots=True)
class Held:
    """Pools whose machines could not be made: they are left alone for a while, longer after each try, and the others go on.

    Parameters
    ----------
    tries:
        Pool to how often in a row its machines could not be made.
    until:
        Pool to the time until which it is left alone.
    """

    tries: dict[str, int] = field(default_factory=dict)
    until: dict[str, float] = field(default_factory=dict)

    def at(self, now: float) -> frozenset[str]:
        """The pools that are left alone at a time."""
        return frozenset(pool for pool, end in self.until.items() if end > now)

    def tried(self, pools: Collection[str], now: float, pause: Callable[[int], float] | None) -> None:
        """Take note of a round.

        Parameters
        ----------
        pools:
            Those whose machines it tried to make.
        now:
            When it ended.
        pause:
            Times that they could not be made to the seconds until the next try; None where all were made.
        """
        for pool in pools:
            self.tries[pool] = self.tries.get(pool, 0) + 1 if pause else 0
            self.until[pool] = now + pause(self.tries[pool]) if pause else now


@dataclass(frozen=True, slots=True)
class Change:
    """Another number of machines for a pool, and why; where it is smaller, the machines that leave."""

    pool: str
    count: int
    reason: str
    removal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do.

    Parameters
    ----------
    changes:
        At most one per pool.
    stuck:
        Pods for which no pool may make a machine, with the reason.
    """

    changes: tuple[Change, ...] = ()
    stuck: Mapping[str, str] = field(default_factory=dict)


def decide(pools: Sequence[Pool], pods: Sequence[Pod]) -> Decision:
    """Grow pools by the machines that waiting pods need, else shrink them by those that idle.

    Pods are put onto new machines largest first, each on the first that has room (first fit decreasing), in pools in the order given.

    Parameters
    ----------
    pools:
        Those that may grow.
    pods:
        Pods without a node.
    """
    new: dict[str, list[dict[str, float]]] = {pool.name: [] for pool in pools}
    stuck: dict[str, str] = {}
    served: dict[str, list[str]] = {pool.name: [] for pool in pools}
    late = [pod for pod in pods if pod.waiting >= PATIENCE]
    for pod in sorted(late, key=lambda pod: (-_weight(pod.requests), pod.name)):
        reasons = []
        for pool in pools:
            reason = _misfit(pod, pool)
            if not reason and not _placed(pod, pool, new[pool.name]):
                reason = f"{pool.name} has {pool.count} machines and may have {pool.most}"
            if not reason:
                served[pool.name].append(pod.name)
                break
            reasons.append(reason)
        else:
            stuck[pod.name] = "; ".join(reasons) or "no pool of machines may grow"
    changes = []
    for pool in pools:
        if new[pool.name]:
            names = ", ".join(served[pool.name][:3]) + (f" and {len(served[pool.name]) - 3} more" if len(served[pool.name]) > 3 else "")
            reason = f"{len(served[pool.name])} pods wait for a place: {names}"
            changes.append(Change(pool.name, pool.count + len(new[pool.name]), reason))
        elif not pods and (gone := _idle(pool)):
            reason = f"{len(gone)} of {pool.count} machines idle for {pool.idle_time:.0f} s or longer"
            changes.append(Change(pool.name, pool.count - len(gone), reason, gone))
    return Decision(tuple(changes), stuck)


def _idle(pool: Pool) -> tuple[str, ...]:
    """The machines that may go."""
    idle = [name for name, seconds in pool.idle.items() if seconds >= pool.idle_time]
    return tuple(idle[: max(pool.count - pool.least, 0)])


def _misfit(pod: Pod, pool: Pool) -> str:
    """Why no machine of a pool, however empty, takes a pod."""
    for key, value in pod.selector.items():
        if pool.labels.get(key) != value:
            return f"{pool.name} has no label {key}={value}"
    for taint in pool.taints:
        if taint.rpartition(":")[2] in NO_SCHEDULE and not _borne(taint, pod.tolerations):
            return f"{pool.name} has the taint {taint}"
    for resource, amount in pod.requests.items():
        if amount > pool.room.get(resource, 0):
            return f"a machine of {pool.name} has {pool.room.get(resource, 0):g} of {resource} for pods, {amount:g} are asked"
    return ""


def _borne(taint: str, tolerations: Sequence[str]) -> bool:
    key = taint.partition("=")[0]
    return any(borne in ("*", key, taint, taint.rpartition(":")[0]) for borne in tolerations)


def _placed(pod: Pod, pool: Pool, machines: list[dict[str, float]]) -> bool:
    """Put a pod onto a new machine; whether there was room or the pool may have one more."""
    for room in machines:
        if all(room.get(resource, 0) >= amount for resource, amount in pod.requests.items()):
            _take(room, pod)
            return True
    if pool.count + len(machines) >= pool.most:
        return False
    machines.append(dict(pool.room))
    _take(machines[-1], pod)
    return True


def _take(room: dict[str, float], pod: Pod) -> None:
    for resource, amount in pod.requests.items():
        room[resource] -= amount


def _weight(requests: Mapping[str, float]) -> float:
    return requests.get("cpu", 0.0) + requests.get("memory", 0.0) / (4 << 30)
