"""How a server that is there differs from what is asked for: what changes in place, and what only a new one would have. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cantiere.errors import Problem
from cantiere.machines.model import Machine
from cantiere.providers.openstack.flavors import GIB, Flavor, explained, fitting, needs_of, unfit
from cantiere.providers.openstack.options import Options, VolumeWanted

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
        ``boot`` or ``data`` to the GiB that it grows to.
    reasons:
        Both, in words.
    anew:
        What only another server would have, in words.
    problem:
        No flavor is enough for it.
    """

    flavor: Flavor | None = None
    volumes: Mapping[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    anew: tuple[str, ...] = ()
    problem: Problem | None = None


def volumes_of(options: Options, machine: Machine) -> dict[str, VolumeWanted]:
    """The volumes of a machine, by what they are for: ``boot`` and ``data``."""
    asked = {"boot": options.boot_volume, "data": options.data_volumes.get(machine.pool)}
    return {what: volume for what, volume in asked.items() if volume}


def specification(options: Options, machine: Machine) -> str:
    """What a server cannot change while it lives: image, and which volumes of which type; a digest of each."""
    kinds = {what: volume.kind for what, volume in volumes_of(options, machine).items()}
    parts = {"image": options.image, "boot": kinds.get("boot"), "data": kinds.get("data")}
    return " ".join(f"{name}:{_digest(value)}" for name, value in parts.items())


def size(options: Options, machine: Machine, flavor: str) -> str:
    """What a server's flavor was chosen for: a digest of needs and patterns, and of the flavor's name.

    A server whose flavor was chosen for the same keeps it, whatever flavors the cloud has by now.
    """
    return _digest([needs_of(machine, own_disk=options.boot_volume is None), list(options.flavors), flavor])


def compare(machine: Machine, seen: Mapping[str, Any], digest: str, flavors: Sequence[Flavor], options: Options) -> Difference:
    """How a server differs.

    Parameters
    ----------
    machine:
        As it is asked for.
    seen:
        ``flavor`` (name), ``disk`` (GiB of that flavor), ``size`` (as :func:`size` gave it), ``volumes`` (GiB of ``boot`` and ``data``).
    digest:
        Of the specification that it was made from.
    flavors:
        All of the cloud.
    options:
        The site's.
    """
    old, new = (dict(part.partition(":")[::2] for part in text.split()) for text in (digest, specification(options, machine)))
    anew = [words for part, words in ANEW.items() if digest and old.get(part) != new[part]]
    grown, reasons = {}, []
    for what, volume in volumes_of(options, machine).items():
        has = seen["volumes"].get(what)
        if has is not None and volume.size > has:
            grown[what] = volume.size
            reasons.append(f"its {what} volume grows from {has} to {volume.size} GiB")
        elif has is not None and volume.size < has:
            anew.append(f"its {what} volume has {has} GiB and cannot shrink to {volume.size}")
    if seen["size"] == size(options, machine, seen["flavor"]):
        return Difference(None, grown, tuple(reasons), tuple(anew))
    own_disk = options.boot_volume is None
    needs = needs_of(machine, own_disk=own_disk)
    fits = fitting(flavors, needs, options.flavors)
    if not fits:
        return Difference(None, grown, tuple(reasons), tuple(anew), unfit(machine, flavors, needs, options.flavors))
    chosen = next((flavor for flavor in fits if not own_disk or flavor.disk >= seen["disk"] * GIB), None)
    if fits[0].name != seen["flavor"] and chosen != fits[0]:
        anew.append(f"{fits[0].name} is enough for it now, and its disk of {seen['disk']} GiB cannot shrink")
    if chosen is None or chosen.name == seen["flavor"]:
        return Difference(None, grown, tuple(reasons), tuple(anew))
    reasons.append(f"its flavor changes from {seen['flavor']} to {explained(chosen, flavors, needs)}")
    return Difference(chosen, grown, tuple(reasons), tuple(anew))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:DIGITS]
