from __future__ import annotations

from cantiere.bridge import interface_of

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
podman5\t0000890A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0
"""


def test_the_interface_of_a_subnet_is_the_one_that_its_route_names() -> None:
    assert interface_of("10.137.0.0/20", ROUTES) == "podman5"
    assert interface_of("10.138.0.0/20", ROUTES) is None
    assert interface_of("10.137.0.0/24", ROUTES) is None
