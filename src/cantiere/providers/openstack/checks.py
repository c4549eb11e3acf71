"""What stands in the way of a plan in a cloud, found before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from cantiere.errors import CantiereError, Problem, rather
from cantiere.machines.model import Machine
from cantiere.providers.openstack import marks, quota
from cantiere.providers.openstack.changes import Difference, choice, compare, volumes_of
from cantiere.providers.openstack.cloud import JUST_SECONDS, Cloud, There
from cantiere.providers.openstack.flavors import GIB, MIB, Flavor
from cantiere.providers.openstack.ground import Ground
from cantiere.providers.openstack.quota import Ask, Limit
from cantiere.providers.openstack.resize import by_purpose, shown

READING = frozenset({"reader"})
SHARED = "what all share"
LOOKS = 7
"""At a cloud, all at once."""


class Checks:
    """Looks at a cloud for a plan.

    Parameters
    ----------
    cloud, ground:
        The cloud, and what machines share in it.
    floating:
        Names of the machines that get a floating IP.
    """

    def __init__(self, cloud: Cloud, ground: Ground, floating: frozenset[str]) -> None:
        self.cloud, self.ground, self.floating = cloud, ground, floating
        self.options = cloud.options

    def problems(self, wanted: Sequence[Machine]) -> list[Problem]:
        """All of them.

        Parameters
        ----------
        wanted:
            Machines of the plan.
        """
        try:
            return self._found(wanted)
        except CantiereError as error:  # something cannot be asked that the rest depends on
            return list(error.problems)

    def _found(self, wanted: Sequence[Machine]) -> list[Problem]:
        rights = self._rights()  # logs in
        with ThreadPoolExecutor(LOOKS) as pool:  # what is small is asked while all machines are listed
            listed = pool.submit(self.cloud.there, JUST_SECONDS)
            found_image, found_flavors = pool.submit(self.cloud.image), pool.submit(self.cloud.flavors)
            limits, shared = pool.submit(self._limits), pool.submit(self._shared)
            networks, zones = pool.submit(self._networks), pool.submit(self._zones)
        there, image, flavors = listed.result(), found_image.result(), found_flavors.result()
        missing = [machine for machine in wanted if machine.name not in there.servers]
        found = [*there.strangers, *rights, *networks.result(), *zones.result()]
        if image is None:
            asked = ", ".join(f"{key} {value}" for key, value in self.options.image.items())
            names = sorted(set(self._names("images", lambda: self.cloud.connection.image.images(status="active"))))
            remedy = rather([str(self.options.image.get("name", ""))], names)
            found.append(Problem("openstack.image", f"there is no active image with {asked}", remedy, path="image"))
        changed = [self._change(machine, there, flavors) for machine in wanted if machine.name in there.servers]
        found += [difference.problem for difference, _ in changed if difference.problem]
        chosen: dict[str, Flavor] = {}
        for machine in missing:
            _, fits, problem = choice(machine, flavors, self.options)
            if problem:
                found.append(problem)
            else:
                chosen[machine.name] = fits[0]
        found += self._boot(image)
        asks = [shared.result(), *(self._ask(machine, chosen.get(machine.name), there) for machine in missing)]
        asks += [ask for _, ask in changed]
        return [*found, *quota.short(asks, limits.result(), self.options.cloud)]

    def _listed(self, what: str, listing: Callable[[], Any]) -> list[Any]:
        return self.cloud.ask(lambda: list(listing()), f"to list {what}")

    def _names(self, what: str, listing: Callable[[], Any]) -> list[str]:
        return [str(item.name) for item in self._listed(what, listing)]

    def _rights(self) -> list[Problem]:
        session: Any = self.cloud.connection.session
        roles = set(self.cloud.ask(lambda: session.auth.get_access(session).role_names, "to tell our roles"))
        if not roles or roles - READING:
            return []
        message = f"these credentials may only read: their role is {', '.join(sorted(roles))}"
        return [Problem("openstack.rights", message, "use credentials with the role `member` of the project", path=self.options.cloud)]

    def _networks(self) -> list[Problem]:
        found, wanted = [], self.options.network
        if wanted.external:
            outside = self.cloud.network(wanted.external)
            if outside is None or not outside.is_router_external:
                listed = self._names("networks", lambda: self.cloud.connection.network.networks(is_router_external=True))
                remedy = rather([wanted.external], listed)
                what = "is no external network" if outside else "is not there"
                found.append(Problem("openstack.network", f"the network {wanted.external} {what}", remedy, path="network.external"))
        if wanted.name:
            network = self.cloud.network(wanted.name)
            if network is None:
                names = self._names("networks", lambda: self.cloud.connection.network.networks())
                found.append(
                    Problem(
                        "openstack.network", f"the network {wanted.name} is not there", rather([wanted.name], names), path="network.name"
                    )
                )
            elif self.ground.subnet() is None:
                look = partial(self.cloud.connection.network.subnets, network_id=network.id, ip_version=4)
                subnets = [str(item.cidr) for item in self._listed("subnets", look)]
                message = f"the network {wanted.name} has no subnet {wanted.subnet}"
                remedy = f"write one that it has: {', '.join(subnets) or 'it has none yet'}"
                found.append(Problem("openstack.network", message, remedy, path="network.subnet"))
        return found

    def _zones(self) -> list[Problem]:
        if not self.options.zones:
            return []
        listed = self._listed("availability zones", lambda: self.cloud.connection.compute.availability_zones())
        known = [str(item.name) for item in listed if item.state.get("available")]
        return [
            Problem("openstack.zone", f"there is no availability zone {zone}", rather([zone], known), path="zones")
            for zone in self.options.zones
            if zone not in known
        ]

    def _boot(self, image: Any) -> list[Problem]:
        boot, data = self.options.boot_volume, self.options.data_volumes
        volumes = [*([boot] if boot else []), *data.values()]
        if volumes and not self.cloud.has_volumes:
            message = "the cloud has no service for volumes"
            return [Problem("openstack.volume", message, "leave boot_volume and data_volumes out", path="boot_volume")]
        found = []
        kinds = {volume.kind for volume in volumes if volume.kind}
        if kinds:
            known = self._names("volume types", lambda: self.cloud.connection.block_storage.types())
            found = [
                Problem("openstack.volume", f"there is no volume type {kind}", rather([kind], known), path="boot_volume.type")
                for kind in sorted(kinds - set(known))
            ]
        least = max(int(image.min_disk or 0), -(-int(image.size or 0) // GIB)) if image else 0
        if boot and boot.size < least:
            message = f"a boot volume of {boot.size} GiB is too small for the image {image.name}"
            found.append(Problem("openstack.volume", message, f"give it {least} GiB at least", path="boot_volume.size"))
        return found

    def _shared(self) -> Ask:
        """What of the shared objects is still to be made."""
        if self.ground.made():
            return Ask(SHARED)
        own = 0 if self.options.network.name or self.ground.network() else 1
        groups, wanted = self.ground.groups.seen(), self.ground.groups.wanted()
        lacking = [asked for group, asked in wanted.items() if group not in groups]
        return Ask(
            SHARED,
            {
                "networks": own,
                "subnets": own,
                "routers": own,
                "ports": own + bool(self.ground.cluster.virtual_address),
                "security_groups": len(lacking),
                "security_group_rules": sum(map(len, lacking)),
            },
        )

    def _ask(self, machine: Machine, flavor: Flavor | None, there: There) -> Ask:
        """What of a machine is still to be made; a run that was cut off has made a part of it."""
        node = machine.name
        made = by_purpose(there.volumes.get(node, ()))
        sizes = [volume.size for what, volume in volumes_of(self.options, machine).items() if what not in made]
        return Ask(
            node,
            {
                "instances": 1,
                "cores": flavor.cores if flavor else 0,
                "ram": flavor.memory // MIB if flavor else 0,
                "ports": 0 if node in there.ports else 1,
                "floating_ips": 1 if node in self.floating and node not in there.floating else 0,
                "volumes": len(sizes),
                "gigabytes": sum(sizes),
            },
        )

    def _change(self, machine: Machine, there: There, flavors: Sequence[Flavor]) -> tuple[Difference, Ask]:
        """How a server differs, and what its change takes of the quota."""
        server = there.servers[machine.name][0]
        seen = shown(server, there.volumes.get(machine.name, ()))
        difference = compare(machine, seen, str(server.metadata.get(marks.DIGEST, "")), flavors, self.options)
        old, new = next((flavor for flavor in flavors if flavor.name == seen["flavor"]), None), difference.flavor
        more = {"cores": new.cores - old.cores, "ram": (new.memory - old.memory) // MIB} if new and old else {}
        more["gigabytes"] = sum(size - seen["volumes"][what] for what, size in difference.volumes.items())
        return difference, Ask(machine.name, {resource: amount for resource, amount in more.items() if amount > 0})

    def _limits(self) -> dict[str, Limit]:
        link, ask = self.cloud.connection, self.cloud.ask
        compute = ask(lambda: link.compute.get_limits().absolute, "to tell the quota of servers")
        network = ask(lambda: link.network.get_quota(self.cloud.project, details=True), "to tell the quota of networks")
        found = {
            "instances": Limit(compute.instances, compute.instances_used),
            "cores": Limit(compute.total_cores, compute.total_cores_used),
            "ram": Limit(compute.total_ram, compute.total_ram_used),
        }
        for name in ("ports", "floating_ips", "networks", "subnets", "routers", "security_groups", "security_group_rules"):
            told = getattr(network, name, None)
            if isinstance(told, dict):
                found[name] = Limit(int(told["limit"]), int(told["used"]) + int(told.get("reserved") or 0))
        if self.cloud.has_volumes:
            volumes = ask(lambda: link.block_storage.get_limits().absolute, "to tell the quota of volumes")
            found["volumes"] = Limit(volumes.max_total_volumes, volumes.total_volumes_used)
            found["gigabytes"] = Limit(volumes.max_total_volume_gigabytes, volumes.total_gigabytes_used)
        return found
