"""Changes of a server in place: larger volumes, another flavor. Cut off at any moment, the next try goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.machines.model import Machine
from cantiere.providers.base import Log
from cantiere.providers.openstack import marks
from cantiere.providers.openstack.changes import compare, size
from cantiere.providers.openstack.cloud import Cloud
from cantiere.providers.openstack.faults import slow
from cantiere.providers.openstack.flavors import Flavor

RESIZING, RESIZED, ERROR = frozenset({"RESIZE", "REVERT_RESIZE"}), "VERIFY_RESIZE", "ERROR"
ACTIVE, STOPPED = "ACTIVE", "SHUTOFF"
CHANGING = RESIZING | {RESIZED}
"""States of a server whose flavor is being changed."""
RESIZE_SECONDS, EXTEND_SECONDS, PAUSE = 1800.0, 600.0, 2.0


def shown(server: Any, volumes: Iterable[Any]) -> dict[str, Any]:
    """A server's flavor and volumes, as :func:`cantiere.providers.openstack.changes.compare` takes them.

    Parameters
    ----------
    server, volumes:
        Records of a listing, or as the SDK shows them.
    """
    flavor = server.flavor  # each look at it makes an object
    named = by_purpose(volumes)
    return {
        "flavor": str(flavor.name or flavor.id),
        "disk": int(flavor.disk or 0),
        "size": str(server.metadata.get(marks.SIZE, "")),
        "volumes": {what: int(volume.size) for what, volume in named.items()},
        "loose": [what for what, volume in named.items() if not volume.attachments],
    }


def by_purpose(volumes: Iterable[Any]) -> dict[str, Any]:
    """The volumes of a machine by what they are for: ``boot`` and ``data``, the end of their names."""
    return {str(volume.name).rpartition("-")[2]: volume for volume in volumes}


class Changes:
    """Changes servers of a facility.

    Parameters
    ----------
    cloud:
        Where they are.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.options = cloud, cloud.options

    def make(self, machine: Machine, server: Any, log: Log) -> None:
        """Give a server what is asked of it and can be changed, and wait until it has it.

        Parameters
        ----------
        machine, server:
            As it is asked for, and as it is listed.
        log:
            Takes lines of long work.

        Raises
        ------
        CantiereError
            The cloud cannot do it; says why.
        """
        node = machine.name
        server = self._settled(server, node)
        volumes = by_purpose(self.cloud.mine("volumes", node, age=0.0)) if self.cloud.has_volumes else {}
        flavors = self.cloud.flavors()
        seen = shown(server, volumes.values())
        difference = compare(machine, seen, str(server.metadata.get(marks.DIGEST, "")), flavors, self.options)
        for what, gib in difference.volumes.items():
            log(f"{node}: its {what} volume gets {gib} GiB")
            if gib > volumes[what].size:
                if not self.options.online_extend:
                    self._detach(server, volumes[what], node)
                self._extend(volumes[what], gib, node)
            self._attach(server, volumes[what], node)
        flavor = seen["flavor"]
        if difference.flavor:
            log(f"{node}: {flavor} becomes {difference.flavor}")
            server = self._resize(server, difference.flavor, node)
            flavor = difference.flavor.name
        if difference.problem is None:
            record = {marks.SIZE: size(self.options, machine, flavor)}
            self.cloud.ask(partial(self._compute.set_server_metadata, server, **record), "to mark a server", node)

    @property
    def _compute(self) -> Any:
        return self.cloud.connection.compute

    def _extend(self, volume: Any, gib: int, node: str) -> None:
        volumes: Any = self.cloud.connection.block_storage

        def extend() -> None:
            now = volumes.get_volume(volume.id)
            if now.size < gib and now.status != "extending":
                volumes.extend_volume(now, gib)

        self.cloud.ask(extend, "to let a volume grow", node)
        found = self._wait(
            lambda: volumes.get_volume(volume.id),
            lambda item: item.status.startswith("error") or (item.size >= gib and item.status in ("available", "in-use")),
            node,
            EXTEND_SECONDS,
        )
        if found.size < gib or found.status.startswith("error"):
            message = f"the volume {found.name} is {found.status} and has {found.size} GiB, not {gib}"
            remedy = "leave online_extend out if its type does not grow while it is attached, and ask the cloud to reset its state"
            raise CantiereError(Problem("openstack.volume", message, remedy, path=node))

    def _detach(self, server: Any, volume: Any, node: str) -> None:
        """Shut the server down and take a volume off it: so it can grow whatever its type is."""
        volumes: Any = self.cloud.connection.block_storage

        def stop() -> None:
            if self._compute.get_server(server.id).status == ACTIVE:
                self._compute.stop_server(server)

        def detach() -> None:
            if volumes.get_volume(volume.id).status == "in-use":
                self._compute.delete_volume_attachment(server, volume.id)

        self.cloud.ask(stop, "to stop the server", node)
        self._wait(lambda: self._compute.get_server(server.id), lambda item: item.status == STOPPED, node, EXTEND_SECONDS)
        self.cloud.ask(detach, "to detach a volume", node)
        self._wait(lambda: volumes.get_volume(volume.id), lambda item: item.status == "available", node, EXTEND_SECONDS)

    def _attach(self, server: Any, volume: Any, node: str) -> None:
        volumes: Any = self.cloud.connection.block_storage

        def attach() -> None:
            if volumes.get_volume(volume.id).status == "available":
                self._compute.create_volume_attachment(server, volume.id)

        self.cloud.ask(attach, "to attach a volume", node)
        self._wait(lambda: volumes.get_volume(volume.id), lambda item: item.status == "in-use", node, EXTEND_SECONDS)

    def _resize(self, server: Any, flavor: Flavor, node: str) -> Any:
        def resize() -> None:
            now = self._compute.get_server(server.id)
            if now.status not in CHANGING and str(now.flavor.name or now.flavor.id) not in (flavor.name, flavor.id):
                self._compute.resize_server(now, flavor.id)

        self.cloud.ask(resize, f"the flavor {flavor.name}", node)
        changed = self._settled(self._compute.get_server(server.id), node)
        if str(changed.flavor.name or changed.flavor.id) not in (flavor.name, flavor.id):
            message = f"{node} has its old flavor still: the cloud could not make it {flavor.name}, mostly because no host has room for it"
            remedy = f"see `openstack server event list {server.id}`; ask for less or wait until the cloud has room, then run again"
            raise CantiereError(Problem("openstack.no_host", message, remedy, path=node))
        return changed

    def _settled(self, server: Any, node: str) -> Any:
        """The server once no change of its flavor is under way: one that waits for our word gets it."""
        look = partial(self._compute.get_server, server.id)
        found = self._wait(look, lambda item: item.status not in RESIZING, node, RESIZE_SECONDS)
        if found.status == RESIZED:

            def confirm() -> None:
                if (now := look()).status == RESIZED:
                    self._compute.confirm_server_resize(now)

            self.cloud.ask(confirm, "to confirm a flavor", node)
            found = self._wait(look, lambda item: item.status not in CHANGING, node, RESIZE_SECONDS)
        if found.status == ERROR:
            said = (getattr(found, "fault", None) or {}).get("message", "it does not say why")
            message = f"{found.name} is in error after a change of its flavor: {said}"
            remedy = f"ask the cloud to reset its state, or make it anew: `up --replace {node}`"
            raise CantiereError(Problem("openstack.server", message, remedy, path=node))
        return found

    def _wait(self, look: Callable[[], Any], ready: Callable[[Any], bool], node: str, seconds: float) -> Any:
        end = time.monotonic() + seconds
        while not ready(item := self.cloud.ask(look, "to tell a status", node)):
            if time.monotonic() > end:
                raise slow(item, seconds, node)
            time.sleep(PAUSE)
        return item
