"""The machines that a site's file lists, read and checked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cantiere.errors import Problem
from cantiere.machines.model import Machine
from cantiere.providers.base import LAST_PORT, NAME
from cantiere.providers.places import Places

HOST_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,3}")
ROLES = (
    "control-plane",
    "worker",
    "storage",
    "gpu",
    "htcondor-central-manager",
    "htcondor-access-point",
    "htcondor-execute-point",
    "xrootd-origin",
    "xrootd-cache",
    "xrootd-redirector",
    "nfs-server",
    "squid",
    "cvmfs",
    "registry",
)
OPTIONS = ("type", "machines")
KEYS = ("name", "address", "user", "port", "key", "roles", "labels", "host_key", "gpus")


@dataclass(frozen=True, slots=True)
class Host:
    """A machine that the site has.

    Parameters
    ----------
    name:
        Its name in the list.
    address, user, port, key, host_key:
        See :class:`cantiere.machines.model.Machine`.
    roles:
        What it may be used for; empty for anything.
    labels:
        What it is like: zone, kind of disk; also labels of its Kubernetes node.
    gpus:
        How many NVIDIA GPUs it has, where its PCI bus does not tell, or None.
    """

    name: str
    address: str
    user: str = "root"
    port: int = 22
    key: str = ""
    host_key: str = ""
    roles: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    gpus: int | None = None

    def machine(self) -> Machine:
        """It as a machine that can be reached, under its own name."""
        return Machine(self.name, "", self.roles, self.address, self.user, self.port, self.key, host_key=self.host_key)


def read(options: Mapping[str, Any], file: Path | None) -> tuple[tuple[Host, ...], list[Problem]]:
    """The listed machines, and everything that is wrong with the list.

    Parameters
    ----------
    options:
        The site's ``provider:`` mapping.
    file:
        The site's file, for the places in messages.
    """
    reader = _Reader(file)
    for key in options:
        if key not in OPTIONS:
            reader.wrong(f"there is no option {key!r} of provider hosts", f"use: {', '.join(OPTIONS)}", (key,))
    entries = options.get("machines")
    if not isinstance(entries, list) or not entries:
        reader.wrong(
            "provider hosts lists no machines", "write `machines:` with `- {name: node1, address: 192.0.2.11}` lines", ("machines",)
        )
        entries = []
    hosts = {number: host for number, entry in enumerate(entries) if (host := reader.host(entry, number)) is not None}
    for key in ("name", "address"):
        reader.unique(hosts, key)
    return tuple(hosts.values()), reader.problems


class _Reader:
    """Reads entries and records what is wrong with them."""

    def __init__(self, file: Path | None) -> None:
        self.places, self.problems = Places(file), list[Problem]()

    def wrong(self, message: str, remedy: str, at: Sequence[str | int]) -> None:
        path = ("provider", *at)
        self.problems.append(Problem("hosts.machine", message, remedy, self.places.of(path), ".".join(map(str, path))))

    def host(self, entry: Any, number: int) -> Host | None:
        """One entry; None where it is none."""
        at = ("machines", number)
        if not isinstance(entry, dict):
            self.wrong(f"machine {number + 1} of the list is no mapping", "write {name: node1, address: 192.0.2.11}", at)
            return None
        before = len(self.problems)
        for key in entry:
            if key not in KEYS:
                self.wrong(f"a machine has no {key!r}", f"use: {', '.join(KEYS)}", (*at, str(key)))
        self._check(entry, at)
        if len(self.problems) > before:
            return None
        labels = {str(key): str(value) for key, value in (entry.get("labels") or {}).items()}
        return Host(**{**entry, "roles": tuple(entry.get("roles") or ()), "labels": labels})

    def _check(self, entry: Mapping[str, Any], at: tuple[str, int]) -> None:
        name, address, port, gpus = entry.get("name"), entry.get("address"), entry.get("port", 22), entry.get("gpus")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.wrong(f"a machine cannot have the name {name!r}", "use lower-case letters, digits and hyphens", (*at, "name"))
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            self.wrong(f"{name}: {address!r} is no IPv4 address", "write an address like 192.0.2.11", (*at, "address"))
        if type(port) is not int or not 0 < port <= LAST_PORT:
            self.wrong(f"{name}: {port!r} is no port", "write a number such as 22", (*at, "port"))
        for key in ("user", "key", "host_key"):
            if not isinstance(entry.get(key, ""), str):
                self.wrong(f"{name}: {key} is no text", "put it in quotes", (*at, key))
        roles = entry.get("roles") or []
        unknown = [role for role in roles if role not in ROLES] if isinstance(roles, list) else [roles]
        if unknown:
            self.wrong(f"{name}: there is no role {unknown[0]!r}", f"use a list of: {', '.join(ROLES)}", (*at, "roles"))
        if not isinstance(entry.get("labels") or {}, dict):
            self.wrong(f"{name}: labels are a mapping", "write {zone: a}", (*at, "labels"))
        if gpus is not None and (type(gpus) is not int or gpus < 0):
            self.wrong(f"{name}: {gpus!r} is no number of GPUs", "write a number, or leave it out", (*at, "gpus"))
        key = entry.get("host_key") or ""
        if isinstance(key, str) and key and not HOST_KEY.match(key):
            remedy = "write type and key as `ssh-keyscan -t ed25519 ADDRESS` shows them after the address"
            self.wrong(f"{name}: this is no SSH host key", remedy, (*at, "host_key"))

    def unique(self, hosts: Mapping[int, Host], key: str) -> None:
        """Record that several machines have the same name or address."""
        seen: set[str] = set()
        for number, host in hosts.items():
            value = getattr(host, key)
            if value in seen:
                self.wrong(f"two machines have the {key} {value}", "list each machine once", ("machines", number, key))
            seen.add(value)
