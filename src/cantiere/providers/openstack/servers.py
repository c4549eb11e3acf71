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
from cantiere.providers.openstack import marks
from cantiere.providers.openstack.cloud import Cloud
from cantiere.providers.openstack.faults import maybe
from cantiere.providers.openstack.flavors import Flavor
from cantiere.providers.openstack.ground import Ground
from cantiere.providers.openstack.marks import Mark
from cantiere.providers.openstack.options import VolumeWanted
from cantiere.providers.openstack.userdata import user_data

ACTIVE, ERROR, BUILDING = "ACTIVE", "ERROR", frozenset({"BUILD", "REBUILD"})
BUILD_SECONDS, DELETE_SECONDS, VOLUME_SECONDS = 600.0, 300.0, 600.0
PAUSE = 2.0
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

    def full_name(self, node: str) -> str:
        """Name of a machine's objects in the project."""
        return f"{self.prefix}-{node}"

    def make(self, order: Order, lineage: str, log: Log) -> Any:
        """Make a server, or complete a half-made one, and wait until it is active.

        Raises
        ------
        CantiereError
            The cloud cannot make it; says why in the cloud's own words.
        """
        node = order.machine.name
        mark = Mark(self.prefix, lineage, node)
        port = self._port(order, mark)
        if order.floating:
            self._floating(port, mark)
        server = self.find(node)
        if server is not None and server.status == ERROR:
            self._end(server)
            server = None
        if server is not None and server.metadata.get(marks.DIGEST) != order.digest:
            message = f"{node} exists, made from another specification"
            raise CantiereError(Problem("openstack.differs", message, f"replace it: `up --replace {node}`", path=node))
        if server is None:
            return self._first_that_fits(order, port, mark, log)
        return self._active(server)

    def find(self, node: str) -> Any:
        """The server of a machine, or None."""
        name = f"^{re.escape(self.full_name(node))}$"
        listed = self.cloud.ask(lambda: self.cloud.servers(name), "to find a server", node)
        return next(iter(self.cloud.ours(listed, node)), None)

    def switch(self, node: str, *, on: bool) -> None:
        """Start or stop a server, and wait until it is so."""
        server = self.find(node)
        if server is None:
            raise CantiereError(Problem("openstack.missing", f"there is no server {self.full_name(node)}", "run up", path=node))
        wanted, change = (ACTIVE, self._compute.start_server) if on else ("SHUTOFF", self._compute.stop_server)
        if server.status != wanted:
            self.cloud.ask(partial(change, server), f"to {'start' if on else 'stop'} the server", node)
        self._until(lambda: self._compute.get_server(server.id), {wanted}, node, BUILD_SECONDS)

    def remove(self, node: str) -> None:
        """Remove a machine's server, floating IP, port and volumes."""
        server = self.find(node)
        if server is not None:
            self._end(server)
        there = self.cloud.there()
        for item in there.floating.get(node, ()):
            self.cloud.ask(partial(self._network.delete_ip, item), "to give a floating IP back", node)
        for item in there.ports.get(node, ()):
            self.cloud.ask(partial(self._network.delete_port, item), "to remove a port", node)
        for item in there.volumes.get(node, ()):
            self._settled(item, node)
            self.cloud.ask(partial(self._volumes.delete_volume, item), "to remove a volume", node)
            self._gone(partial(self._volumes.get_volume, item.id), f"volume {item.name}", node)

    @property
    def _compute(self) -> Any:
        return self.cloud.connection.compute

    @property
    def _network(self) -> Any:
        return self.cloud.connection.network

    @property
    def _volumes(self) -> Any:
        return self.cloud.connection.block_storage

    def _port(self, order: Order, mark: Mark) -> Any:
        """The machine's port: its address, its groups, and the addresses beside its own that it may send from."""
        machine, subnet, name = order.machine, self.ground.subnet(), self.full_name(order.machine.name)
        cluster = self.ground.cluster
        also = [cluster.pod_subnet, *([cluster.virtual_address] if machine.controls and cluster.virtual_address else [])]
        body = {
            "name": name,
            "description": str(mark),
            "network_id": subnet.network_id,
            "fixed_ips": [{"subnet_id": subnet.id, "ip_address": machine.address}],
            "security_groups": self.ground.group_ids(controls=machine.controls),
            "allowed_address_pairs": [{"ip_address": address} for address in also],
        }

        def find() -> Any:
            listed = self._network.ports(name=name, project_id=self.cloud.project)
            return next(iter(self.cloud.ours(listed, machine.name)), None)

        return self.cloud.ask(lambda: find() or self._network.create_port(**body), "to make a port", machine.name)

    def _floating(self, port: Any, mark: Mark) -> Any:
        """The machine's floating IP, at its port."""
        outside = self.cloud.network(self.cloud.options.network.external)

        def make() -> Any:
            listed = self._network.ips(project_id=self.cloud.project, description=str(mark))
            found = next(iter(self.cloud.ours(listed, mark.node)), None)
            if found is None:
                return self._network.create_ip(floating_network_id=outside.id, port_id=port.id, description=str(mark))
            return found if found.port_id == port.id else self._network.update_ip(found, port_id=port.id)

        return self.ground.leading_out(partial(self.cloud.ask, make, "to get a floating IP", mark.node))

    def _volume(self, what: str, wanted: VolumeWanted, mark: Mark, image: str = "") -> Any:
        """A volume of the machine, ready for use; made anew where making it had failed."""
        name = f"{self.full_name(mark.node)}-{what}"
        body: dict[str, Any] = {"name": name, "description": str(mark), "size": wanted.size}
        if wanted.kind:
            body["volume_type"] = wanted.kind
        if image:
            body["image_id"] = image

        def make() -> Any:
            found = next(iter(self.cloud.ours(self._volumes.volumes(details=True, name=name), mark.node)), None)
            if found is not None and found.status == "error":
                self._volumes.delete_volume(found)
                self._gone(partial(self._volumes.get_volume, found.id), f"volume {name}", mark.node)
                found = None
            return found or self._volumes.create_volume(**body)

        volume = self.cloud.ask(make, "to make a volume", mark.node)
        return self._until(lambda: self._volumes.get_volume(volume.id), {"available", "in-use"}, mark.node, VOLUME_SECONDS)

    def _first_that_fits(self, order: Order, port: Any, mark: Mark, log: Log) -> Any:
        """A server of the first flavor and in the first zone where a host has room."""
        flavors = order.flavors[: FLAVORS_TRIED if self.cloud.options.other_flavors else 1]
        choices = [(flavor, zone) for flavor in flavors for zone in order.zones]
        for number, (flavor, zone) in enumerate(choices, 1):
            where = f" in {zone}" if zone else ""
            log(f"{mark.node}: {flavor}{where}")
            server = None
            try:
                server = self._server(order, port, mark, flavor, zone)
                return self._active(server)
            except CantiereError as error:
                if not _no_room(str(error)) or number == len(choices):
                    raise
                log(f"{mark.node}: no host has room for {flavor.name}{where}, the next is tried")
                if server is not None:
                    self._end(server)
        raise AssertionError("the last choice returns or raises")

    def _server(self, order: Order, port: Any, mark: Mark, flavor: Flavor, zone: str) -> Any:
        node, options = mark.node, self.cloud.options
        host_key = new_key()
        public = public_key(host_key)
        pair, group = self.ground.key_pair(), self.ground.server_group() if order.machine.controls else None
        body: dict[str, Any] = {
            "name": self.full_name(node),
            "flavor_id": flavor.id,
            "networks": [{"port": port.id}],
            "key_name": pair.name,
            "user_data": user_data(node, host_key, public, pair.public_key),
            "metadata": {marks.KEY: str(mark), marks.DIGEST: order.digest, marks.HOST_KEY: public},
        }
        disks = self._disks(order, mark)
        body |= {"block_device_mapping": disks} if disks else {}
        if not options.boot_volume:
            body["image_id"] = order.image
        if zone:
            body["availability_zone"] = zone
        if group is not None:
            body["scheduler_hints"] = {"group": group.id}
        return self.cloud.ask(lambda: self.find(node) or self._compute.create_server(**body), "to make a server", node)

    def _disks(self, order: Order, mark: Mark) -> list[Mapping[str, Any]]:
        """The block devices of a server; empty where it has the flavor's disk alone."""
        boot, data = self.cloud.options.boot_volume, self.cloud.options.data_volumes.get(order.machine.pool)
        found: list[Mapping[str, Any]] = []
        if boot:
            volume = self._volume("boot", boot, mark, order.image)
            found.append(_device(volume.id, "volume", 0))
        elif data:
            found.append(_device(order.image, "image", 0))
        if data:
            found.append(_device(self._volume("data", data, mark).id, "volume", -1))
        return found

    def _active(self, server: Any) -> Any:
        node = str(getattr(marks.of(server), "node", "")) or str(server.name)
        return self._until(lambda: self._compute.get_server(server.id), {ACTIVE}, node, BUILD_SECONDS)

    def _until(self, look: Callable[[], Any], wanted: set[str], node: str, seconds: float) -> Any:
        """Wait for a status; an object that ends in an error is told with what the cloud says of it."""
        end = time.monotonic() + seconds
        while True:
            item = self.cloud.ask(look, "to tell a status", node)
            if item.status in wanted:
                return item
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
                message = f"{item.name} is {item.status} after {seconds:.0f} s"
                raise CantiereError(
                    Problem("openstack.slow", message, "look at it in the cloud's dashboard; run again: it goes on from there", path=node)
                )
            time.sleep(PAUSE)

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
        self.cloud.ask(partial(self._compute.delete_server, server), "to remove a server", node)
        self._gone(partial(self._compute.get_server, server.id), f"server {server.name}", node)

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
