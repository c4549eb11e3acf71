"""The machine behaves as base was told, and one probe sees when it no longer does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from cantiere.machines.model import Machine
from cantiere.machines.probe import Probed, probe
from cantiere.machines.ssh import Ssh

FOLDER = Path("/var/lib/cantiere/molecule/molecule-base/ssh")
CONFIG = FOLDER / "config"
ONE = Machine("one", "molecule", (), "")


@pytest.fixture
def one() -> Host:
    """The machine that is looked at."""
    return testinfra.get_host("ssh://one", ssh_config=str(CONFIG))


@pytest.fixture
def two() -> Host:
    """The machine from which it is looked at."""
    return testinfra.get_host("ssh://two", ssh_config=str(CONFIG))


def found() -> Probed:
    """What the probe finds on the first machine."""
    return probe(Ssh(FOLDER), [ONE])["one"]


@pytest.fixture
def listening(one: Host) -> Iterator[str]:
    """The first machine listens at 8080, 8081 and 8082; its address."""
    program = "import socket,time; s=[socket.create_server(('', p)) for p in (8080, 8081, 8082)]; time.sleep(60)"
    one.check_output("systemd-run --quiet --unit=molecule-listen python3 -c %s", program)
    for _ in range(50):
        if one.socket("tcp://0.0.0.0:8082").is_listening:
            break
    yield one.check_output("ip -4 -o addr show scope global | awk '{print $4; exit}'").split("/")[0]
    one.check_output("systemctl stop molecule-listen")


@pytest.mark.parametrize(("port", "opened"), [(22, True), (8080, True), (8081, False), (8082, False)])
def test_firewall_opens_only_what_it_was_told(two: Host, listening: str, port: int, opened: bool) -> None:
    """From another machine: SSH and the opened port answer, a port for other networks and any other port do not."""
    asked = two.run("timeout 2 bash -c %s", f"exec 3<>/dev/tcp/{listening}/{port}")
    assert (asked.rc == 0) == opened, asked.stderr


def test_ping_answers(two: Host, listening: str) -> None:
    """ICMP is not dropped."""
    asked = two.run(
        "python3 -c %s",
        "import socket,struct; s=socket.socket(2,3,1); s.settimeout(2); "
        f"s.sendto(struct.pack('!BBHHH',8,0,0xf7fd,1,1),('{listening}',0)); s.recv(99)",
    )
    assert asked.rc == 0, asked.stderr


def test_tables_of_others_stay(one: Host) -> None:
    """New rules take the place of the old ones and leave everyone else's alone; whoever flushes all gets ours again."""
    one.check_output("nft add table ip molecule")
    one.check_output("systemctl reload cantiere-firewall")
    assert one.check_output("nft list tables").splitlines().count("table inet cantiere") == 1
    assert "table ip molecule" in one.check_output("nft list tables")
    one.check_output("systemctl restart nftables")  # flushes everything
    assert one.run("for try in $(seq 50); do nft list tables | grep 'inet cantiere' && exit 0; sleep 0.1; done; exit 1").rc == 0
    one.check_output("systemctl stop nftables && nft delete table ip molecule 2> /dev/null; systemctl start cantiere-firewall")


def test_user_logs_in_and_becomes_root() -> None:
    """By key, and sudo asks for no password."""
    done = subprocess.run(
        ["ssh", "-F", str(CONFIG), "-l", "alice", "-o", "ControlPath=none", "one", "sudo -n id -un; ulimit -n"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["root", "4096"], done.stderr


def test_names_and_kernel(one: Host) -> None:
    """Host name, hosts, time zone and kernel settings are in force."""
    assert one.check_output("hostname") == "one-named"
    assert one.check_output("getent hosts api.example").split()[0] == "192.0.2.250"
    assert one.check_output("date +%Z -d 2026-01-01") == "CET"
    assert one.sysctl("net.ipv4.conf.all.rp_filter") == 0 and one.sysctl("net.ipv4.ip_forward") == 1
    assert one.check_output("systemctl is-system-running") == "running"


def test_probe_finds_it_intact_and_then_not(one: Host) -> None:
    """Every kind of damage is named; put back, all is well."""
    assert found().intact("base", "from the scenario") and not found().intact("base", "other inputs")
    one.check_output("cp -a /etc/cantiere/firewall.nft /root/kept && echo '# x' >> /etc/cantiere/firewall.nft")
    one.check_output("sysctl -q -w net.ipv4.ip_forward=0 && systemctl stop cantiere-firewall")
    assert found().manifests["base"].drift == (
        "file /etc/cantiere/firewall.nft changed",
        "sysctl net.ipv4.ip_forward is 0, not 1",
        "unit cantiere-firewall.service is inactive",
    )
    one.check_output("mv /root/kept /etc/cantiere/firewall.nft && sysctl -q -w net.ipv4.ip_forward=1 && systemctl start cantiere-firewall")
    assert found().intact("base", "from the scenario")


def test_probe_is_cheap(one: Host) -> None:
    """The probe takes less than 0.15 s of CPU on the machine."""
    program = Path(__file__).parents[3] / "module_utils" / "cantiere" / "probe.py"
    timed = "import os,sys,subprocess; subprocess.run(['python3','-IS','-'],stdin=sys.stdin,stdout=-3); t=os.times(); print(t[2]+t[3])"
    done = subprocess.run(
        ["ssh", "-F", str(CONFIG), "one", f'python3 -c "{timed}"'], stdin=program.open(), capture_output=True, text=True, check=False
    )
    assert float(done.stdout) < 0.15, done.stderr
