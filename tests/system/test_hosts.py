"""Provider `hosts` on real machines: system containers of this host, used as a site's own machines that nobody made for it."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cantiere.errors import Problem
from cantiere.machines import wanted
from cantiere.machines.hostkey import fingerprint
from cantiere.machines.model import POOL, Machine
from cantiere.machines.ssh import Ssh, scan
from cantiere.model import Facility
from cantiere.providers.hosts import Hosts
from cantiere.providers.nspawn import Nspawn
from cantiere.tosca.compile import load

PREFIX = "cthos"
SUBNET = "10.145.0.0/24"
NAMES = ("node1", "node2", "node3")
TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [common.yaml]
topology_template:
  node_templates:
    control-plane:
      type: cantiere.nodes.MachinePool
      properties: {{roles: [control-plane], num_cpus: 1, mem_size: 1 GiB}}
    workers:
      type: cantiere.nodes.MachinePool
      properties: {{count: 2, mem_size: {memory}}}
      requirements:
        - machine:
            node_filter:
              capabilities:
                - os: {{properties: [{{distribution: {{equal: {distribution}}}}}, {{version: {{greater_or_equal: 12.0}}}}]}}
    platform:
      type: cantiere.nodes.Platform
      requirements: [{{machines: control-plane}}, {{machines: workers}}]
"""


class Rack:
    """Three machines that are there, and a hand on each of them that is not the provider's."""

    def __init__(self, folder: Path) -> None:
        self.nspawn = Nspawn(PREFIX, folder, {"subnet": SUBNET})
        self.machines, problems = self.nspawn.place([Machine(name, "rack", (), "") for name in NAMES])
        assert problems == []
        self.ssh = Ssh(folder / "hand")
        self.sites: list[Hosts] = []

    def raise_(self) -> None:
        assert self.nspawn.check(self.machines) == []
        self.nspawn.prepare("test", print)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda machine: self.nspawn.create(machine, "test", print), self.machines))
        self.machines = self.nspawn.place(self.machines)[0]
        self.ssh.write(self.machines)
        assert self.ssh.pin(self.machines) == []

    def remove(self) -> None:
        for name in NAMES:
            self.ssh.disconnect(name)
            self.nspawn.delete(name)
        self.nspawn.release()

    def on(self, name: str, command: str) -> str:
        return self.ssh.must(name, command)

    def site(self, folder: Path, facility: Facility, *entries: dict[str, Any]) -> Hosts:
        """The provider of a site that lists these machines; without any, all three."""
        filters = {node.name: node.filters.get("machine", ()) for node in facility.of_type(POOL)}
        listed = list(entries) or [self.entry(name) for name in NAMES]
        self.sites.append(Hosts("cantiere-test", folder / "state", {"type": "hosts", "machines": listed}, filters=filters))
        return self.sites[-1]

    def entry(self, name: str, **more: Any) -> dict[str, Any]:
        machine = next(machine for machine in self.machines if machine.name == name)
        return {"name": name, "address": machine.address, "key": machine.key, **more}

    def repin(self, name: str) -> None:
        """Believe a machine's new host key, here alone."""
        self.ssh.forget(name)
        self.ssh.pin([machine for machine in self.machines if machine.name == name])


@pytest.fixture(scope="module")
def rack() -> Iterator[Rack]:
    if os.geteuid() != 0:
        pytest.skip("machines on this host need root")
    folder = Path(f"/var/lib/cantiere/{PREFIX}")
    made = Rack(folder)
    try:
        made.raise_()
        yield made
    finally:
        for site in made.sites:
            site.release()
        made.remove()
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True)


def template(folder: Path, memory: str = "1 GiB", distribution: str = "debian") -> Facility:
    """A control plane and two workers that have so much memory and that distribution."""
    path = folder / "template.yaml"
    path.write_text(TEMPLATE.format(memory=memory, distribution=distribution))
    return load(path).facility


