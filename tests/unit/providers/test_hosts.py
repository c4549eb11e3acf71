"""The listed machines of a site: what is wrong with the list, and which machine of the template each of them is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.errors import CantiereError, Problem, TemplateError
from cantiere.machines import ssh as ssh_room
from cantiere.machines.model import Machine
from cantiere.machines.probe import Probed
from cantiere.machines.ssh import Ssh
from cantiere.providers import hosts as room
from cantiere.providers.hosts import Hosts
from cantiere.providers.hosts.listing import ROLES, read
from unit.machines.samples_hosts import GIB, looked, machine

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIaOe+llutrWmQV2GI+XxLtuMPOjIB9xQtVwboUhkgR/"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINe8S/PRa0VhPXbB7gRgfjgLprMjp31kjhPtg6IJM6Sc"


class Rack:
    """Machines that a provider under test sees: what is found on each, by its name in the list; others do not answer."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.found: dict[str, Probed] = {}
        self.asked: list[str] = []
        monkeypatch.setattr(room, "survey", self.survey)
        monkeypatch.setattr(ssh_room, "scan", lambda asked: KEY if asked.name in self.found else "")

    def survey(self, ssh: Ssh, machines: Sequence[Machine]) -> tuple[dict[str, Probed], list[Problem]]:
        self.asked += [one.name for one in machines]
        return {one.name: self.found[one.name] for one in machines}, []

    def provider(self, *entries: dict[str, Any]) -> Hosts:
        """The provider with a list of these machines, which get addresses in their order."""
        listed = [{"address": f"192.0.2.{number}"} | entry for number, entry in enumerate(entries, 11)]
        made = Hosts("cantiere-test", self.folder, {"type": "hosts", "machines": listed})
        made.ssh.sockets = self.folder / "sockets"
        return made


@pytest.fixture
def rack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rack:
    return Rack(tmp_path, monkeypatch)


def where(provider: Hosts, *wanted: Machine) -> dict[str, str]:
    """Machine to the name of the listed one that it is; nothing may be wrong."""
    placed, problems = provider.place(wanted)
    assert problems == []
    names = {host.address: name for name, host in provider.hosts.items()}
    return {one.name: names[one.address] for one in placed}


def test_machines_get_address_login_labels_and_pinned_key(rack: Rack) -> None:
    rack.found = {"a": looked("a")}
    entry = {"name": "a", "user": "admin", "port": 2222, "key": "~/.ssh/site", "labels": {"zone": "z1", "disk": "ssd"}}
    placed, problems = rack.provider(entry).place([machine("w-1", labels={"disk": "ssd", "pool": "w"})])
    assert problems == []
    assert (placed[0].address, placed[0].user, placed[0].port, placed[0].key) == ("192.0.2.11", "admin", 2222, "~/.ssh/site")
    assert placed[0].labels == {"zone": "z1", "disk": "ssd", "pool": "w"} and placed[0].host_key == KEY


def test_a_place_is_kept_whatever_joins_the_list_and_without_asking_again(rack: Rack) -> None:
    rack.found = {"m": looked("m"), "a": looked("a", memory=2 * GIB)}
    assert where(rack.provider({"name": "m"}), machine("w-1")) == {"w-1": "m"}
    rack.asked.clear()
    larger = rack.provider({"name": "m"}, {"name": "a"})
    assert where(larger, machine("w-1")) == {"w-1": "m"} and rack.asked == []
    assert where(larger, machine("w-1"), machine("w-2")) == {"w-1": "m", "w-2": "a"} and rack.asked == ["a"]


def test_a_machine_that_is_off_keeps_its_place_and_one_that_left_the_list_loses_it(rack: Rack) -> None:
    rack.found = {"a": looked("a"), "b": looked("b")}
    assert where(rack.provider({"name": "a"}, {"name": "b"}), machine("w-1")) == {"w-1": "a"}
    del rack.found["a"]
    assert where(rack.provider({"name": "a"}, {"name": "b"}), machine("w-1")) == {"w-1": "a"}
    assert where(rack.provider({"name": "b"}), machine("w-1")) == {"w-1": "b"}


