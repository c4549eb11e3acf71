"""What a project has already, taken into a facility: a floating IP that names lead to, a volume with data.

Objects are ours by their marks alone, so that taking one in is to write its mark, after a look whether it can be what the facility would
make. From then on it is like all others: `down` removes it.
"""

from __future__ import annotations

import ipaddress
from functools import partial
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.machines.model import Machine
from cantiere.providers.openstack import marks
from cantiere.providers.openstack.changes import volumes_of
from cantiere.providers.openstack.cloud import Cloud, There
from cantiere.providers.openstack.faults import maybe
from cantiere.providers.openstack.marks import Mark

CODE = "openstack.import"


def adopt(cloud: Cloud, machine: Machine, what: str, lineage: str, *, floats: bool) -> str:
    """Take an object in, for a machine.

    Parameters
    ----------
    cloud:
        Where it is.
    machine:
        The machine that gets it.
    what:
        The address of a floating IP, or the identifier of a volume.
    lineage:
        The facility's.
    floats:
        Whether the machine is to have a floating IP.

    Returns
    -------
    str
        What was taken in, in words; it may have been ours already.

    Raises
    ------
    CantiereError
        There is no such object, it is another facility's or in use, or the machine has no place for it.
    """
    mark, there = Mark(cloud.prefix, lineage, machine.name), cloud.there()
    try:
        address = str(ipaddress.IPv4Address(what))
    except ValueError:
        return _volume(cloud, machine, what, mark, there)
    return _floating_ip(cloud, machine, address, mark, there, floats=floats)


def _floating_ip(cloud: Cloud, machine: Machine, address: str, mark: Mark, there: There, *, floats: bool) -> str:
    network, node = cloud.connection.network, machine.name
    listing = partial(network.ips, project_id=cloud.project, floating_ip_address=address)
    found = next(iter(cloud.ask(lambda: list(listing()), "to list floating IPs", node)), None)
    if found is None:
        raise _refused(f"the project has no floating IP {address}", "see `openstack floating ip list`", node)
    if _is(found, mark):
        return f"the floating IP {address} is that of {node} already"
    outside = cloud.network(cloud.options.network.external)
    if not floats:
        raise _refused(f"{node} gets no floating IP", "set floating_ips to all, or name a machine of the control plane", node)
    if outside is None or found.floating_network_id != outside.id:
        raise _refused(f"{address} is not of the network {cloud.options.network.external}", "name one of it, or set network.external", node)
    if found.port_id:
        raise _refused(
            f"{address} is in use at the port {found.port_id}", f"take it off first: `openstack floating ip unset --port {address}`", node
        )
    if there.floating.get(node):
        own = there.floating[node][0].floating_ip_address
        raise _refused(f"{node} has the floating IP {own}", f"give it back first: `openstack floating ip delete {own}`", node)
    cloud.ask(partial(network.update_ip, found, description=str(mark)), "to mark a floating IP", node)
    return f"the floating IP {address} is now that of {node}"


def _volume(cloud: Cloud, machine: Machine, identifier: str, mark: Mark, there: There) -> str:
    node, wanted = machine.name, volumes_of(cloud.options, machine).get("data")
    volumes: Any = cloud.connection.block_storage
    found = cloud.ask(lambda: maybe(partial(volumes.get_volume, identifier)), "to show a volume", node) if cloud.has_volumes else None
    if found is None:
        remedy = "see `openstack volume list`; servers are not taken in, machines that exist are used by provider hosts"
        raise _refused(f"the project has no volume {identifier}, and no floating IP has that address", remedy, node)
    if _is(found, mark):
        return f"the volume {identifier} is that of {node} already"
    if wanted is None:
        remedy = f"write `data_volumes: {{{machine.pool}: {{size: {found.size}}}}}` into the site's provider"
        raise _refused(f"machines of {machine.pool} have no data volume", remedy, node)
    if found.status != "available":
        raise _refused(f"the volume {identifier} is {found.status}", "detach it first", node)
    if found.size > wanted.size or (wanted.kind and found.volume_type != wanted.kind):
        remedy = f"write `data_volumes: {{{machine.pool}: {{size: {found.size}, type: {found.volume_type}}}}}`"
        asked = f"{wanted.size} GiB{wanted.kind and f' of type {wanted.kind}'} are asked"
        raise _refused(f"the volume has {found.size} GiB of type {found.volume_type}, {asked}", remedy, node)
    if node in there.servers or there.volumes.get(node):
        raise _refused(
            f"{node} is there already, with what it has", "import volumes before their machine is made, or after it was removed", node
        )
    body = {"name": f"{cloud.prefix}-{node}-data", "description": str(mark)}
    cloud.ask(partial(volumes.update_volume, found, **body), "to mark a volume", node)
    return f"the volume {identifier} is now that of {node}"


def _is(item: Any, mark: Mark) -> bool:
    """Whether an object is that machine's already.

    Raises
    ------
    CantiereError
        It is another's.
    """
    its = marks.of(item)
    if its is None or its == mark:
        return its is not None
    raise _refused(f"it belongs to {its.node or 'all machines'} of the facility {its.prefix} ({its.lineage})", "name another", mark.node)


def _refused(message: str, remedy: str, node: str) -> CantiereError:
    return CantiereError(Problem(CODE, f"it cannot be taken in: {message}", remedy, path=node))
