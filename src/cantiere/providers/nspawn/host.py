"""What the host needs for machines: packages, and kernel settings that a machine cannot make for itself.

Settings belong to the whole host: sites share one record of what was there before, and the last site puts it back.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.providers.nspawn.shell import ask, locked
from cantiere.state import write_atomic

RECORD = Path("/run/cantiere/nspawn/host.json")
"""Beside the settings, it is gone after a start of the host."""

PROGRAMS: Mapping[str, str] = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "unshare": "util-linux",
}
"""Program to the package that has it."""

EXACT: Mapping[str, int] = {
    "kernel/keys/root_maxbytes": 25_000_000,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "net/ipv4/ip_forward": 1,
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
}
"""What the kubelet insists on (``protectKernelDefaults``) and finds read-only inside a machine, and forwarding for the bridge."""

LEAST: Mapping[str, int] = {
    "fs/inotify/max_user_instances": 8192,
    "fs/inotify/max_user_watches": 524_288,
    "net/bridge/bridge-nf-call-ip6tables": 1,
    "net/bridge/bridge-nf-call-iptables": 1,
}
"""Raised where the host has less; all machines' daemons count as one user. The bridge's exist where br_netfilter is there."""


def missing_programs() -> dict[str, str]:
    """Programs that are not there, with the packages that have them."""
    return {program: package for program, package in PROGRAMS.items() if not shutil.which(program)}


def install(log: Callable[[str], None]) -> None:
    """Install the packages of missing programs by apt.

    Raises
    ------
    CantiereError
        They cannot be installed.
    """
    missing = missing_programs()
    if not missing:
        return
    packages = sorted(set(missing.values()))
    log(f"installing packages on this machine: {', '.join(packages)}")
    ask("apt-get", "-q", "update")  # where it fails, the lists that are there may do
    done = ask("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "install", "-y", "--no-install-recommends", *packages)
    if done.returncode:
        raise CantiereError(
            Problem(
                "nspawn.programs",
                f"packages {', '.join(packages)} could not be installed: {done.stderr.strip()[-500:]}",
                "install them by hand, then run again",
            )
        )


def wanted(proc: Path = Path("/proc/sys")) -> dict[str, int]:
    """Settings of the host that have to change, by path below ``/proc/sys``; those that the kernel does not have are left out."""
    changes = {}
    for settings, fits in ((EXACT, int.__eq__), (LEAST, int.__ge__)):
        for key, value in settings.items():
            file = proc / key
            if file.is_file() and not fits(int(file.read_text(encoding="utf-8")), value):
                changes[key] = value
    return changes


def set_up(prefix: str, state_dir: Path, record: Path = RECORD, proc: Path = Path("/proc/sys")) -> None:
    """Set what machines need, after writing down what was there and who needs it.

    Parameters
    ----------
    prefix, state_dir:
        The site.
    record:
        Where that is written.
    proc:
        The kernel's settings.
    """
    with locked(record.with_suffix(".lock")):
        data = _read(record)
        changes = wanted(proc)
        for key in changes:
            data["before"].setdefault(key, (proc / key).read_text(encoding="utf-8").strip())
        data["sites"][prefix] = str(state_dir)
        write_atomic(record, json.dumps(data, indent=1, sort_keys=True) + "\n")
        for key, value in changes.items():
            (proc / key).write_text(str(value), encoding="utf-8")


def is_set_up(prefix: str, record: Path = RECORD, proc: Path = Path("/proc/sys")) -> bool:
    """Whether the settings are made and this site is on the record."""
    return prefix in _read(record)["sites"] and not wanted(proc)


def put_back(prefix: str, record: Path = RECORD, proc: Path = Path("/proc/sys")) -> None:
    """Take a site off the record; the last one puts back what was there before."""
    with locked(record.with_suffix(".lock")):
        data = _read(record)
        data["sites"].pop(prefix, None)
        sites = {site: folder for site, folder in data["sites"].items() if Path(folder).is_dir()}
        if sites:
            write_atomic(record, json.dumps({**data, "sites": sites}, indent=1, sort_keys=True) + "\n")
            return
        for key, value in data["before"].items():
            (proc / key).write_text(value, encoding="utf-8")
        record.unlink(missing_ok=True)


def problems() -> list[Problem]:
    """What stands in the way of machines on this host, whichever they are."""
    found = []
    if os.geteuid():
        found.append(Problem("nspawn.root", "system containers need root", "run as root"))
    missing = missing_programs()
    if missing and not shutil.which("apt-get"):
        found.append(
            Problem("nspawn.programs", f"programs are missing: {', '.join(missing)}", "install the packages that have them, then run again")
        )
    return found


def _read(record: Path) -> dict[str, dict[str, Any]]:
    if not record.is_file():
        return {"before": {}, "sites": {}}
    data: dict[str, dict[str, Any]] = json.loads(record.read_text(encoding="utf-8"))
    return data
