"""The image of servers: the machines' root file system with cloud-init, as one ext4 file system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cantiere.artifacts import pins
from cantiere.providers.nspawn.disk import resolver
from cantiere.providers.nspawn.images import Layer, build, layers
from cantiere.providers.nspawn.shell import must

NAME = "openstack-guest"
PARENT = "kubernetes"
PACKAGES = ("cloud-init", "openssh-client")
SIZE = "3G"
"""Of the file system while it is filled; then it is cut to what it holds, and a server's grows to the disk of its flavor."""

FILES = {
    "etc/cloud/cloud.cfg.d/95-openstack.cfg": "datasource_list: [OpenStack, None]\n"
    "datasource: {OpenStack: {apply_network_config: false, max_wait: 60, timeout: 5}}\n"
    "ssh_genkeytypes: [ed25519]\nmanage_etc_hosts: localhost\n",
    "etc/systemd/network/50-dhcp.network": "[Match]\nName=eth*\n\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n",
}
ENABLED = {"systemd-networkd": "multi-user", "systemd-networkd-wait-online": "network-online"}
"""Units that packages leave disabled, and the target that wants each."""
MASKED = ("systemd-firstboot", "systemd-machine-id-commit")
"""Units that fail where the console is a pipe, and where the machine's number is given from outside."""

FILL = r"""
set -eu
lower=$1 work=$2 file=$3 size=$4
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
cp -a "$work.files/." "$work/upper"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/work" "$work/root"
mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=0 -L guest -d "$work/root" "$file" "$size"
e2fsck -f -y "$file" > /dev/null || [ $? -le 1 ]
resize2fs -M "$file"
"""


def wanted() -> tuple[Layer, ...]:
    """The layers of the image, lowest first."""
    return layers(NAME, {**pins()["machine_images"], NAME: {"from": PARENT, "packages": PACKAGES}})


def files() -> dict[str, str]:
    """What the image sets beside its packages."""
    return {**FILES, "etc/resolv.conf": resolver()}


def make(log: Callable[[str], None]) -> None:
    """Install the packages that are not there yet."""
    build(wanted(), log)


def write(file: Path, work: Path) -> None:
    """Write the image.

    Parameters
    ----------
    file:
        Where.
    work:
        Folder to be used and removed.
    """
    own = work.with_name(f"{work.name}.files")
    work.mkdir()
    for name, text in files().items():
        (own / name).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        (own / name).write_text(text, encoding="utf-8")
    for unit, target in ENABLED.items():
        wants = own / f"etc/systemd/system/{target}.target.wants"
        wants.mkdir(mode=0o755, parents=True)
        (wants / f"{unit}.service").symlink_to(f"/usr/lib/systemd/system/{unit}.service")
    for unit in MASKED:
        (own / f"etc/systemd/system/{unit}.service").symlink_to("/dev/null")
    lower = ":".join(str(layer.folder) for layer in reversed(wanted()))
    must("unshare", "--mount", "sh", "-c", FILL, "sh", lower, work, file, SIZE)
    must("rm", "-r", work, own)
