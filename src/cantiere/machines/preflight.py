"""Refuse before anything is touched: everything that is wrong with the machines, of all of them at once. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from cantiere.errors import Problem
from cantiere.machines.model import CONTROL_PLANE, Machine
from cantiere.machines.registry import PORT, WRITE_PORT
from cantiere.machines.wanted import in_cluster

GIB = 1024**3
SYSTEMS = {
    "debian": ("12", "13"),
    "ubuntu": ("24.04",),
    **dict.fromkeys(("rhel", "centos", "rocky", "almalinux"), ("9", "10")),
}
"""Operating systems that the roles know: name and first numbers of the version."""
ARCHITECTURES = ("amd64", "arm64")
LEAST_KERNEL = (5, 13)  # kube-proxy's nftables mode
LEAST = {True: (2, int(1.7 * GIB)), False: (1, int(0.9 * GIB))}
"""Cores and bytes of memory of a machine with control plane, and without."""
LEAST_DISK_FREE = 10 * GIB
SKEW = 2.0  # seconds; certificates and etcd need clocks that agree
CONTROLLERS = {"cpu", "cpuset", "memory", "pids"}
FEATURES = ("overlay", "br_netfilter")
KUBELET_PORTS = (10250, 10256)
CONTROL_PORTS = (6443, 2379, 2380, 10257, 10259)
BARE_PORTS = {
    "htcondor-central-manager": (9618,),
    "htcondor-access-point": (9618,),
    "htcondor-execute-point": (9618,),
    "xrootd-origin": (1094,),
    "xrootd-cache": (1094,),
    "xrootd-redirector": (1094,),
    "nfs-server": (2049,),
    "squid": (3128,),
    "registry": (PORT, WRITE_PORT),
}
OURS = re.compile(r"kubelet|kube-|etcd|condor_|xrootd|cmsd|squid|docker-registr")
"""Programs that hold these ports on a machine that was converged; the kernel itself serves NFS."""
KERNEL = "?"
FOREIGN_RUNTIMES = {
    "dockerd": "remove Docker (`systemctl disable --now docker docker.socket`)",
    "crio": "remove CRI-O (`systemctl disable --now crio`)",
    "containerd": "remove that containerd (`systemctl disable --now containerd`)",
    "k3s-server": "use the cluster that is there by provider cluster, or run k3s-uninstall.sh",
    "k3s-agent": "use the cluster that is there by provider cluster, or run k3s-agent-uninstall.sh",
    "rke2": "use the cluster that is there by provider cluster, or run rke2-uninstall.sh",
    "kubelet": "use the cluster that is there by provider cluster, or run `kubeadm reset`",
}
"""Program of a container runtime or cluster that is not ours, and what to do about it."""
ELSEWHERE = "or list another machine"
TELLS_APART = {
    "machine_id": ("machine id", "remove /etc/machine-id on all but one, run `systemd-machine-id-setup` there and restart it"),
    "hardware_address": ("hardware address", "give each virtual machine's network card its own, or list the machine once"),
    "hostname": ("host name", "nothing has to be done: each gets the name that the facility gives it"),
}
IDENTITIES = ("machine_id", "hardware_address")


class Looked(Protocol):
    """What was found on a machine: a :class:`cantiere.machines.probe.Probed` with the facts of the survey."""

    @property
    def reachable(self) -> bool:
        """Whether SSH answered."""

    @property
    def why(self) -> str:
        """Where not: why."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """See :func:`cantiere.machines.survey.survey`."""

    @property
    def manifests(self) -> Mapping[str, object]:
        """Roles that were converged on it."""


def check(machines: Sequence[Machine], probed: Mapping[str, Looked]) -> tuple[list[Problem], list[Problem]]:
    """Everything that stands in the way of converging machines.

    Parameters
    ----------
    machines:
        The machines of the facility.
    probed:
        Machine name to what was found on it; machines that are left out here are told of elsewhere.

    Returns
    -------
    tuple
        Errors and warnings: first by machine, then what is wrong between them.
    """
    errors: list[Problem] = []
    warnings: list[Problem] = []
    there: dict[str, Mapping[str, Any]] = {}
    for machine in machines:
        found = probed.get(machine.name)
        if found is None:
            continue
        if not found.reachable:
            errors.append(_problem(machine.name, "unreachable", f"cannot be reached: {found.why}", "log in by hand to see more"))
            continue
        there[machine.name] = found.facts
        errors += _system(machine, found.facts)
        errors += _size(machine, found.facts)
        errors += _kernel(machine, found.facts)
        errors += _occupied(machine, found.facts, bool(found.manifests))
        warnings += _notes(machine, found.facts)
    reached = [machine for machine in machines if machine.name in there]
    errors += _clocks(there)
    errors += [problem for fact in IDENTITIES for problem in _twins(there, fact)]
    errors += _paths(there)
    warnings += _twins(there, "hostname")
    warnings += _mtu(reached, there)
    return errors, warnings


def _problem(name: str, reason: str, what: str, remedy: str) -> Problem:
    return Problem(f"machine.{reason}", f"{name} {what}", remedy, path=name)


def _system(machine: Machine, facts: Mapping[str, Any]) -> Iterator[Problem]:
    name = machine.name
    versions = SYSTEMS.get(facts["os_id"])
    if versions is None or not any(facts["os_version"] == known or facts["os_version"].startswith(f"{known}.") for known in versions):
        known = "; ".join(f"{system} {', '.join(numbers)}" for system, numbers in SYSTEMS.items())
        yield _problem(
            name, "system", f"runs {facts['os_id']} {facts['os_version']}, which the roles do not know", f"install one of: {known}"
        )
    if facts["arch"] not in ARCHITECTURES:
        yield _problem(name, "architecture", f"is a {facts['arch']}", f"use machines of {' or '.join(ARCHITECTURES)}")
    if not facts["systemd"]:
        yield _problem(name, "systemd", "does not run systemd", "boot it with systemd")


def _size(machine: Machine, facts: Mapping[str, Any]) -> Iterator[Problem]:
    if not in_cluster(machine):
        return
    cores, memory = LEAST[machine.controls]
    kind = "control plane" if machine.controls else "node"
    if facts["cpus"] < cores:
        yield _problem(machine.name, "cores", f"has {facts['cpus']} core, a {kind} needs {cores}", f"give it more cores, {ELSEWHERE}")
    if facts["memory"] < memory:
        what = f"has {facts['memory'] / GIB:.1f} GiB of memory, a {kind} needs {memory / GIB:.1f}"
        yield _problem(machine.name, "memory", what, f"give it more memory, {ELSEWHERE}")
    if facts["disk_free"] < LEAST_DISK_FREE:
        what = f"has {facts['disk_free'] / GIB:.1f} GiB free at /var/lib, {LEAST_DISK_FREE / GIB:.0f} are needed"
        yield _problem(machine.name, "disk", what, "free disk space there, or make the file system larger")


def _kernel(machine: Machine, facts: Mapping[str, Any]) -> Iterator[Problem]:
    name = machine.name
    newer = "update its kernel"
    if not facts["nf_tables"] and "nf_tables" not in facts["loadable"]:
        yield _problem(name, "kernel.nf_tables", "has a kernel without nftables", f"{newer}, or install its module packages")
    if not in_cluster(machine):
        return
    release = re.match(r"(\d+)\.(\d+)", facts["kernel"])
    if release and (int(release[1]), int(release[2])) < LEAST_KERNEL:
        yield _problem(
            name, "kernel", f"runs kernel {facts['kernel']}, {'.'.join(map(str, LEAST_KERNEL))} is the oldest that will do", newer
        )
    for feature in FEATURES:
        if feature not in facts["features"] and feature not in facts["loadable"]:
            yield _problem(name, f"kernel.{feature}", f"has a kernel without {feature}", f"{newer}, or install its module packages")
    missing = sorted(CONTROLLERS - set(facts["controllers"]))
    if missing:
        what = f"has no control group controller for {', '.join(missing)}"
        yield _problem(name, "cgroup", what, "add `cgroup_enable=memory` and the like to its kernel's command line and restart it")


def _occupied(machine: Machine, facts: Mapping[str, Any], converged: bool) -> Iterator[Problem]:
    """What already sits on a machine; where it was converged before, what we run is no obstacle."""
    name = machine.name
    for port in ports(machine):
        program = facts["listeners"].get(str(port))
        if program and not (converged and (program == KERNEL or OURS.match(program))):
            holder = "the kernel" if program == KERNEL else program
            remedy = f"stop what listens there (`ss -ltnp 'sport = :{port}'`), {ELSEWHERE}"
            yield _problem(name, "port", f"has port {port} taken by {holder}", remedy)
    if not in_cluster(machine) or converged:
        return
    for program, remedy in FOREIGN_RUNTIMES.items():
        if program in facts["programs"] and not (program == "containerd" and "dockerd" in facts["programs"]):
            yield _problem(name, "runtime", f"runs {program}, which is not ours", f"{remedy}, {ELSEWHERE}")
    if facts["left"]:
        what = f"holds what another cluster left: {', '.join(facts['left'])}"
        yield _problem(name, "left", what, f"save what is needed of it, then `kubeadm reset` and remove these paths, {ELSEWHERE}")
    if facts["swap"] and not facts["container"]:
        what = f"swaps to {facts['swap'] / GIB:.1f} GiB of disk, which the kubelet refuses"
        yield _problem(name, "swap", what, "run `swapoff -a` on it and take the swap lines out of its /etc/fstab")


def ports(machine: Machine) -> tuple[int, ...]:
    """TCP ports that a machine's roles need."""
    found = list(KUBELET_PORTS) if in_cluster(machine) else []
    found += CONTROL_PORTS if CONTROL_PLANE in machine.roles else ()
    found += [port for role in machine.roles for port in BARE_PORTS.get(role, ())]
    return tuple(dict.fromkeys(found))


