"""Filter: the containers.conf that a machine needs. Thin: the body is :mod:`cantiere.containers_conf`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cantiere.containers_conf import containers_conf


def for_machine(machine: Mapping[str, Any]) -> str:
    """The file's text for what was seen of a machine."""
    return containers_conf(str(machine["nofile"]), str(machine["nproc"]), bool(machine["systemd"]), bool(machine["unified"]))


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Filters by name."""
        return {"containers_conf": for_machine}
