"""The facility's bridge keeps its hardware address.

A Linux bridge takes the lowest hardware address of its ports unless it was given one. A container that comes or goes (a notebook) can
change it; the other containers then answer the machine at an address that is no longer there, until their ARP entries expire, and
whoever talks to a service waits for most of a minute.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

SIOCSIFHWADDR = 0x8924
ARPHRD_ETHER = 1
GIVEN = "3"
"""What ``addr_assign_type`` says of an address that was set."""

INTERFACES = Path("/sys/class/net")
ROUTES = Path("/proc/net/route")


def routes(text: str) -> Iterator[tuple[str, ipaddress.IPv4Network]]:
    """Interface and network of every route.

    Parameters
    ----------
    text:
        The content of ``/proc/net/route``.
    """
    for line in text.splitlines()[1:]:
        name, target, *rest = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(word), "little") for word in (target, rest[5]))
        yield name, ipaddress.IPv4Network((address, str(ipaddress.IPv4Address(mask))))


def interface_of(subnet: str, text: str) -> str | None:
    """Name of the interface that leads to a subnet, or None.

    Parameters
    ----------
    subnet:
        In CIDR notation.
    text:
        The content of ``/proc/net/route``.
    """
    wanted = ipaddress.IPv4Network(subnet)
    return next((name for name, network in routes(text) if network == wanted), None)


def pin(subnet: str) -> None:
    """Give the bridge of a subnet, where there is one, the address that it has."""
    name = interface_of(subnet, ROUTES.read_text(encoding="ascii"))
    if name is None or not (INTERFACES / name / "bridge").is_dir() or _read(name, "addr_assign_type") == GIVEN:
        return
    address = bytes.fromhex(_read(name, "address").replace(":", ""))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFHWADDR, struct.pack("16sH6s8x", name.encode(), ARPHRD_ETHER, address))


def _read(name: str, what: str) -> str:
    return (INTERFACES / name / what).read_text(encoding="ascii").strip()
