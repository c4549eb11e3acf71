"""Ports of machines of the dialect: open on a public network, closed and told on others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cantiere.machines import openings
from cantiere.machines.model import Opening
from cantiere.machines.wanted import Network, check
from support.indigo import written
from support.templates import Loader
from unit.indigo.test_translate import FRONT, lines, tosca

__all__ = ["tosca"]
SERVER = "    vm: {{type: tosca.nodes.indigo.Compute, capabilities: {{endpoint: {{properties: {{network_name: {}, ports: {}}}}}}}}}\n"


def test_ports_on_a_public_network_are_open(tosca: Loader) -> None:
    """All of them to everybody but where the template says who; one network of several may be named after it."""
    given = "{http: {source: 80}, data: {protocol: udp, source_range: [9000, 9100], remote_cidr: 192.0.2.0/24}, back: {target: 8080}}"
    loaded = tosca(written(SERVER.format("PUBLIC.outside", given)))
    asked = [Opening("vm", 80, 80), Opening("vm", 9000, 9100, "udp", "192.0.2.0/24"), Opening("vm", 8080, 8080)]
    assert openings.of(loaded.facility) == tuple(replace(opening, pool="vm") for opening in asked)
    assert not [line for line in lines(loaded, "dialect.left") if "ports" in line]


def test_a_port_that_binds_a_machine_to_a_public_network_opens_its_ports(tosca: Loader) -> None:
    """As INFN Cloud writes it: networks, and ports that link machines to them, are nodes of their own."""
    network = "    net: {{type: tosca.nodes.network.Network, properties: {{network_type: {}}}}}\n"
    bound = "    way: {type: tosca.nodes.network.Port, properties: {order: 0}, requirements: [{binding: vm}, {link: net}]}\n"
    server = SERVER.format("PRIVATE", "{http: {source: 80}}")
    public, private = (tosca(written(server + bound + network.format(kind))) for kind in ("public", "private"))
    assert [opening.first for opening in openings.of(public.facility)] == [80] and openings.of(private.facility) == ()


def test_ports_on_another_network_stay_closed_and_are_told(tosca: Loader) -> None:
    loaded = tosca(written(SERVER.format("PRIVATE", "{http: {protocol: tcp, source: 80}}")))
    assert openings.of(loaded.facility) == ()
    assert (
        "6 'endpoint.ports' of 'vm' has no effect: it is on no public network, so that only machines of the facility reach its ports."
        in (lines(loaded, "dialect.left"))
    )


@pytest.mark.parametrize(
    ("ports", "codes"),
    [
        ("{a: {protocol: igmp, source: 80}, b: {protocol: tcp}}", ["dialect.port:6", "dialect.port:6"]),
        ("{a: {source: 70000}}", ["property.constraint:6"]),
        ("{a: {protocol: http, source: 80}}", ["property.constraint:6"]),
    ],
)
def test_ports_that_cannot_be(tosca: Loader, ports: str, codes: list[str]) -> None:
    assert tosca.codes(written(SERVER.format("PUBLIC", ports))) == codes


@pytest.mark.parametrize("wrong", ["remote_cidr: campus", "remote_cidr: '2001:db8::/32'"])
def test_a_source_that_is_no_network_is_told_at_its_machine(tosca: Loader, wrong: str) -> None:
    facility = tosca(written(FRONT + SERVER.format("PUBLIC", "{http: {source: 80, " + wrong + "}}").replace("vm:", "web:"))).facility
    (problem,) = check(facility, Network())
    assert problem.where is not None and (problem.code, problem.where.line) == ("pool.ports", 8)
    assert problem.path.endswith("web.properties.public_ports.0.from") and "IPv4 network" in problem.remedy
