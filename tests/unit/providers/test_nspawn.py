"""The nspawn provider's decisions: addresses, layers, control groups, the host's settings, a machine's folder and command line."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import replace
from pathlib import Path

import pytest

from cantiere.errors import CantiereError
from cantiere.machines.model import Machine
from cantiere.providers.keys import public_key
from cantiere.providers.nspawn import Nspawn, host, images, rim
from cantiere.providers.nspawn.cgroups import Cgroups, Layout, layout
from cantiere.providers.nspawn.disk import READY, REMOVING, Disk, Spec, resolver
from cantiere.providers.nspawn.launch import command
from cantiere.providers.nspawn.network import Network

V1 = "31 28 0:27 / {0} rw - cgroup cgroup rw,{1}"
V2 = "41 28 0:40 / {0} rw shared:9 - cgroup2 cgroup2 rw,nsdelegate"
NETWORK = Network("site", ipaddress.IPv4Network("10.141.0.0/24"))
IMAGES = {"plain": {"release": "trixie", "packages": ["systemd", "dbus"]}, "more": {"from": "plain", "packages": ["runc"]}}
SPEC = Spec("m", "10.141.0.11", "line", "d" * 64, ("/low", "/high"), ("/data",), 0, 0, "ssh-ed25519 AAAA", READY)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([V2.format("/sys/fs/cgroup")], Layout(Path("/sys/fs/cgroup"), {})),
        (
            [V1.format("/c/cpu,cpuacct", "cpu,cpuacct"), V1.format("/c/systemd", "xattr,name=systemd"), V2.format("/c/unified")],
            Layout(
                Path("/c/unified"), {"cpu": Path("/c/cpu,cpuacct"), "cpuacct": Path("/c/cpu,cpuacct"), "name=systemd": Path("/c/systemd")}
            ),
        ),
        ([V1.format("/c/memory", "memory"), "1 0 8:1 / / rw - ext4 /dev/vda rw"], Layout(None, {"memory": Path("/c/memory")})),
    ],
    ids=["version 2", "both", "version 1"],
)
def test_layout(lines: list[str], expected: Layout) -> None:
    """Every way in which a host mounts its control groups is told from its mounts."""
    assert layout("\n".join(lines)) == expected


def test_controllers_on_one_mount_make_one_group() -> None:
    where = Layout(Path("/u"), {"cpu": Path("/c"), "cpuacct": Path("/c"), "memory": Path("/m")})
    assert Cgroups("site-a", where).folders == (Path("/u/site-a"), Path("/c/site-a"), Path("/m/site-a"))


def test_limits(tmp_path: Path) -> None:
    """A limit goes to the controller where it is, and is refused where there is none."""
    for folder, files in {"m": ["memory.limit_in_bytes"], "u": ["cgroup.procs"]}.items():
        (tmp_path / folder / "site-a").mkdir(parents=True)
        for file in files:
            (tmp_path / folder / "site-a" / file).write_text("")
    groups = Cgroups("site-a", Layout(tmp_path / "u", {"memory": tmp_path / "m"}))
    groups.make(memory=1 << 30)
    assert (tmp_path / "m" / "site-a" / "memory.limit_in_bytes").read_text() == str(1 << 30)
    groups.make()
    assert (tmp_path / "m" / "site-a" / "memory.limit_in_bytes").read_text() == "-1"
    with pytest.raises(CantiereError, match="no memory controller"):
        Cgroups("site-a", Layout(tmp_path / "u", {"name=systemd": tmp_path / "u"})).make(memory=1 << 30)


def test_addresses_are_kept_and_the_lowest_free_are_given() -> None:
    kept = {"b": "10.141.0.11", "gone-from-the-template": "10.141.0.13"}
    given = NETWORK.addresses(["a", "b", "c"], kept)
    assert given == {"a": "10.141.0.12", "b": "10.141.0.11", "c": "10.141.0.14"}


def test_addresses_end_before_the_virtual_ones() -> None:
    names = [f"m{number}" for number in range(300)]
    given = NETWORK.addresses(names, {})
    assert len(given) == 230
    assert given["m229"] == "10.141.0.240"
    assert len(set(given.values())) == len(given)


def test_names_fit_the_kernel() -> None:
    """An interface's name may have 15 letters, whatever the site's name."""
    long = Network("a-very-long-name-of-a-site", NETWORK.subnet)
    assert len(long.bridge) <= 15
    assert len(long.cable("control-plane-17")) <= 15
    assert Network("two_words", NETWORK.subnet).label("m") == "two-words-m"


def test_layers_name_all_they_are_made_from(tmp_path: Path) -> None:
    low, high = images.layers("more", IMAGES, tmp_path)
    assert (low.name, high.name, high.packages, high.release) == ("plain", "more", ("runc",), "trixie")
    assert high.folder == tmp_path / f"more-{high.digest[:12]}"
    changed = {**IMAGES, "plain": {"release": "trixie", "packages": ["systemd"]}}
    assert images.layers("more", changed, tmp_path)[1].digest != high.digest
    assert images.layers("more", {**IMAGES, "more": {"from": "plain", "packages": ["runc", "socat"]}}, tmp_path)[0] == low


def test_pinned_images() -> None:
    """The images that the platform uses are pinned, one on top of the other."""
    assert [layer.name for layer in images.layers("kubernetes")] == ["machine", "kubernetes"]


@pytest.mark.parametrize(
    ("known", "why"),
    [({}, "is not pinned"), ({"more": {"from": "more", "packages": []}}, "builds on itself")],
)
def test_images_that_cannot_be(known: dict[str, object], why: str) -> None:
    with pytest.raises(CantiereError, match=why):
        images.layers("more", known)


def test_sources_are_those_of_a_debian_host(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text("NAME=x\nID=debian\n")
    (tmp_path / "apt" / "sources.list.d").mkdir(parents=True)
    (tmp_path / "apt" / "sources.list.d" / "debian.sources").write_text(
        "URIs: http://mirror.example/debian\n\nURIs: http://mirror.example/debian-security\n"
    )
    assert images.sources("trixie", tmp_path) == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/debian-security trixie-security main",
    ]
    (tmp_path / "os-release").write_text("ID=fedora\n")
    assert images.sources("trixie", tmp_path) == []


def test_host_settings_are_shared_and_put_back(tmp_path: Path) -> None:
    """Two sites: the first records what was there, the second adds itself, the last to go puts back; a vanished site does not count."""
    proc, record = tmp_path / "proc", tmp_path / "run" / "host.json"
    before = {"vm/overcommit_memory": "0", "net/ipv4/ip_forward": "1", "fs/inotify/max_user_watches": "9999999"}
    for key, value in before.items():
        (proc / key).parent.mkdir(parents=True, exist_ok=True)
        (proc / key).write_text(value + "\n")
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    host.set_up("one", one, record, proc)
    assert (proc / "vm/overcommit_memory").read_text() == "1"
    assert (proc / "fs/inotify/max_user_watches").read_text() == "9999999\n", "more than the least is left alone"
    assert host.is_set_up("one", record, proc)
    assert not host.is_set_up("two", record, proc)
    host.set_up("two", two, record, proc)
    host.put_back("one", record, proc)
    assert (proc / "vm/overcommit_memory").read_text() == "1"
    host.set_up("three", tmp_path / "vanished", record, proc)
    host.put_back("two", record, proc)
    assert (proc / "vm/overcommit_memory").read_text() == "0"
    assert not record.exists()
    host.put_back("two", record, proc)


def test_folder_of_a_machine(tmp_path: Path) -> None:
    """Keys are made once; the files that make the machine itself have the modes that their programs ask for; removal is complete."""
    disk = Disk(tmp_path / "m")
    assert disk.spec() is None
    disk.write(SPEC)
    assert disk.spec() == SPEC
    key = disk.host_key()
    assert key.startswith("ssh-ed25519 ") and disk.host_key() == key == public_key(disk.folder / "ssh_host_ed25519_key")
    umask = os.umask(0o077)
    disk.fill(replace(SPEC, host_key=key), "ssh-ed25519 CLIENT")
    os.umask(umask)
    assert (disk.upper / "etc/hostname").read_text() == "m\n"
    assert "10.141.0.11 m\n" in (disk.upper / "etc/hosts").read_text()
    assert (disk.upper / "etc/ssh/ssh_host_ed25519_key").stat().st_mode & 0o777 == 0o600
    assert (disk.upper / "root/.ssh").stat().st_mode & 0o777 == 0o700
    assert (disk.upper / "etc/hosts").stat().st_mode & 0o777 == 0o644
    assert disk.upper.stat().st_mode & 0o777 == 0o755
    assert (disk.upper / "etc").stat().st_mode & 0o777 == 0o755
    disk.remove()
    assert list(tmp_path.iterdir()) == []


def test_resolver_of_machines(tmp_path: Path) -> None:
    """A server on the host's own loopback cannot be reached from a machine: what stands behind it is taken."""
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\n")
    assert resolver([stub, real]) == "nameserver 127.0.0.53\n"
    real.write_text("nameserver 192.0.2.1\n")
    assert resolver([stub, real]) == "nameserver 192.0.2.1\n"
    assert resolver([tmp_path / "none"]) == ""


