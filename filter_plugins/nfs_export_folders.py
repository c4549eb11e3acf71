"""Filter: the folders that an NFS server exports. What they hold is the site's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def export_folders(exports: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Folders to make, one for each export, in the form of ``cantiere_manifest``."""
    usual = {"mode": "0755", "owner": "root", "group": "root"}
    return [{"path": str(export["path"]), **{key: str(export.get(key) or value) for key, value in usual.items()}} for export in exports]


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, str]]]]:
        """Filters by name."""
        return {"nfs_export_folders": export_folders}
