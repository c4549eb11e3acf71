"""Members of etcd as its tools name them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

PEER_PORT = 2380


def peer(address: str) -> str:
    """The URL by which other members reach one.

    Parameters
    ----------
    address:
        Of its machine.
    """
    return f"https://{address}:{PEER_PORT}"


def initial_cluster(members: Mapping[str, str]) -> str:
    """The value of ``--initial-cluster``.

    Parameters
    ----------
    members:
        Node name to address, for every control plane.
    """
    return ",".join(f"{name}={peer(address)}" for name, address in sorted(members.items()))
