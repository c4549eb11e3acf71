"""Everything that is wrong with machines is told of all of them at once, each with what and a remedy."""

from __future__ import annotations

from typing import Any

import pytest

from cantiere.errors import Problem
from cantiere.machines.preflight import check, ports
from cantiere.machines.probe import Probed
from cantiere.machines.survey import clock
from unit.machines.samples_hosts import GIB, looked, machine

CONTROL = machine("cp-1", "control-plane")
WORKER = machine("w-1", "worker")


def told(problems: list[Problem]) -> dict[str, str]:
    """Code to message; every problem names its place and its remedy."""
    assert all(problem.path and problem.remedy for problem in problems)
    return {problem.code: problem.message for problem in problems}


def test_good_machines_pass_without_a_word() -> None:
    assert check([CONTROL, WORKER], {"cp-1": looked("cp-1"), "w-1": looked("w-1")}) == ([], [])


@pytest.mark.parametrize(
    ("changed", "code", "part"),
    [
        ({"os_id": "arch", "os_version": ""}, "machine.system", "arch"),
        ({"os_id": "debian", "os_version": "11"}, "machine.system", "debian 11"),
        ({"os_id": "ubuntu", "os_version": "22.04"}, "machine.system", "ubuntu 22.04"),
        ({"arch": "riscv64"}, "machine.architecture", "riscv64"),
        ({"systemd": False}, "machine.systemd", "systemd"),
        ({"cpus": 1}, "machine.cores", "1 core, a control plane needs 2"),
        ({"memory": GIB}, "machine.memory", "1.0 GiB of memory, a control plane needs 1.7"),
        ({"disk_free": 2 * GIB}, "machine.disk", "2.0 GiB free"),
        ({"kernel": "5.4.0-42-generic"}, "machine.kernel", "5.4.0"),
        ({"nf_tables": False}, "machine.kernel.nf_tables", "nftables"),
        ({"features": ["br_netfilter"]}, "machine.kernel.overlay", "overlay"),
        ({"features": ["overlay"]}, "machine.kernel.br_netfilter", "br_netfilter"),
        ({"controllers": ["cpu", "cpuset", "pids"]}, "machine.cgroup", "memory"),
        ({"listeners": {"6443": "nginx"}}, "machine.port", "port 6443 taken by nginx"),
        ({"listeners": {"10250": "?"}}, "machine.port", "port 10250 taken by the kernel"),
        ({"programs": ["dockerd", "containerd"]}, "machine.runtime", "dockerd"),
        ({"programs": ["k3s-server"]}, "machine.runtime", "k3s-server"),
        ({"left": ["/var/lib/etcd/member"]}, "machine.left", "/var/lib/etcd/member"),
        ({"swap": 4 * GIB}, "machine.swap", "4.0 GiB"),
        ({"skew": 7.0}, "machine.clock", "7.0 s ahead"),
    ],
)
def test_one_fault_is_one_error(changed: dict[str, Any], code: str, part: str) -> None:
    errors, warnings = check([CONTROL], {"cp-1": looked("cp-1", **changed)})
    assert list(told(errors)) == [code] and part in errors[0].message and not warnings


@pytest.mark.parametrize(
    "changed",
    [
        {"os_id": "rocky", "os_version": "9.5"},
        {"os_id": "ubuntu", "os_version": "24.04"},
        {"arch": "arm64"},
        {"features": [], "loadable": ["overlay", "br_netfilter"]},
        {"nf_tables": False, "loadable": ["nf_tables"]},
        {"swap": 4 * GIB, "container": True},
        {"skew": 3.0, "skew_error": 1.5},
        {"listeners": {"9618": "condor_collector"}},
    ],
)
def test_what_does_no_harm_is_no_error(changed: dict[str, Any]) -> None:
    assert check([CONTROL], {"cp-1": looked("cp-1", **changed)}) == ([], [])


def test_what_we_run_ourselves_is_no_obstacle_but_what_others_run_is() -> None:
    ours = {"listeners": {"6443": "kube-apiserver", "2379": "etcd", "10250": "kubelet"}, "programs": ["kubelet", "containerd"]}
    assert check([CONTROL], {"cp-1": looked("cp-1", ("base",), **ours, left=["/var/lib/etcd/member"])}) == ([], [])
    errors, _ = check([CONTROL], {"cp-1": looked("cp-1", **ours)})
    assert {"machine.port", "machine.runtime"} == set(told(errors))
    errors, _ = check([CONTROL], {"cp-1": looked("cp-1", ("base",), listeners={"6443": "nginx"})})
    assert told(errors) == {"machine.port": "cp-1 has port 6443 taken by nginx"}


