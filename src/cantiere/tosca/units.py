"""Scalar types of TOSCA 2.0: numbers with units that a data type defines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from cantiere.tosca.elements import Element, Map, Scalar, kind
from cantiere.tosca.grammar import Grammar
from cantiere.tosca.problems import listed, quote
from cantiere.tosca.registry import Type
from cantiere.tosca.scalars import Scale

MAX_STRINGS = 1000
"""Units with each of their prefixes."""
_LARGEST = 1e60
_NUMBERS = ("float", "integer")


class Units:
    """Reads the units of scalar types.

    Parameters
    ----------
    grammar:
        Records what is wrong.
    """

    def __init__(self, grammar: Grammar) -> None:
        self.grammar, self.problems = grammar, grammar.problems

    def scale(self, type_: Type) -> Scale | None:
        """How a data type that derives from ``scalar`` counts; None where it does not say, which is recorded."""
        body, path = type_.body, type_.path
        before = len(self.problems.errors)
        number = self.grammar.text(body, "data_type", path)
        if number is not None and number.text not in _NUMBERS:
            self._wrong(number, f"Numbers of a scalar are of type {' or '.join(_NUMBERS)}.", "Write one of these.", f"{path}.data_type")
        whole = number is not None and number.text == "integer"
        units = dict(self._multipliers(body, "units", path, whole))
        prefixes = dict(self._multipliers(body, "prefixes", path, whole))
        if not units:
            if len(self.problems.errors) == before:
                message = f"The scalar type {quote(type_.name)} has no units."
                self._wrong(type_.body.keys.get("derived_from") or type_.body, message, "Add 'units: {m: 1}'.", f"{path}.units")
            return None
        ones = [name for name, factor in units.items() if factor == 1]
        if not ones:
            self._wrong(
                body.keys["units"], "No unit has the multiplier 1.", "Give it to the unit that values are kept in.", f"{path}.units"
            )
            return None
        if prefixes and len(units) > 1:
            self._wrong(body.keys["prefixes"], "Prefixes stand before one unit alone.", "Leave one unit in 'units'.", f"{path}.prefixes")
        if len(units) * (len(prefixes) + 1) > MAX_STRINGS:
            self._wrong(body.keys["units"], f"There are more than {MAX_STRINGS} units.", "Define fewer.", f"{path}.units")
            return None
        every = {**units, **{prefix + unit: by * factor for prefix, by in prefixes.items() for unit, factor in units.items()}}
        return Scale(every, self._canonical(body, ones, path), whole)

    def _canonical(self, body: Map, ones: list[str], path: str) -> str:
        """The unit that values are kept in."""
        written = self.grammar.text(body, "canonical_unit", path)
        where = f"{path}.canonical_unit"
        if written is not None and written.text not in ones:
            remedy = self.problems.suggest(written.text, ones, f"Use one of: {listed(ones)}.")
            self._wrong(written, f"{quote(written.text)} is no unit with the multiplier 1.", remedy, where)
        elif written is None and len(ones) > 1:
            self._wrong(body.keys["units"], "Several units have the multiplier 1.", "Name one of them as 'canonical_unit'.", where)
        return ones[0] if written is None else written.text

    def _multipliers(self, body: Map, key: str, path: str, whole: bool) -> Iterator[tuple[str, Fraction]]:
        """Units or prefixes, each with what it multiplies."""
        for name, element, where in self.grammar.named(body, key, path):
            value = element.value if isinstance(element, Scalar) else None
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LARGEST or not math.isfinite(value):
                self._wrong(element, f"A multiplier is a number above 0, not {kind(element)}.", "Write a number.", where)
            elif whole and isinstance(value, float):
                self._wrong(element, "Multipliers of whole numbers are whole.", "Write a whole number, or 'data_type: float'.", where)
            elif not name.text or name.text[0].isdigit() or any(char.isspace() for char in name.text):
                self._wrong(name, "A unit is one word.", "Write a word that begins with no digit.", where)
            else:
                yield name.text, Fraction(str(value))

    def _wrong(self, element: Element, message: str, remedy: str, path: str) -> None:
        self.problems.error("scalar.definition", message, remedy, element, path)
