"""The OpenStack test bed for real: a server that SSH reaches by a floating address, a warm start, and this machine as before."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.config import OpenStackConfig
from openstack.connection import Connection

from support.host import Host
from support.testbed import delete
from support.tree import REPOSITORY

pytestmark = pytest.mark.full

CLOUDS = Path("/var/lib/cantiere-openstack/clouds.yaml")
WARM_SECONDS = 60.0
ANSWER_SECONDS = 240.0
USER_DATA = b'#cloud-config\nwrite_files: [{path: /etc/from-user-data, content: "here\\n"}]\n'


def bed(*arguments: str, code: int = 0) -> str:
    """Run the bed's command line."""
    command = [sys.executable, "-m", "tests.openstack", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cloud() -> Iterator[Connection]:
    """The user's cloud on a bed with servers to log in to; nothing is left of it afterwards."""
    before = Host.look()
    bed("up", "--compute", "nspawn")
    try:
        assert CLOUDS.stat().st_mode & 0o777 == 0o600
        yield connect("testbed")
    finally:
        bed("down")
    assert Host.look().more_than(before) == {}
    assert not CLOUDS.parent.exists()


def connect(name: str) -> Connection:
    """A connection to one of the bed's clouds."""
    return Connection(config=OpenStackConfig(config_files=[str(CLOUDS)]).get_one(cloud=name))


def test_up_again_is_refused(cloud: Connection) -> None:
    """A bed that is up says so, and stays."""
    bed("up", code=1)
    assert json.loads(bed("status"))["up"]
    assert cloud.compute.find_flavor("m1.tiny")


def test_server_is_reached_by_floating_address(cloud: Connection, tmp_path: Path) -> None:
    """What a user does: network, router, security group, key, server, floating address; SSH with the key; the volume; all deleted."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    pair = cloud.compute.create_keypair(name="bed", public_key=key.with_suffix(".pub").read_text())
    network = cloud.network.create_network(name="bed")
    subnet = cloud.network.create_subnet(network_id=network.id, cidr="10.1.0.0/24", ip_version=4)
    outside = cloud.network.find_network("public")
    router = cloud.network.create_router(name="bed", external_gateway_info={"network_id": outside.id})
    cloud.network.add_interface_to_router(router, subnet=subnet)
    group = cloud.network.create_security_group(name="bed")
    cloud.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp", port_range_min=22, port_range_max=22
    )
    port = cloud.network.create_port(network_id=network.id, security_groups=[group.id])
    address = cloud.network.create_ip(floating_network_id=outside.id, port_id=port.id)
    volume = cloud.block_storage.create_volume(size=1)
    server = cloud.compute.create_server(
        name="bed",
        flavor_id=cloud.compute.find_flavor("m1.small").id,
        image_id=cloud.image.find_image("debian-13").id,
        key_name=pair.name,
        networks=[{"port": port.id}],
        user_data=base64.b64encode(USER_DATA).decode(),
    )
    server = cloud.compute.wait_for_server(server, interval=0.5, wait=300)
    assert server.status == "ACTIVE"
    cloud.block_storage.wait_for_status(volume, "available", ["error"], interval=0.5, wait=60)

    answers(address.floating_ip_address)
    told = log_in(key, address.floating_ip_address, "cat /etc/from-user-data; hostname; cloud-init status --wait")
    assert told.split()[:2] == ["here", "bed"], told

    larger = cloud.compute.find_flavor("m1.medium")
    cloud.compute.resize_server(server, larger.id)
    server = cloud.compute.wait_for_server(server, status="VERIFY_RESIZE", interval=0.5, wait=120)
    cloud.compute.confirm_server_resize(server)
    server = cloud.compute.wait_for_server(server, interval=0.5, wait=60)
    answers(address.floating_ip_address)
    blocks = log_in(key, address.floating_ip_address, "df --output=size -BG / | tail -1")
    assert int(blocks.strip().rstrip("G")) >= larger.disk - 1

    delete(cloud, server)
    cloud.network.delete_ip(address)
    cloud.network.delete_port(port)
    cloud.network.remove_interface_from_router(router, subnet=subnet)
    cloud.network.delete_router(router)
    cloud.network.delete_network(network)
    cloud.network.delete_security_group(group)
    cloud.compute.delete_keypair(pair)
    cloud.block_storage.delete_volume(volume)
    cloud.block_storage.wait_for_delete(volume, interval=0.5, wait=60)


def test_flavor_without_host_says_why(cloud: Connection) -> None:
    """A server that no host has room for ends in ERROR, with the reason in its fault."""
    network = cloud.network.create_network(name="none")
    cloud.network.create_subnet(network_id=network.id, cidr="10.2.0.0/24", ip_version=4)
    flavor = cloud.compute.find_flavor("gpu.large")
    image = cloud.image.find_image("debian-13")
    server = cloud.compute.create_server(name="none", flavor_id=flavor.id, image_id=image.id, networks=[{"uuid": network.id}])
    deadline = time.monotonic() + 60
    while cloud.compute.get_server(server).status == "BUILD" and time.monotonic() < deadline:
        time.sleep(0.5)
    server = cloud.compute.get_server(server)
    assert server.status == "ERROR"
    assert "No valid host was found" in server.fault["message"]
    delete(cloud, server)
    cloud.network.delete_network(network)


def test_warm_start(cloud: Connection) -> None:
    """Down and up again: a cloud as new."""
    bed("down")
    begin = time.monotonic()
    bed("up", "--compute", "fake")
    took = time.monotonic() - begin
    print(f"\n  warm start: {took:.1f} s (measure: {WARM_SECONDS:.0f} s)")
    assert list(connect("testbed").compute.servers()) == []


def answers(address: str) -> None:
    """Wait until a server's SSH port is open."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            socket.create_connection((address, 22), timeout=2).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"{address} does not answer"
            time.sleep(0.5)


def log_in(key: Path, address: str, command: str) -> str:
    """Run a command on a server; its key gets there a little after its port is open."""
    options = [f"-i{key}", "-oBatchMode=yes", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oConnectTimeout=5"]
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        done = subprocess.run(["ssh", *options, f"debian@{address}", command], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < deadline, done.stderr
        time.sleep(1)
