"""Nova's compute driver for the bed: a server is a system container on ports of OVN, booted from a copy of its image.

An image is one ext4 file system, raw or qcow2. Snapshots and volumes are the fake driver's.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import nova.conf
from nova import exception
from nova.compute import power_state
from nova.image import glance
from nova.virt import fake, hardware
from oslo_concurrency import lockutils, processutils

from cantiere.providers.nspawn.cgroups import Cgroups, layout
from tests.openstack.layout import NAME

CONF = nova.conf.CONF
SERVERS = Path("/srv/servers")
DEVICES = ("/dev/kmsg", "/dev/fuse")
CONSOLE_SHOWN = 102_400
START_SECONDS, END_SECONDS = 10.0, 20.0
SAID = 500
PAUSE = 0.05
MIB, GIB = 1 << 20, 1 << 30

BOOT = r"""
set -eu
console=$1 groups=$2
shift 2
while [ "$groups" -gt 0 ]; do
    echo $$ > "$1/cgroup.procs"
    groups=$((groups - 1))
    shift
done
exec "$@" > "$console" 2>&1 < /dev/null
"""
"""Joins the server's control groups and becomes its supervisor."""


def run(*command: object, check: bool = True, **options: Any) -> str:
    """Run a program without stopping the other threads of the service."""
    said, _ = processutils.execute(*map(str, command), check_exit_code=[0] if check else False, **options)
    return str(said)


class Files:
    """Where a server's parts are."""

    def __init__(self, uuid: str) -> None:
        self.name = f"server-{uuid[:8]}"
        self.folder = SERVERS / uuid
        self.disk = self.folder / "disk.raw"
        self.root = self.folder / "root"
        self.console = self.folder / "console.log"
        self.groups = Cgroups(f"{NAME}-{self.name}", layout())


