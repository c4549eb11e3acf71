"""What all machines of a facility share in a project: key pair, network, router, security groups, server group, virtual address."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cantiere.errors import CantiereError
from cantiere.machines.wanted import Network
from cantiere.providers.base import Log
from cantiere.providers.keys import new_key, public_key
from cantiere.providers.openstack import marks, rules
from cantiere.providers.openstack.cloud import KEPT_SECONDS, Cloud
from cantiere.providers.openstack.marks import Mark
from cantiere.providers.openstack.shared import Shared
from cantiere.state import write_atomic

Answer = TypeVar("Answer")
GATEWAY_OFFSET, DHCP_FIRST, DHCP_LAST = 1, 2, 19
NO_WAY_OUT = "is not reachable from subnet"
"""What the cloud says of a floating IP where the router is not on the machines' network."""
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

    def groups(self, *, controls: bool) -> list[str]:
        """Identifiers of the security groups of a machine."""
        return [self.group_ids[name] for name in (rules.MACHINES, *([rules.CONTROL] if controls else []))]


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
        self._rejoining = threading.Lock()

    def common(self) -> Common:
        """What each server is made with; asked once for many of them."""
        return self._common.get(max(time.monotonic() - KEPT_SECONDS, self._changed))

    def made(self) -> bool:
        """Whether all of it is there, and rules are as they should be."""
        return self.whole() and not any(missing or extra for missing, extra in self._differing().values())

    def adjustments(self) -> tuple[str, ...]:
        """What the groups' rules lack, with who asks for it, and what nobody asks for, in words."""
        wanted = rules.rules(self.options, self.cluster.pod_subnet)
        differing = self._differing() or {group: (sorted(asked), {}) for group, asked in wanted.items()}
        asks = rules.asks(self.options)
        opens = [f"group {group} opens {rule}{asks.get(rule, '')}" for group, (missing, _) in differing.items() for rule in missing]
        return (*opens, *(f"group {group} closes {rule}" for group, (_, extra) in differing.items() for rule in extra))

    def whole(self) -> bool:
        """Whether all of it is there, whatever the groups' rules are."""
        if not self.key.is_file() or not self.cloud.lineages():
            return False
        found = [self.network(), self.subnet(), self.groups().get(rules.CONTROL), self.key_pair()]
        if not self.options.network.name:
            found.append(self._leading_router() and self._interface())
        if self.options.anti_affinity != "none":
            found.append(self.server_group())
        if self.cluster.virtual_address:
            found.append(self._address())
        return all(found)

    def holds(self) -> bool:
        """Whether any of it is there."""
        if self.key.is_file():
            return True
        mine = {"project_id": self.cloud.project}
        kinds = (self._net.ports, self._net.routers, self._net.networks, self._net.security_groups)
        marked = any(self._first("what is shared", partial(listing, **mine)) for listing in kinds)
        return marked or self.server_group() is not None or self._any_key_pair() is not None

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
        self._make("key pair", self.key_pair, lambda: self._new_key_pair(lineage))
        if not self.options.network.name:
            log(f"{self.prefix}: network {self.options.network.subnet} behind a router to {self.options.network.external}")
            self._make("network", self.network, lambda: self._net.create_network(name=self.prefix, description=mark))
            self._make("subnet", self.subnet, lambda: self._new_subnet(mark))
            self._make("router", self._leading_router, lambda: self._new_router(mark))
            self._make("router's interface", self._interface, self._join)
        for group in (rules.MACHINES, rules.CONTROL):
            self._make(
                f"security group {group}",
                partial(self._group, group),
                partial(self._net.create_security_group, name=self._group_name(group), description=mark),
            )
        self._put_right(log)
        if self.options.anti_affinity != "none":
            self._make("server group", self.server_group, lambda: self._new_server_group(lineage))
        if self.cluster.virtual_address:
            self._make("virtual address", self._address, lambda: self._new_address(mark))

    def remove(self) -> None:
        """Remove all of it that carries our mark; an existing network stays."""
        cloud, mine = self.cloud, {"project_id": self.cloud.project}
        network, compute = cloud.connection.network, cloud.connection.compute
        networks = self._marked("networks", lambda: network.networks(**mine))
        self._remove("port", cloud.ours(self._listed("ports", lambda: network.ports(**mine)), ""), network.delete_port)
        for router in self._marked("routers", lambda: network.routers(**mine)):
            ports = self._listed("ports of a router", partial(network.ports, device_id=router.id))
            for port in [port for port in ports if _joins(port) and port.network_id in {item.id for item in networks}]:
                leave = partial(network.remove_interface_from_router, router, port=port)
                cloud.ask(leave, "to take a router off its network", router.name)
            self._remove("router", [router], network.delete_router)
        self._remove("network", networks, network.delete_network)
        groups = sorted(self._marked("security groups", lambda: network.security_groups(**mine)), key=lambda group: str(group.name))
        self._remove("security group", groups, network.delete_security_group)
        names = {f"{self.prefix}-{lineage}" for lineage in cloud.lineages()}
        for what, listing, delete in (
            ("server group", compute.server_groups, compute.delete_server_group),
            ("key pair", compute.keypairs, compute.delete_keypair),
        ):
            self._remove(what, [item for item in self._listed(f"{what}s", listing) if item.name in names], delete)
        for file in self.key.parent.glob(f"*{self.key.name}*"):
            file.unlink(missing_ok=True)

    def leading_out(self, call: Callable[[], Answer]) -> Answer:
        """What a call gives that needs our router.

        Where the network service was killed while it put the router on the network, the router's port is there and leads nowhere.
        """
        try:
            return call()
        except CantiereError as error:
            if NO_WAY_OUT not in str(error) or self.options.network.name:
                raise
        with self._rejoining:
            try:
                return call()  # another machine's call may have mended it meanwhile
            except CantiereError as error:
                if NO_WAY_OUT not in str(error):
                    raise
            router, interface = self._router(), self._interface()
            self._make("router's way out", self._leading_router, lambda: self._new_router(str(marks.of(router))))
            if interface:
                leave = partial(self._net.remove_interface_from_router, router, port=interface)
                self.cloud.ask(leave, "to take the router off its network", self.prefix)
            self._make("router's interface", self._interface, self._join)
            return call()

    def network(self) -> Any:
        """The machines' network, or None."""
        if self.options.network.name:
            return self.cloud.network(self.options.network.name)
        return self._first("networks", lambda: self._net.networks(name=self.prefix, project_id=self.cloud.project))

    def subnet(self) -> Any:
        """The machines' subnet, or None."""
        network, wanted = self.network(), str(self.options.network.subnet)
        if network is None:
            return None
        listed = self.cloud.ask(lambda: list(self._net.subnets(network_id=network.id, cidr=wanted)), "to list subnets")
        return next(iter(listed), None)

    def groups(self) -> dict[str, Any]:
        """The security groups that are there, by what they are for."""
        listed = self.cloud.ask(lambda: list(self._net.security_groups(project_id=self.cloud.project)), "to list security groups")
        names = {self._group_name(group): group for group in (rules.MACHINES, rules.CONTROL)}
        return {names[item.name]: item for item in self.cloud.ours(listed, "") if item.name in names}

    def server_group(self) -> Any:
        """The server group that keeps control planes apart, or None."""
        return self._named(lambda: self.cloud.connection.compute.server_groups(), "server groups")

    def key_pair(self) -> Any:
        """The key pair, or None; one that holds another key than ours counts as none."""
        pair = self._any_key_pair()
        return pair if pair and str(pair.public_key).split()[:2] == public_key(self.key).split()[:2] else None

    def _look(self) -> Common:
        subnet, external = self.subnet(), self.options.network.external
        return Common(
            network=str(subnet.network_id),
            subnet=str(subnet.id),
            outside=str(self.cloud.network(external).id) if external else "",
            group_ids={name: str(group.id) for name, group in self.groups().items()},
            key_pair=self.key_pair(),
            server_group=self.server_group() if self.options.anti_affinity != "none" else None,
        )

    @property
    def _net(self) -> Any:
        return self.cloud.connection.network

    def _make(self, what: str, find: Callable[[], Any], make: Callable[[], Any]) -> None:
        """Make something unless it is there; after a lost answer it is looked for again before it is made again."""
        self.cloud.ask(lambda: find() or make(), f"to make the {what}", self.prefix)

    def _remove(self, what: str, items: Iterable[Any], delete: Callable[[Any], Any]) -> None:
        for item in items:
            self.cloud.ask(partial(delete, item), f"to remove the {what}", str(item.name))

    def _listed(self, what: str, listing: Callable[[], Any]) -> list[Any]:
        return self.cloud.ask(lambda: list(listing()), f"to list {what}")

    def _marked(self, what: str, listing: Callable[[], Any]) -> list[Any]:
        return self.cloud.ours(self._listed(what, listing))

    def _first(self, what: str, listing: Callable[[], Any]) -> Any:
        return next(iter(self.cloud.ours(self._listed(what, listing), "")), None)

    def _named(self, listing: Callable[[], Any], what: str) -> Any:
        names = {f"{self.prefix}-{lineage}" for lineage in self.cloud.lineages()}
        return next((item for item in self._listed(what, listing) if item.name in names), None)

    def _any_key_pair(self) -> Any:
        return self._named(lambda: self.cloud.connection.compute.keypairs(), "key pairs")

    def _new_key_pair(self, lineage: str) -> Any:
        compute, name = self.cloud.connection.compute, f"{self.prefix}-{lineage}"
        compute.delete_keypair(name)  # one with another key, from before this controller's key was lost
        return compute.create_keypair(name=name, public_key=public_key(self.key))

    def _new_subnet(self, mark: str) -> Any:
        wanted = self.options.network
        first = wanted.subnet.network_address
        return self._net.create_subnet(
            name=self.prefix,
            description=mark,
            network_id=self.network().id,
            ip_version=4,
            cidr=str(wanted.subnet),
            gateway_ip=str(first + GATEWAY_OFFSET),
            dns_nameservers=list(wanted.dns),
            allocation_pools=[{"start": str(first + DHCP_FIRST), "end": str(first + DHCP_LAST)}],
        )

    def _new_router(self, mark: str) -> Any:
        outside, router = self.cloud.network(self.options.network.external), self._router()
        gateway = {"network_id": outside.id}
        if router:  # the network service did not live to give it one
            return self._net.update_router(router, external_gateway_info=gateway)
        return self._net.create_router(name=self.prefix, description=mark, external_gateway_info=gateway)

    def _leading_router(self) -> Any:
        """The router, or None where it leads nowhere."""
        router = self._router()
        return router if router and router.external_gateway_info else None

    def _router(self) -> Any:
        return self._first("routers", lambda: self._net.routers(name=self.prefix, project_id=self.cloud.project))

    def _interface(self) -> Any:
        subnet = self.subnet()
        ports = partial(self._net.ports, device_id=self._router().id, network_id=subnet.network_id)
        return next((port for port in self._listed("ports of a router", ports) if _joins(port)), None)

    def _join(self) -> Any:
        return self._net.add_interface_to_router(self._router(), subnet=self.subnet())

    def _new_server_group(self, lineage: str) -> Any:
        policy = POLICIES[self.options.anti_affinity]
        return self.cloud.connection.compute.create_server_group(name=f"{self.prefix}-{lineage}", policy=policy)

    def _address(self) -> Any:
        name = f"{self.prefix}-virtual-address"
        return self._first("ports", lambda: self._net.ports(name=name, project_id=self.cloud.project))

    def _new_address(self, mark: str) -> Any:
        """A port that holds the virtual address, so that nobody else gets it; machines may use it by their allowed address pairs."""
        subnet = self.subnet()
        return self._net.create_port(
            name=f"{self.prefix}-virtual-address",
            description=mark,
            network_id=subnet.network_id,
            fixed_ips=[{"subnet_id": subnet.id, "ip_address": self.cluster.virtual_address}],
            security_groups=[group.id for group in self.groups().values()],
        )

    def _group_name(self, group: str) -> str:
        return f"{self.prefix}-{group}"

    def _group(self, group: str) -> Any:
        return self.groups().get(group)

    def _differing(self) -> dict[str, tuple[list[rules.Rule], dict[rules.Rule, str]]]:
        """Group to the rules that it lacks, and those that nobody asks for with their identifiers."""
        groups, found = self.groups(), {}
        if set(groups) != {rules.MACHINES, rules.CONTROL}:
            return {}
        for name, wanted in rules.rules(self.options, self.cluster.pod_subnet).items():
            seen = rules.seen(groups[name].security_group_rules or [], groups[rules.MACHINES].id)
            found[name] = (sorted(wanted - set(seen)), {rule: name for rule, name in seen.items() if rule not in wanted})
        return found

    def _put_right(self, log: Log) -> None:
        groups = self.groups()
        for name, (missing, extra) in self._differing().items():
            if missing or extra:
                log(f"{self._group_name(name)}: {len(missing)} rules to add, {len(extra)} to take away")
            for identifier in extra.values():
                drop = partial(self._net.delete_security_group_rule, identifier)
                self.cloud.ask(drop, "to remove a rule", self._group_name(name))
            for rule in missing:
                body = rule.body(groups[name].id, groups[rules.MACHINES].id)
                self._make(f"rule {rule}", partial(self._has_rule, name, rule), partial(self._net.create_security_group_rule, **body))

    def _has_rule(self, name: str, rule: rules.Rule) -> bool:
        return rule not in self._differing()[name][0]


def _joins(port: Any) -> bool:
    """Whether a port is a router's interface."""
    return str(port.device_owner).startswith("network:router_interface")
