"""A fleet looks at its provider once to know how far its pools have grown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cantiere.machines.fleet import Fleet
from cantiere.machines.wanted import POOL
from cantiere.tosca.compile import load


class Counting:
    """A provider that counts how often somebody looks."""

    def __init__(self, *names: str) -> None:
        self.names, self.looks = names, 0

    def observe(self) -> dict[str, None]:
        self.looks += 1
        return dict.fromkeys(self.names)


def fleet(repository: Path, most: int, provider: Counting) -> Fleet:
    facility = load(repository / "tosca" / "templates" / "facility.yaml", {"worker_machines": 1}).facility
    nodes = tuple(
        replace(node, properties={**node.properties, "max_count": most}) if node.type == POOL and node.name == "worker" else node
        for node in facility.nodes
    )
    site: Any = SimpleNamespace()
    made = Fleet(site, replace(facility, nodes=nodes))
    made.__dict__["provider"] = provider
    return made


def test_a_pool_keeps_what_it_has_grown_to_by_one_look(repository: Path) -> None:
    provider = Counting("control-1", "worker-1", "worker-2", "worker-3")
    growing = fleet(repository, 5, provider)
    names = [machine.name for machine in growing.asked() if machine.name.startswith("worker")]
    assert names == ["worker-1", "worker-2", "worker-3"]
    provider.names = ()
    assert growing.asked() == growing.asked() and len(growing.asked()) == 4, "what goes meanwhile was not asked to go"
    assert provider.looks == 1


def test_nobody_looks_where_no_pool_grows(repository: Path) -> None:
    provider = Counting("worker-1", "worker-2")
    assert [machine.name for machine in fleet(repository, 1, provider).asked()] == ["control-1", "worker-1"]
    assert provider.looks == 0
