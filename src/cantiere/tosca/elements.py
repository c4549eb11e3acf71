"""What a YAML document is made of: scalars, mappings and sequences, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cantiere.tosca.problems import OPTION, Mark, printable, quote

MAX_DEPTH = 48

_WORDS: dict[str, bool | None] = {"": None, "~": None}
for _value, _names in ((None, ("null",)), (True, ("true",)), (False, ("false",))):
    for _name in _names:
        _WORDS.update({_name: _value, _name.capitalize(): _value, _name.upper(): _value})
_NUMERIC = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?[0-9]{1,64}")
_BASED = re.compile(r"0(?:o[0-7]{1,64}|x[0-9a-fA-F]{1,64})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,64}|[0-9]{1,64}(?:\.[0-9]{0,64})?)(?:[eE][-+]?[0-9]{1,4})?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class Point(NamedTuple):
    """A mark that no parser made."""

    name: str
    line: int = 0
    column: int = 0


class Scalar:
    """A single value: its text as written, and what the core schema of YAML 1.2 makes of it."""

    __slots__ = ("mark", "text", "value")
    size = 1

    def __init__(self, text: str, value: str | int | float | bool | None, mark: Mark) -> None:
        self.text, self.value, self.mark = text, value, mark


class Call(Scalar):
    """The name of a function of TOSCA 2.0 where it is called."""

    __slots__ = ()


class Map:
    """A mapping: its entries in the order written, and the scalars that are its keys."""

    __slots__ = ("entries", "keys", "mark", "size")

    def __init__(self, mark: Mark) -> None:
        self.entries: dict[str, Element] = {}
        self.keys: dict[str, Scalar] = {}
        self.mark = mark
        self.size = 1

    def get(self, key: str) -> Element | None:
        """The value under a key, or None."""
        return self.entries.get(key)

    def items(self) -> Iterator[tuple[Scalar, Element]]:
        """Keys with their values."""
        keys = self.keys
        return ((keys[name], value) for name, value in self.entries.items())


class Seq:
    """A sequence."""

    __slots__ = ("items", "mark", "size")

    def __init__(self, mark: Mark) -> None:
        self.items: list[Element] = []
        self.mark = mark
        self.size = 1


Element = Scalar | Map | Seq


def kind(element: Element) -> str:
    """What an element is, in words."""
    if isinstance(element, Map):
        return "a mapping"
    if isinstance(element, Seq):
        return "a list"
    value = element.value
    if value is None:
        return "nothing"
    name = "a boolean" if isinstance(value, bool) else "a number" if isinstance(value, int | float) else "a string"
    return f"{name} ({quote(element.text)})"


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar by the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def from_python(value: Any, name: str, depth: int = 0) -> Element:
    """An element for a value that a program or the command line gave.

    Parameters
    ----------
    value:
        None, a boolean, number, string, mapping or sequence of these.
    name:
        The input's name; the element is placed at ``--input NAME``.
    depth:
        How deep it stands.

    Raises
    ------
    ValueError
        It is something else, or nested too deep.
    """
    mark = Point(OPTION + printable(name))
    if value is None or isinstance(value, str | bool | int | float):
        return Scalar("" if value is None else str(value), value, mark)
    if depth >= MAX_DEPTH:
        raise ValueError(f"values are nested more than {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        element = Map(mark)
        for key, entry in value.items():
            element.keys[str(key)] = Scalar(str(key), key, mark)
            element.entries[str(key)] = from_python(entry, name, depth + 1)
        return element
    if isinstance(value, Sequence):
        listing = Seq(mark)
        listing.items.extend(from_python(entry, name, depth + 1) for entry in value)
        return listing
    raise ValueError(f"a value of type {type(value).__name__} has no place in a template")
