"""The smallest flavor that has what a machine needs, and why it is that one. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from cantiere.errors import Problem
from cantiere.machines.model import Machine
from cantiere.machines.preflight import LEAST, LEAST_DISK_FREE
from cantiere.machines.wanted import in_cluster

MIB, GIB = 1 << 20, 1 << 30
ALIAS = "pci_passthrough:alias"
GPU_RESOURCE = re.compile(r"resources\d*:(VGPU|PGPU|CUSTOM_\w*GPU\w*)")
SHOWN = 6


@dataclass(frozen=True, slots=True)
class Flavor:
    """A flavor as the choice sees it.

    Parameters
    ----------
    name, id:
        Of the flavor.
    cores, memory, disk, gpus:
        What it has; memory and disk in bytes.
    price:
        For an hour; None where the site's list has none.
    """

    name: str
    id: str
    cores: int
    memory: int
    disk: int
    gpus: int = 0
    price: float | None = None

    def __str__(self) -> str:
        gpus = f", {self.gpus} GPU" if self.gpus else ""
        price = f", {self.price:.4g} an hour" if self.price is not None else ""
        return f"{self.name} ({self.cores} cores, {self.memory / GIB:.4g} GiB of memory, {self.disk / GIB:.4g} GiB of disk{gpus}{price})"


def gpus_of(specs: Mapping[str, str]) -> int:
    """How many GPUs a flavor's extra specs give.

    Devices handed through are counted where the alias speaks of a GPU, and so are resources of the placement service.
    """
    aliases = [item.strip().partition(":") for item in str(specs.get(ALIAS, "")).split(",")]
    passed = sum(int(number) for name, _, number in aliases if number.isdigit() and re.search(r"gpu|nvidia|[avh]\d{2,3}|t4", name.lower()))
    return passed + sum(int(value) for key, value in specs.items() if GPU_RESOURCE.fullmatch(key) and str(value).isdigit())


def needs_of(machine: Machine, *, own_disk: bool) -> dict[str, int]:
    """What a machine needs: what its pool asks for, and at least what preflight wants of it.

    Parameters
    ----------
    machine:
        The machine.
    own_disk:
        Whether it boots from the flavor's disk.
    """
    cores, memory = LEAST[machine.controls] if in_cluster(machine) else (1, 0)
    return {
        "num_cpus": max(machine.needs.get("num_cpus", 0), cores),
        "mem_size": max(machine.needs.get("mem_size", 0), memory),
        "disk_size": max(machine.needs.get("disk_size", 0), LEAST_DISK_FREE) if own_disk else 0,
        "num_gpus": machine.needs.get("num_gpus", 0),
    }


def fitting(flavors: Sequence[Flavor], needs: Mapping[str, int], allowed: Sequence[str] = ()) -> list[Flavor]:
    """Flavors that are enough, the cheapest first, those without a price last; then the smallest: GPUs, cores, memory, disk.

    Parameters
    ----------
    flavors:
        All of the cloud.
    needs:
        As :func:`needs_of` gives it.
    allowed:
        Patterns of names; empty allows all.
    """
    may = [flavor for flavor in flavors if not allowed or any(fnmatchcase(flavor.name, pattern) for pattern in allowed)]
    enough = [flavor for flavor in may if not lacks(flavor, needs)]

    def rank(flavor: Flavor) -> tuple[Any, ...]:
        priced = (flavor.price is None, flavor.price or 0.0)
        return *priced, flavor.gpus, flavor.cores, flavor.memory, flavor.disk, flavor.name

    return sorted(enough, key=rank)


def lacks(flavor: Flavor, needs: Mapping[str, int]) -> str:
    """What a flavor has too little of, in words; ``""`` where it is enough."""
    has = {"num_cpus": flavor.cores, "mem_size": flavor.memory, "disk_size": flavor.disk, "num_gpus": flavor.gpus}
    short = [key for key, wanted in needs.items() if has[key] < wanted]
    return ", ".join(_words(key, has[key]) for key in short)


def explained(chosen: Flavor, flavors: Sequence[Flavor], needs: Mapping[str, int]) -> str:
    """Why a flavor was chosen, in one sentence."""
    small = sum(1 for flavor in flavors if lacks(flavor, needs))
    which = "smallest" if chosen.price is None else "cheapest"
    return f"{chosen}: the {which} with {asked(needs)}; {small} of {len(flavors)} flavors are too small"


def unfit(machine: Machine, flavors: Sequence[Flavor], needs: Mapping[str, int], allowed: Sequence[str]) -> Problem:
    """What to say where no flavor is enough: each with what it lacks, those that lack least first."""
    may = [flavor for flavor in flavors if not allowed or any(fnmatchcase(flavor.name, pattern) for pattern in allowed)]
    near = sorted(may, key=lambda flavor: (lacks(flavor, needs).count(",") + 1, -flavor.cores, -flavor.memory))
    told = "; ".join(f"{flavor.name} has only {lacks(flavor, needs)}" for flavor in near[:SHOWN])
    more = f"; and {len(near) - SHOWN} more" if len(near) > SHOWN else ""
    among = f" of those that the site allows ({', '.join(allowed)})" if allowed else ""
    message = f"no flavor{among} has {asked(needs)}: {told or 'there is none'}{more}"
    remedy = f"lower what the pool {machine.pool} asks for, allow other flavors, set boot_volume, or ask the cloud for a larger flavor"
    return Problem("openstack.flavor", message, remedy, path=machine.name)


def asked(needs: Mapping[str, int]) -> str:
    """Needs in words."""
    return ", ".join(_words(key, value) for key, value in needs.items() if value)


def _words(key: str, value: int) -> str:
    if key == "num_cpus":
        return f"{value} cores"
    if key == "num_gpus":
        return f"{value} GPU"
    return f"{value / GIB:.4g} GiB of {'memory' if key == 'mem_size' else 'disk'}"