def told(problems: list[Problem]) -> set[tuple[str, str]]:
    assert all(problem.message and problem.remedy for problem in problems)
    return {(problem.path, problem.code) for problem in problems}


def test_machines_are_placed_pinned_and_found_good(rack: Rack, tmp_path: Path) -> None:
    facility = template(tmp_path)
    asked = wanted.machines(facility)
    entries = [rack.entry("node1"), rack.entry("node2"), rack.entry("node3", roles=["control-plane"])]
    provider = rack.site(tmp_path, facility, *entries)
    placed, problems = provider.place(asked)
    assert problems == []
    by_address = {machine.address: machine for machine in rack.machines}
    assert {machine.name: by_address[machine.address].name for machine in placed} == {
        "control-plane-1": "node3",
        "workers-1": "node1",
        "workers-2": "node2",
    }
    assert all(machine.host_key == by_address[machine.address].host_key for machine in placed)
    assert provider.preflight(asked) == ([], [])
    assert {name: seen.state for name, seen in provider.observe().items()} == dict.fromkeys((one.name for one in asked), "running")
    (tmp_path / "state" / "hosts" / "placement.json").unlink()
    assert rack.site(tmp_path, facility, *entries).place(asked) == (placed, [])


def test_what_no_machine_has_is_explained(rack: Rack, tmp_path: Path) -> None:
    facility = template(tmp_path, memory="64 TiB", distribution="rocky")
    provider = rack.site(tmp_path, facility)
    placed, problems = provider.place(wanted.machines(facility))
    assert [machine.name for machine in placed] == ["control-plane-1"] and told(problems) == {("workers", "machine.unplaced")}
    assert "GiB of memory, 65536.0 GiB are asked" in problems[0].message
    assert "its os.distribution is debian and must be rocky" in problems[0].message
    assert f"{tmp_path}/template.yaml:15:" in problems[0].message
    assert not (tmp_path / "state" / "hosts" / "placement.json").exists()


def test_everything_that_is_wrong_is_told_of_all_machines_at_once(rack: Rack, tmp_path: Path) -> None:
    facility = template(tmp_path)
    asked = wanted.machines(facility)
    provider = rack.site(tmp_path, facility, rack.entry("node1", roles=["control-plane"]), rack.entry("node2"), rack.entry("node3"))
    assert provider.place(asked)[1] == []
    identity = rack.on("node2", "cat /etc/machine-id")
    own = rack.on("node3", "cat /etc/machine-id")
    rack.on("node1", "systemd-run --quiet --unit=squatter python3 -m http.server 6443 && mkdir -p /var/lib/etcd/member")
    rack.on("node1", f"nft add table ip trial && nft add chain ip trial in '{{ type filter hook input priority 0 ; }}' && {block(rack)}")
    rack.on("node2", "cp -L /etc/os-release /root/os-release && sed -i 's/^VERSION_ID=.*/VERSION_ID=\"10\"/' /etc/os-release")
    rack.on("node3", f"echo {shlex.quote(identity.strip())} > /etc/machine-id")
    rack.on("node3", "cp /usr/bin/sleep /usr/local/bin/dockerd && systemd-run --quiet --unit=docker-trial /usr/local/bin/dockerd 600")
    try:
        wait_for_listener(rack, "node1", 6443)
        errors, warnings = provider.preflight([*asked, Machine("workers-3", "workers", ("worker",), "")])
        assert warnings == []
        assert told(errors) == {
            ("workers", "machine.unplaced"),
            ("node1", "machine.port"),
            ("node1", "machine.left"),
            ("node2", "machine.network"),
            ("node2", "machine.system"),
            ("node2", "machine.misfit"),
            ("node2", "machine.machine_id"),
            ("node3", "machine.runtime"),
        }
        messages = {problem.code: problem.message for problem in errors}
        assert messages["machine.port"] == "node1 has port 6443 taken by python3"
        assert messages["machine.machine_id"] == f"node2, node3 have the same machine id {identity.strip()}"
        assert messages["machine.network"] == "node2 does not reach node1"
        assert messages["machine.runtime"] == "node3 runs dockerd, which is not ours"
    finally:
        rack.on("node1", "systemctl stop squatter; rm -r /var/lib/etcd/member; nft delete table ip trial")
        rack.on("node2", "cat /root/os-release > /etc/os-release")
        rack.on("node3", f"echo {shlex.quote(own.strip())} > /etc/machine-id; systemctl stop docker-trial; rm /usr/local/bin/dockerd")
    assert provider.preflight(asked) == ([], [])


