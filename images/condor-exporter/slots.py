"""What the ClassAd of a slot says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

ATTRIBUTES = ["Name", "Machine", "MyAddress", "State", "Activity", "SlotType", "Cpus", "WorkerClass"]
WITH_JOB = {"Busy", "Retiring", "Suspended", "Vacating", "Killing"}
"""Activities of a slot on which a job is: one that retires still runs."""


def address(sinful: str) -> str:
    """The host in a daemon's contact string, ``<10.0.0.7:9618?...>``."""
    found = re.match(r"<(\[[^]]*\]|[^:?>]*)", sinful)
    return found[1].strip("[]") if found else ""


def kind(slot: Mapping[str, Any]) -> str:
    """``Partitionable``, ``Dynamic`` or ``Static``."""
    return str(slot.get("SlotType", "Static"))


def busy(slot: Mapping[str, Any]) -> bool:
    """Whether a job is on a slot; a partitionable slot only holds what its dynamic slots leave."""
    return kind(slot) != "Partitionable" and slot["Activity"] in WITH_JOB


def labels(slot: Mapping[str, Any]) -> list[str]:
    """Machine, slot, address and class of a slot."""
    return [str(slot["Machine"]), str(slot["Name"]), address(str(slot.get("MyAddress", ""))), str(slot.get("WorkerClass", ""))]


def occupation(slot: Mapping[str, Any]) -> list[tuple[list[str], bool]]:
    """Labels, and whether a job is there, of what counts in the busy fraction of the pool.

    A slot with or for one job counts as one. A partitionable slot counts as many idle ones as it has cores left (``slot1@host/1``): none
    where all its cores are with its dynamic slots, so that a full pool is busy by 1.
    """
    if kind(slot) != "Partitionable":
        return [(labels(slot), busy(slot))]
    machine, name, *others = labels(slot)
    return [([machine, f"{name}/{core}", *others], False) for core in range(1, int(slot.get("Cpus", 0)) + 1)]


def jobs_by_machine(slots: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Machine to the number of its slots with a job."""
    found: dict[str, int] = {}
    for slot in slots:
        machine = str(slot["Machine"])
        found[machine] = found.get(machine, 0) + busy(slot)
    return found
