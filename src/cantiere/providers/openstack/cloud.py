"""The connection to a cloud, and what is there: one listing call for each kind of object, whatever their number."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

import openstack
from openstack.connection import Connection

from cantiere.errors import CantiereError, Problem
from cantiere.providers.base import Log
from cantiere.providers.openstack import marks
from cantiere.providers.openstack.faults import maybe, patiently
from cantiere.providers.openstack.flavors import GIB, MIB, Flavor, gpus_of
from cantiere.providers.openstack.marks import Mark
from cantiere.providers.openstack.options import Options

GONE = frozenset({"DELETED", "SOFT_DELETED"})
WORKER_NAME = "cantiere"
ANSWER_SECONDS = 60.0
"""For which a service may be silent, where clouds.yaml sets no ``api_timeout``."""
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class There:
    """What the project has of a facility, by the machine that it belongs to.

    Parameters
    ----------
    servers, ports, floating, volumes:
        Machine to its objects, as the SDK shows them.
    strangers:
        What to say of those that have the site's prefix and another lineage than ours.
    """

    servers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    ports: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    floating: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    volumes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    strangers: Sequence[Problem] = ()

    @property
    def names(self) -> list[str]:
        """All machines that have anything."""
        return sorted({*self.servers, *self.ports, *self.floating, *self.volumes} - {""})


class Cloud:
    """A project of a cloud, as one facility sees it.

    Parameters
    ----------
    prefix:
        The site's.
    options:
        The site's.
    lineages:
        Tells the lineages that are ours.
    tell:
        Takes lines on what is waited for.
    """

    def __init__(self, prefix: str, options: Options, lineages: Callable[[], Collection[str]], tell: Log) -> None:
        self.prefix, self.options, self.lineages, self.tell = prefix, options, lineages, tell
        self._connecting = threading.Lock()

    @property
    def connection(self) -> Connection:
        """The SDK's connection; logged in, with a session that logs in again when its token ends.

        Raises
        ------
        CantiereError
            clouds.yaml has no such cloud, or it does not let us in.
        """
        with self._connecting:
            return self._connection

    @cached_property
    def _connection(self) -> Connection:
        def connect() -> Connection:
            made = openstack.connect(cloud=self.options.cloud, region_name=self.options.region or None, app_name=WORKER_NAME)
            session: Any = made.session
            session.timeout = session.timeout or ANSWER_SECONDS
            session.get_token()  # `authorize` would hide the status of a fault
            return made

        return patiently(connect, "to log in", self.options.cloud, self.tell)

    @property
    def project(self) -> str:
        """Identifier of the project."""
        return str(self.connection.current_project_id)

    def ask(self, call: Callable[[], Answer], doing: str, path: str = "") -> Answer:
        """Ask the cloud, patiently.

        Parameters
        ----------
        call:
            What is asked; it can be repeated.
        doing, path:
            What for, and of which object; for messages.

        Raises
        ------
        CantiereError
            It refuses, or does not answer for long.
        """
        return patiently(call, doing, path or self.options.cloud, self.tell)

    def ours(self, items: Iterable[Any], node: str | None = None) -> list[Any]:
        """Of some objects those that are this facility's.

        Parameters
        ----------
        items:
            Objects as the SDK shows them.
        node:
            Only those of this machine (``""``: those that machines share); None takes all.

        Raises
        ------
        CantiereError
            Some have the site's prefix, and the state that would tell their lineage is lost.
        """
        items, known = list(items), self.lineages()
        if not known and (strangers := self.strangers(items)):
            raise CantiereError(strangers)
        marked = ((item, marks.of(item)) for item in items)
        return [
            item for item, mark in marked if mark and mark.prefix == self.prefix and mark.lineage in known and node in (None, mark.node)
        ]

    def strangers(self, items: Iterable[Any]) -> list[Problem]:
        """What to say of objects that have the site's prefix and a lineage that is not ours: one for each lineage."""
        known = self.lineages()
        found: dict[str, Problem] = {}
        for item in items:
            mark = marks.of(item)
            if mark and mark.prefix == self.prefix and mark.lineage not in known:
                found.setdefault(mark.lineage, foreign(str(item.name or item.id), mark))
        return list(found.values())

    def there(self) -> There:
        """All that machines have: servers, ports, floating IPs and volumes, each kind listed once."""
        link, project = self.connection, self.project
        kinds: dict[str, Callable[[], list[Any]]] = {
            "servers": lambda: self.servers(f"^{re.escape(self.prefix)}-"),
            "ports": lambda: list(link.network.ports(project_id=project)),
            "floating": lambda: list(link.network.ips(project_id=project)),
        }
        if self.has_volumes:
            kinds["volumes"] = lambda: list(link.block_storage.volumes(details=True))
        with ThreadPoolExecutor(len(kinds)) as pool:
            lists = dict(zip(kinds, pool.map(lambda kind: self.ask(kinds[kind], f"to list {kind}"), kinds), strict=True))
        strangers = self.strangers(item for items in lists.values() for item in items)
        return There(**{kind: self._by_node(items) for kind, items in lists.items()}, strangers=strangers)

    @cached_property
    def has_volumes(self) -> bool:
        """Whether the cloud has a service for volumes."""
        return self.ask(lambda: bool(self.connection.has_service("block-storage")), "to tell its services")

    def servers(self, pattern: str) -> list[Any]:
        """Servers whose names match, without those that are gone already and listed still."""
        return [item for item in self.connection.compute.servers(details=True, name=pattern) if item.status not in GONE]

    def flavors(self) -> list[Flavor]:
        """All flavors, with their GPUs and prices."""
        listed = self.ask(lambda: list(self.connection.compute.flavors(details=True)), "to list flavors")
        prices = self.options.prices.flavors if self.options.prices else {}
        return [
            Flavor(item.name, item.id, item.vcpus, item.ram * MIB, item.disk * GIB, gpus_of(item.extra_specs or {}), prices.get(item.name))
            for item in listed
            if not item.is_disabled
        ]

    def image(self) -> Any:
        """The newest image that is as the site asks; None where there is none."""
        name, properties = self.options.image.get("name"), self.options.image.get("properties") or {}
        query = {"status": "active", **({"name": name} if name else {})}
        listed = self.ask(lambda: list(self.connection.image.images(**query)), "to list images")
        fits = [item for item in listed if all(str(value_of(item, key)) == str(value) for key, value in properties.items())]
        return max(fits, key=lambda item: str(item.created_at), default=None)

    def network(self, name: str) -> Any:
        """A network by name or identifier; None where there is none."""
        find = partial(self.connection.network.find_network, name, ignore_missing=False)
        return self.ask(lambda: maybe(find), f"to show the network {name}", name)

    def _by_node(self, items: Iterable[Any]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for item in self.ours(items):
            mark = marks.of(item)
            found.setdefault(mark.node if mark else "", []).append(item)
        return found


def value_of(image: Any, key: str) -> Any:
    """A property of an image: one that the SDK knows, else one of its own."""
    own = getattr(image, "properties", None) or {}
    return own.get(key, image.to_dict().get(key))


def foreign(name: str, mark: Mark) -> Problem:
    """What to say of an object that has our prefix and another facility's lineage."""
    remedy = (
        f"if it is yours and its state was lost, `down --from-tags` removes it, or write `lineage: {mark.lineage}` into the site's "
        "provider and run again; if it is another's, give the site another name"
    )
    message = f"the project has {name} of a facility {mark.prefix} whose lineage {mark.lineage} is not in this site's state"
    return Problem("openstack.lineage", message, remedy, path=name)
