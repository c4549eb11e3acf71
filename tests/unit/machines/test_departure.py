"""A node leaves: its etcd member goes by way of a machine that stays, whichever of them shows its pod."""

from __future__ import annotations

import json
import re
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from cantiere.errors import CantiereError
from cantiere.machines import nodes
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