def test_a_lost_placement_is_read_off_the_machines(rack: Rack) -> None:
    rack.found = {"a": looked("a"), "b": looked("b", ("base",), hostname="w-1")}
    provider = rack.provider({"name": "a"}, {"name": "b"})
    assert where(provider, machine("w-1"), machine("w-2")) == {"w-1": "b", "w-2": "a"}


def test_a_converged_machine_is_free_again_when_nothing_of_ours_is_left_on_it(rack: Rack) -> None:
    rack.found = {"a": looked("a", ("base",), hostname="old-1")}
    provider = rack.provider({"name": "a"})
    provider.placement.write({"old-1": "a"})
    placed, problems = provider.place([machine("new-1")])
    assert placed == () and "a is old-1" in problems[0].message
    rack.found = {"a": looked("a")}
    assert where(provider, machine("new-1")) == {"new-1": "a"}
    assert provider.placement.read() == {"new-1": "a"}


def test_a_machine_that_does_not_answer_is_told_only_where_it_is_missed(rack: Rack) -> None:
    rack.found = {"a": looked("a")}
    provider = rack.provider({"name": "a"}, {"name": "dead"})
    assert where(provider, machine("w-1")) == {"w-1": "a"}
    _, problems = provider.place([machine("w-1"), machine("w-2")])
    assert [problem.code for problem in problems] == ["machine.unplaced", "ssh.unreachable"]
    assert provider.placement.read() == {"w-1": "a"}


def test_gpus_of_the_list_count(rack: Rack) -> None:
    rack.found = {"a": looked("a"), "b": looked("b", gpus=0)}
    assert where(rack.provider({"name": "a"}, {"name": "b", "gpus": 4}), machine("g-1", num_gpus=2)) == {"g-1": "b"}


def test_check_tells_all_by_the_names_of_the_list(rack: Rack) -> None:
    rack.found = {"a": looked("a"), "b": looked("b")}
    provider = rack.provider({"name": "a"}, {"name": "b"})
    wanted = [machine("cp-1", "control-plane"), machine("w-1")]
    assert provider.check(wanted) == []
    rack.found = {"a": looked("a", listeners={"6443": "nginx"}), "b": looked("b", selinux="enforcing")}
    more = [machine("cp-1", "control-plane"), machine("w-1", num_cpus=64)]
    errors, warnings = provider.preflight(more)
    assert [problem.message for problem in errors] == [
        "a has port 6443 taken by nginx",
        "b has 8 cores, 64 are asked by the pool w",
    ]
    assert [problem.code for problem in warnings] == ["machine.selinux"]
    assert all(problem.remedy for problem in (*errors, *warnings))


def test_nothing_is_made_or_removed(rack: Rack) -> None:
    rack.found = {"a": looked("a")}
    with socket.create_server(("127.0.0.1", 0)) as server:
        provider = rack.provider({"name": "a", "address": "127.0.0.1", "port": server.getsockname()[1]})
        where(provider, machine("w-1"))
        threading.Thread(target=answer, args=(server, 2), daemon=True).start()
        said: list[str] = []
        assert provider.create(machine("w-1"), "lineage", said.append).state == "running"
        assert said == ["w-1 is a at 127.0.0.1, used as it is"]
        assert provider.observe()["w-1"].detail == {"host": "a"}
    assert provider.observe()["w-1"].state == "stopped"
    with pytest.raises(CantiereError, match="no SSH answers"):
        provider.start(machine("w-1"), said.append)
    with pytest.raises(CantiereError, match="systemctl poweroff"):
        provider.stop("w-1")
    assert provider.digest(machine("w-1")) == "" and provider.prepared() and not provider.makes_machines
    provider.delete("w-1")
    provider.delete("w-1")
    assert provider.observe() == {} and provider.ssh.pinned() == {"a": KEY}
    provider.release()
    provider.release()


