"""A node leaves: its etcd member goes by way of a machine that stays, whichever of them shows its pod."""

from __future__ import annotations

import json
import re
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from cantiere.errors import CantiereError
from cantiere.machines import jobs, nodes
from cantiere.machines.ssh import Ssh
from unit.machines.samples_hosts import machine

CONTROLS = [machine(f"control-{number}", "control-plane") for number in (1, 2, 3)]


class Answering(Ssh):
    """A site whose machines answer for a cluster that holds three members."""

    def __init__(self, folder: Path, pods: list[str]) -> None:
        super().__init__(folder)
        self.pods, self.members, self.asked = pods, {11: "control-1", 12: "control-2", 13: "control-3"}, 0

    def run(self, name: str, command: Any, **_: Any) -> CompletedProcess[str]:
        if "get pods -l component=etcd" in command:
            self.asked += 1
            return CompletedProcess(command, 0, "".join(f"pod/{pod}\n" for pod in self.pods), "")
        if "exec" in command and not any(f"pod/{pod} -- etcdctl" in command for pod in self.pods):
            return CompletedProcess(command, 1, "", "pods not found")
        if "member list" in command:
            members = [{"ID": number, "name": owner} for number, owner in self.members.items()]
            return CompletedProcess(command, 0, json.dumps({"members": members}), "")
        if found := re.search("member remove ([0-9a-f]+)", command):
            del self.members[int(found[1], 16)]
        return CompletedProcess(command, 0, "", "")


def test_a_member_leaves_by_a_pod_of_any_machine_that_stays(tmp_path: Path) -> None:
    site = Answering(tmp_path, ["etcd-control-2", "etcd-control-3"])
    nodes.depart(site, CONTROLS, "control-2", False, lambda line: None)
    assert sorted(site.members.values()) == ["control-1", "control-3"]


def test_a_pod_that_is_not_shown_yet_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Answering(tmp_path, [])
    monkeypatch.setattr(nodes.time, "sleep", lambda _: site.pods.append("etcd-control-1") if site.asked > 2 else None)
    nodes.depart(site, CONTROLS, "control-3", False, lambda line: None)
    assert sorted(site.members.values()) == ["control-1", "control-2"]


def test_no_pod_at_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Answering(tmp_path, ["etcd-control-2"])
    monkeypatch.setattr(nodes, "POD_SECONDS", 0.0)
    monkeypatch.setattr(nodes, "POLL_SECONDS", 0.0)
    with pytest.raises(CantiereError, match="no other machine has a pod of etcd"):
        nodes.depart(site, CONTROLS, "control-2", False, lambda line: None)
    assert len(site.members) == 3


class Draining(Answering):
    """The same with pods of which some run jobs; keeps what is asked of kubectl, and how long it may take."""

    def __init__(self, folder: Path, graces: list[int], refuses: str = "") -> None:
        super().__init__(folder, ["etcd-control-1"])
        self.graces, self.refuses, self.drains = graces, refuses, list[tuple[str, float]]()

    def run(self, name: str, command: Any, *, timeout: float = 60.0, **_: Any) -> CompletedProcess[str]:
        if f"-l {jobs.PODS}" in command:
            items = [{"spec": {"terminationGracePeriodSeconds": seconds}} for seconds in self.graces]
            return CompletedProcess(command, 0, json.dumps({"items": items}), "")
        if " drain " in command:
            self.drains.append((command, timeout))
            failed = bool(self.refuses) and "--pod-selector" in command
            return CompletedProcess(command, int(failed), "", self.refuses if failed else "")
        return super().run(name, command)


def test_jobs_end_first_and_have_their_time(tmp_path: Path) -> None:
    site, lines = Draining(tmp_path, [680, 60]), list[str]()
    nodes.depart(site, CONTROLS, "worker-1", True, lines.append)
    first, second = site.drains
    assert f"--pod-selector={jobs.PODS}" in first[0] and "--timeout=980s" in first[0] and first[1] > 980
    assert "--pod-selector" not in second[0] and f"--timeout={nodes.DRAIN_SECONDS}s" in second[0]
    assert "worker-1: its execute points take no more jobs; those that run have up to 680 s to end" in lines


def test_a_node_without_jobs_is_drained_at_once(tmp_path: Path) -> None:
    site = Draining(tmp_path, [])
    nodes.depart(site, CONTROLS, "worker-1", True, lambda line: None)
    assert len(site.drains) == 1


def test_jobs_that_cannot_leave_keep_the_node(tmp_path: Path) -> None:
    site = Draining(tmp_path, [60], "Cannot evict pod as it would violate the pod's disruption budget.")
    with pytest.raises(CantiereError, match=r"within 360 s: Cannot evict .*node\.drain"):
        nodes.depart(site, CONTROLS, "worker-1", True, lambda line: None)
    assert len(site.drains) == 1, "the other pods stay until the jobs are gone"


def test_the_daemons_of_a_bare_machine_end_in_order(tmp_path: Path) -> None:
    asked = list[tuple[str, str]]()

    class Telling(Ssh):
        def run(self, name: str, command: Any, **_: Any) -> CompletedProcess[str]:
            asked.append((name, command))
            return CompletedProcess(command, 0, "", "")

    jobs.retire(Telling(tmp_path), "execute-1", lambda line: None)
    assert asked == [("execute-1", "systemctl stop condor.service")]
