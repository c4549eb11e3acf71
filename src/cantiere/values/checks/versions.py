"""Version ranges as Helm reads them in a chart's ``kubeVersion``. Pure."""

from __future__ import annotations

import re

Version = tuple[int, int, int]

OPERATOR = re.compile(
    r"(>=|=>|<=|=<|!=|=|>|<|~>|~|\^)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-[0-9A-Za-z.-]+)?(?:\+[\w.-]+)?"
)
HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")


def parse(text: str) -> Version:
    """The three numbers of a version; what follows them (``-gke.100``, ``+k3s1``) is left out.

    Raises
    ------
    ValueError
        It does not begin with two numbers.
    """
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no version")
    return int(found[1]), int(found[2]), int(found[3] or 0)


def fits(version: str, constraint: str) -> bool:
    """Whether a cluster's version is one that a chart takes.

    A pre-release at the end of a bound (``-0``) is how charts let through versions such as ``1.30.4-gke.100``; those are
    compared by their three numbers here, so that it changes nothing.

    Raises
    ------
    ValueError
        The version or the constraint cannot be read.
    """
    own = parse(version)
    return not constraint.strip() or any(_all(own, part) for part in constraint.split("||"))


def _all(own: Version, text: str) -> bool:
    text = HYPHEN.sub(r">=\1 <=\2", text.strip())
    position, fulfilled = 0, True
    while position < len(text):
        found = OPERATOR.match(text, position)
        if found is None:
            raise ValueError(f"{text!r} is no range of versions")
        fulfilled &= _one(own, found[1] or "=", [part for part in found.groups()[1:] if part])
        position = found.end()
        position += len(text) - position - len(text[position:].lstrip(" ,"))
    return fulfilled


def _one(own: Version, operator: str, parts: list[str]) -> bool:
    numbers = [int(part) for part in _until_wildcard(parts)]
    low = (*numbers, 0, 0, 0)[:3]
    above = _next(numbers)
    match operator:
        case "=":
            return low <= own < above
        case "!=":
            return not low <= own < above
        case ">=" | "=>":
            return own >= low
        case ">":
            return own >= above
        case "<":
            return own < low
        case "<=" | "=<":
            return own < above
        case "^":
            kept = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
            return low <= own < _next(numbers[: kept + 1])
        case _:  # ~ keeps the minor version
            return low <= own < _next(numbers[:2])


def _until_wildcard(parts: list[str]) -> list[str]:
    wild = next((index for index, part in enumerate(parts) if not part.isdigit()), len(parts))
    return parts[:wild]


def _next(numbers: list[int]) -> tuple[int, ...]:
    """The first version above all that begin with these numbers."""
    if not numbers:
        return (1 << 30, 0, 0)
    return (*numbers[:-1], numbers[-1] + 1, 0, 0, 0)[:3]