@pytest.mark.parametrize("text", ["", "{", '{"name": "m"}', "[]"])
def test_a_damaged_specification_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "spec.json").write_text(text)
    assert Disk(tmp_path).spec() is None


def test_command_line(tmp_path: Path) -> None:
    words = command(SPEC, Disk(tmp_path), NETWORK, Path("/run/netns/site-m"))
    assert words[0] == "systemd-nspawn"
    assert {"--machine=site-m", "--hostname=m", "--bind=/data", "--bind-ro=/var/cache/cantiere/artifacts"} <= set(words)
    assert f"--bind={tmp_path}/data/containerd:/var/lib/containerd" in words


def made(state_dir: Path, *machines: Machine) -> Nspawn:
    """A provider with these machines on disk, none of them running."""
    source = Nspawn("unit-test", state_dir, {"subnet": "10.141.0.0/24", "image": "machine"})
    for machine in machines:
        spec = replace(SPEC, name=machine.name, address=machine.address, digest=source.digest(machine))
        Disk(state_dir / "machines" / machine.name).write(spec)
    return source


def test_place_and_observe(tmp_path: Path) -> None:
    """A machine on disk keeps address and host key; half-removed or unreadable ones are broken; a limit changes the digest."""
    there = Machine("b", "pool", ("worker",), "10.141.0.11")
    source = made(tmp_path, there)
    placed, problems = source.place([Machine("a", "pool", ("worker",), ""), Machine("b", "pool", ("worker",), "")])
    assert problems == []
    assert [(machine.address, machine.host_key) for machine in placed] == [("10.141.0.12", ""), ("10.141.0.11", SPEC.host_key)]
    assert placed[0].key == str(tmp_path / "ssh" / "id_ed25519")
    seen = source.observe()["b"]
    assert (seen.state, seen.address, seen.digest) == ("stopped", "10.141.0.11", source.digest(placed[1]))
    assert source.digest(replace(placed[1], needs={"mem_size": 1})) != seen.digest
    disk = Disk(tmp_path / "machines" / "b")
    disk.write(replace(SPEC, name="b", phase=REMOVING))
    (tmp_path / "machines" / "c").mkdir()
    assert {name: one.state for name, one in source.observe().items()} == {"b": "broken", "c": "broken"}


