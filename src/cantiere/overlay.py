"""One map laid over another. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(base: Mapping[str, Any], over: Mapping[str, Any], *, null_removes: bool = True) -> dict[str, Any]:
    """Both, key by key as Helm lays values over a chart's defaults: anything but a map takes the place of what it lies on.

    Parameters
    ----------
    base, over:
        What lies below, and what above it.
    null_removes:
        Whether null takes away the key that it lies on; else it is a value like any other.
    """
    found = dict(base)
    for key, value in over.items():
        below = found.get(key)
        if value is None and null_removes and key in found:
            del found[key]
        elif isinstance(below, Mapping) and isinstance(value, Mapping):
            found[key] = merged(below, value, null_removes=null_removes)
        else:
            found[key] = value
    return found
