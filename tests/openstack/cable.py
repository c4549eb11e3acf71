"""The way between this machine and the bed: one cable, a route to the floating addresses, and translation to the outside."""

from __future__ import annotations

from cantiere.providers.nspawn.network import outside_mtu
from cantiere.providers.nspawn.shell import ask, must
from tests.openstack.layout import API, CABLE, FLOATING, HOST, LINK, NAME, SUBNET, UPLINK

RULES = f"""\
add table ip {NAME}
delete table ip {NAME}
table ip {NAME} {{
    chain out {{
        type nat hook postrouting priority 100
        ip saddr {SUBNET} ip daddr != {SUBNET} masquerade
    }}
}}
"""


def plug(process: int) -> None:
    """Lay the cable into the network namespace of a process."""
    mtu = str(outside_mtu())
    must("ip", "link", "add", CABLE, "mtu", mtu, "type", "veth", "peer", "name", UPLINK, "mtu", mtu, "netns", str(process))
    must("ip", "address", "add", f"{HOST}/{LINK}", "dev", CABLE)
    must("ip", "link", "set", CABLE, "up")
    must("ip", "route", "add", str(FLOATING), "via", API)
    must("nft", "-f", "-", stdin=RULES)


def unplug() -> None:
    """Remove cable, route and translation, as far as they are there."""
    if not ask("ip", "link", "show", CABLE).returncode:
        ask("ip", "link", "delete", CABLE)  # it may go meanwhile, with a namespace that has just ended
    if not ask("nft", "list", "table", "ip", NAME).returncode:
        must("nft", "delete", "table", "ip", NAME)
