"""Filters: CernVM-FS on a machine. Thin: the body is :mod:`cantiere.cvmfs_client`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cantiere.cvmfs_client import domain_files, mounts


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"cvmfs_mounts": mounts, "cvmfs_domain_files": domain_files}
