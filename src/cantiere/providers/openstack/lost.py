"""Facilities whose state is lost, found again by the marks of their objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from cantiere.providers.openstack import listing, marks
from cantiere.providers.openstack.cloud import Cloud

LINEAGE = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def lineages(cloud: Cloud) -> list[str]:
    """Lineages of all facilities with the site's prefix of which the project has anything; each kind of object is listed once.

    Parameters
    ----------
    cloud:
        The project.

    Raises
    ------
    CantiereError
        The cloud cannot be asked.
    """
    link, mine = cloud.connection, {"project_id": cloud.project}
    marked: dict[str, Callable[[], Any]] = {
        "servers": lambda: listing.servers(link, name=f"^{re.escape(cloud.prefix)}-"),
        "ports": lambda: listing.ports(link, **mine),
        "floating IPs": lambda: listing.floating_ips(link, **mine),
        "routers": lambda: link.network.routers(**mine),
        "networks": lambda: link.network.networks(**mine),
        "security groups": lambda: link.network.security_groups(**mine),
    }
    if cloud.has_volumes:
        marked["volumes"] = lambda: listing.volumes(link)
    named: dict[str, Callable[[], Any]] = {
        "server groups": lambda: link.compute.server_groups(),
        "key pairs": lambda: link.compute.keypairs(),
    }

    def listed(kinds: Mapping[str, Callable[[], Any]]) -> list[Any]:
        return [item for what, call in kinds.items() for item in cloud.ask(partial(_all, call), f"to list {what}")]

    by_mark = {mark.lineage for mark in map(marks.of, listed(marked)) if mark and mark.prefix == cloud.prefix}
    by_name = [re.fullmatch(f"{re.escape(cloud.prefix)}-({LINEAGE})", str(item.name)) for item in listed(named)]
    return sorted(by_mark | {match[1] for match in by_name if match})


def _all(call: Callable[[], Any]) -> list[Any]:
    return list(call())
