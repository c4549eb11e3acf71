"""Jobs of HTCondor on machines that leave: no more of them come, and those that run may end, as long as their pool says."""

from __future__ import annotations

from collections.abc import Callable

from cantiere.machines.ssh import Ssh

UNIT = "condor.service"
PODS = "app.kubernetes.io/name=htcondor,app.kubernetes.io/component=execute-point"
"""Labels of the pods in which jobs run on a cluster."""
LONGEST = 7 * 24 * 3600.0
"""Seconds; the unit itself ends what its time to retire is over for, however long the site makes that."""


def retire(ssh: Ssh, name: str, log: Callable[[str], None]) -> None:
    """Stop the daemons of a machine in order: it takes no more jobs, and those that run end, or go back to the queue in time.

    Parameters
    ----------
    ssh:
        How machines are reached.
    name:
        The machine.
    log:
        Takes lines of long work.

    Raises
    ------
    CantiereError
        They could not be stopped.
    """
    log(f"{name}: takes no more jobs; those that run may end within their time to retire")
    ssh.must(name, f"systemctl stop {UNIT}", timeout=LONGEST)
