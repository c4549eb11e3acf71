"""Filter: the Helm values of a release. Thin: the body is :func:`cantiere.values_verbs.helm_values`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cantiere.values_verbs import helm_values


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"helm_values": helm_values}
