"""Machines' network: a bridge of the site's own with translation to the outside, and a namespace with one cable to it per machine."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cantiere.providers.nspawn.shell import ask, must

FIRST = 11
"""Offset of the first machine's address in the subnet; below are the gateway and the user's own."""
RESERVED = 16
"""Addresses at the end of the subnet that are never given to machines: virtual addresses."""
INSIDE = "host0"
NETNS = Path("/run/netns")


@dataclass(frozen=True, slots=True)
class Network:
    """Names and addresses of a site's network.

    Parameters
    ----------
    prefix:
        The site's prefix.
    subnet:
        In CIDR notation.
    """

    prefix: str
    subnet: ipaddress.IPv4Network

    @property
    def bridge(self) -> str:
        """Name of the bridge."""
        return f"ct-{_short(self.prefix, 8)}"

    @property
    def gateway(self) -> str:
        """The bridge's own address: the first of the subnet."""
        return str(self.subnet.network_address + 1)

    def namespace(self, name: str) -> str:
        """Name of a machine's network namespace."""
        return f"{self.prefix}-{name}"

    def label(self, name: str) -> str:
        """What the container manager calls a machine: the same, in letters that a host name may have."""
        return re.sub(r"[^A-Za-z0-9.-]", "-", self.namespace(name))

    def cable(self, name: str) -> str:
        """Name of the host's end of a machine's cable."""
        return f"cv{_short(self.namespace(name), 10)}"

    def addresses(self, names: Iterable[str], kept: Mapping[str, str]) -> dict[str, str]:
        """An address for every machine; those that have one keep it, others get the lowest free, and none where all are taken.

        Parameters
        ----------
        names:
            The machines wanted, in their order.
        kept:
            Machine to the address that it was made with.
        """
        taken = set(kept.values())
        last = max(self.subnet.num_addresses - RESERVED, FIRST)
        free = (str(self.subnet.network_address + offset) for offset in range(FIRST, last + 1))
        given: dict[str, str] = {}
        for name in names:
            address = kept.get(name) or next((address for address in free if address not in taken), "")
            if address:
                given[name] = address
        return given

    def made(self) -> bool:
        """Whether bridge and translation are there."""
        bridge = ask("ip", "-json", "address", "show", "dev", self.bridge)
        if bridge.returncode or f'"{self.gateway}"' not in bridge.stdout or '"UP"' not in bridge.stdout:
            return False
        table = ask("nft", "list", "table", "ip", self.prefix)
        return table.returncode == 0 and str(self.subnet) in table.stdout

    def make(self, lineage: str, names: Iterable[str]) -> None:
        """Make bridge and translation, and plug the cables of machines that run into it again.

        Parameters
        ----------
        lineage:
            Kept with the bridge.
        names:
            Machines that exist.
        """
        if ask("ip", "link", "show", self.bridge).returncode:
            must("ip", "link", "add", self.bridge, "address", _hardware(self.bridge), "type", "bridge")
        must("ip", "link", "set", self.bridge, "alias", f"cantiere {self.prefix} {lineage}", "up")
        must("ip", "address", "replace", f"{self.gateway}/{self.subnet.prefixlen}", "dev", self.bridge)
        rule = f"ip saddr {self.subnet} ip daddr != {self.subnet} masquerade"
        chain = f"chain out {{\ntype nat hook postrouting priority 100\n{rule}\n}}"
        table = f"table ip {self.prefix}"
        must("nft", "-f", "-", stdin=f"add {table}\ndelete {table}\n{table} {{\n{chain}\n}}\n")
        for name in names:
            if not ask("ip", "link", "show", self.cable(name)).returncode:
                must("ip", "link", "set", self.cable(name), "master", self.bridge, "up")

    def remove(self) -> None:
        """Remove bridge and translation."""
        if not ask("ip", "link", "show", self.bridge).returncode:
            must("ip", "link", "delete", self.bridge)
        if not ask("nft", "list", "table", "ip", self.prefix).returncode:
            must("nft", "delete", "table", "ip", self.prefix)

    def plug(self, name: str, address: str) -> Path:
        """Give a machine that does not run a new namespace with one cable; returns the namespace's path."""
        self.unplug(name)
        namespace, cable, mtu = self.namespace(name), self.cable(name), outside_mtu()
        peer = f"peer name {INSIDE} address {_hardware(namespace)} mtu {mtu} netns {namespace}"
        outer = [f"netns add {namespace}", f"link add {cable} mtu {mtu} type veth {peer}"]
        outer += [f'link set {cable} alias "cantiere {self.prefix} {name}" master {self.bridge} up']
        inner = ["link set lo up", f"address add {address}/{self.subnet.prefixlen} dev {INSIDE}", f"link set {INSIDE} up"]
        inner += [f"route add default via {self.gateway}"]
        must("ip", "-batch", "-", stdin="\n".join(outer) + "\n")
        must("ip", "-n", namespace, "-batch", "-", stdin="\n".join(inner) + "\n")
        return NETNS / namespace

    def unplug(self, name: str) -> None:
        """Remove a machine's namespace and cable."""
        if not ask("ip", "link", "show", self.cable(name)).returncode:
            ask("ip", "link", "delete", self.cable(name))  # it may go meanwhile, with a namespace that has just ended
        if (NETNS / self.namespace(name)).exists():
            must("ip", "netns", "delete", self.namespace(name))

    def taken_by(self) -> str:
        """The host's own route that overlaps the subnet and is not ours, or ``""``."""
        for route in json.loads(must("ip", "-json", "-4", "route", "show", "table", "all")):
            there = route["dst"]
            if there == "default" or route.get("dev") in (self.bridge, "lo"):
                continue
            if ipaddress.IPv4Network(there, strict=False).overlaps(self.subnet):
                return f"{there} dev {route.get('dev', '?')}"
        return ""


def outside_mtu() -> int:
    """Largest packet in bytes that leaves the host by its default route."""
    routes = json.loads(must("ip", "-json", "-4", "route", "show", "default"))
    device = Path("/sys/class/net", routes[0]["dev"], "mtu") if routes else None
    return int(device.read_text(encoding="utf-8")) if device and device.is_file() else 1500


def _short(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _hardware(name: str) -> str:
    """A locally administered hardware address that stays the same when the interface is made again."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return "02:" + ":".join(digest[position : position + 2] for position in range(0, 10, 2))
