"""What a cloud's resources cost, as the site's price list says. Pure, but for the list's own file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cantiere.errors import Location, Problem, rather
from cantiere.machines.model import MONTH_HOURS, Cost
from cantiere.providers.places import Places

KEYS = ("currency", "flavors", "volume", "floating_ip")
SHOWN = 6


@dataclass(frozen=True, slots=True)
class Prices:
    """A price list.

    Parameters
    ----------
    currency:
        Shown with sums.
    flavors:
        Flavor to its price for an hour.
    volume:
        Price of one GiB of volume for a month; None where it is not told.
    floating_ip:
        Price of a floating IP for a month; None where it is not told.
    """

    currency: str
    flavors: Mapping[str, float] = field(default_factory=dict)
    volume: float | None = None
    floating_ip: float | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """What one machine has that costs something.

    Parameters
    ----------
    machine:
        Its name.
    flavor:
        Its flavor; ``""`` where none is known.
    gib:
        All its volumes.
    floating:
        Whether it has a floating IP.
    """

    machine: str
    flavor: str
    gib: int = 0
    floating: bool = False


def read(given: Any, file: Path | None) -> tuple[Prices | None, list[Problem]]:
    """A price list, and what is wrong with it.

    Parameters
    ----------
    given:
        What the site's file has as ``prices``: the list, the name of a file beside the site's, or None.
    file:
        The site's file.
    """
    if given is None:
        return None, []
    if isinstance(given, str):
        path = (file.parent if file else Path()) / given
        try:
            return _checked(yaml.safe_load(path.read_text(encoding="utf-8")), Places(path), ())
        except (OSError, yaml.YAMLError) as error:
            message = f"the price list cannot be read: {error}"
            remedy = "name a YAML file beside the site's, or write the list itself"
            return None, [Problem("openstack.prices", message, remedy, Location(str(path)), "provider.prices")]
    return _checked(given, Places(file), ("provider", "prices"))


def cost(prices: Prices, now: Iterable[Holding], then: Iterable[Holding]) -> Cost:
    """What a facility costs for a month, and how much more than now that is.

    Parameters
    ----------
    prices:
        The list.
    now, then:
        What machines have, and what they have after the plan.
    """
    holdings = list(then)
    return Cost(prices.currency, _sum(prices, holdings), _sum(prices, now), tuple(_unpriced(prices, holdings)))


def _sum(prices: Prices, holdings: Iterable[Holding]) -> float:
    hours = {name: price * MONTH_HOURS for name, price in prices.flavors.items()}
    return sum(
        hours.get(item.flavor, 0.0) + item.gib * (prices.volume or 0.0) + item.floating * (prices.floating_ip or 0.0) for item in holdings
    )


def _unpriced(prices: Prices, holdings: Iterable[Holding]) -> Iterable[str]:
    """What has no price, each kind with the machines that have it."""
    found: dict[str, list[str]] = {}
    for item in holdings:
        if item.flavor not in prices.flavors:
            found.setdefault(f"flavor {item.flavor}" if item.flavor else "a flavor, because none is enough,", []).append(item.machine)
        if item.gib and prices.volume is None:
            found.setdefault("volumes", []).append(item.machine)
        if item.floating and prices.floating_ip is None:
            found.setdefault("floating IPs", []).append(item.machine)
    for what, machines in found.items():
        more = f" and {len(machines) - SHOWN} more" if len(machines) > SHOWN else ""
        yield f"{what} of {', '.join(machines[:SHOWN])}{more}"


def _checked(given: Any, places: Places, at: tuple[str, ...]) -> tuple[Prices | None, list[Problem]]:
    problems: list[Problem] = []

    def wrong(message: str, remedy: str, *path: str) -> None:
        problems.append(Problem("openstack.prices", message, remedy, places.of((*at, *path)), ".".join((*at, *path)) or "prices"))

    def price(value: Any, *path: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            wrong(f"{value!r} is no price", "write a number such as 0.05", *path)
            return 0.0
        return float(value)

    if not isinstance(given, dict):
        wrong("a price list is a mapping", f"write it with the keys {', '.join(KEYS)}")
        return None, problems
    for key in given:
        if key not in KEYS:
            wrong(f"a price list has no {key!r}", rather([str(key)], KEYS), str(key))
    currency, flavors = given.get("currency"), given.get("flavors") or {}
    if not isinstance(currency, str) or not currency:
        wrong("the currency is missing", "write for example `currency: EUR`", "currency")
    if not isinstance(flavors, dict):
        wrong("flavors is no mapping", "write flavors with their price for an hour, {m1.small: 0.05}", "flavors")
        flavors = {}
    read = {str(name): price(value, "flavors", str(name)) for name, value in flavors.items()}
    single = {key: price(given[key], key) if given.get(key) is not None else None for key in ("volume", "floating_ip")}
    return (None if problems else Prices(str(currency), read, **single)), problems
