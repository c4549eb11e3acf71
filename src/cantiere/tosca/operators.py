"""What the computing functions of TOSCA 2.0 do with their arguments: logic, comparison, texts, lists, maps and numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cantiere.tosca.constraints import same

MAX_DIGITS = 64
MAX_COMPARED = 10**7
"""Comparisons of entries when one list is looked for in another."""
_LARGEST = 10**MAX_DIGITS


class ArgumentError(Exception):
    """An argument that a function cannot take.

    Parameters
    ----------
    index:
        Its number, from 0.
    wanted:
        What it has to be, as the end of ``Argument 1 of $sum is …``.
    """

    def __init__(self, index: int, wanted: str) -> None:
        super().__init__(wanted)
        self.index, self.wanted = index, wanted


@dataclass(frozen=True, slots=True)
class Operator:
    """A function.

    Parameters
    ----------
    run:
        Gives its result for arguments.
    least, most:
        How many arguments it has; None for any number.
    units:
        Whether texts among its arguments may be numbers with units.
    example:
        How it is written.
    """

    run: Callable[[Sequence[Any]], Any]
    least: int
    most: int | None
    example: str
    units: bool = False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Fraction) and not isinstance(value, bool)


def _each(values: Sequence[Any], good: Callable[[Any], bool], wanted: str) -> None:
    for index, value in enumerate(values):
        if not good(value):
            raise ArgumentError(index, wanted)


def _of(values: Sequence[Any], index: int, kinds: type | tuple[type, ...], wanted: str) -> Any:
    if not isinstance(values[index], kinds):
        raise ArgumentError(index, wanted)
    return values[index]


def _logic(run: Callable[[Sequence[Any]], bool]) -> Callable[[Sequence[Any]], bool]:
    def checked(values: Sequence[Any]) -> bool:
        _each(values, lambda value: isinstance(value, bool), "true or false")
        return run(values)

    return checked


def _order(run: Callable[[Any, Any], bool]) -> Callable[[Sequence[Any]], bool]:
    def checked(values: Sequence[Any]) -> bool:
        first, second = values
        if _is_number(first):
            _each(values, _is_number, "a number, as the other one is")
        else:
            _each(values, lambda value: isinstance(value, str | tuple), "a number or a string, as the other one is")
        return run(first, second)

    return checked


def _in_range(values: Sequence[Any]) -> bool:
    bounds = _of(values, 1, list, "a list of a lower and an upper bound")
    if len(bounds) != 2:
        raise ArgumentError(1, "a list of a lower and an upper bound")
    low, high = bounds
    value = values[0]
    for bound in (low, high):
        if bound != "UNBOUNDED" and not (_is_number(bound) and _is_number(value)) and not isinstance(bound, type(value)):
            raise ArgumentError(1, "a list of bounds of the same type as the value, or UNBOUNDED")
    _each([value], lambda found: _is_number(found) or isinstance(found, str | tuple), "a number or a string")
    return bool((low == "UNBOUNDED" or low <= value) and (high == "UNBOUNDED" or value <= high))


def _part(found: Callable[[Any, Any], bool]) -> Callable[[Sequence[Any]], bool]:
    def checked(values: Sequence[Any]) -> bool:
        whole = _of(values, 0, (str, list), "a string or a list")
        return found(whole, _of(values, 1, type(whole), "a string or a list, as the first one is"))

    return checked


def _starts(whole: Any, part: Any) -> bool:
    return bool(_frozen(whole[: len(part)]) == _frozen(part))


def _ends(whole: Any, part: Any) -> bool:
    return len(part) <= len(whole) and _frozen(whole[len(whole) - len(part) :]) == _frozen(part)


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, str):
        return part in whole
    every, wanted = _frozen(whole)[1], _frozen(part)[1]
    if len(every) * len(wanted) > MAX_COMPARED:
        raise ArgumentError(1, "a shorter list")
    return any(every[at : at + len(wanted)] == wanted for at in range(len(every) - len(wanted) + 1))


def _frozen(value: Any) -> Any:
    """A value that has a hash, and is equal to another where the two values are; true is not 1."""
    if isinstance(value, dict):
        return "map", frozenset((name, _frozen(item)) for name, item in value.items())
    if isinstance(value, list):
        return "list", tuple(_frozen(item) for item in value)
    return ("boolean", value) if isinstance(value, bool) else value


def _members(several: Callable[[list[bool]], bool] | None, keys: bool) -> Callable[[Sequence[Any]], bool]:
    def checked(values: Sequence[Any]) -> bool:
        holder = _of(values, 0, dict if keys else (dict, list), "a map" if keys else "a list or a map")
        there = {_frozen(item) for item in (holder if keys or isinstance(holder, list) else holder.values())}
        if several is None:
            return _frozen(values[1]) in there
        return several([_frozen(item) in there for item in _of(values, 1, list, "a list")])

    return checked


def _set(keep: Callable[[list[set[Any]], Any], bool]) -> Callable[[Sequence[Any]], list[Any]]:
    def checked(values: Sequence[Any]) -> list[Any]:
        _each(values, lambda value: isinstance(value, list), "a list")
        sets = [{_frozen(item) for item in value} for value in values]
        found: dict[Any, Any] = {}
        for value in values:
            for item in value:
                if keep(sets, key := _frozen(item)):
                    found.setdefault(key, item)
        return list(found.values())

    return checked


def _numbers(run: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
    def checked(values: Sequence[Any]) -> Any:
        _each(values, _is_number, "a number")
        return bounded(run(values))

    return checked


def bounded(value: Any) -> Any:
    """A number that is not larger than what may be written."""
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise ArgumentError(0, f"too large: the result has more than {MAX_DIGITS} digits")
    return value


def _product(values: Sequence[Any]) -> Any:
    result = values[0]
    for value in values[1:]:
        result = bounded(result * value)
    return result


def _divided(run: Callable[[Any, Any], Any]) -> Callable[[Sequence[Any]], Any]:
    def checked(values: Sequence[Any]) -> Any:
        if values[1] == 0:
            raise ArgumentError(1, "a number other than 0")
        return run(values[0], values[1])

    return _numbers(checked)


def _remainder(values: Sequence[Any]) -> Any:
    _each(values, lambda value: type(value) is int, "a whole number")
    return int(math.copysign(1, values[0])) * (abs(values[0]) % abs(values[1]))


def _rounded(run: Callable[[Any], int]) -> Callable[[Sequence[Any]], Any]:
    def checked(values: Sequence[Any]) -> Any:
        if not math.isfinite(values[0]):
            raise ArgumentError(0, "a finite number")
        return run(values[0])

    return _numbers(checked)


def _length(values: Sequence[Any]) -> int:
    return len(_of(values, 0, (str, list, dict), "a string, a list or a map"))


def _half_up(value: Any) -> int:
    return value if isinstance(value, int) else math.floor(value) + (value - math.floor(value) >= 0.5)


OPERATORS = {
    "$and": Operator(_logic(all), 1, None, "[true, false]"),
    "$or": Operator(_logic(any), 1, None, "[true, false]"),
    "$not": Operator(_logic(lambda values: not values[0]), 1, 1, "[true]"),
    "$xor": Operator(_logic(lambda values: values[0] != values[1]), 2, 2, "[true, false]"),
    "$equal": Operator(lambda values: same(_frozen(values[0]), _frozen(values[1])), 2, 2, "[1, 2]", True),
    "$greater_than": Operator(_order(lambda one, other: bool(one > other)), 2, 2, "[1, 2]", True),
    "$greater_or_equal": Operator(_order(lambda one, other: bool(one >= other)), 2, 2, "[1, 2]", True),
    "$less_than": Operator(_order(lambda one, other: bool(one < other)), 2, 2, "[1, 2]", True),
    "$less_or_equal": Operator(_order(lambda one, other: bool(one <= other)), 2, 2, "[1, 2]", True),
    "$in_range": Operator(_in_range, 2, 2, "[2, [1, 4]]", True),
    "$valid_values": Operator(lambda values: _members(None, False)((_of(values, 1, list, "a list"), values[0])), 2, 2, "[1, [1, 2]]"),
    "$has_suffix": Operator(_part(_ends), 2, 2, "[abc, c]"),
    "$has_prefix": Operator(_part(_starts), 2, 2, "[abc, a]"),
    "$contains": Operator(_part(_contains), 2, 2, "[abc, b]"),
    "$has_entry": Operator(_members(None, False), 2, 2, "[[a, b], a]"),
    "$has_key": Operator(_members(None, True), 2, 2, "[{a: 1}, a]"),
    "$has_all_entries": Operator(_members(all, False), 2, 2, "[[a, b], [a]]"),
    "$has_all_keys": Operator(_members(all, True), 2, 2, "[{a: 1}, [a]]"),
    "$has_any_entry": Operator(_members(any, False), 2, 2, "[[a, b], [a]]"),
    "$has_any_key": Operator(_members(any, True), 2, 2, "[{a: 1}, [a]]"),
    "$length": Operator(_length, 1, 1, "[abc]"),
    "$union": Operator(_set(lambda sets, key: True), 1, None, "[[a], [b]]"),
    "$intersection": Operator(_set(lambda sets, key: all(key in one for one in sets)), 1, None, "[[a, b], [b]]"),
    "$sum": Operator(_numbers(sum), 1, None, "[1, 2]", True),
    "$difference": Operator(_numbers(lambda values: values[0] - values[1]), 2, 2, "[3, 1]", True),
    "$product": Operator(_numbers(_product), 1, None, "[2, 3]", True),
    "$quotient": Operator(_divided(lambda one, other: one / other), 2, 2, "[6, 4]", True),
    "$remainder": Operator(_divided(lambda one, other: _remainder((one, other))), 2, 2, "[7, 4]"),
    "$round": Operator(_rounded(_half_up), 1, 1, "[2.5]"),
    "$floor": Operator(_rounded(math.floor), 1, 1, "[2.5]"),
    "$ceil": Operator(_rounded(math.ceil), 1, 1, "[2.5]"),
}
"""Function to what it does; ``$matches``, ``$concat``, ``$join`` and ``$token`` stand with those of 1.3."""

AMOUNTS = {"$sum": (0, None), "$difference": (0, None), "$product": (1, 1), "$quotient": (1, 2)}
"""Functions of numbers to how many of their arguments may have units, least and most, where any has; 0 for all of them."""
