"""Sizes and times as Kubernetes and Prometheus write them. Pure."""

from __future__ import annotations

_SIZES = (("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10))
_TIMES = (("d", 86400), ("h", 3600), ("m", 60))


def quantity(size: float) -> str:
    """A number of bytes in the largest unit in which it is whole: ``10Gi``."""
    size = round(size)
    for unit, factor in _SIZES:
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def duration(time: float) -> str:
    """Seconds in the largest unit in which they are whole: ``7d``; of a fraction of a second, milliseconds."""
    if time != round(time):
        return f"{round(time * 1000)}ms"
    time = round(time)
    for unit, factor in _TIMES:
        if time and time % factor == 0:
            return f"{time // factor}{unit}"
    return f"{time}s"
