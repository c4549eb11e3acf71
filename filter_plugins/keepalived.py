"""Filter: keepalived's configuration. Thin: the body is :mod:`cantiere.kubernetes.keepalived`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cantiere.kubernetes import keepalived
from cantiere.kubernetes.text import plain


def keepalived_config(settings: Mapping[str, Any]) -> str:
    """The text of ``keepalived.conf``."""
    return keepalived.config(**plain(settings))


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"keepalived_config": keepalived_config}
