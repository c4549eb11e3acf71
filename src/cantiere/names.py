"""The block of ``/etc/hosts`` by which the machine knows the facility's services."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

HOSTS = Path("/etc/hosts")


def read(prefix: str) -> dict[str, str]:
    """Host names of the facility's block with their addresses; empty where there is no block."""
    names: dict[str, str] = {}
    inside = False
    for line in HOSTS.read_text(encoding="utf-8").splitlines():
        if line == _begin(prefix):
            inside = True
        elif line == _end(prefix):
            inside = False
        elif inside and line.strip():
            address, name = line.split()
            names[name] = address
    return names


def write(prefix: str, names: Mapping[str, str]) -> None:
    """Put the facility's block in place of an older one; no names take the block away.

    The file is written in place: in a container it is a mount and cannot be replaced.
    """
    kept: list[str] = []
    inside = False
    for line in HOSTS.read_text(encoding="utf-8").splitlines():
        inside = line == _begin(prefix) or (inside and line != _end(prefix))
        if not inside and line != _end(prefix):
            kept.append(line)
    if names:
        kept += [_begin(prefix), *(f"{address} {name}" for name, address in names.items()), _end(prefix)]
    with HOSTS.open("r+", encoding="utf-8") as handle:
        handle.write("\n".join(kept) + "\n")
        handle.truncate()


def _begin(prefix: str) -> str:
    return f"# begin {prefix}"


def _end(prefix: str) -> str:
    return f"# end {prefix}"
