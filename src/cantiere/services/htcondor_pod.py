"""HTCondor in a pod of a cluster: what its daemons are told beside the pool's own variables. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Pod:
    """What the templates of ``images/htcondor`` are told in a pod.

    Parameters
    ----------
    hostname:
        Name by which the daemons are known: the Service's, or for an execute point one that no other pod has (HTCondor's ``$ENV()`` works).
    private_network:
        Name of the network of the pool's pods, who connect to each other; execute points call everybody else back (CCB).
    forwarding_host:
        Name or address at which others reach them, where that is not the pod's own; it has the same port.
    worker_class:
        Kind of execute point; a job that names another one in ``WorkerClass`` does not run there.
    gpus:
        How many GPUs it offers; then only jobs that ask for some run there.
    simulated_gpus:
        Whether HTCondor only pretends that it found them: for tests.
    leave_after:
        Seconds without a job after which an execute point ends; 0 lets it stay.
    """

    hostname: str
    private_network: str
    forwarding_host: str = ""
    worker_class: str = ""
    gpus: int = 0
    simulated_gpus: bool = False
    leave_after: int = 0

    def variables(self, *roles: str) -> dict[str, Any]:
        """The variable ``pod`` of the templates, for daemons with these roles."""
        told: dict[str, Any] = {"hostname": self.hostname, "private_network": self.private_network, "forwarding_host": self.forwarding_host}
        if "execute-point" in roles:
            told |= {
                "worker_class": self.worker_class,
                "gpus": self.gpus,
                "simulated_gpus": self.simulated_gpus,
                "leave_after": self.leave_after,
            }
        return told
