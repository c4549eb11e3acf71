"""What is seen of a cluster and of the machines that it stands on. Frozen data, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

JOBS_ROLE = "htcondor_machine"


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """What the cluster says of one node.

    Parameters
    ----------
    ready:
        Whether its kubelet reports it ready.
    version:
        Of its kubelet, ``1.36.3``.
    machine_id:
        Of the machine that registered it.
    labels, taints:
        As they are; a taint is written ``key=value:Effect``.
    schedulable:
        Whether new pods may be placed on it.
    """

    ready: bool
    version: str
    machine_id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    schedulable: bool = True


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """What is seen of the cluster.

    Parameters
    ----------
    exists:
        Whether a machine carries it.
    answers:
        Whether its API answers.
    nodes:
        Node name to what is seen of it.
    """

    exists: bool = False
    answers: bool = False
    nodes: Mapping[str, NodeSeen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Converged:
    """What is seen on one machine.

    Parameters
    ----------
    reachable:
        Whether SSH answers.
    why:
        Where it does not: why.
    machine_id:
        The machine's own identity.
    digests:
        Role to the digest that it was converged with.
    drift:
        Role to what is no longer as it was converged.
    """

    reachable: bool
    why: str = ""
    machine_id: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    drift: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def runs_jobs(self) -> bool:
        """Whether daemons of HTCondor run on the machine itself, outside of any cluster."""
        return self.reachable and JOBS_ROLE in self.digests
