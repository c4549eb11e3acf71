"""What podman must be told on a machine. Pure.

Source: containers.conf(5); found where a machine has no systemd, mixed control groups or a low hard limit of open files.
"""

from __future__ import annotations

USUAL_NOFILE = 1048576
PODMAN_NPROC = 32768
"""Podman gives its children no higher limit of processes than this; one that may not raise limits must not ask for more."""


def containers_conf(nofile: str, nproc: str, systemd: bool, unified: bool) -> str:
    """The text of a containers.conf for a machine.

    Parameters
    ----------
    nofile, nproc:
        Hard limits of open files and processes, as ``ulimit`` says them (a number or ``unlimited``).
    systemd:
        Whether systemd runs the machine.
    unified:
        Whether control groups are unified (version 2) at their usual place.
    """
    lines = ["# made by cantiere, for its containers only", "[containers]", "log_size_max = 20000000"]
    # containers find each other by DNS, not by a copy of this machine's hosts file
    lines.append('base_hosts_file = "none"')
    if nofile != "unlimited" and int(nofile) < USUAL_NOFILE:
        processes = PODMAN_NPROC if nproc == "unlimited" else min(int(nproc), PODMAN_NPROC)
        limits = [f"nofile={nofile}:{nofile}", f"nproc={processes}:{processes}"]
        lines.append(f"default_ulimits = [{', '.join(f'{chr(34)}{limit}{chr(34)}' for limit in limits)}]")
    lines += ["", "[engine]"]
    if not unified:
        lines.append('runtime = "runc"')  # crun refuses mixed control groups
    if not systemd:
        lines += ['cgroup_manager = "cgroupfs"', 'events_logger = "file"']
    lines += ["", "[network]", 'network_backend = "netavark"', ""]
    return "\n".join(lines)
