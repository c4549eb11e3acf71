"""Machines, and what is found on them, for tests that need no machine."""

from __future__ import annotations

from typing import Any

from cantiere.machines.model import Machine
from cantiere.machines.probe import Manifest, Probed

GIB = 1024**3

FACTS: dict[str, Any] = {
    "os_id": "debian",
    "os_version": "13",
    "arch": "amd64",
    "kernel": "6.12.9-amd64",
    "systemd": True,
    "container": False,
    "cpus": 8,
    "memory": 32 * GIB,
    "disk": 200 * GIB,
    "disk_free": 150 * GIB,
    "gpus": 0,
    "swap": 0,
    "mtu": 1500,
    "selinux": "off",
    "apparmor": "off",
    "features": ["overlay", "br_netfilter"],
    "listeners": {"22": "sshd"},
    "programs": ["sshd", "systemd"],
    "controllers": ["cpu", "cpuset", "io", "memory", "pids"],
    "nf_tables": True,
    "loadable": [],
    "left": [],
    "unmet": [],
    "skew": 0.01,
    "skew_error": 0.05,
}


def machine(name: str, *roles: str, labels: dict[str, str] | None = None, **needs: int) -> Machine:
    """A machine of the pool that its name says."""
    pool = name.rpartition("-")[0] or name
    return Machine(name, pool, roles or ("worker",), "192.0.2.1", labels=labels or {}, needs=needs)


def looked(name: str, roles: tuple[str, ...] = (), **changed: Any) -> Probed:
    """A good machine that differs in some facts; ``roles`` were converged on it."""
    own = {"hostname": name, "machine_id": f"id-{name}", "hardware_address": f"mac-{name}"}
    return Probed(True, facts={**FACTS, **own, **changed}, manifests={role: Manifest("digest") for role in roles})
