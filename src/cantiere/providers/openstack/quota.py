"""Whether the project's quota holds what is still to be made, who asks for it, and by how much it falls short. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cantiere.errors import Problem

UNLIMITED = -1
SHOWN = 6
NAMES = {
    "instances": "servers",
    "cores": "cores",
    "ram": "MiB of memory",
    "ports": "ports",
    "floating_ips": "floating IPs",
    "volumes": "volumes",
    "gigabytes": "GiB of volumes",
    "networks": "networks",
    "subnets": "subnets",
    "routers": "routers",
    "security_groups": "security groups",
    "security_group_rules": "rules of security groups",
    "server_groups": "server groups",
    "key_pairs": "key pairs",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """What one machine, or what all share, takes of the quota.

    Parameters
    ----------
    who:
        The machine, or ``what all share``.
    amounts:
        Resource (one of :data:`NAMES`) to how much of it.
    """

    who: str
    amounts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of the project.

    Parameters
    ----------
    most:
        How much it may have, or -1 for any amount.
    used:
        How much it has.
    """

    most: int
    used: int = 0


def short(asks: Sequence[Ask], limits: Mapping[str, Limit], project: str) -> list[Problem]:
    """A problem for every resource of which too little is left.

    Parameters
    ----------
    asks:
        What is still to be made.
    limits:
        Resource to its limit; those that the cloud does not tell are left out.
    project:
        Name of the project.
    """
    problems = []
    for resource, limit in limits.items():
        who = {ask.who: ask.amounts[resource] for ask in asks if ask.amounts.get(resource)}
        total = sum(who.values())
        free = limit.most - limit.used
        if limit.most == UNLIMITED or total <= free or not total:
            continue
        told = ", ".join(f"{name} {amount}" for name, amount in list(who.items())[:SHOWN])
        told += f", and {len(who) - SHOWN} machines more" if len(who) > SHOWN else ""
        what = NAMES[resource]
        problems.append(
            Problem(
                "openstack.quota",
                f"the plan needs {total} more {what}, {max(free, 0)} of {limit.most} are left: {total - max(free, 0)} are missing ({told})",
                f"ask the cloud to raise the quota of {what} to {limit.used + total} (`openstack quota show`), free some, or plan for less",
                path=project,
            )
        )
    return problems