def test_all_machines_are_told_of_at_once() -> None:
    found = {
        "cp-1": looked("cp-1", listeners={"6443": "haproxy"}),
        "w-1": looked("w-1", memory=GIB // 2, os_version="11"),
        "w-2": Probed(False, "nothing listens at 192.0.2.9:22"),
    }
    errors, _ = check([CONTROL, WORKER, machine("w-2")], found)
    assert [(problem.path, problem.code) for problem in errors] == [
        ("cp-1", "machine.port"),
        ("w-1", "machine.system"),
        ("w-1", "machine.memory"),
        ("w-2", "machine.unreachable"),
    ]


def test_bare_machines_are_asked_for_their_own_ports_alone() -> None:
    pool = machine("cm-1", "htcondor-central-manager")
    assert ports(pool) == (9618,)
    small = looked("cm-1", cpus=1, memory=GIB // 2, swap=GIB, features=[], programs=["dockerd"])
    assert check([pool], {"cm-1": small}) == ([], [])
    errors, _ = check([pool], {"cm-1": looked("cm-1", listeners={"9618": "condor_master"})})
    assert list(told(errors)) == ["machine.port"]
    files = machine("nfs-1", "nfs-server")
    assert check([files], {"nfs-1": looked("nfs-1", ("base", "nfs_server"), listeners={"2049": "?"})}) == ([], [])


def test_the_machine_whose_clock_differs_is_named_and_not_the_others() -> None:
    names = ("w-1", "w-2", "w-3")
    found = {name: looked(name, skew=skew) for name, skew in zip(names, (0.1, -0.1, 30.0), strict=True)}
    errors, _ = check([machine(name) for name in names], found)
    assert [(problem.path, problem.code) for problem in errors] == [("w-3", "machine.clock")]


def test_two_machines_within_reach_of_ours_may_be_too_far_from_each_other() -> None:
    names = ("w-1", "w-2", "w-3")
    found = {name: looked(name, skew=skew) for name, skew in zip(names, (-1.8, -1.7, 1.8), strict=True)}
    errors, _ = check([machine(name) for name in names], found)
    assert [problem.path for problem in errors] == ["w-3"]


def test_where_no_two_machines_agree_ours_is_the_measure() -> None:
    for skews, wrong in (((0.0, 60.0), ["w-2"]), ((0.1, 60.0, 120.0), ["w-2", "w-3"])):
        found = {f"w-{number}": looked(f"w-{number}", skew=skew) for number, skew in enumerate(skews, 1)}
        errors, _ = check([machine(name) for name in found], found)
        assert [problem.path for problem in errors] == wrong


def test_our_own_clock_is_named_where_all_machines_agree_against_it() -> None:
    names = ("w-1", "w-2", "w-3")
    errors, _ = check([machine(name) for name in names], {name: looked(name, skew=-60.0) for name in names})
    assert [problem.path for problem in errors] == ["clock"] and "60.0 s ahead" in errors[0].message


def test_the_time_that_the_question_took_is_allowed_for() -> None:
    seen = clock({"clock": 1000.9, "spent": 0.2}, began=1000.0, ended=1001.0)
    assert seen == {"skew": pytest.approx(0.3), "skew_error": pytest.approx(0.4)}
    assert clock({"clock": 5.0, "spent": 9.0}, began=0.0, ended=1.0)["skew_error"] == 0.0


def test_machines_that_cannot_be_told_apart() -> None:
    found = {"w-1": looked("w-1", machine_id="x", hostname="debian"), "w-2": looked("w-2", machine_id="x", hostname="debian")}
    errors, warnings = check([WORKER, machine("w-2")], found)
    assert told(errors) == {"machine.machine_id": "w-1, w-2 have the same machine id x"}
    assert told(warnings) == {"machine.hostname": "w-1, w-2 have the same host name debian"}


def test_machines_that_do_not_reach_each_other_are_told_those_that_are_off_are_not_told_again() -> None:
    found = {"cp-1": looked("cp-1", unmet=["w-1", "w-2"]), "w-1": looked("w-1", unmet=["w-2"]), "w-2": Probed(False, "it is off")}
    errors, _ = check([CONTROL, WORKER, machine("w-2")], found)
    assert told(errors) == {"machine.unreachable": "w-2 cannot be reached: it is off", "machine.network": "cp-1 does not reach w-1"}


def test_notes_are_warnings() -> None:
    found = {"cp-1": looked("cp-1", selinux="enforcing", mtu=9000), "w-1": looked("w-1", apparmor="on")}
    errors, warnings = check([CONTROL, WORKER], found)
    assert errors == [] and set(told(warnings)) == {"machine.selinux", "machine.apparmor", "machine.mtu"}
    assert "1500: w-1; 9000: cp-1" in told(warnings)["machine.mtu"]
