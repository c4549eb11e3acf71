"""Values that TOSCA writes as text: sizes, times, frequencies, bit rates, versions and points in time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

_UNITS: dict[str, dict[str, tuple[int, int]]] = {
    "scalar-unit.size": {
        "B": (1, 1),
        "kB": (10**3, 1),
        "KiB": (1 << 10, 1),
        "MB": (10**6, 1),
        "MiB": (1 << 20, 1),
        "GB": (10**9, 1),
        "GiB": (1 << 30, 1),
        "TB": (10**12, 1),
        "TiB": (1 << 40, 1),
    },
    "scalar-unit.time": {
        "d": (86_400, 1),
        "h": (3_600, 1),
        "m": (60, 1),
        "s": (1, 1),
        "ms": (1, 10**3),
        "us": (1, 10**6),
        "ns": (1, 10**9),
    },
    "scalar-unit.frequency": {"Hz": (1, 1), "kHz": (10**3, 1), "MHz": (10**6, 1), "GHz": (10**9, 1)},
    "scalar-unit.bitrate": {
        f"{prefix}{unit}ps": (bits * factor, 1)
        for unit, bits in (("b", 1), ("B", 8))
        for prefix, factor in (
            ("", 1),
            ("K", 10**3),
            ("Ki", 1 << 10),
            ("M", 10**6),
            ("Mi", 1 << 20),
            ("G", 10**9),
            ("Gi", 1 << 30),
            ("T", 10**12),
            ("Ti", 1 << 40),
        )
    },
}
EXAMPLES = {"scalar-unit.size": "4 GiB", "scalar-unit.time": "10 m", "scalar-unit.frequency": "2.4 GHz", "scalar-unit.bitrate": "1 Gbps"}
CANONICAL = {"scalar-unit.size": "B", "scalar-unit.time": "s", "scalar-unit.frequency": "Hz", "scalar-unit.bitrate": "bps"}
"""The unit of the plain numbers that values have."""
_FOLDED = {name: {unit.lower(): value for unit, value in table.items()} for name, table in _UNITS.items() if name != "scalar-unit.bitrate"}
_SCALAR = re.compile(r"([0-9]{1,30})(?:\.([0-9]{1,30}))?\s*([A-Za-z]{1,5})")
_NUMBER = re.compile(r"([-+]?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,2})?)\s*([^\s0-9]\S{0,63})")
_VERSION = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})(?:\.([0-9]{1,18})(?:\.([A-Za-z0-9]{1,64})(?:-([0-9]{1,18}))?)?)?")
_TIME = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d{0,6})\d*)?(?:[ \t]*(?:(Z)|([-+])(\d\d?)(?::?(\d\d))?))?)?",
    re.ASCII,
)


def units(name: str) -> tuple[str, ...]:
    """The units of a scalar-unit type."""
    return tuple(_UNITS[name])


def scalar(name: str, text: str) -> int | float | None:
    """A scalar with a unit as a plain number.

    Parameters
    ----------
    name:
        ``scalar-unit.size``, ``.time``, ``.frequency`` or ``.bitrate``.
    text:
        As written, for example ``2.5 GiB``. The unit's case matters for bit rates alone.

    Returns
    -------
    int or float or None
        Bytes (int, rounded down), seconds (float), hertz (float) or bits per second (float); None where it is not such a scalar.
    """
    found = _SCALAR.fullmatch(text.strip())
    if found is None:
        return None
    whole, fraction, unit = found[1], found[2] or "", found[3]
    factor = _UNITS[name].get(unit) or _FOLDED.get(name, {}).get(unit.lower())
    if factor is None:
        return None
    numerator: int = int(whole + fraction) * factor[0]
    denominator: int = 10 ** len(fraction) * factor[1]
    return numerator // denominator if name == "scalar-unit.size" else numerator / denominator


@dataclass(frozen=True, slots=True)
class Scale:
    """How a scalar type of TOSCA 2.0 counts.

    Parameters
    ----------
    units:
        Every unit, with its prefix, to what it multiplies.
    canonical:
        The unit that values are kept in; it multiplies by 1.
    whole:
        Whether its numbers are integers.
    """

    units: Mapping[str, Fraction]
    canonical: str
    whole: bool

    def read(self, text: str) -> int | float | None:
        """A value as a number of the canonical unit; None where it is not such a scalar."""
        found = _NUMBER.fullmatch(text.strip())
        factor = self.units.get(found[2]) if found else None
        if found is None or factor is None:
            return None
        number = Fraction(found[1]) * factor
        if self.whole:
            return number.numerator if number.denominator == 1 and found[1].lstrip("+-").isdecimal() else None
        return float(number)


def version(text: str) -> tuple[int, int, int, int, str, int] | None:
    """A version as a tuple that compares; None where it is none. A version with a qualifier comes before the same without."""
    found = _VERSION.fullmatch(text)
    if found is None:
        return None
    qualifier = found[4] or ""
    return int(found[1]), int(found[2]), int(found[3] or 0), 0 if qualifier else 1, qualifier, int(found[5] or 0)


def timestamp(text: str) -> datetime | None:
    """A point in time (UTC where no zone is written); None where it is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = found.groups()
    shift = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "").ljust(6, "0")),
            timezone(shift) if shift else UTC,
        )
    except ValueError:
        return None
