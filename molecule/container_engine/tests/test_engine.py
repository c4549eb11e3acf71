"""podman answers with the configuration that the role wrote, and the machine's own stays as the package left it."""

from __future__ import annotations

import json
from typing import Any

CONF = "/var/lib/cantiere/here/engine/containers.conf"
PODMAN = f"CONTAINERS_CONF={CONF} podman --storage-driver=vfs"  # the root of a system container is an overlay already


def test_the_engine_reads_its_configuration(host: Any) -> None:
    conf = host.file(CONF)
    assert (conf.user, conf.mode) == ("root", 0o600)
    found = json.loads(host.check_output(f"{PODMAN} info --format json"))
    assert found["host"]["networkBackend"] == "netavark"
    assert found["host"]["cgroupVersion"] in ("v1", "v2")


def test_networks_and_names_can_be_made(host: Any) -> None:
    host.check_output(f"{PODMAN} network create --subnet 10.99.0.0/24 trial")
    found = json.loads(host.check_output(f"{PODMAN} network inspect trial"))
    host.check_output(f"{PODMAN} network rm trial")
    assert found[0]["dns_enabled"] is True


def test_the_machine_s_own_configuration_stays(host: Any) -> None:
    assert not host.file("/etc/containers/containers.conf").exists
