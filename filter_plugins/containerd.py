"""Filter: containerd's configuration. Thin: the body is :mod:`cantiere.kubernetes.containerd`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cantiere.kubernetes import containerd
from cantiere.kubernetes.text import plain


def containerd_files(settings: Mapping[str, Any], registries: Mapping[str, Any], authorities: Mapping[str, Any]) -> list[dict[str, str]]:
    """The files of containerd's configuration."""
    return containerd.files(containerd.config(**plain(settings)), plain(registries), plain(authorities))


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"containerd_files": containerd_files}
