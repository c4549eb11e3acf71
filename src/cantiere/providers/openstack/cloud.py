"""The connection to a cloud, and what is there: one listing call for each kind of object, whatever their number."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

import openstack
from keystoneauth1.session import TCPKeepAliveAdapter
from openstack.connection import Connection

from cantiere.errors import CantiereError, Problem
from cantiere.providers.base import Log
from cantiere.providers.openstack import listing, marks
from cantiere.providers.openstack.faults import maybe, patiently
from cantiere.providers.openstack.flavors import GIB, MIB, Flavor, gpus_of
from cantiere.providers.openstack.marks import Mark
from cantiere.providers.openstack.options import Options
from cantiere.providers.openstack.shared import Shared

WORKER_NAME = "cantiere"
ANSWER_SECONDS = 60.0
"""For which a service may be silent, where clouds.yaml sets no ``api_timeout``."""
KEPT_SECONDS = 60.0
"""For which what was listed counts while machines are made or removed, where this process has changed nothing of it since."""
JUST_SECONDS = 5.0
"""For which a listing counts for what is asked right after it."""
KEPT_TIMES = 20
"""Times what a listing took for which it counts then at least: a large project is not listed all the time."""
CALLS_AT_ONCE = 10
"""Connections to each service; more threads than these may wait for machines."""
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class There:
    """What the project has of a facility, by the machine that it belongs to.

    Parameters
    ----------
    servers, ports, floating, volumes:
        Machine to its objects: records of a listing, or as the SDK shows what was just made.
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


KINDS = ("servers", "ports", "floating", "volumes")


@dataclass(frozen=True, slots=True)
class Listed:
    """What one listing showed.

    Parameters
    ----------
    mine:
        Machine to its objects.
    strangers:
        Lineage that is not ours to what is said of it.
    """

    mine: Mapping[str, Sequence[Any]]
    strangers: Mapping[str, Problem]


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
        self._listings = {kind: Shared(partial(self._listed, kind)) for kind in KINDS}
        self._flavors, self._image = Shared(self._list_flavors), Shared(self._find_image)
        self._changed: dict[tuple[str, str], float] = {}

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
            for scheme in tuple(session.session.adapters):
                session.session.mount(scheme, TCPKeepAliveAdapter(pool_maxsize=CALLS_AT_ONCE, pool_block=True))
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
        if not known and (strangers := self._strangers(items)):
            raise CantiereError(list(strangers.values()))
        marked = ((item, marks.of(item)) for item in items)
        return [
            item for item, mark in marked if mark and mark.prefix == self.prefix and mark.lineage in known and node in (None, mark.node)
        ]

    def _strangers(self, items: Iterable[Any]) -> dict[str, Problem]:
        """Lineage that is not ours to what is said of the first object that carries it and the site's prefix."""
        known = self.lineages()
        found: dict[str, Problem] = {}
        for item in items:
            mark = marks.of(item)
            if mark and mark.prefix == self.prefix and mark.lineage not in known:
                found.setdefault(mark.lineage, foreign(str(item.name or item.id), mark))
        return found

    def there(self, age: float = 0.0) -> There:
        """All that machines have: servers, ports, floating IPs and volumes, each kind listed once.

        Parameters
        ----------
        age:
            Seconds since the end of a listing for which it still counts, unless this process has changed anything since it began.
        """
        kinds, now = KINDS if self.has_volumes else KINDS[:-1], time.monotonic()

        def seen(kind: str) -> Listed:
            shared = self._listings[kind]
            return shared.get(max(now - (age and age + shared.took), *self._changed.values(), 0.0))

        with ThreadPoolExecutor(len(kinds)) as pool:
            listed = list(pool.map(seen, kinds))
        strangers = {lineage: problem for one in listed for lineage, problem in one.strangers.items()}
        found = dict(zip(kinds, (one.mine for one in listed), strict=True))
        return There(**found, strangers=tuple(strangers.values()))

    def mine(self, kind: str, node: str, age: float | None = None) -> Sequence[Any]:
        """What one machine has of one kind.

        Parameters
        ----------
        kind:
            A field of :class:`There`.
        node:
            The machine.
        age:
            Seconds for which what was listed before still counts, unless this process has changed it since; None keeps it for a minute,
            and for longer where listing takes long.
        """
        shared = self._listings[kind]
        kept = max(KEPT_SECONDS, KEPT_TIMES * shared.took) if age is None else age
        return shared.get(max(time.monotonic() - kept, self._changed.get((kind, node), 0.0))).mine.get(node, ())

    def change(self, kind: str, node: str, call: Callable[[], Answer]) -> Answer:
        """Make, change or remove something of a machine: what was listed before no longer counts for it, be it that the call fails.

        Parameters
        ----------
        kind, node:
            As in :meth:`mine`.
        call:
            Does it.
        """
        try:
            return call()
        finally:
            self._changed[kind, node] = time.monotonic()

    @cached_property
    def has_volumes(self) -> bool:
        """Whether the cloud has a service for volumes."""
        return self.ask(lambda: bool(self.connection.has_service("block-storage")), "to tell its services")

    def flavors(self) -> list[Flavor]:
        """All flavors, with their GPUs and prices."""
        return self._flavors.get(time.monotonic() - KEPT_SECONDS)

    def image(self) -> Any:
        """The newest image that is as the site asks; None where there is none."""
        return self._image.get(time.monotonic() - KEPT_SECONDS)

    def network(self, name: str) -> Any:
        """A network by name or identifier; None where there is none."""
        find = partial(self.connection.network.find_network, name, ignore_missing=False)
        return self.ask(lambda: maybe(find), f"to show the network {name}", name)

    def _list_flavors(self) -> list[Flavor]:
        listed = self.ask(lambda: list(self.connection.compute.flavors(details=True)), "to list flavors")
        prices = self.options.prices.flavors if self.options.prices else {}
        return [
            Flavor(item.name, item.id, item.vcpus, item.ram * MIB, item.disk * GIB, gpus_of(item.extra_specs or {}), prices.get(item.name))
            for item in listed
            if not item.is_disabled
        ]

    def _find_image(self) -> Any:
        name, properties = self.options.image.get("name"), self.options.image.get("properties") or {}
        query = {"status": "active", **({"name": name} if name else {})}
        listed = self.ask(lambda: list(self.connection.image.images(**query)), "to list images")
        fits = [item for item in listed if all(str(value_of(item, key)) == str(value) for key, value in properties.items())]
        return max(fits, key=lambda item: str(item.created_at), default=None)

    def _listed(self, kind: str) -> Listed:
        """All objects of one kind with the site's prefix, ours by machine."""
        link, project = self.connection, self.project
        calls: dict[str, Callable[[], Sequence[Any]]] = {
            "servers": partial(listing.servers, link, name=f"^{re.escape(self.prefix)}-"),
            "ports": partial(listing.ports, link, project_id=project),
            "floating": partial(listing.floating_ips, link, project_id=project),
            "volumes": partial(listing.volumes, link),
        }
        items = self.ask(calls[kind], f"to list {kind}")
        found: dict[str, list[Any]] = {}
        for item in self.ours(items):
            mark = marks.of(item)
            found.setdefault(mark.node if mark else "", []).append(item)
        return Listed(found, self._strangers(items))


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
