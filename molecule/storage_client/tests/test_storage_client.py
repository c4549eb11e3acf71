"""Machines are ready for volumes over the network, as far as their kernel goes."""

import pytest


def test_initiators_have_names_of_their_own(host):
    """The initiator is named after the machine, readable by root alone."""
    file = host.file("/etc/iscsi/initiatorname.iscsi")
    name = host.ansible.get_variables()["inventory_hostname"]
    assert f"InitiatorName=iqn.2026-01.internal.cantiere:{name}\n" in file.content_string
    assert file.mode == 0o600


@pytest.mark.parametrize("command", ["iscsiadm --version", "iscsid --version", "mount.nfs -V"])
def test_tools(host, command):
    """The tools run."""
    assert host.run(f"PATH=$PATH:/usr/sbin:/sbin {command}").rc == 0


def test_multipath_leaves_volumes_alone(host):
    """What multipath makes of its files has our rule among those that it refuses."""
    host.run_expect([0], "apt-get install --yes --quiet --no-install-recommends multipath-tools")
    shown = host.check_output("/usr/sbin/multipath -t 2> /dev/null")
    blacklist = shown[shown.index("blacklist {") : shown.index("}", shown.index("blacklist {"))]
    assert 'devnode "^sd[a-z0-9]+"' in blacklist


def test_service_follows_the_kernel(host):
    """The daemon runs where the kernel has iSCSI, and is not tried where it has not."""
    has = host.run("modprobe --dry-run --quiet iscsi_tcp || test -d /sys/class/iscsi_transport").rc == 0
    assert host.service("iscsid").is_running == has
    assert host.run("systemctl is-failed iscsid").rc != 0