def test_full_subnet(tmp_path: Path) -> None:
    source = Nspawn("unit-test", tmp_path, {"subnet": "10.141.0.0/28", "image": "machine"})
    placed, problems = source.place([Machine(name, "pool", (), "") for name in "ab"])
    assert [machine.address for machine in placed] == ["10.141.0.11"]
    assert [problem.code for problem in problems] == ["nspawn.subnet"]


def test_refusals(tmp_path: Path) -> None:
    """Names that cannot be, more memory than there is, folders that are not there: all told at once, with the machine."""
    source = Nspawn("unit-test", tmp_path, {"subnet": "10.141.0.0/24", "image": "machine", "shared": [str(tmp_path / "nowhere")]})
    wanted = [Machine("Bad_name", "p", (), ""), Machine("big", "p", (), "", needs={"mem_size": 1 << 60}), Machine("x" * 63, "p", (), "")]
    found = {(problem.code, problem.path) for problem in source.check(wanted)}
    assert {("nspawn.shared", ""), ("nspawn.name", "Bad_name"), ("nspawn.memory", "big"), ("nspawn.name", "x" * 63)} <= found


def test_networks_by_hand() -> None:
    """A set of machines without a subnet gets one that depends on its prefix alone."""
    assert rim.own_subnet("molecule-base") == rim.own_subnet("molecule-base")
    assert ipaddress.IPv4Network(rim.own_subnet("molecule-base")).subnet_of(ipaddress.IPv4Network("10.142.0.0/16"))
    assert len({rim.own_subnet(f"molecule-{number}") for number in range(20)}) > 10
