"""What a project has, listed as plain records: an object of the SDK takes milliseconds to make, and a facility has thousands of them.

Attributes are named as the SDK names them, so that a record stands wherever an object that was just made does; calls take its identifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openstack.connection import Connection
from openstack.exceptions import raise_from_response
from openstack.utils import maximum_supported_microversion

KEPT = "SOFT_DELETED"
"""What a deleted server is where the cloud keeps it for a while, so that it can be restored (``reclaim_instance_interval``)."""
GONE = frozenset({"DELETED", KEPT})
"""What servers are that are gone already and listed still."""
WITH_FLAVORS = "2.47"
"""Version of the compute interface from which on servers are shown with what their flavor was, not with its identifier alone."""
OF_PORTS = ("id", "name", "description", "fixed_ips", "security_groups")
"""What is asked of ports: whole ones take the network service more than twice as long."""


@dataclass(frozen=True, slots=True)
class FlavorOf:
    """The flavor of a server; older clouds tell its identifier alone."""

    id: str
    name: str
    disk: int


@dataclass(frozen=True, slots=True)
class Server:
    """A server."""

    id: str
    name: str
    status: str
    metadata: Mapping[str, str]
    availability_zone: str
    flavor: FlavorOf
    fault: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Port:
    """A port."""

    id: str
    name: str
    description: str
    fixed_ips: Sequence[Mapping[str, str]]
    security_group_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class FloatingIp:
    """A floating IP, named by its address."""

    id: str
    name: str
    description: str
    floating_ip_address: str
    port_id: str | None


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume; ``size`` is in GiB."""

    id: str
    name: str
    description: str
    status: str
    size: int
    attachments: Sequence[Mapping[str, Any]]


def servers(link: Connection, **query: str) -> list[Server]:
    """Servers of the project, without those that are gone already.

    Parameters
    ----------
    link:
        The connection.
    query:
        What they are to have, as the interface names it.
    """
    version = maximum_supported_microversion(link.compute, WITH_FLAVORS)
    return [
        Server(
            item["id"],
            item["name"],
            item["status"],
            item["metadata"],
            item.get("OS-EXT-AZ:availability_zone") or "",
            _flavor(item["flavor"]),
            item.get("fault") or {},
        )
        for item in _items(link.compute, "/servers/detail", query, microversion=version)
        if item["status"] not in GONE
    ]


def ports(link: Connection, **query: str) -> list[Port]:
    """Ports; see :func:`servers`."""
    return [
        Port(item["id"], item["name"], item.get("description") or "", item["fixed_ips"], item["security_groups"])
        for item in _items(link.network, "/ports", {**query, "fields": OF_PORTS})
    ]


def floating_ips(link: Connection, **query: str) -> list[FloatingIp]:
    """Floating IPs; see :func:`servers`."""
    listed = ((item, str(item["floating_ip_address"])) for item in _items(link.network, "/floatingips", query))
    return [FloatingIp(item["id"], address, item.get("description") or "", address, item["port_id"]) for item, address in listed]


def volumes(link: Connection, **query: str) -> list[Volume]:
    """Volumes; see :func:`servers`."""
    return [
        Volume(item["id"], item["name"] or "", item["description"] or "", item["status"], int(item["size"]), item["attachments"])
        for item in _items(link.block_storage, "/volumes/detail", query)
    ]


def identifiers(proxy: Any, path: str, **query: str) -> frozenset[str]:
    """Identifiers of what a service lists.

    Parameters
    ----------
    proxy:
        The SDK's, of the service.
    path, query:
        What is listed, as the interface names it.
    """
    return frozenset(item["id"] for item in _items(proxy, path, query))


def _flavor(shown: Mapping[str, Any]) -> FlavorOf:
    return FlavorOf(shown.get("id", ""), shown.get("original_name", ""), int(shown.get("disk") or 0))


def _items(proxy: Any, path: str, query: Mapping[str, str | Sequence[str]], **given: Any) -> Iterator[Mapping[str, Any]]:
    """All objects of a listing, page after page: services give at most a thousand at once."""
    kind = path.split("/")[1]
    page: Mapping[str, Any] | None = query
    while page is not None:
        answer = proxy.get(path, params=page, headers={"Accept": "application/json"}, **given)
        raise_from_response(answer)
        body = answer.json()
        yield from body[kind]
        following = next((link["href"] for link in body.get(f"{kind}_links", ()) if link["rel"] == "next"), None)
        page = parse_qs(urlsplit(following).query) if following else None
