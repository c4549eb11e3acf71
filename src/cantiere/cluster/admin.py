"""The administrator's kubeconfig of a cluster of ours, brought from its control plane to this machine."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
from pathlib import Path

import yaml

from cantiere.machines.fleet import Fleet
from cantiere.machines.nodes import ADMIN, MEMBER
from cantiere.machines.wanted import API_PORT, endpoint
from cantiere.state import write_atomic

CONNECT_SECONDS = 2.0
SSH_SECONDS = 15


def fetch(fleet: Fleet, target: Path) -> bool:
    """Bring the kubeconfig, with an address of the API server that this machine reaches.

    Parameters
    ----------
    fleet:
        The machines.
    target:
        The file; mode 0600, written only where it differs.

    Returns
    -------
    bool
        Whether it is there; False where no control-plane machine is a member of a cluster yet.
    """
    if not fleet.ssh.config.is_file():
        return False
    placed = fleet.machines()
    pinned = fleet.ssh.pinned()
    controls = [machine for machine in placed if machine.controls and machine.name in pinned]
    for machine in controls:
        done = fleet.ssh.run(machine.name, f"test -f {MEMBER} && cat {ADMIN}", timeout=SSH_SECONDS)
        if done.returncode == 0:
            ways = [(endpoint(placed, fleet.network), ""), *((f"{item.address}:{API_PORT}", "") for item in controls)]
            ways += [(f"{item.door}:{API_PORT}", item.address) for item in controls if item.door]
            text = pointed(done.stdout, *next((way for way in ways if answers(done.stdout, *way)), ways[0]))
            if not target.is_file() or target.read_text(encoding="utf-8") != text:
                write_atomic(target, text, 0o600)
            return True
    return False


def pointed(kubeconfig: str, address: str, certified: str = "") -> str:
    """A kubeconfig whose clusters are reached at an address.

    Parameters
    ----------
    kubeconfig:
        As kubeadm wrote it.
    address:
        Host and port.
    certified:
        Name in the API server's certificate, where that is another than the host.
    """
    content = yaml.safe_load(kubeconfig)
    for item in content["clusters"]:
        item["cluster"]["server"] = f"https://{address}"
        if certified:
            item["cluster"]["tls-server-name"] = certified
    return yaml.safe_dump(content, sort_keys=False)


def answers(kubeconfig: str, address: str, certified: str = "") -> bool:
    """Whether the cluster's own API server is at an address: behind a private one may be somebody else's machine, or a proxy for all.

    Parameters
    ----------
    kubeconfig:
        As kubeadm wrote it, with the authority behind the server's certificate.
    address:
        Host and port.
    certified:
        Name in the certificate, where that is another than the host.
    """
    host, _, port = address.rpartition(":")
    authority = base64.b64decode(yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with (
        contextlib.suppress(OSError),
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS) as connection,
        context.wrap_socket(connection, server_hostname=certified or host),
    ):
        return True
    return False
