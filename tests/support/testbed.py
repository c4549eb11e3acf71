"""The OpenStack test bed, as scenarios use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.tree import REPOSITORY


def bed(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the test bed."""
    command = [sys.executable, "-m", "tests.openstack", *words]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY / 'tests'}"}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


@contextmanager
def project() -> Iterator[Any]:
    """The project of a real OpenStack whose servers are system containers; one that is up already stays up."""
    running = json.loads(bed("status").stdout)
    mine = not running["up"] or running["compute"] != "nspawn"
    if mine:
        assert bed("down").returncode == 0
        done = bed("up", "--compute", "nspawn")
        assert done.returncode == 0, done.stdout + done.stderr
    given = bed("env").stdout.removeprefix("export ").split()
    os.environ.update(item.split("=", 1) for item in given)
    import openstack

    try:
        yield openstack.connect(cloud="testbed")
    finally:
        if mine:
            assert bed("down").returncode == 0


def belongings(cloud: Any) -> set[str]:
    """Everything that the project has."""
    mine = {"project_id": cloud.current_project_id}
    kinds = {
        "server": cloud.compute.servers(),
        "key pair": cloud.compute.keypairs(),
        "server group": cloud.compute.server_groups(),
        "volume": cloud.block_storage.volumes(),
        "port": cloud.network.ports(**mine),
        "network": cloud.network.networks(**mine),
        "subnet": cloud.network.subnets(**mine),
        "router": cloud.network.routers(**mine),
        "security group": cloud.network.security_groups(**mine),
        "floating IP": cloud.network.ips(**mine),
    }
    return {f"{kind} {item.id}" for kind, items in kinds.items() for item in items}
