"""What the ClassAd of a slot says. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ATTRIBUTES = ["Name", "Machine", "MyAddress", "State", "Activity", "SlotType", "Cpus"]
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
    """Machine, slot and address of a slot."""
    return [str(slot["Machine"]), str(slot["Name"]), address(str(slot.get("MyAddress", "")))]