class NspawnDriver(fake.FakeDriverWithoutFakeNodes):
    """Servers as system containers."""

    vcpus, memory_mb, local_gb = 64, 65_536, 2_000

    def spawn(
        self,
        context: Any,
        instance: Any,
        image_meta: Any,
        injected_files: Any,
        admin_password: Any,
        allocations: Any,
        network_info: Any = None,
        block_device_info: Any = None,
        power_on: bool = True,
        accel_info: Any = None,
    ) -> None:
        """Make a server's disk, plug its ports, wait until the network says that they are, and boot it."""
        _disk(context, instance)
        waited = [("network-vif-plugged", port["id"]) for port in network_info or () if port.get("active", True) is False]
        deadline = CONF.vif_plugging_timeout
        with self.virtapi.wait_for_instance_event(instance, waited, deadline=deadline):
            _plug(instance, network_info)
        if power_on:
            _boot(instance)

    def destroy(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        destroy_disks: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        """End a server and remove its parts, also those of one that was made in part."""
        _end(instance)
        _unplug(instance, network_info)
        files = Files(instance.uuid)
        run("umount", files.root, check=False)
        shutil.rmtree(files.folder, ignore_errors=True)

    def power_off(self, instance: Any, timeout: int = 0, retry_interval: int = 0) -> None:
        """End a server and keep its disk and ports."""
        _end(instance, asked=timeout > 0)

    def power_on(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        """Boot a server from the disk that it has."""
        _boot(instance)

    def reboot(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        reboot_type: str,
        block_device_info: Any = None,
        bad_volumes_callback: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        """End a server and boot it again."""
        _end(instance, asked=reboot_type == "SOFT")
        _boot(instance)

    def migrate_disk_and_power_off(
        self,
        context: Any,
        instance: Any,
        dest: Any,
        flavor: Any,
        network_info: Any,
        block_device_info: Any = None,
        timeout: int = 0,
        retry_interval: int = 0,
    ) -> None:
        """First half of a resize, which stays on this host: end the server."""
        _end(instance, asked=timeout > 0)

    def finish_migration(
        self,
        context: Any,
        migration: Any,
        instance: Any,
        disk_info: Any,
        network_info: Any,
        image_meta: Any,
        resize_instance: bool,
        allocations: Any,
        block_device_info: Any = None,
        power_on: bool = True,
    ) -> None:
        """Second half of a resize: let the disk grow, and boot with the new flavor's memory and processors."""
        files = Files(instance.uuid)
        run("umount", files.root)
        deadline = time.monotonic() + END_SECONDS
        while run("losetup", "--associated", files.disk).strip():  # until the server's own mounts have gone too
            if time.monotonic() > deadline:
                raise exception.ResizeError(reason=f"{files.disk} is still in use")
            time.sleep(PAUSE)
        _mount(files, instance.flavor.root_gb * GIB)
        if power_on:
            _boot(instance)

    def finish_revert_migration(
        self, context: Any, instance: Any, network_info: Any, migration: Any, block_device_info: Any = None, power_on: bool = True
    ) -> None:
        """Boot with the old flavor again; a disk that grew stays so."""
        _end(instance)
        if power_on:
            _boot(instance)

    def get_info(self, instance: Any, use_cache: bool = True) -> Any:
        """Whether a server runs, also one that this service did not start itself."""
        files = Files(instance.uuid)
        if not files.disk.exists():
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        return hardware.InstanceInfo(state=power_state.RUNNING if files.groups.supervisor() else power_state.SHUTDOWN)

    def list_instance_uuids(self) -> list[str]:
        """Servers that have a disk."""
        return [file.parent.name for file in SERVERS.glob("*/disk.raw")]

    def list_instances(self) -> list[str]:
        """The same, as the container manager calls them."""
        return [Files(uuid).name for uuid in self.list_instance_uuids()]

    def attach_interface(self, context: Any, instance: Any, image_meta: Any, vif: Any) -> None:
        """Plug one more port."""
        _port(instance, vif, len(self._of(instance)))

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        """Unplug one port."""
        _unport(vif)

    def get_console_output(self, context: Any, instance: Any) -> str:
        """The end of what a server wrote to its console."""
        file = Files(instance.uuid).console
        return file.read_text(encoding="utf-8", errors="replace")[-CONSOLE_SHOWN:] if file.is_file() else ""

    def _of(self, instance: Any) -> list[str]:
        listed = run("ip", "-n", Files(instance.uuid).name, "-br", "link")
        return [line for line in listed.splitlines() if line.startswith("eth")]


def _disk(context: Any, instance: Any) -> None:
    """Copy the image, let it grow to the flavor's disk, and mount it."""
    files = Files(instance.uuid)
    base = SERVERS / "images" / f"{instance.image_ref}.raw"
    with lockutils.lock(f"image-{instance.image_ref}"):
        if not base.exists():
            base.parent.mkdir(parents=True, exist_ok=True)
            fetched = base.with_suffix(".fetched")
            glance.API().download(context, instance.image_ref, dest_path=str(fetched))
            run("qemu-img", "convert", "-O", "raw", fetched, base.with_suffix(".part"))
            fetched.unlink()
            base.with_suffix(".part").rename(base)
    files.root.mkdir(parents=True)
    run("cp", "--sparse=always", base, files.disk)
    _mount(files, instance.flavor.root_gb * GIB)


def _mount(files: Files, size: int) -> None:
    """Mount a server's disk, after it has grown to that many bytes."""
    if size > files.disk.stat().st_size:
        os.truncate(files.disk, size)
        run("resize2fs", "-f", files.disk)
    run("mount", "-o", "loop", files.disk, files.root)


def _plug(instance: Any, ports: Any) -> None:
    """Make a server's network namespace, with an interface for each of its ports."""
    namespace = Files(instance.uuid).name
    run("ip", "netns", "add", namespace)
    run("ip", "-n", namespace, "link", "set", "lo", "up")
    for number, port in enumerate(ports or ()):
        _port(instance, port, number)


def _port(instance: Any, port: Any, number: int) -> None:
    outside, inside, namespace = port["devname"], f"c{port['id'][:12]}", Files(instance.uuid).name
    mtu = port["network"]["meta"].get("mtu") or 1500
    run("ip", "link", "add", outside, "mtu", mtu, "type", "veth", "peer", "name", inside, "mtu", mtu, "address", port["address"])
    for end in (outside, inside):
        run("ethtool", "-K", end, "tx", "off")  # the switch in user space forwards checksums as they are
    run("ip", "link", "set", inside, "netns", namespace, "name", f"eth{number}")
    run("ip", "link", "set", outside, "up")
    known = {"iface-id": port["id"], "iface-status": "active", "attached-mac": port["address"], "vm-id": instance.uuid}
    told = [f"external_ids:{key}={value}" for key, value in known.items()]
    run("ovs-vsctl", "--may-exist", "add-port", "br-int", outside, "--", "set", "Interface", outside, *told)


def _unplug(instance: Any, ports: Any) -> None:
    for port in ports or ():
        _unport(port)
    run("ip", "netns", "delete", Files(instance.uuid).name, check=False)


def _unport(port: Any) -> None:
    run("ovs-vsctl", "--if-exists", "del-port", "br-int", port["devname"])
    run("ip", "link", "delete", port["devname"], check=False)


def _boot(instance: Any) -> None:
    """Start a server's supervisor, and wait until it is there."""
    files = Files(instance.uuid)
    files.groups.make(instance.flavor.memory_mb * MIB, instance.flavor.vcpus)
    supervisor = [
        *"systemd-nspawn --quiet --boot --register=no --keep-unit --resolv-conf=off --timezone=off --link-journal=no".split(),
        *("--capability=all", "--console=pipe", "--setenv=product_name=OpenStack Nova"),
        *(f"--bind={device}" for device in DEVICES if Path(device).exists()),
        *(f"--directory={files.root}", f"--machine={files.name}", f"--uuid={instance.uuid}"),
        f"--network-namespace-path=/run/netns/{files.name}",
    ]
    environment = {
        **os.environ,
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        "SYSTEMD_NSPAWN_LOCK": "0",
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        "SYSTEMD_SECCOMP": "0",
    }
    joined = files.groups.folders
    run("setsid", "--fork", "sh", "-c", BOOT, "sh", files.console, len(joined), *joined, *supervisor, env_variables=environment)
    deadline = time.monotonic() + START_SECONDS
    while not files.groups.supervisor():
        if time.monotonic() > deadline:
            said = files.console.read_text(encoding="utf-8", errors="replace")[-SAID:] if files.console.is_file() else ""
            raise exception.InstancePowerOnFailure(reason=said)
        time.sleep(PAUSE)


def _end(instance: Any, *, asked: bool = False) -> None:
    """End a server: let it shut down where it is asked, then kill what is left."""
    groups = Files(instance.uuid).groups
    supervisor = groups.supervisor()
    if asked and supervisor:
        os.kill(supervisor, signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while groups.supervisor() and time.monotonic() < deadline:
            time.sleep(PAUSE)
    groups.end()
