"""Filter: the password file of a registry. Thin: the body is :mod:`cantiere.registry`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cantiere.registry import password_line


def registry_password_line(password: str, user: str) -> str:
    """The line by which a registry knows a user and a password."""
    return password_line(str(user), str(password))


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"registry_password_line": registry_password_line}
