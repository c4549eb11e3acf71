"""Filters: a site's own package repositories. Thin: the body is :mod:`cantiere.package_sources`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cantiere.package_sources import files, problems


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"package_source_files": files, "package_source_problems": problems}
