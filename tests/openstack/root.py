"""The bed's root file system: one more layer over the machines' image, made from packages once and kept with theirs."""

from __future__ import annotations

import os
from collections.abc import Callable

from cantiere.artifacts import pins
from cantiere.providers.nspawn.images import Layer, build, layers

NAME = "openstack"
PARENT = "machine"
PACKAGES = (
    *"mariadb-server-core mariadb-client-core rabbitmq-server memcached haproxy".split(),
    *"keystone placement-api glance-api nova-api nova-conductor nova-scheduler".split(),
    *"neutron-api neutron-rpc-server neutron-ovn-metadata-agent cinder-api cinder-scheduler".split(),
    *"ovn-central ovn-host openvswitch-switch".split(),
    *"python3-pymysql python3-pymemcache uwsgi-core uwsgi-plugin-python3".split(),
    *"ethtool systemd-container qemu-utils".split(),
)
"""Without ``nova-compute`` and ``cinder-volume``, which bring QEMU, libvirt and iSCSI: their programs are in the others."""


def wanted() -> tuple[Layer, ...]:
    """The layers of the bed's root, lowest first."""
    return layers(NAME, {**pins()["machine_images"], NAME: {"from": PARENT, "packages": PACKAGES}})


def make(log: Callable[[str], None]) -> None:
    """Install what is not there yet.

    Parameters
    ----------
    log:
        Takes the installation line by line.
    """
    os.environ["DPKG_FORCE"] = "unsafe-io"  # a layer that is not complete is thrown away: nothing is gained by waiting for the disk
    build(wanted(), log)


def lower() -> str:
    """The layers as an overlay's ``lowerdir``."""
    return ":".join(str(layer.folder) for layer in reversed(wanted()))
