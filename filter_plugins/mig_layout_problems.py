"""Filter: what cannot be right in a MIG layout. Thin: the body is :mod:`cantiere.gpu`."""

from __future__ import annotations

from collections.abc import Callable

from cantiere.gpu import problems


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Filters by name."""
        return {"mig_layout_problems": problems}