def answer(server: socket.socket, times: int) -> None:
    """Speak as an SSH server does, that often."""
    for _ in range(times):
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"SSH-2.0-test\r\n")


def test_a_listed_host_key_is_the_pinned_one(rack: Rack) -> None:
    rack.found = {"a": looked("a")}
    where(rack.provider({"name": "a"}), machine("w-1"))
    placed, _ = rack.provider({"name": "a", "host_key": OTHER}).place([machine("w-1")])
    assert placed[0].host_key == OTHER


@pytest.mark.parametrize(
    ("text", "line", "path", "part"),
    [
        ("machines: []", 2, "machines", "lists no machines"),
        ("machines: [{name: a, address: 192.0.2.1}]\n  network: x", 3, "network", "no option 'network'"),
        ("machines:\n    - {name: A b, address: 192.0.2.1}", 3, "machines.0.name", "the name 'A b'"),
        ("machines:\n    - {name: a, address: node1}", 3, "machines.0.address", "'node1' is no IPv4 address"),
        ("machines:\n    - {name: a}", 3, "machines.0.address", "None is no IPv4 address"),
        ("machines:\n    - {name: a, address: 192.0.2.1, adress: x}", 3, "machines.0.adress", "no 'adress'"),
        ("machines:\n    - {name: a, address: 192.0.2.1, port: 0}", 3, "machines.0.port", "no port"),
        ("machines:\n    - {name: a, address: 192.0.2.1, roles: [king]}", 3, "machines.0.roles", "no role 'king'"),
        ("machines:\n    - {name: a, address: 192.0.2.1, roles: worker}", 3, "machines.0.roles", "no role 'worker'"),
        ("machines:\n    - {name: a, address: 192.0.2.1, labels: [x]}", 3, "machines.0.labels", "a mapping"),
        ("machines:\n    - {name: a, address: 192.0.2.1, gpus: -1}", 3, "machines.0.gpus", "no number of GPUs"),
        ("machines:\n    - {name: a, address: 192.0.2.1, user: 7}", 3, "machines.0.user", "no text"),
        ("machines:\n    - {name: a, address: 192.0.2.1, host_key: AAAA}", 3, "machines.0.host_key", "no SSH host key"),
        ("machines:\n    - a", 3, "machines.0", "no mapping"),
        (
            "machines:\n    - a\n    - {name: a, address: 192.0.2.1}\n    - {name: a, address: 192.0.2.2}",
            5,
            "machines.2.name",
            "the name a",
        ),
        ("machines:\n    - {name: a, address: 192.0.2.1}\n    - {name: b, address: 192.0.2.1}", 4, "machines.1.address", "the address"),
    ],
)
def test_what_is_wrong_with_the_list_is_told_with_its_place(tmp_path: Path, text: str, line: int, path: str, part: str) -> None:
    file = tmp_path / "cantiere.yml"
    file.write_text(f"provider:\n  {text}\n")
    options = yaml.safe_load(file.read_text())["provider"]
    problems = [problem for problem in read(options, file)[1] if problem.path == f"provider.{path}"]
    assert len(problems) == 1 and part in problems[0].message and problems[0].remedy
    assert problems[0].where is not None and (problems[0].where.file, problems[0].where.line) == (str(file), line)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(TemplateError) as refused:
        Hosts("p", tmp_path, {"machines": [{"name": "X", "address": "y"}, {"name": "a", "address": "192.0.2.1", "port": "22"}]})
    assert [problem.path for problem in refused.value.problems] == [
        "provider.machines.0.name",
        "provider.machines.0.address",
        "provider.machines.1.port",
    ]


def test_the_list_knows_the_roles_that_pools_can_have(repository: Path) -> None:
    types = yaml.safe_load((repository / "tosca" / "types" / "machines.yaml").read_text())["node_types"]
    entry = types["cantiere.nodes.MachinePool"]["properties"]["roles"]["entry_schema"]
    assert tuple(entry["constraints"][0]["valid_values"]) == ROLES
