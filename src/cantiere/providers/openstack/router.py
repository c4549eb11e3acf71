"""The router between a facility's network and the outside, and how one that is half-made is made anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from cantiere.errors import CantiereError, Problem
from cantiere.providers.openstack import marks
from cantiere.providers.openstack.faults import REMEDIES, maybe
from cantiere.providers.openstack.kept import Kept

Answer = TypeVar("Answer")
NO_WAY_OUT = "is not reachable from subnet"
"""What the cloud says of a floating IP where the router is not on the machines' network."""


class Router:
    """The router.

    Parameters
    ----------
    kept:
        What looks for it and makes it.
    network, subnet:
        The network that is made for the machines, and its subnet.
    """

    def __init__(self, kept: Kept, network: Callable[[], Any], subnet: Callable[[], Any]) -> None:
        self.kept, self.cloud, self.prefix = kept, kept.cloud, kept.prefix
        self.network, self.subnet = network, subnet
        self._mending = threading.Lock()

    def leads_out(self, network: Any) -> bool:
        """Whether it has a way out, and is on the machines' network."""
        router = self._leading()
        return bool(router and self._interface_of(router, network.id))

    def make(self, mark: str, *, anew: bool = False) -> None:
        """Make the router, and put it on the network.

        One in whose making the network service was killed may be in its tables alone: then the service says that it put it on the
        network, and has taken it off again. It is made anew.

        Parameters
        ----------
        mark:
            Its description.
        anew:
            Remove the one that is there first.
        """
        if anew and (router := self._found()):
            self.remove(router, [self.network()])
        self.kept.make("router", self._leading, partial(self._new, mark))
        if self.kept.make("router's interface", self._interface, self._join):
            return
        if anew:
            message = f"the cloud says that it put the router {self.prefix} on its network, and has not"
            raise CantiereError(Problem("openstack.service", message, REMEDIES["openstack.service"], path=self.prefix))
        self.make(mark, anew=True)

    def remove(self, router: Any, networks: Iterable[Any]) -> None:
        """Take a router off these networks, and remove it."""
        ports = self.kept.listed("ports of a router", self.kept.net.ports, device_id=router.id)
        for port in [port for port in ports if _joins(port) and port.network_id in {item.id for item in networks}]:
            leave = partial(self.kept.net.remove_interface_from_router, router, port=port)
            self.cloud.ask(partial(maybe, leave), "to take a router off its network", router.name)
        self.kept.remove("router", [router], self.kept.net.delete_router)

    def leading_out(self, call: Callable[[], Answer]) -> Answer:
        """What a call gives that needs our router, which is made anew where it leads nowhere."""
        try:
            return call()
        except CantiereError as error:
            if NO_WAY_OUT not in str(error) or self.cloud.options.network.name:
                raise
        with self._mending:
            try:
                return call()  # another machine's call may have mended it meanwhile
            except CantiereError as error:
                if NO_WAY_OUT not in str(error):
                    raise
            self.make(str(marks.of(self.network())), anew=True)
            return call()

    def _new(self, mark: str) -> Any:
        outside, router = self.cloud.network(self.cloud.options.network.external), self._found()
        gateway = {"network_id": outside.id}
        if router:  # the network service did not live to give it one
            return self.kept.net.update_router(router, external_gateway_info=gateway)
        return self.kept.net.create_router(name=self.prefix, description=mark, external_gateway_info=gateway)

    def _leading(self) -> Any:
        """The router, or None where it leads nowhere."""
        router = self._found()
        return router if router and router.external_gateway_info else None

    def _found(self) -> Any:
        return self.kept.first("routers", self.kept.net.routers, name=self.prefix)

    def _interface(self) -> Any:
        return self._interface_of(self._found(), self.subnet().network_id)

    def _interface_of(self, router: Any, network: str) -> Any:
        ports = self.kept.listed("ports of a router", self.kept.net.ports, device_id=router.id, network_id=network)
        return next((port for port in ports if _joins(port)), None)

    def _join(self) -> Any:
        self.kept.net.add_interface_to_router(self._found(), subnet=self.subnet())
        return self._interface()


def _joins(port: Any) -> bool:
    """Whether a port is a router's interface."""
    return str(port.device_owner).startswith("network:router_interface")
