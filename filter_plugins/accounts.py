"""Filter: users as the module cantiere_manifest takes them. Thin: the body is :mod:`cantiere.accounts`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cantiere.accounts import accounts


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"accounts": accounts}
