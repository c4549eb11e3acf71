"""CVMFS: a repository of the facility's own, served over HTTP, and the mount that notebooks and jobs see. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.model import Container, Mount, Node, Probe
from cantiere.services.facts import Facts

TYPE = "cantiere.nodes.CVMFS"
PORT = 8000
MOUNT_POINT = "/cvmfs"


def url(node: Node, facts: Facts) -> str:
    """Where clients find the repository."""
    return f"http://{facts.fqdn(node.name)}:{PORT}/cvmfs/{node.properties['repository']}"


def settings(node: Node, facts: Facts) -> dict[str, Any]:
    """Variables of the templates of ``images/cvmfs``, the same for both roles."""
    return {"repository": node.properties["repository"], "port": PORT, "url": url(node, facts)}


def containers(node: Node, facts: Facts) -> tuple[Container, ...]:
    """The server and the client, or nothing where the node is not enabled.

    The client mounts below ``facts.paths["cvmfs"]``, which the machine must make a shared mount (``mount --bind``,
    ``mount --make-rshared``); consumers mount that folder at ``/cvmfs``, read-only and ``rslave``.
    """
    if not node.properties["enabled"]:
        return ()
    repository = node.properties["repository"]
    server = Container(
        name=node.name,
        service=node.name,
        image="cvmfs",
        settings=settings(node, facts),
        role="server",
        mounts=(Mount(f"{node.name}-data", "/srv/cvmfs"),),
        probe=Probe(("curl", "--silent", "--fail", "--output", "/dev/null", f"{url(node, facts)}/.cvmfspublished"), timeout=60.0),
    )
    client = Container(
        name=f"{node.name}-client",
        service=node.name,
        image="cvmfs",
        settings=settings(node, facts),
        role="client",
        mounts=(Mount(facts.paths["cvmfs"], MOUNT_POINT, propagation="rshared"),),
        capabilities=("SYS_ADMIN",),
        devices=("/dev/fuse",),
        needs=(server.name,),
        probe=Probe((f"{MOUNT_POINT}/{repository}/bin/hello",), timeout=60.0),
    )
    return (server, client)
