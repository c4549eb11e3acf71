"""Servers: made with all that belongs to them, completed where a kill cut that off, and removed without a rest."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.machines.model import Machine
from cantiere.providers.base import Log
from cantiere.providers.keys import new_key, public_key
from cantiere.providers.openstack import listing, marks
from cantiere.providers.openstack.changes import size, volumes_of
from cantiere.providers.openstack.cloud import Cloud, There
from cantiere.providers.openstack.faults import maybe, slow
from cantiere.providers.openstack.flavors import Flavor
from cantiere.providers.openstack.ground import Ground
from cantiere.providers.openstack.marks import Mark
from cantiere.providers.openstack.options import VolumeWanted
from cantiere.providers.openstack.shared import Shared
from cantiere.providers.openstack.userdata import user_data

ACTIVE, ERROR, BUILDING = "ACTIVE", "ERROR", frozenset({"BUILD", "REBUILD"})
BUILD_SECONDS, DELETE_SECONDS, VOLUME_SECONDS = 600.0, 300.0, 600.0
PAUSE = 1.0
NO_ROOM = ("no valid host", "exhausted all hosts", "availability zone is not available")
"""What the cloud says where another zone or flavor may help."""
UNSETTLED = frozenset({"creating", "downloading", "attaching", "detaching"})
"""Statuses in which a volume cannot be removed yet."""
FLAVORS_TRIED = 3
STUCK = "run again; if it stays, ask the cloud to reset its state (`openstack {}`, as its admin)"


@dataclass(frozen=True, slots=True)
class Order:
    """How a machine is to be made.

    Parameters
    ----------
    machine:
        The machine, with its address.
    digest:
        Of its specification.
    flavors:
        Those that are enough, the smallest first.
    zones:
        Availability zones in the order in which they are tried; ``""`` leaves it to the cloud.
    image:
        Identifier of the image.
    floating:
        Whether it gets a floating IP.
    """

    machine: Machine
    digest: str
    flavors: Sequence[Flavor]
    zones: Sequence[str]
    image: str
    floating: bool


class Servers:
    """The servers of a facility.

    Parameters
    ----------
    cloud, ground:
        Where they are, and what they share.
    """

    def __init__(self, cloud: Cloud, ground: Ground) -> None:
        self.cloud, self.ground, self.prefix = cloud, ground, cloud.prefix
        self._building = Shared(lambda: cloud.ask(self._still_building, "to tell which servers are being built"))
        self._creating = Shared(lambda: cloud.ask(self._still_created, "to tell which volumes are being made"))

    def full_name(self, node: str) -> str:
        """Name of a machine's objects in the project."""
        return f"{self.prefix}-{node}"

    def make(self, order: Order, lineage: str, log: Log) -> There:
        """Make a server, or complete a half-made one, and wait until it is active; what there is of the machine then.

        Raises
        ------
        CantiereError
            The cloud cannot make it; says why in the cloud's own words.
        """
        node = order.machine.name
        mark = Mark(self.prefix, lineage, node)
        server = next(iter(self.cloud.mine("servers", node)), None)
        if server is not None and server.status == ERROR:
            self._end(server)
            server = None
        if server is not None and server.metadata.get(marks.DIGEST) != order.digest:
            message = f"{node} exists, made from another specification"
            raise CantiereError(Problem("openstack.differs", message, f"replace it: `up --replace {node}`", path=node))
        volumes = self._asked_volumes(order, mark) if server is None else {}  # they become ready while the port is made
        port = self._port(order, mark)
        floating = [self._floating(port, mark)] if order.floating else []
        server = self._first_that_fits(order, port, volumes, mark, log) if server is None else self._active(server)
        return There({node: [server]}, {node: [port]}, {node: floating})

    def find(self, node: str) -> Any:
        """The server of a machine, or None."""
        name = f"^{re.escape(self.full_name(node))}$"
        listed = self.cloud.ask(lambda: listing.servers(self.cloud.connection, name=name), "to find a server", node)
        return next(iter(self.cloud.ours(listed, node)), None)

    def must_find(self, node: str) -> Any:
        """The server of a machine.

        Raises
        ------
        CantiereError
            There is none.
        """
        server = self.find(node)
        if server is None:
            raise CantiereError(Problem("openstack.missing", f"there is no server {self.full_name(node)}", "run up", path=node))
        return server

    def switch(self, node: str, *, on: bool) -> None:
        """Start or stop a server, and wait until it is so."""
        server = self.must_find(node)
        wanted, change = (ACTIVE, self._compute.start_server) if on else ("SHUTOFF", self._compute.stop_server)
        if server.status != wanted:
            self.cloud.ask(partial(change, server.id), f"to {'start' if on else 'stop'} the server", node)
        self._until(server, lambda: self._compute.get_server(server.id), {wanted}, node, self._building, BUILD_SECONDS)

    def remove(self, node: str) -> None:
        """Remove a machine's server, floating IP, port and volumes."""
        for item in self.cloud.mine("servers", node):
            self._end(item)
        for item in self.cloud.mine("floating", node):
            self._change("floating", node, partial(self._network.delete_ip, item.id), "to give a floating IP back")
        for item in self.cloud.mine("ports", node):
            self._change("ports", node, partial(self._network.delete_port, item.id), "to remove a port")
        for item in self.cloud.mine("volumes", node) if self.cloud.has_volumes else ():
            self._end_volume(item, node)

    @property
    def _compute(self) -> Any:
        return self.cloud.connection.compute

    @property
    def _network(self) -> Any:
        return self.cloud.connection.network

    @property
    def _volumes(self) -> Any:
        return self.cloud.connection.block_storage

    def _change(self, kind: str, node: str, call: Callable[[], Any], doing: str) -> Any:
        return self.cloud.ask(lambda: self.cloud.change(kind, node, call), doing, node)

    def _made(self, kind: str, node: str, create: Callable[[], Any], doing: str, name: str) -> Any:
        """An object of a machine, made where it is not there; after a lost answer it is looked for again before it is made again."""

        def make() -> Any:
            found = next((item for item in self.cloud.mine(kind, node) if item.name == name), None)
            return found or self.cloud.change(kind, node, create)

        return self.cloud.ask(make, doing, node)

    def _port(self, order: Order, mark: Mark) -> Any:
        """The machine's port: its address, its groups, and the addresses beside its own that it may send from."""
        machine, common, name = order.machine, self.ground.common(), self.full_name(order.machine.name)
        cluster = self.ground.cluster
        also = [cluster.pod_subnet, *([cluster.virtual_address] if machine.controls and cluster.virtual_address else [])]
        body = {
            "name": name,
            "description": str(mark),
            "network_id": common.network,
            "fixed_ips": [{"subnet_id": common.subnet, "ip_address": machine.address}],
            "security_groups": common.groups(machine),
            "allowed_address_pairs": [{"ip_address": address} for address in also],
        }
        return self._made("ports", machine.name, lambda: self._network.create_port(**body), "to make a port", name)

    def _floating(self, port: Any, mark: Mark) -> Any:
        """The machine's floating IP, at its port."""
        body = {"floating_network_id": self.ground.common().outside, "port_id": port.id, "description": str(mark)}

        def make() -> Any:
            found = next(iter(self.cloud.mine("floating", mark.node)), None)
            if found is None:
                return self._network.create_ip(**body)
            return found if found.port_id == port.id else self._network.update_ip(found.id, port_id=port.id)

        return self.ground.router.leading_out(partial(self._change, "floating", mark.node, make, "to get a floating IP"))

    def _asked_volumes(self, order: Order, mark: Mark) -> dict[str, Any]:
        """The volumes of a machine, by what they are for; they may not be ready yet."""
        asked = volumes_of(self.cloud.options, order.machine)
        return {what: self._volume(what, volume, mark, order.image if what == "boot" else "") for what, volume in asked.items()}

    def _volume(self, what: str, wanted: VolumeWanted, mark: Mark, image: str = "") -> Any:
        """A volume of a machine; made anew where making it had failed."""
        node, name = mark.node, f"{self.full_name(mark.node)}-{what}"
        body: dict[str, Any] = {"name": name, "description": str(mark), "size": wanted.size}
        if wanted.kind:
            body["volume_type"] = wanted.kind
        if image:
            body["image_id"] = image
        for item in self.cloud.mine("volumes", node):
            if item.name == name and item.status == "error":
                self._end_volume(item, node)
        return self._made("volumes", node, lambda: self._volumes.create_volume(**body), "to make a volume", name)

    def _end_volume(self, volume: Any, node: str) -> None:
        self._settled(volume, node)
        self._change("volumes", node, partial(self._volumes.delete_volume, volume.id), "to remove a volume")
        gone = partial(self._gone, partial(self._volumes.get_volume, volume.id), f"volume {volume.name}", node)
        self.cloud.change("volumes", node, gone)

    def _first_that_fits(self, order: Order, port: Any, volumes: Mapping[str, Any], mark: Mark, log: Log) -> Any:
        """A server of the first flavor and in the first zone where a host has room."""
        flavors = order.flavors[: FLAVORS_TRIED if self.cloud.options.other_flavors else 1]
        choices = [(flavor, zone) for flavor in flavors for zone in order.zones]
        for number, (flavor, zone) in enumerate(choices, 1):
            where = f" in {zone}" if zone else ""
            log(f"{mark.node}: {flavor}{where}")
            server = None
            try:
                server = self._server(order, port, volumes, mark, flavor, zone)
                return self._active(server)
            except CantiereError as error:
                if not _no_room(str(error)) or number == len(choices):
                    raise
                log(f"{mark.node}: no host has room for {flavor.name}{where}, the next is tried")
                if server is not None:
                    self._end(server)
        raise AssertionError("the last choice returns or raises")

    def _server(self, order: Order, port: Any, volumes: Mapping[str, Any], mark: Mark, flavor: Flavor, zone: str) -> Any:
        node, options, common = mark.node, self.cloud.options, self.ground.common()
        host_key = new_key()
        public = public_key(host_key)
        body: dict[str, Any] = {
            "name": self.full_name(node),
            "flavor_id": flavor.id,
            "networks": [{"port": port.id}],
            "key_name": common.key_pair.name,
            "user_data": user_data(node, host_key, public, common.key_pair.public_key),
            "metadata": {
                marks.KEY: str(mark),
                marks.DIGEST: order.digest,
                marks.SIZE: size(options, order.machine, flavor.name),
                marks.HOST_KEY: public,
            },
        }
        disks = self._disks(order, volumes)
        body |= {"block_device_mapping": disks} if disks else {}
        if not options.boot_volume:
            body["image_id"] = order.image
        if zone:
            body["availability_zone"] = zone
        if order.machine.controls and common.server_group is not None:
            body["scheduler_hints"] = {"group": common.server_group.id}
        return self._made("servers", node, lambda: self._compute.create_server(**body), "to make a server", self.full_name(node))

    def _disks(self, order: Order, volumes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The block devices of a server once its volumes are ready; empty where it has the flavor's disk alone."""
        for volume in volumes.values():
            look = partial(self._volumes.get_volume, volume.id)
            self._until(volume, look, {"available", "in-use"}, order.machine.name, self._creating, VOLUME_SECONDS)
        own = [] if "boot" in volumes or not volumes else [_device(order.image, "image", 0)]
        return own + [_device(volume.id, "volume", 0 if what == "boot" else -1) for what, volume in volumes.items()]

    def _active(self, server: Any) -> Any:
        node = str(getattr(marks.of(server), "node", "")) or str(server.name)
        return self._until(server, partial(self._compute.get_server, server.id), {ACTIVE}, node, self._building, BUILD_SECONDS)

    def _until(
        self, item: Any, look: Callable[[], Any], wanted: set[str], node: str, under_way: Shared[frozenset[str]], seconds: float
    ) -> Any:
        """Wait for a status; an object that ends in an error is told with what the cloud says of it.

        All that wait share one look at what is still under way; only what is no longer among it is looked at by itself.
        """
        end = time.monotonic() + seconds
        while item.status not in wanted:
            if str(item.status).upper() == ERROR:
                said = (getattr(item, "fault", None) or {}).get("message", "it does not say why")
                room = _no_room(str(said))
                remedy = (
                    "ask for less, list more zones, set other_flavors, or wait until the cloud has room; then run again"
                    if room
                    else "mend what it says, and run again: it is made anew"
                )
                raise CantiereError(
                    Problem("openstack.no_host" if room else "openstack.server", f"{item.name} is in error: {said}", remedy, path=node)
                )
            if time.monotonic() > end:
                raise slow(item, seconds, node)
            time.sleep(PAUSE)
            if item.id not in under_way.get(time.monotonic() - PAUSE) or time.monotonic() > end:
                item = self.cloud.ask(look, "to tell a status", node)
        return item

    def _still_building(self) -> frozenset[str]:
        return listing.identifiers(self._compute, "/servers", name=f"^{re.escape(self.prefix)}-", status="BUILD")

    def _still_created(self) -> frozenset[str]:
        return listing.identifiers(self._volumes, "/volumes", status="creating")

    def _settled(self, volume: Any, node: str) -> None:
        """Wait until a volume can be removed: one that a killed run left half-made is finished by the cloud first."""
        end = time.monotonic() + VOLUME_SECONDS
        find = partial(self._volumes.get_volume, volume.id)
        while (item := self.cloud.ask(lambda: maybe(find), "to tell a status", node)) is not None and item.status in UNSETTLED:
            if time.monotonic() > end:
                message = f"volume {item.name} is {item.status} after {VOLUME_SECONDS:.0f} s and cannot be removed"
                raise CantiereError(Problem("openstack.stuck", message, STUCK.format("volume set --state error"), path=node))
            time.sleep(PAUSE)

    def _end(self, server: Any) -> None:
        """Delete a server and wait until it is gone, so that its port and volumes are free."""
        node = str(getattr(marks.of(server), "node", ""))
        self._change("servers", node, partial(self._compute.delete_server, server.id), "to remove a server")
        gone = partial(self._gone, partial(self._left, server.id), f"server {server.name}", node)
        self.cloud.change("servers", node, gone)

    def _left(self, identifier: str) -> Any:
        """A server that is being deleted; a cloud that would keep it for a while, with its port and volumes, is told not to."""
        server = self._compute.get_server(identifier)
        if server.status == listing.KEPT:
            self._compute.delete_server(identifier, force=True)
        return server

    def _gone(self, find: Callable[[], Any], what: str, node: str) -> None:
        end = time.monotonic() + DELETE_SECONDS
        while (item := self.cloud.ask(lambda: maybe(find), f"to tell whether the {what} is gone", node)) is not None:
            if time.monotonic() > end:
                message = f"{what} is still {item.status}, {DELETE_SECONDS:.0f} s after it was to be removed"
                remedy = STUCK.format(f"{what.partition(' ')[0]} set --state error")
                raise CantiereError(Problem("openstack.stuck", message, remedy, path=node))
            time.sleep(PAUSE)


def _device(identifier: str, source: str, index: int) -> Mapping[str, Any]:
    """A block device as Nova takes it; volumes are removed by us, the flavor's disk goes with its server."""
    return {
        "uuid": identifier,
        "source_type": source,
        "destination_type": "volume" if source == "volume" else "local",
        "boot_index": index,
        "delete_on_termination": source == "image",
    }


def _no_room(said: str) -> bool:
    return any(words in said.lower() for words in NO_ROOM)
