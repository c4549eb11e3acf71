"""Ports that pools open to the outside: in the machines' own firewall, and what is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cantiere.machines import openings
from cantiere.machines.model import Opening
from cantiere.machines.roles import Context, variables
from cantiere.machines.wanted import Network, check, machines
from cantiere.model import Facility
from cantiere.tosca.compile import load


def facility(repository: Path, *ports: dict[str, Any]) -> Facility:
    """Ours, with ports of its workers."""
    loaded = load(repository / "tosca" / "templates" / "facility.yaml", {"worker_machines": 1}).facility
    given = [{"protocol": "tcp", "from": "0.0.0.0/0", **port} for port in ports]
    nodes = (
        replace(node, properties={**node.properties, "public_ports": given}) if node.name == "worker" else node for node in loaded.nodes
    )
    return replace(loaded, nodes=tuple(nodes))


def test_a_machine_lets_in_what_its_pool_opens(repository: Path) -> None:
    asked = facility(repository, {"port": 443}, {"port": 9000, "last_port": 9100, "protocol": "udp", "from": "192.0.2.0/24"})
    placed = [replace(machine, address=f"10.0.0.{number}") for number, machine in enumerate(machines(asked), 1)]
    context = Context(placed, Network(), "1.36.3", "control-1")
    found = {machine.name: variables(machine, context).get("base_firewall_ports", []) for machine in placed}
    assert found["worker-1"] == [
        {"port": 443, "protocol": "tcp", "from": []},
        {"port": "9000-9100", "protocol": "udp", "from": ["192.0.2.0/24"]},
    ]
    assert found["control-1"] == [{"port": 6443, "protocol": "tcp", "from": []}]
    assert openings.of(asked)[-2:] == (
        Opening("worker", 443, 443, pool="worker"),
        Opening("worker", 9000, 9100, "udp", "192.0.2.0/24", "worker"),
    )


def test_ports_that_cannot_be_are_told_at_their_pool(repository: Path) -> None:
    asked = facility(repository, {"port": 90, "last_port": 80}, {"port": 443, "from": "192.0.2.7/24"})
    found = check(asked, Network())
    assert [(problem.code, problem.path.rpartition("public_ports.")[2]) for problem in found] == [
        ("pool.ports", "0.last_port"),
        ("pool.ports", "1.from"),
    ]
    assert {problem.where for problem in found} == {asked.node("worker").where} and all(problem.remedy for problem in found)
