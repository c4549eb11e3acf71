"""Floating IPs of OpenStack that a run asked for and could not write down any more.

OpenStack's plugin writes the mark in the very request that makes one, and has no way to list them: its data source fails unless exactly one
is found. So they are looked for past the program, and removed: nobody was told their addresses, and the program makes others.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from cantiere.providers.base import Log
from cantiere.providers.openstack import marks
from cantiere.providers.terraform.options import MODULES, Options

MODULE, KIND = MODULES / "openstack", "openstack_networking_floatingip_v2"


def remove(options: Options, prefix: str, lineage: str, known: Collection[str], log: Log) -> None:
    """Remove the floating IPs that carry a facility's mark and that the program does not know; none where another module is used.

    Parameters
    ----------
    options:
        The site's.
    prefix, lineage:
        The site's prefix and the facility's lineage.
    known:
        Identifiers of what the state has.
    log:
        Takes a line for each.

    Raises
    ------
    CantiereError
        The cloud refuses, or does not answer for long.
    """
    if options.module != MODULE:
        return
    import openstack

    from cantiere.providers.openstack.faults import patiently

    name = str(options.variables["cloud"])
    ask = partial(patiently, doing="for its floating IPs", path=name, tell=log)
    cloud = ask(lambda: openstack.connect(cloud=name))
    for found in ask(lambda: list(cloud.network.ips(project_id=cloud.current_project_id))):
        mark = marks.of(found)
        if mark is not None and (mark.prefix, mark.lineage) == (prefix, lineage) and found.id not in known:
            log(f"{mark.node}: floating IP {found.floating_ip_address} was left by a run that was cut off; it is removed")
            ask(partial(cloud.network.delete_ip, found))
