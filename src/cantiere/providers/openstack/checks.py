"""What stands in the way of a plan in a cloud, found before anything is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cantiere.errors import CantiereError, Problem, rather
from cantiere.machines.model import Machine
from cantiere.providers.openstack import quota, rules
from cantiere.providers.openstack.cloud import Cloud
from cantiere.providers.openstack.flavors import GIB, MIB, Flavor, fitting, needs_of, unfit
from cantiere.providers.openstack.ground import Ground
from cantiere.providers.openstack.quota import Ask, Limit

READING = frozenset({"reader"})
SHARED = "what all share"


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
            there = self.cloud.there()
        except CantiereError as error:  # nothing else can be asked
            return list(error.problems)
        missing = [machine for machine in wanted if machine.name not in there.servers]
        found = [*self._rights(), *self._networks(), *self._zones()]
        image = self.cloud.image()
        if image is None:
            asked = ", ".join(f"{key} {value}" for key, value in self.options.image.items())
            names = sorted({str(item.name) for item in self.cloud.connection.image.images(status="active")})
            remedy = rather([str(self.options.image.get("name", ""))], names)
            found.append(Problem("openstack.image", f"there is no active image with {asked}", remedy, path="image"))
        flavors = self.cloud.flavors()
        chosen: dict[str, Flavor] = {}
        for machine in missing:
            needs = needs_of(machine, own_disk=self.options.boot_volume is None)
            fits = fitting(flavors, needs, self.options.flavors_of(machine.pool))
            if fits:
                chosen[machine.name] = fits[0]
            else:
                found.append(unfit(machine, flavors, needs, self.options.flavors_of(machine.pool)))
        found += self._boot(image)
        asks = [self._shared(), *(self._ask(machine, chosen.get(machine.name), there.ports) for machine in missing)]
        return [*found, *quota.short(asks, self._limits(), self.options.cloud)]

    def _rights(self) -> list[Problem]:
        session: Any = self.cloud.connection.session
        roles = set(session.auth.get_access(session).role_names)
        if not roles or roles - READING:
            return []
        message = f"these credentials may only read: their role is {', '.join(sorted(roles))}"
        return [Problem("openstack.rights", message, "use credentials with the role `member` of the project", path=self.options.cloud)]

    def _networks(self) -> list[Problem]:
        found, wanted = [], self.options.network
        if wanted.external:
            outside = self.cloud.network(wanted.external)
            if outside is None or not outside.is_router_external:
                listed = self.cloud.connection.network.networks(is_router_external=True)
                remedy = rather([wanted.external], [str(item.name) for item in listed])
                what = "is no external network" if outside else "is not there"
                found.append(Problem("openstack.network", f"the network {wanted.external} {what}", remedy, path="network.external"))
        if wanted.name:
            network = self.cloud.network(wanted.name)
            if network is None:
                names = [str(item.name) for item in self.cloud.connection.network.networks()]
                found.append(
                    Problem(
                        "openstack.network", f"the network {wanted.name} is not there", rather([wanted.name], names), path="network.name"
                    )
                )
            elif self.ground.subnet() is None:
                subnets = [str(item.cidr) for item in self.cloud.connection.network.subnets(network_id=network.id, ip_version=4)]
                message = f"the network {wanted.name} has no subnet {wanted.subnet}"
                remedy = f"write one that it has: {', '.join(subnets) or 'it has none yet'}"
                found.append(Problem("openstack.network", message, remedy, path="network.subnet"))
        return found

    def _zones(self) -> list[Problem]:
        if not self.options.zones:
            return []
        known = [str(item.name) for item in self.cloud.connection.compute.availability_zones() if item.state.get("available")]
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
            known = [str(item.name) for item in self.cloud.connection.block_storage.types()]
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
        groups = self.ground.groups()
        wanted = sum(len(group) for group in rules.rules(self.options, self.ground.cluster.pod_subnet).values())
        return Ask(
            SHARED,
            {
                "networks": own,
                "subnets": own,
                "routers": own,
                "ports": own + bool(self.ground.cluster.virtual_address),
                "security_groups": 2 - len(groups),
                "security_group_rules": 0 if groups else wanted,
            },
        )

    def _ask(self, machine: Machine, flavor: Flavor | None, ports: Mapping[str, Any]) -> Ask:
        volumes = [volume for volume in (self.options.boot_volume, self.options.data_volumes.get(machine.pool)) if volume]
        return Ask(
            machine.name,
            {
                "instances": 1,
                "cores": flavor.cores if flavor else 0,
                "ram": flavor.memory // MIB if flavor else 0,
                "ports": 0 if machine.name in ports else 1,
                "floating_ips": 1 if machine.name in self.floating and machine.name not in ports else 0,
                "volumes": len(volumes),
                "gigabytes": sum(volume.size for volume in volumes),
            },
        )

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