def _notes(machine: Machine, facts: Mapping[str, Any]) -> Iterator[Problem]:
    if facts["selinux"] == "enforcing":
        what = "has SELinux enforcing, for which container runtimes need a policy"
        yield _problem(
            machine.name, "selinux", what, "install container-selinux on it, or set SELINUX=permissive in its /etc/selinux/config"
        )
    if facts["apparmor"] == "on":
        what = "has AppArmor on: profiles of its own may refuse what services do"
        yield _problem(machine.name, "apparmor", what, "look for DENIED in its `journalctl -k` if a service fails")


def _clocks(there: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Clocks that surely differ by more than they may, measuring errors allowed for: from those of most machines, else from ours."""
    skews = sorted(facts["skew"] for facts in there.values())
    error = max((facts["skew_error"] for facts in there.values()), default=0.0)
    middle = skews[(len(skews) - 1) // 2] if skews else 0.0
    agreed = len(skews) > 1 and 2 * sum(abs(skew - middle) <= SKEW + error for skew in skews) > len(skews)
    if agreed and abs(middle) > SKEW + error:
        what = f"this machine's clock is {abs(middle):.1f} s {'behind' if middle > 0 else 'ahead of'} that of most machines"
        yield Problem("machine.clock", what, "set this machine's clock right first (`timedatectl set-ntp true`)", path="clock")
    reference, whose = (middle, "most machines'") if agreed else (0.0, "this machine's")
    remedy = "start time synchronisation there (`timedatectl set-ntp true`) and wait for it"
    for name, facts in there.items():
        apart = facts["skew"] - reference
        if abs(apart) > SKEW + facts["skew_error"]:
            yield _problem(name, "clock", f"has a clock that is {abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} {whose}", remedy)


def _twins(there: Mapping[str, Mapping[str, Any]], fact: str) -> Iterator[Problem]:
    """Machines that cannot be told apart by a fact."""
    noun, remedy = TELLS_APART[fact]
    owners: dict[str, list[str]] = {}
    for name, facts in there.items():
        owners.setdefault(facts[fact], []).append(name)
    for value, names in owners.items():
        if value and len(names) > 1:
            yield Problem(f"machine.{fact}", f"{', '.join(names)} have the same {noun} {value}", remedy, path=names[0])


def _paths(there: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Machines that answer us and do not reach each other."""
    for name, facts in there.items():
        unmet = [other for other in facts["unmet"] if other in there]
        if unmet:
            what = f"does not reach {', '.join(unmet)}"
            yield _problem(name, "network", what, "let the machines reach each other: addresses, routes and firewalls between them")


def _mtu(machines: Sequence[Machine], there: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    sizes: dict[int, list[str]] = {}
    for machine in machines:
        if in_cluster(machine):
            sizes.setdefault(there[machine.name]["mtu"], []).append(machine.name)
    if len(sizes) > 1:
        shown = "; ".join(f"{size}: {', '.join(names)}" for size, names in sorted(sizes.items()))
        message = f"the machines' networks take packets of different sizes ({shown})"
        yield Problem("machine.mtu", message, "set the same MTU on all of them, or large packets may get lost between pods", path="mtu")
