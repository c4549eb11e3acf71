"""System containers for real: ten machines at once, again, a power cut, a kill at any moment, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh
from cantiere.providers.nspawn import Nspawn
from cantiere.providers.nspawn.cgroups import layout
from support.tree import REPOSITORY

PREFIX = "ctnsp"
SUBNET = "10.141.0.0/24"
TEN = tuple(f"m{number}" for number in range(10))
LINEAGE = "test"
MEMORY_LIMIT = 512 << 20
KILL_AFTER = (0.2, 0.3, 0.45, 0.7, 1.0)
"""Seconds; from before the first folder until the machines start."""


def wanted(*names: str) -> list[Machine]:
    return [Machine(name, "pool", (), "", needs={"mem_size": MEMORY_LIMIT, "num_cpus": 1}) for name in names]


def traces(state_dir: Path) -> set[str]:
    """All that machines of ours could leave on this host, as text."""
    done = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True)
    found = {f"link {line.split()[0].partition('@')[0]}" for line in done.stdout.splitlines() if line.startswith(("ct-", "cv"))}
    found |= {f"netns {path.name}" for path in Path("/run/netns").glob(f"{PREFIX}-*")}
    found |= {f"group {path}" for root in layout().roots for path in root.glob(f"{PREFIX}-*")}
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    found |= {line for line in tables.splitlines() if line.endswith(f" {PREFIX}")}
    found |= {
        f"mount {line.split()[4]}" for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines() if f"{PREFIX}-" in line
    }
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(word.startswith(f"--directory={state_dir}") for word in words):
            found.add(f"process {' '.join(words)}")
    found |= {f"propagate {path.name}" for path in Path("/run/systemd/nspawn/propagate").glob(f"{PREFIX}-*")}
    return found | {f"folder {path}" for path in state_dir.rglob("*") if path.parent == state_dir}


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Nspawn]:
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    before = traces(state_dir)
    source = Nspawn(PREFIX, state_dir, {"subnet": SUBNET, "image": "machine"})
    assert source.check(wanted(*TEN)) == []
    source.prepare(LINEAGE, print)
    assert source.prepared()
    yield source
    Ssh.each(wanted(*source.observe()), lambda machine: source.delete(machine.name))
    source.release()
    source.release()  # again does nothing
    shutil.rmtree(state_dir / "ssh")  # the site's, not the provider's
    left = {trace for trace in traces(state_dir) if not trace.startswith("link ")} - before
    assert not left
    assert f"link {source.network.bridge}" not in traces(state_dir)


def connect(source: Nspawn, *names: str) -> Ssh:
    """The way in to machines that run, with the host keys that the provider made."""
    ssh = Ssh(source.state_dir / "ssh")
    placed, problems = source.place(wanted(*names))
    assert problems == []
    assert all(machine.host_key for machine in placed)
    assert ssh.pin(placed) == []
    ssh.write(placed)
    return ssh


def test_ten_machines(provider: Nspawn) -> None:
    """Ten at once; again changes nothing; a stopped and a cut one come back with disk and address; a removed one leaves nothing."""
    placed, _ = provider.place(wanted(*TEN))
    begin = time.monotonic()
    seen = Ssh.each(placed, lambda machine: provider.create(machine, LINEAGE, print))
    print(f"ten machines from nothing to SSH: {time.monotonic() - begin:.1f} s")
    assert {one.state for one in seen.values()} == {"running"}
    assert len({one.address for one in seen.values()}) == len(TEN)
    assert all(one.digest == provider.digest(machine) for one, machine in zip(seen.values(), placed, strict=True))
    ssh = connect(provider, *TEN)
    assert {name: ssh.must(name, "hostname").strip() for name in TEN} == {name: name for name in TEN}
    print("memory in MiB:", {name: one.detail["memory"] >> 20 for name, one in provider.observe().items()})

    processes = {name: one.detail["pid"] for name, one in provider.observe().items()}
    Ssh.each(provider.place(wanted(*TEN))[0], lambda machine: provider.create(machine, LINEAGE, print))
    assert {name: one.detail["pid"] for name, one in provider.observe().items()} == processes

    for name, power_cut in (("m1", False), ("m2", True)):
        ssh.must(name, "echo kept > /root/kept; sync")
        provider.stop(name, power_cut=power_cut)
        stopped = provider.observe()[name]
        assert (stopped.state, stopped.host_key, stopped.address) == ("stopped", seen[name].host_key, seen[name].address)
        again = provider.start(next(machine for machine in placed if machine.name == name), print)
        ssh.disconnect(name)
        assert (again.state, again.host_key, again.address) == ("running", seen[name].host_key, seen[name].address)
        assert ssh.must(name, "cat /root/kept") == "kept\n"

    provider.delete("m3")
    assert "m3" not in provider.observe()
    assert not [trace for trace in traces(provider.state_dir) if trace.endswith("-m3")]
    added, _ = provider.place(wanted("new", *TEN))
    addresses = {machine.name: machine.address for machine in added}
    assert addresses["new"] == seen["m3"].address, "the lowest free address"
    assert addresses["m9"] == seen["m9"].address, "a machine keeps its address when others come and go"


def test_inside(provider: Nspawn) -> None:
    """What a role finds inside: a running systemd, shared mounts, real disks for data, the limit of memory, the outside by address."""
    machine = provider.place(wanted("m0"))[0][0]
    provider.create(machine, LINEAGE, print)
    ssh = connect(provider, "m0")
    assert ssh.must("m0", "systemctl is-system-running --wait").strip() == "running"
    assert ssh.must("m0", "findmnt -no PROPAGATION /").strip() == "shared"
    assert ssh.must("m0", "findmnt -no FSTYPE -T /var/lib/containerd").strip() != "overlay"
    assert ssh.run("m0", "touch /var/cache/cantiere/artifacts/x").returncode != 0
    assert ssh.must("m0", "cat /proc/sys/vm/overcommit_memory /proc/sys/kernel/panic").split() == ["1", "10"]
    assert ssh.must("m0", "ip route show default").split()[2] == provider.network.gateway
    where = layout()
    root, file = (where.legacy["memory"], "memory.limit_in_bytes") if "memory" in where.legacy else (where.unified, "memory.max")
    assert root is not None
    assert int((root / f"{PREFIX}-m0" / file).read_text(encoding="utf-8")) == MEMORY_LIMIT
    ssh.disconnect("m0")


def test_killed(provider: Nspawn) -> None:
    """Killed at any moment, the same command again completes, with one process per machine; so does removal."""
    base = [sys.executable, "-m", "cantiere.providers.nspawn"]
    options = ["--folder", str(provider.state_dir), "--prefix", PREFIX, "--subnet", SUBNET]

    def killed(words: list[str], seconds: float) -> None:
        process = subprocess.Popen([*base, *words], cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

    def completed(words: list[str]) -> None:
        done = subprocess.run([*base, *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    for seconds in KILL_AFTER:
        killed(["up", "m0", "m1", *options], seconds)
        completed(["up", "m0", "m1", *options])
        assert {name: one.state for name, one in provider.observe().items()} == {"m0": "running", "m1": "running"}
        supervisors = [trace for trace in traces(provider.state_dir) if trace.startswith("process systemd-nspawn")]
        assert len(supervisors) == 2, supervisors
        assert connect(provider, "m0").must("m0", "hostname") == "m0\n"
        killed(["down", "m0", "m1", *options], seconds)
        completed(["down", *options])
        assert dict(provider.observe()) == {}
        assert not [trace for trace in traces(provider.state_dir) if trace.endswith(("-m0", "-m1"))]
