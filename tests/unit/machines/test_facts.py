"""What the probe makes of what it reads on a machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import yaml

from cantiere.machines.probe import PROGRAM
from support.modules import helper, module

PROBE = helper("probe")
V1 = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t40\t1\nmemory\t{}\t90\t1\n"
ROUTES = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine that has only these files: path to text."""
    there: dict[str, str] = {}
    monkeypatch.setattr(PROBE, "read", lambda path, default="": there.get(path, default))
    monkeypatch.setattr(PROBE.os.path, "exists", lambda path: path in there)
    return there


@pytest.mark.parametrize(
    ("controllers", "hierarchy", "kind", "wrapper"),
    [
        ("cpuset cpu io memory pids", "0", "unified", False),  # a machine of today
        (None, "7", "legacy", False),  # version 1 at its usual place
        ("cpuset hugetlb", "7", "mixed", True),  # a system container whose host keeps memory in version 1
        ("cpuset", "0", "mixed", False),  # memory is not there at all: no wrapper would help
    ],
)
def test_control_groups(machine: dict[str, str], controllers: str | None, hierarchy: str, kind: str, wrapper: bool) -> None:
    """Which control groups there are decides whether container runtimes need the version 1 tree put up."""
    machine["/proc/cgroups"] = V1.format(hierarchy)
    if controllers is not None:
        machine["/sys/fs/cgroup/cgroup.controllers"] = controllers + "\n"
    assert PROBE.control_groups() == {"cgroup": kind, "cgroup_wrapper": wrapper}


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ('ID=debian\nVERSION_ID="13"\n', ("debian", "13", "Debian")),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', ("ubuntu", "24.04", "Debian")),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\n', ("almalinux", "9.6", "RedHat")),
        ("ID=slackware\n", ("slackware", "", "")),
    ],
)
def test_operating_system(machine: dict[str, str], release: str, expected: tuple[str, str, str]) -> None:
    """Name, version and family."""
    machine["/etc/os-release"] = release
    assert tuple(PROBE.operating_system().values()) == expected


def test_memory_takes_the_smaller(machine: dict[str, str]) -> None:
    """A limit on the machine's own control group counts."""
    machine["/proc/meminfo"] = "MemTotal:       2048 kB\nSwapTotal:         4 kB\n"
    assert PROBE.memory() == {"memory": 2048 * 1024, "swap": 4096}
    machine["/sys/fs/cgroup/memory.max"] = "1000\n"
    assert PROBE.memory()["memory"] == 1000
    machine["/sys/fs/cgroup/memory.max"] = "max\n"
    assert PROBE.memory()["memory"] == 2048 * 1024


def test_listening(machine: dict[str, str]) -> None:
    """Ports on which something listens, of both families, and no connections."""
    machine["/proc/net/tcp"] = "  sl\n 0: 00000000:0016 00000000:0000 0A 0\n 1: 0100007F:1F90 0100007F:0016 01 0\n"
    machine["/proc/net/tcp6"] = "  sl\n 0: 00000000000000000000000000000000:192B 0:0000 0A 0\n"
    assert PROBE.listening() == [22, 6443]


def test_no_default_route(machine: dict[str, str]) -> None:
    """A machine without a way out has no default interface."""
    machine["/proc/net/route"] = ROUTES + "eth0\t00018F0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    assert PROBE.network() == {"default_interface": "", "default_address": "", "mtu": 0}


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"/proc/filesystems": "nodev\toverlay\n"}, True),
        ({"/sys/module/overlay": ""}, True),
        ({f"/lib/modules/{os.uname().release}/modules.builtin": "kernel/fs/overlayfs/overlay.ko\n"}, True),
        ({}, False),
    ],
)
def test_features(machine: dict[str, str], there: dict[str, str], expected: bool) -> None:
    """A feature counts whether it was loaded or built in."""
    machine.update(there)
    assert PROBE.feature("overlay") is expected


def test_sysctl_names() -> None:
    """A slash in a key stands for a dot in a name, as sysctl has it."""
    assert PROBE.sysctl_path("net.ipv4.ip_forward") == "/proc/sys/net/ipv4/ip_forward"
    assert PROBE.sysctl_path("net.ipv4.conf.eth0/1.rp_filter") == "/proc/sys/net/ipv4/conf/eth0.1/rp_filter"


def test_large_files_are_known_by_size_and_time(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large program is not read whole for every probe."""
    path = tmp_path / "program"
    path.write_bytes(b"x" * 100)
    assert PROBE.fingerprint(str(path)).startswith("sha256 ")
    monkeypatch.setattr(PROBE, "LARGE", 99)
    assert PROBE.fingerprint(str(path)) == f"size 100 {path.stat().st_mtime_ns}"


def test_program_runs_alone_and_its_facts_are_documented() -> None:
    """Sent to a bare Python it prints JSON; the facts are those that the module's documentation names."""
    done = subprocess.run([sys.executable, "-IS", "-"], stdin=PROGRAM.open(), capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    described = " ".join(yaml.safe_load(module("cantiere_facts").RETURN)["ansible_facts"]["description"])
    missing = [name for name in answer["facts"] if f"C({name})" not in described]
    assert answer.keys() == {"facts", "manifests"} and not missing, f"say what these are in library/cantiere_facts.py: {missing}"
