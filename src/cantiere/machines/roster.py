"""Which machines a pool has: those that are there stay, a gap stays a gap until the pool grows, and those named to leave go first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from cantiere.errors import Problem
from cantiere.machines.model import pool_of
from cantiere.model import Node


@dataclass(frozen=True, slots=True)
class There:
    """Machines that exist, or that existed when a run last ended.

    Parameters
    ----------
    seen:
        Names of those that the provider has.
    known:
        Names of those that were made and not removed; what is not seen of them is lost.
    """

    seen: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run asks of pools beside the template.

    Parameters
    ----------
    scale:
        Pool to how many machines it gets now, within its limits, for pools that may grow.
    removal:
        Machines that leave first, beside those on ``removal_list``.
    """

    scale: Mapping[str, int] = field(default_factory=dict)
    removal: frozenset[str] = frozenset()


def grows(pool: Node) -> bool:
    """Whether a pool may have more machines than the template asks for at least."""
    return bool(pool.properties["max_count"] > pool.properties["count"])


def numbers(pool: Node, there: There, asked: Asked) -> tuple[int, ...]:
    """The numbers of a pool's machines, ascending.

    Parameters
    ----------
    pool:
        The node template.
    there, asked:
        See :class:`There` and :class:`Asked`.
    """
    found, seen, listed = _of(pool, there.seen | there.known), _of(pool, there.seen), _of(pool, _listed(pool, asked))
    count = _count(pool, found, found & listed, asked)
    # first go those that are to leave, then those that are lost, then those with the highest numbers
    kept = sorted(found, key=lambda number: (number in listed, number not in seen, number))[:count]
    free = (number for number in range(1, count + len(found) + len(listed) + 1) if number not in found | listed)
    return tuple(sorted([*kept, *(next(free) for _ in range(count - len(kept)))]))


def absent(pools: Iterable[Node], there: There, asked: Asked) -> list[Problem]:
    """Machines that are named to leave and are not there: each is told, for it may be a slip.

    Parameters
    ----------
    pools:
        The pools of the facility.
    there, asked:
        See :class:`There` and :class:`Asked`.
    """
    remedy = "leave the name out; on a removal_list it may stay, and is not given again then"
    found = []
    for pool in pools:
        here = _of(pool, there.seen | there.known)
        for name in sorted(_listed(pool, asked)):
            mine = name in (pool.properties.get("removal_list") or ()) or pool_of(name) == pool.name
            if mine and _number(pool, name) not in here:
                message = f"{name!r} is to leave {pool.name} and is none of its machines, or has left already"
                found.append(Problem("pool.absent", message, remedy, pool.where, _place(pool)))
    return found


def problems(pools: Iterable[Node], there: There, asked: Asked) -> list[Problem]:
    """Lists of machines to leave that are longer than what a pool shrinks by.

    Parameters
    ----------
    pools:
        The pools of the facility.
    there, asked:
        See :class:`There` and :class:`Asked`.
    """
    found = []
    for pool in pools:
        here = _of(pool, there.seen | there.known)
        leaving = here & _of(pool, _listed(pool, asked))
        less = max(len(here) - _count(pool, here, leaving, asked), 0)
        if len(leaving) > less:
            names = ", ".join(f"{pool.name}-{number}" for number in sorted(leaving))
            message = f"too many are to leave {pool.name}: it has {len(here)} machines and shrinks by {less}, named are {names}"
            remedy = f"ask for {len(here) - len(leaving)} machines, or name fewer that leave"
            found.append(Problem("pool.removal", message, remedy, pool.where, _place(pool)))
    return found


def _count(pool: Node, found: Collection[int], leaving: Collection[int], asked: Asked) -> int:
    least, most = int(pool.properties["count"]), int(pool.properties["max_count"])
    if not grows(pool):
        return least
    return min(max(asked.scale.get(pool.name, len(found) - len(leaving)), least), most)


def _listed(pool: Node, asked: Asked) -> frozenset[str]:
    return asked.removal | frozenset(map(str, pool.properties.get("removal_list") or ()))


def _of(pool: Node, names: Iterable[str]) -> frozenset[int]:
    """Numbers of those machines that are the pool's."""
    return frozenset(number for name in names if (number := _number(pool, name)))


def _number(pool: Node, name: str) -> int:
    """Number of a machine of the pool; 0 for other names."""
    head, _, number = name.rpartition("-")
    return int(number) if head == pool.name and number.isdecimal() and not number.startswith("0") else 0


def _place(pool: Node) -> str:
    return f"topology_template.node_templates.{pool.name}.properties.removal_list"
