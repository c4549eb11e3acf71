"""Options of a site's ``provider:`` mapping that several providers have, read and checked."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from cantiere.errors import Problem, rather
from cantiere.machines.model import WORLD, Opening
from cantiere.providers.base import LAST_PORT
from cantiere.providers.places import Places

SECRETS = frozenset({"auth", "password", "username", "token", "application_credential_id", "application_credential_secret"})
"""What belongs into a client's own configuration and never into a site's file."""
FLOATING = ("control-plane", "all", "none")
"""Which machines get an address of the outside world."""
PORT_KEYS = ("port", "protocol", "from")
FIRST, LAST = 20, 6
"""Addresses of a network of our own that are left out at its begin and at its end: gateway, DHCP, and a virtual address."""
SMALLEST = 26
"""Longest prefix of a network of machines."""
STAND_IN = ipaddress.IPv4Network("192.0.2.0/24")


@dataclass(frozen=True, slots=True)
class OpenPort:
    """A port that the site opens on all machines to others than its admins.

    Parameters
    ----------
    port, protocol:
        Number, and ``tcp`` or ``udp``.
    sources:
        Networks in CIDR notation.
    asks:
        Who asks for it.
    last:
        Of several ports in a row the last; 0 is one port.
    pool:
        Whose machines; ``""`` is all of them.
    """

    port: int
    protocol: str
    sources: tuple[str, ...]
    asks: str = "open_ports"
    last: int = 0
    pool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Whom a site lets in.

    Parameters
    ----------
    admin_cidrs:
        Networks from which machines are logged in to, and from which the API and the registry are used.
    open_ports:
        What else is open.
    public_cidrs:
        Networks to which the ports are open that the template asks for.
    """

    admin_cidrs: tuple[str, ...] = ()
    open_ports: tuple[OpenPort, ...] = ()
    public_cidrs: tuple[str, ...] = (WORLD,)

    def with_doors(self, doors: Iterable[Opening]) -> Self:
        """With ports open to the public that nodes of the template ask for.

        Parameters
        ----------
        doors:
            What they ask for; of its sources, those count that are the site's public.
        """
        public = [ipaddress.IPv4Network(cidr) for cidr in self.public_cidrs]
        asked = (
            OpenPort(door.first, door.protocol, _common(door.source, public), f"node {door.node} of the template", door.last, door.pool)
            for door in doors
        )
        return replace(self, open_ports=(*self.open_ports, *asked))


def _common(source: str, public: Iterable[ipaddress.IPv4Network]) -> tuple[str, ...]:
    """What a network has in common with the site's public: two networks are apart, or one is in the other."""
    asked = ipaddress.IPv4Network(source)
    return tuple(str(cidr if cidr.subnet_of(asked) else asked) for cidr in public if cidr.overlaps(asked))


