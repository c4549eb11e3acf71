"""What all machines of a facility share in a project: key pair, network, router, security groups, server group, virtual address."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cantiere.machines.model import Machine
from cantiere.machines.wanted import Network
from cantiere.providers.base import Log
from cantiere.providers.keys import new_key, public_key
from cantiere.providers.openstack import rules
from cantiere.providers.openstack.cloud import KEPT_SECONDS, Cloud
from cantiere.providers.openstack.groups import Groups
from cantiere.providers.openstack.kept import Kept
from cantiere.providers.openstack.marks import Mark
from cantiere.providers.openstack.router import Router
from cantiere.providers.openstack.shared import Shared
from cantiere.state import write_atomic

GATEWAY_OFFSET, DHCP_FIRST, DHCP_LAST = 1, 2, 19
POLICIES = {"soft": "soft-anti-affinity", "hard": "anti-affinity"}


@dataclass(frozen=True, slots=True)
class Common:
    """What each server is made with.

    Parameters
    ----------
    network, subnet, outside:
        Identifiers; the outside world's network is ``""`` where the site names none.
    group_ids:
        Security group to its identifier.
    key_pair, server_group:
        As the SDK shows them; the server group may be None.
    """

    network: str
    subnet: str
    outside: str
    group_ids: Mapping[str, str]
    key_pair: Any
    server_group: Any

    def groups(self, machine: Machine) -> list[str]:
        """Identifiers of the security groups of a machine."""
        names = rules.groups_of(machine.pool, controls=machine.controls, there=self.group_ids)
        return [self.group_ids[name] for name in names]


class Ground:
    """The shared objects.

    Parameters
    ----------
    cloud:
        Where they are.
    cluster:
        The cluster's part of the network.
    key:
        File of the private key for log-ins.
    """

    def __init__(self, cloud: Cloud, cluster: Network, key: Path) -> None:
        self.cloud, self.cluster, self.key = cloud, cluster, key
        self.options, self.prefix = cloud.options, cloud.prefix
        self._common, self._changed = Shared(self._look), 0.0
        self.kept = Kept(cloud)
        self.groups = Groups(self.kept, cluster.pod_subnet)
        self.router = Router(self.kept, self.network, self.subnet)

    def common(self) -> Common:
        """What each server is made with; asked once for many of them."""
        return self._common.get(max(time.monotonic() - KEPT_SECONDS, self._changed))

    def made(self) -> bool:
        """Whether all of it is there, and rules are as they should be."""
        return self._begun() and self._whole(groups := self.groups.seen()) and self.groups.right(groups)

    def whole(self) -> bool:
        """Whether all of it is there, whatever the groups' rules are."""
        return self._begun() and self._whole(self.groups.seen())

    def _begun(self) -> bool:
        """Whether this controller knows of anything that may be there: otherwise the cloud need not be asked."""
        return self.key.is_file() and bool(self.cloud.lineages())

    def _whole(self, groups: Mapping[str, Any]) -> bool:
        network = self.network()
        found = [network and self._subnet_of(network), groups.get(rules.CONTROL), self.key_pair()]
        if network and not self.options.network.name:
            found.append(self.router.leads_out(network))
        if self.options.anti_affinity != "none":
            found.append(self.server_group())
        if self.cluster.virtual_address:
            found.append(self._address())
        return all(found)

    def holds(self) -> bool:
        """Whether any of it is there."""
        if self.key.is_file():
            return True
        net = self.kept.net
        kinds = (net.ports, net.routers, net.networks, net.security_groups)
        marked = any(self.kept.first("what is shared", listing) for listing in kinds)
        return marked or self.server_group() is not None or bool(self._key_pairs())

    def make(self, lineage: str, log: Log) -> None:
        """Make what is missing of it, and put the groups' rules right."""
        try:
            self._make_all(lineage, log)
        finally:
            self._changed = time.monotonic()

    def _make_all(self, lineage: str, log: Log) -> None:
        mark = str(Mark(self.prefix, lineage))
        if not self.key.is_file():
            write_atomic(self.key, new_key())
            write_atomic(self.key.with_suffix(".pub"), public_key(self.key) + "\n", 0o644)
        self.kept.make("key pair", self.key_pair, lambda: self._new_key_pair(lineage))
        if not self.options.network.name:
            log(f"{self.prefix}: network {self.options.network.subnet} behind a router to {self.options.network.external}")
            self.kept.make("network", self.network, partial(self.kept.net.create_network, name=self.prefix, description=mark))
            self.kept.make("subnet", self.subnet, partial(self._new_subnet, mark))
            self.router.make(mark)
        self.groups.make(mark, log)
        if self.options.anti_affinity != "none":
            self.kept.make("server group", self.server_group, partial(self._new_server_group, lineage))
        if self.cluster.virtual_address:
            self.kept.make("virtual address", self._address, partial(self._new_address, mark))

    def remove(self) -> None:
        """Remove all of it that carries our mark; an existing network stays."""
        kept, net, compute = self.kept, self.kept.net, self.kept.compute
        networks = kept.shared("networks", net.networks)
        kept.remove("port", kept.shared("ports", net.ports), net.delete_port)
        for router in kept.shared("routers", net.routers):
            self.router.remove(router, networks)
        kept.remove("network", networks, net.delete_network)
        groups = sorted(kept.shared("security groups", net.security_groups), key=lambda group: str(group.name))
        kept.remove("security group", groups, net.delete_security_group)
        kept.remove("server group", kept.named("server groups", compute.server_groups), compute.delete_server_group)
        kept.remove("key pair", self._key_pairs(), compute.delete_keypair)
        for file in self.key.parent.glob(f"*{self.key.name}*"):
            file.unlink(missing_ok=True)

    def network(self) -> Any:
        """The machines' network, or None."""
        if self.options.network.name:
            return self.cloud.network(self.options.network.name)
        return self.kept.first("networks", self.kept.net.networks, name=self.prefix)

    def subnet(self) -> Any:
        """The machines' subnet, or None."""
        network = self.network()
        return None if network is None else self._subnet_of(network)

    def server_group(self) -> Any:
        """The server group that keeps control planes apart, or None."""
        return next(iter(self.kept.named("server groups", self.kept.compute.server_groups)), None)

    def key_pair(self) -> Any:
        """The key pair, or None; one that holds another key than ours counts as none."""
        ours = public_key(self.key).split()[:2]
        return next((pair for pair in self._key_pairs() if str(pair.public_key).split()[:2] == ours), None)

    def _look(self) -> Common:
        subnet, external = self.subnet(), self.options.network.external
        return Common(
            network=str(subnet.network_id),
            subnet=str(subnet.id),
            outside=str(self.cloud.network(external).id) if external else "",
            group_ids={name: str(group.id) for name, group in self.groups.seen().items()},
            key_pair=self.key_pair(),
            server_group=self.server_group() if self.options.anti_affinity != "none" else None,
        )

    def _subnet_of(self, network: Any) -> Any:
        wanted = str(self.options.network.subnet)
        return next(iter(self.kept.listed("subnets", self.kept.net.subnets, network_id=network.id, cidr=wanted)), None)

    def _key_pairs(self) -> list[Any]:
        """Key pairs of the facility, whatever key they hold."""
        return self.kept.named("key pairs", self.kept.compute.keypairs)

    def _new_key_pair(self, lineage: str) -> Any:
        compute, name = self.kept.compute, f"{self.prefix}-{lineage}"
        compute.delete_keypair(name)  # one with another key, from before this controller's key was lost
        return compute.create_keypair(name=name, public_key=public_key(self.key))

    def _new_subnet(self, mark: str) -> Any:
        wanted = self.options.network
        first = wanted.subnet.network_address
        return self.kept.net.create_subnet(
            name=self.prefix,
            description=mark,
            network_id=self.network().id,
            ip_version=4,
            cidr=str(wanted.subnet),
            gateway_ip=str(first + GATEWAY_OFFSET),
            dns_nameservers=list(wanted.dns),
            allocation_pools=[{"start": str(first + DHCP_FIRST), "end": str(first + DHCP_LAST)}],
        )

    def _new_server_group(self, lineage: str) -> Any:
        policy = POLICIES[self.options.anti_affinity]
        return self.kept.compute.create_server_group(name=f"{self.prefix}-{lineage}", policy=policy)

    def _address(self) -> Any:
        name = f"{self.prefix}-virtual-address"
        return self.kept.first("ports", self.kept.net.ports, name=name)

    def _new_address(self, mark: str) -> Any:
        """A port that holds the virtual address, so that nobody else gets it; machines may use it by their allowed address pairs."""
        subnet = self.subnet()
        return self.kept.net.create_port(
            name=f"{self.prefix}-virtual-address",
            description=mark,
            network_id=subnet.network_id,
            fixed_ips=[{"subnet_id": subnet.id, "ip_address": self.cluster.virtual_address}],
            security_groups=[group.id for name, group in self.groups.seen().items() if name in (rules.MACHINES, rules.CONTROL)],
        )