def block(rack: Rack) -> str:
    """A rule that keeps node2 from beginning anything with node1."""
    return f"nft add rule ip trial in ip saddr {rack.entry('node2')['address']} tcp dport 22 drop"


def wait_for_listener(rack: Rack, name: str, port: int) -> None:
    rack.on(name, f"for i in $(seq 100); do ss -ltn | grep -q :{port} && exit 0; sleep 0.1; done; exit 1")


def test_a_changed_host_key_is_refused_until_its_admin_says_so(rack: Rack, tmp_path: Path) -> None:
    facility = template(tmp_path)
    asked = wanted.machines(facility)
    provider = rack.site(tmp_path, facility)
    assert provider.preflight(asked) == ([], [])
    machine = provider.hosts["node3"].machine()
    before = scan(machine)
    rack.on("node3", "rm /etc/ssh/ssh_host_* && ssh-keygen -q -A && systemctl restart ssh")
    provider.ssh.disconnect("node3")
    after = scan(machine)
    assert after != before
    errors = provider.check(asked)
    assert told(errors) == {("node3", "machine.host_key")}
    assert fingerprint(before) in errors[0].message and fingerprint(after) in errors[0].message
    seen, refused = rack.site(tmp_path, facility).look([provider.hosts["node3"]])
    assert seen == {} and told(refused) == {("node3", "machine.host_key")}
    remedy = errors[0].remedy.split("`")[1]
    subprocess.run(shlex.split(remedy), check=True, capture_output=True)
    assert provider.check(asked) == []
    rack.repin("node3")


def test_an_admin_without_root_logs_in_and_becomes_root(rack: Rack, tmp_path: Path) -> None:
    facility = template(tmp_path)
    asked = wanted.machines(facility)
    rack.on("node2", "useradd -m -s /bin/bash admin && cp -r /root/.ssh /home/admin/ && chown -R admin: /home/admin/.ssh")
    provider = rack.site(tmp_path, facility, rack.entry("node1"), rack.entry("node2", user="admin"), rack.entry("node3"))
    looked, problems = provider.look(list(provider.hosts.values()))
    assert sorted(looked) == ["node1", "node3"] and told(problems) == {("node2", "machine.unreachable")}
    assert "sudo" in problems[0].message
    rack.on("node2", "echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin")
    assert provider.preflight(asked) == ([], [])
    refused = rack.site(tmp_path / "other", facility, rack.entry("node1", user="nobody-here"))
    assert told(refused.look(list(refused.hosts.values()))[1]) == {("node1", "machine.unreachable")}


def test_a_machine_that_is_off_keeps_its_place_and_is_told(rack: Rack, tmp_path: Path) -> None:
    facility = template(tmp_path)
    asked = wanted.machines(facility)
    provider = rack.site(tmp_path, facility)
    placed, problems = provider.place(asked)
    assert problems == []
    rack.nspawn.stop("node2", power_cut=True)
    try:
        assert sorted(seen.state for seen in provider.observe().values()) == ["running", "running", "stopped"]
        assert provider.place(asked) == (placed, [])
        assert ("node2", "machine.unreachable") in told(provider.check(asked))
    finally:
        rack.nspawn.start(next(machine for machine in rack.machines if machine.name == "node2"), print)
        rack.ssh.disconnect("node2")
    assert provider.check(asked) == []