class Reader:
    """Reads options and records what is wrong with them.

    Parameters
    ----------
    given:
        The site's ``provider:`` mapping.
    file:
        The site's file, for the places in messages.
    """

    code: ClassVar[str]
    """Code of what is wrong with an option."""

    def __init__(self, given: Mapping[str, Any], file: Path | None) -> None:
        self.given, self.places, self.problems = given, Places(file), list[Problem]()

    def _wrong(self, message: str, remedy: str, *at: str | int) -> None:
        path = ("provider", *at)
        self.problems.append(Problem(self.code, message, remedy, self.places.of(path), ".".join(map(str, path))))

    def _text(self, key: str, needed: str = "") -> str:
        value = self.given.get(key) or ""
        if not isinstance(value, str):
            self._wrong(f"{key} is no text", "put it in quotes", key)
        elif needed and not value:
            self._wrong(f"{key} is missing", needed, key)
        return str(value)

    def _texts(self, key: str) -> tuple[str, ...]:
        value = self.given.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._wrong(f"{key} is no list of texts", f"write `{key}: [one, two]`", key)
            return ()
        return tuple(value)

    def _choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.given.get(key, allowed[0])
        if value not in allowed:
            self._wrong(f"{key} cannot be {value!r}", f"use one of: {', '.join(allowed)}", key)
        return str(value)

    def _flag(self, key: str) -> bool:
        value = self.given.get(key, False)
        if not isinstance(value, bool):
            self._wrong(f"{key} is neither true nor false", f"write `{key}: true` or leave it out", key)
        return bool(value)

    def _mapping(self, value: Any, known: tuple[str, ...], *at: str | int) -> Mapping[str, Any]:
        """A mapping with known keys; an empty one where it is something else."""
        if not isinstance(value, dict):
            self._wrong(f"{at[-1]} is no mapping", f"write it with the keys {', '.join(known)}", *at)
            return {}
        for key in value:
            if key not in known:
                self._wrong(f"{at[-1]} has no {key!r}", rather([str(key)], known), *at, key)
        return value

    def _cidrs(self, value: Any, *at: str | int) -> tuple[str, ...]:
        found = []
        for number, item in enumerate(value if isinstance(value, list) else []):
            try:
                found.append(str(ipaddress.IPv4Network(item)))
            except ValueError as error:
                self._wrong(f"{item!r} is no network: {error}", "write it like 192.0.2.0/24, one machine as 192.0.2.7/32", *at, number)
        if not isinstance(value, list) or not value:
            self._wrong(f"{at[-1]} names no network", f"write `{at[-1]}: [192.0.2.0/24]`; nothing is opened that is not asked for", *at)
        return tuple(found)

    def _public_cidrs(self) -> tuple[str, ...]:
        return self._cidrs(self.given.get("public_cidrs", [WORLD]), "public_cidrs")

    def _open_ports(self) -> tuple[OpenPort, ...]:
        found = []
        for number, item in enumerate(self.given.get("open_ports") or []):
            entry = self._mapping(item, PORT_KEYS, "open_ports", number)
            port, protocol = entry.get("port"), entry.get("protocol", "tcp")
            if type(port) is not int or not 0 < port <= LAST_PORT:
                self._wrong(f"{port!r} is no port", "write a number such as 443", "open_ports", number, "port")
                continue
            if protocol not in ("tcp", "udp"):
                self._wrong(f"protocol cannot be {protocol!r}", "use tcp or udp", "open_ports", number, "protocol")
            found.append(OpenPort(port, str(protocol), self._cidrs(entry.get("from"), "open_ports", number, "from")))
        return tuple(found)

    def _addresses(self, network: Mapping[str, Any]) -> tuple[ipaddress.IPv4Network, ipaddress.IPv4Address, ipaddress.IPv4Address]:
        """The machines' network, and the first and the last address that they may get; with a stand-in where it is wrong."""
        subnet = STAND_IN
        try:
            subnet = ipaddress.IPv4Network(network.get("subnet", ""))
            if subnet.prefixlen > SMALLEST:
                self._wrong(f"{subnet} is too small for machines", f"use a /{SMALLEST} or larger", "network", "subnet")
                subnet = STAND_IN
        except ValueError as error:
            self._wrong(f"network.subnet: {error}", "write the machines' network, for example 10.30.0.0/24", "network", "subnet")
        first = self._bound(network, "first_address", subnet, FIRST)
        return subnet, first, self._bound(network, "last_address", subnet, subnet.num_addresses - LAST)

    def _bound(self, value: Mapping[str, Any], key: str, subnet: ipaddress.IPv4Network, usual: int) -> ipaddress.IPv4Address:
        usually = subnet.network_address + usual
        if key not in value:
            return usually
        try:
            address = ipaddress.IPv4Address(value[key])
        except ValueError:
            address = ipaddress.IPv4Address(0)
        if address not in subnet:
            self._wrong(f"{key} {value[key]!r} is no address of {subnet}", f"for example {usually}", "network", key)
            return usually
        return address
