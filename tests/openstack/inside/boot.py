"""First process of the bed's process namespace: starts all daemons, and says when the cloud is ready.

With ``prepare`` it makes databases and contents, stops in order and ends; else it stays until it is killed, and everything with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.openstack.inside import daemons, prepare
from tests.openstack.inside.daemons import Daemon, run, sql
from tests.openstack.layout import API, COMPUTE_HOST, FLOATING, GATEWAY, HOST, LINK, UPLINK

READY = Path("/run/bed.ready")
SECRET = Path("/etc/bed-secret")
SERVICES = "keystone placement glance nova neutron cinder".split()
WORKING_SECONDS, APPEAR_SECONDS = 500.0, 10.0
BEGIN = time.monotonic()

WORKING = """
select count(*) from nova.services
where `binary` in ('nova-conductor', 'nova-scheduler', 'nova-compute') and last_seen_up > utc_timestamp() - interval 10 second;
select count(*) from cinder.services
where `binary` in ('cinder-scheduler', 'cinder-volume') and updated_at > utc_timestamp() - interval 10 second;
"""
WORKERS = ["3", "2"]
"""What :data:`WORKING` counts once all have reported since the start."""


def phase(what: str) -> None:
    """Say what is done, with the seconds since the start."""
    print(f"{time.monotonic() - BEGIN:7.1f} s  {what}", flush=True)


def start(*wanted: Daemon) -> None:
    """Start daemons and wait for each that can tell that it is ready."""
    for daemon in wanted:
        daemon.start()
    for daemon in wanted:
        if daemon.port or daemon.path:
            daemon.wait()


def network() -> None:
    """Switches, and the way from this machine to the APIs and to floating addresses."""
    daemons.SWITCH.mkdir(parents=True, exist_ok=True)
    Path("/run/ovn").symlink_to(daemons.SWITCH)
    start(*daemons.switch_databases())
    settings = {
        "external_ids:system-id": COMPUTE_HOST,
        "external_ids:hostname": COMPUTE_HOST,
        "external_ids:ovn-remote": "tcp:127.0.0.1:6642",
        "external_ids:ovn-encap-type": "geneve",
        "external_ids:ovn-encap-ip": "127.0.0.1",
        "external_ids:ovn-bridge-mappings": "physnet1:br-ex",
        "external_ids:ovn-cms-options": "enable-chassis-as-gw",
        "external_ids:ovn-bridge-datapath-type": "netdev",
        "other_config:vlan-limit": "0",
    }
    run("ovs-vsctl", "--no-wait", "init")
    run("ovs-vsctl", "--no-wait", "set", "Open_vSwitch", ".", *(f"{key}={value}" for key, value in settings.items()))
    start(*daemons.switches())
    for bridge in ("br-int", "br-ex"):
        run("ovs-vsctl", "--may-exist", "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")
    run("ovs-vsctl", "set", "bridge", "br-int", "fail_mode=secure")
    appeared("br-ex")
    run("ip", "address", "add", f"{GATEWAY}/{FLOATING.prefixlen}", "dev", "br-ex")
    run("ethtool", "-K", "br-ex", "tx", "off")
    run("ip", "link", "set", "br-ex", "up")
    phase("switches")


def appeared(interface: str) -> None:
    """Wait for a network interface that somebody else makes."""
    deadline = time.monotonic() + APPEAR_SECONDS
    while not Path("/sys/class/net", interface).exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"no interface {interface}")
        time.sleep(0.05)


def addresses(fresh: bool) -> None:
    """Give the bed its address: at the end of this machine's cable, or where it is prepared, for itself alone."""
    run("ip", "link", "set", "lo", "up")
    if fresh:
        run("ip", "address", "add", f"{API}/32", "dev", "lo")
        return
    appeared(UPLINK)
    run("ip", "address", "add", f"{API}/{LINK}", "dev", UPLINK)
    run("ip", "link", "set", UPLINK, "up")
    run("ip", "route", "add", "default", "via", HOST)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="utf-8")


def folders() -> None:
    """Make what packages leave to an init system."""
    for service in SERVICES:
        for unwanted in Path("/etc", service).glob("*.conf.d"):
            shutil.rmtree(unwanted)
        Path("/var/log", service).mkdir(parents=True, exist_ok=True)
    Path("/run/mysqld").mkdir()
    Path("/run/lock").mkdir()
    for folder in ("/var/lib/rabbitmq", "/var/log/rabbitmq"):
        shutil.chown(folder, "rabbitmq", "rabbitmq")


def working() -> None:
    """Wait until every worker has reported."""
    deadline = time.monotonic() + WORKING_SECONDS
    while sql(WORKING).split() != WORKERS:
        if time.monotonic() > deadline:
            raise RuntimeError("not every worker of nova and cinder reports")
        time.sleep(0.3)
    phase("workers report")


def up(compute: str, *, fresh: bool) -> None:
    """Start everything."""
    folders()
    addresses(fresh)
    secret = SECRET.read_text(encoding="utf-8").strip()
    if fresh:
        prepare.data_folders()
        phase("tables of MariaDB")
    with ThreadPoolExecutor() as pool:
        switches = pool.submit(network)
        queue = pool.submit(start, daemons.rabbitmq())
        start(daemons.memcached(), daemons.mariadb())
        phase("MariaDB")
        if fresh:
            prepare.schemas(secret, phase)
        start(daemons.keystone())
        phase("keystone")
        if fresh:
            prepare.catalogue(secret)
            phase("catalogue")
        queue.result()
        phase("RabbitMQ")
        switches.result()
    real = daemons.metadata() if compute == "nspawn" else ()
    start(*daemons.apis(), *daemons.workers(), *real)
    phase("APIs")
    working()
    if fresh:
        prepare.contents(secret)
        phase("flavors, network and image")


def stop() -> None:
    """End everything but this process: services first, then the queue and the database, so that what they keep is whole."""
    numbers = {file.name: int(file.read_text(encoding="utf-8")) for file in daemons.NUMBERS.iterdir()}
    keepers = ("rabbitmq", "mariadb")
    for name, number in numbers.items():
        if name not in keepers and not daemons.ended(number):
            os.killpg(number, signal.SIGKILL)
    for name in keepers:
        os.kill(numbers[name], signal.SIGTERM)
        while not daemons.ended(numbers[name]):
            time.sleep(0.1)
    phase("stopped")


def main() -> None:
    """Do what the command line says: ``fake`` or ``nspawn``, or ``prepare``."""
    task = sys.argv[1]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    daemons.environ()
    if task == "prepare":
        up("fake", fresh=True)
        stop()
        prepare.tidy()
        return
    up(task, fresh=False)
    READY.touch()
    phase("ready")
    while True:
        os.wait()  # daemons, and what they leave behind


if __name__ == "__main__":
    main()
