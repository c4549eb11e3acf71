"""What a site's file says of its cloud, read and checked."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cantiere.errors import Problem, rather
from cantiere.providers.openstack import prices
from cantiere.providers.openstack.prices import Prices
from cantiere.providers.reading import FLOATING, SECRETS, Access, Reader

KEYS = (
    "type",
    "cloud",
    "region",
    "zones",
    "network",
    "image",
    "flavors",
    "pool_flavors",
    "floating_ips",
    "admin_cidrs",
    "open_ports",
    "public_cidrs",
    "boot_volume",
    "data_volumes",
    "anti_affinity",
    "other_flavors",
    "online_extend",
    "prices",
    "lineage",
)
NETWORK_KEYS = ("name", "subnet", "external", "dns", "first_address", "last_address")
VOLUME_KEYS = ("size", "type")
AFFINITY = ("soft", "hard", "none")


@dataclass(frozen=True, slots=True)
class NetworkWanted:
    """The machines' network.

    Parameters
    ----------
    name:
        An existing network of the project; ``""`` makes one.
    subnet:
        Its IPv4 subnet.
    external:
        Network of the outside world: what the router leads to, and where floating IPs come from.
    dns:
        Name servers of a subnet that is made.
    first, last:
        The machines' addresses lie between these.
    """

    name: str
    subnet: ipaddress.IPv4Network
    external: str
    dns: tuple[str, ...]
    first: ipaddress.IPv4Address
    last: ipaddress.IPv4Address


@dataclass(frozen=True, slots=True)
class VolumeWanted:
    """A volume of each machine.

    Parameters
    ----------
    size:
        GiB.
    kind:
        Volume type, or ``""`` for the cloud's default.
    """

    size: int
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Options(Access):
    """A site's ``provider:`` mapping.

    Parameters
    ----------
    cloud, region:
        Name in clouds.yaml, and one of its regions (``""`` is the only one).
    zones:
        Availability zones; a pool's machines are spread over them. Empty leaves it to the cloud.
    network:
        The machines' network.
    image:
        ``name``, ``properties`` or both; the newest that has them.
    flavors:
        Patterns of flavors that may be taken; empty allows all.
    pool_flavors:
        Pool to the patterns that hold for it instead.
    floating_ips:
        Which machines get one: ``control-plane``, ``all`` or ``none``.
    boot_volume:
        The volume that machines boot from; None boots from the flavor's own disk.
    data_volumes:
        Pool to the volume that each of its machines has beside.
    anti_affinity:
        Whether control planes are kept on different hosts: ``soft``, ``hard`` or ``none``.
    other_flavors:
        Whether the next larger flavor is tried where no host has room.
    online_extend:
        Whether volumes grow while they are attached, which not every volume type bears.
    prices:
        The price list, by which the cheapest flavor is chosen and plans tell their cost; None chooses the smallest.
    lineage:
        Lineage of a facility whose state was lost, as objects in the project carry it.
    """

    cloud: str
    region: str
    zones: tuple[str, ...]
    network: NetworkWanted
    image: Mapping[str, Any]
    flavors: tuple[str, ...] = ()
    pool_flavors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    floating_ips: str = FLOATING[0]
    boot_volume: VolumeWanted | None = None
    data_volumes: Mapping[str, VolumeWanted] = field(default_factory=dict)
    anti_affinity: str = AFFINITY[0]
    other_flavors: bool = False
    online_extend: bool = False
    prices: Prices | None = None
    lineage: str = ""

    def flavors_of(self, pool: str) -> tuple[str, ...]:
        """Patterns of the flavors that machines of a pool may have; empty allows all."""
        return self.pool_flavors.get(pool, self.flavors)


def read(given: Mapping[str, Any], file: Path | None) -> tuple[Options | None, list[Problem]]:
    """The options, and everything that is wrong with them; None where something is.

    Parameters
    ----------
    given:
        The site's ``provider:`` mapping.
    file:
        The site's file, for the places in messages.
    """
    reader = _Options(given, file)
    options = reader.options()
    return (None if reader.problems else options), reader.problems


class _Options(Reader):
    """Reads the options of provider openstack."""

    code = "openstack.option"

    def options(self) -> Options:
        """All of them; with stand-ins for those that are wrong."""
        for key in self.given:
            if key in SECRETS:
                self._wrong(f"{key} is no part of a site's file", "put it into clouds.yaml, and name that cloud here as `cloud:`", key)
            elif key not in KEYS:
                self._wrong(f"there is no option {key!r} of provider openstack", rather([str(key)], KEYS), key)
        return Options(
            cloud=self._text("cloud", "name a cloud of your clouds.yaml (`cloud: mycloud`)"),
            region=self._text("region"),
            zones=self._texts("zones"),
            network=self._network(),
            image=self._image(),
            flavors=self._texts("flavors"),
            pool_flavors=self._pool_flavors(),
            floating_ips=self._choice("floating_ips", FLOATING),
            admin_cidrs=self._cidrs(self.given.get("admin_cidrs"), "admin_cidrs"),
            open_ports=self._open_ports(),
            public_cidrs=self._public_cidrs(),
            boot_volume=self._volume(self.given.get("boot_volume"), "boot_volume"),
            data_volumes=self._data_volumes(),
            anti_affinity=self._choice("anti_affinity", AFFINITY),
            other_flavors=self._flag("other_flavors"),
            online_extend=self._flag("online_extend"),
            prices=self._prices(),
            lineage=self._text("lineage"),
        )

    def _prices(self) -> Prices | None:
        found, problems = prices.read(self.given.get("prices"), self.places.file)
        self.problems += problems
        return found

    def _volume(self, value: Any, *at: str) -> VolumeWanted | None:
        if value is None:
            return None
        entry = self._mapping(value, VOLUME_KEYS, *at)
        size = entry.get("size")
        if type(size) is not int or size < 1:
            self._wrong(f"{at[-1]}: {size!r} is no size in GiB", "write a number such as 40", *at, "size")
            return None
        return VolumeWanted(size, str(entry.get("type") or ""))

    def _data_volumes(self) -> Mapping[str, VolumeWanted]:
        value = self.given.get("data_volumes") or {}
        if not isinstance(value, dict):
            self._wrong("data_volumes is no mapping", "write pools with {size: 100} each", "data_volumes")
            return {}
        read = {str(pool): self._volume(item or {}, "data_volumes", str(pool)) for pool, item in value.items()}
        return {pool: volume for pool, volume in read.items() if volume}

    def _pool_flavors(self) -> Mapping[str, tuple[str, ...]]:
        value = self.given.get("pool_flavors") or {}
        good = isinstance(value, dict) and all(isinstance(item, list) and item for item in value.values())
        if not good:
            self._wrong("pool_flavors is no mapping of lists", "write pools with their patterns, `{preemptible: [spot.*]}`", "pool_flavors")
        return {str(pool): tuple(map(str, patterns)) for pool, patterns in value.items()} if good else {}

    def _image(self) -> Mapping[str, Any]:
        value = self.given.get("image")
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, dict) or not value:
            self._wrong("image is missing", "name one (`image: debian-13`), or give `{properties: {os_distro: debian}}`", "image")
            return {}
        entry = self._mapping(value, ("name", "properties"), "image")
        if not isinstance(entry.get("properties") or {}, dict):
            self._wrong("properties is no mapping", "write {os_distro: debian}", "image", "properties")
            return {}
        return entry

    def _network(self) -> NetworkWanted:
        value = self._mapping(self.given.get("network"), NETWORK_KEYS, "network")
        subnet, first, last = self._addresses(value)
        dns = value.get("dns") or []
        if not isinstance(dns, list):
            self._wrong("dns is no list", "write `dns: [9.9.9.9]`", "network", "dns")
            dns = []
        wants = self.given.get("floating_ips", FLOATING[0]) != "none" or not value.get("name")
        if wants and not value.get("external"):
            self._wrong("the external network is missing", "name it (`openstack network list --external`)", "network", "external")
        return NetworkWanted(
            name=str(value.get("name") or ""),
            subnet=subnet,
            external=str(value.get("external") or ""),
            dns=tuple(map(str, dns)),
            first=first,
            last=last,
        )
