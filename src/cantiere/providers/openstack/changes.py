"""How a server that is there differs from what is asked for: what changes in place, and what only a new one would have. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cantiere.errors import Problem
from cantiere.machines.model import Machine, MachineSeen
from cantiere.providers.openstack.flavors import GIB, Flavor, explained, fitting, needs_of, unfit
from cantiere.providers.openstack.options import Options, VolumeWanted
from cantiere.providers.openstack.prices import Holding

DIGITS = 8
ANEW = {
    "image": "another image is asked for",
    "boot": "another kind of boot volume is asked for",
    "data": "another kind of data volume is asked for",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to be done about a server that differs.

    Parameters
    ----------
    flavor:
        The one that it gets, or None.
    volumes:
        ``boot`` or ``data`` to the GiB that it gets, attached.
    down:
        Whether the server goes down meanwhile.
    reasons:
        All of it, in words.
    anew:
        What only another server would have, in words.
    problem:
        No flavor is enough for it.
    """

    flavor: Flavor | None = None
    volumes: Mapping[str, int] = field(default_factory=dict)
    down: bool = False
    reasons: tuple[str, ...] = ()
    anew: tuple[str, ...] = ()
    problem: Problem | None = None


def volumes_of(options: Options, machine: Machine) -> dict[str, VolumeWanted]:
    """The volumes of a machine, by what they are for: ``boot`` and ``data``."""
    asked = {"boot": options.boot_volume, "data": options.data_volumes.get(machine.pool)}
    return {what: volume for what, volume in asked.items() if volume}


def choice(machine: Machine, flavors: Sequence[Flavor], options: Options) -> tuple[Mapping[str, int], list[Flavor], Problem | None]:
    """What a machine needs at least, the flavors that are enough for it, the first to be taken first, and what to say where none is.

    Parameters
    ----------
    machine:
        As it is asked for.
    flavors:
        All of the cloud.
    options:
        The site's.
    """
    needs, allowed = _needs(options, machine), options.flavors_of(machine.pool)
    fits = fitting(flavors, needs, allowed)
    return needs, fits, None if fits else unfit(machine, flavors, needs, allowed)


def specification(options: Options, machine: Machine) -> str:
    """What a server cannot change while it lives: image, and which volumes of which type; a digest of each."""
    kinds = {what: volume.kind for what, volume in volumes_of(options, machine).items()}
    parts = {"image": options.image, "boot": kinds.get("boot"), "data": kinds.get("data")}
    return " ".join(f"{name}:{_digest(value)}" for name, value in parts.items())


def size(options: Options, machine: Machine, flavor: str) -> str:
    """What a server's flavor was chosen for: a digest of needs and patterns, and of the flavor's name.

    A server whose flavor was chosen for the same keeps it, whatever flavors the cloud has by now.
    """
    return _digest([_needs(options, machine), list(options.flavors_of(machine.pool)), flavor])


def compare(machine: Machine, seen: Mapping[str, Any], digest: str, flavors: Sequence[Flavor], options: Options) -> Difference:
    """How a server differs.

    Parameters
    ----------
    machine:
        As it is asked for.
    seen:
        ``flavor`` (name), ``disk`` (GiB of that flavor), ``size`` (as :func:`size` gave it), ``volumes`` (GiB of ``boot`` and ``data``),
        ``loose`` (those of them that are not attached).
    digest:
        Of the specification that it was made from.
    flavors:
        All of the cloud.
    options:
        The site's.
    """
    old, new = (dict(part.partition(":")[::2] for part in text.split()) for text in (digest, specification(options, machine)))
    anew = [words for part, words in ANEW.items() if digest and old.get(part) != new[part]]
    grown, reasons, down = {}, [], False
    for what, volume in volumes_of(options, machine).items():
        has = seen["volumes"].get(what)
        if has is not None and volume.size > has and what == "boot" and not options.online_extend:
            anew.append(f"its boot volume has {has} GiB, and grows to {volume.size} only with online_extend")
        elif has is not None and volume.size > has:
            grown[what], down = volume.size, not options.online_extend
            reasons.append(f"its {what} volume grows from {has} to {volume.size} GiB")
        elif what in seen["loose"]:
            grown[what] = has
            reasons.append(f"its {what} volume is not attached")
        elif has is not None and volume.size < has:
            anew.append(f"its {what} volume has {has} GiB and cannot shrink to {volume.size}")
    if seen["size"] == size(options, machine, seen["flavor"]):
        return Difference(None, grown, down, tuple(reasons), tuple(anew))
    needs, fits, problem = choice(machine, flavors, options)
    if problem:
        return Difference(None, grown, down, tuple(reasons), tuple(anew), problem)
    chosen = next((flavor for flavor in fits if options.boot_volume or flavor.disk >= seen["disk"] * GIB), None)
    if fits[0].name != seen["flavor"] and chosen != fits[0]:
        anew.append(f"{fits[0].name} is enough for it now, and its disk of {seen['disk']} GiB cannot shrink")
    if chosen is None or chosen.name == seen["flavor"]:
        return Difference(None, grown, down, tuple(reasons), tuple(anew))
    reasons.append(f"its flavor changes from {seen['flavor']} to {explained(chosen, flavors, needs)}")
    return Difference(chosen, grown, True, tuple(reasons), tuple(anew))


def held(seen: MachineSeen) -> Holding:
    """What a machine has now that costs something."""
    detail = seen.detail
    return Holding(seen.name, str(detail.get("flavor", "")), sum(detail.get("volumes", {}).values()), "floating" in detail)


def expected(machine: Machine, seen: MachineSeen | None, flavors: Sequence[Flavor], options: Options, *, floats: bool) -> Holding:
    """What a machine has that costs something once it is as asked for.

    Parameters
    ----------
    machine, seen:
        As it is asked for, and what is seen of it.
    flavors, options:
        See :func:`compare`.
    floats:
        Whether it gets a floating IP.
    """
    if seen is None or "flavor" not in seen.detail:
        chosen = next((flavor.name for flavor in choice(machine, flavors, options)[1]), "")
        return Holding(machine.name, chosen, sum(volume.size for volume in volumes_of(options, machine).values()), floats)
    difference = compare(machine, seen.detail, seen.digest, flavors, options)
    volumes = {**seen.detail["volumes"], **difference.volumes}
    flavor = difference.flavor.name if difference.flavor else str(seen.detail["flavor"])
    return Holding(machine.name, flavor, sum(volumes.values()), floats)


def _needs(options: Options, machine: Machine) -> dict[str, int]:
    return needs_of(machine, own_disk=options.boot_volume is None)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:DIGITS]
