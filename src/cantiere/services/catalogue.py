"""Which module makes which type of node into containers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cantiere.errors import Problem
from cantiere.model import Container, Facility, Node
from cantiere.services import cvmfs, htcondor, iam, jupyterhub, minio, monitoring, xrootd
from cantiere.services.facts import Facts

PLATFORM = "cantiere.nodes.Platform"
GROUND = frozenset({PLATFORM, "cantiere.nodes.MachinePool"})
"""Types of nodes that services stand on; no container is made of them."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the catalogue knows of a node type.

    Parameters
    ----------
    containers:
        Makes the containers of a node.
    check:
        Finds what is wrong between several properties of a node, or None.
    """

    containers: Callable[[Node, Facts], tuple[Container, ...]]
    check: Callable[[Node, Facility], list[Problem]] | None = None


SERVICES: Mapping[str, Service] = {
    cvmfs.TYPE: Service(cvmfs.containers),
    htcondor.TYPE: Service(htcondor.containers, htcondor.check),
    iam.TYPE: Service(iam.containers, iam.check),
    jupyterhub.TYPE: Service(jupyterhub.containers, jupyterhub.check),
    minio.TYPE: Service(minio.containers),
    monitoring.TYPE: Service(monitoring.containers),
    **{name: Service(xrootd.containers, xrootd.check) for name in xrootd.TYPES},
}
