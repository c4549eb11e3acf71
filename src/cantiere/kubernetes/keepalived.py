"""The configuration of keepalived: one address that one of several machines holds. Pure.

Source: keepalived.conf(5). Every machine counts its own API server into its priority, so that the address goes to a machine that
serves it; where none does, the machine with the highest priority of its own holds it, which is what ``kubeadm init`` needs.
"""

from __future__ import annotations

from collections.abc import Sequence

HEALTHY = 50
"""What a healthy API server adds to the priority; own priorities differ by less."""


def config(address: str, interface: str, own: str, priority: int, peers: Sequence[str], router_id: int, interval: float, check: str) -> str:
    """The text of ``keepalived.conf``.

    Parameters
    ----------
    address:
        The virtual address, without its prefix length.
    interface:
        Where it is held.
    own:
        The machine's own address on that interface.
    priority:
        1 to 200; differs between machines by less than 50.
    peers:
        Addresses of the other machines; they are told one by one, so that no multicast is needed.
    router_id:
        1 to 255, the same on all machines; no other pair on the network may have it.
    interval:
        Seconds between two signs of life; the address moves after a little more than three of them.
    check:
        Path of the program that ends with 0 while this machine's API server answers.
    """
    lines = [
        "# written by cantiere",
        "global_defs {",
        "    vrrp_version 3",
        "    enable_script_security",
        "    script_user nobody",
        "    vrrp_garp_master_refresh 30",
        "}",
        "vrrp_script api {",
        f'    script "{check}"',
        "    interval 1",
        "    timeout 3",
        "    fall 2",
        "    rise 1",
        f"    weight {HEALTHY}",
        "}",
        "vrrp_instance api {",
        "    state BACKUP",
        f"    interface {interface}",
        f"    virtual_router_id {router_id}",
        f"    priority {priority}",
        f"    advert_int {interval:g}",
        f"    unicast_src_ip {own}",
    ]
    if peers:
        lines += ["    unicast_peer {", *(f"        {peer}" for peer in sorted(peers)), "    }"]
    lines += [
        "    virtual_ipaddress {",
        f"        {address}/32 dev {interface}",
        "    }",
        "    track_script {",
        "        api",
        "    }",
        "}",
        "",
    ]
    return "\n".join(lines)
