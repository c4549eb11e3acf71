"""Filters: rows of module cantiere_artifacts for names of ``artifacts.yaml``. Thin: the bodies are in :mod:`cantiere.supply`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cantiere.machines.roles import programs
from cantiere.supply import ensure, placed
from cantiere.supply.pins import Anywhere


def artifact_images(names: Sequence[str], arch: str = "amd64") -> list[dict[str, Any]]:
    """Archives of images; what the store of the controller lacks is made first."""
    ensure(names, Anywhere(), arch, lambda line: None)
    return placed(names, Anywhere(), arch)


def artifact_files(names: Sequence[str], folder: str, arch: str = "amd64") -> list[dict[str, Any]]:
    """Programs with their places in a folder; what the store of the controller lacks is made first."""
    return programs(artifact_images(names, arch), folder)


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        """Filters by name."""
        return {"artifact_files": artifact_files, "artifact_images": artifact_images}
