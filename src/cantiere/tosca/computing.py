"""Evaluates the computing functions of TOSCA 2.0: their arguments, with units where they have any, and the element that they give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cantiere.tosca import scalars
from cantiere.tosca.elements import Element, Map, Scalar, Seq, kind
from cantiere.tosca.operators import AMOUNTS, OPERATORS, ArgumentError
from cantiere.tosca.pattern import Pattern, PatternError, WorkError
from cantiere.tosca.problems import Mark, listed, quote
from cantiere.tosca.values import MAX_DEPTH, Void

if TYPE_CHECKING:
    from cantiere.tosca.functions import Functions, Scope, Trail
    from cantiere.tosca.schema import Schema

MAX_LEVEL = 12
MAX_ARGUMENT = 6
"""How deep functions are nested, and how deep lists and maps in their arguments."""

Counted = tuple[list[Fraction], str]
"""Numbers, and the unit of all of them."""


class Computing:
    """Evaluates calls.

    Parameters
    ----------
    functions:
        Follows what arguments refer to.
    """

    def __init__(self, functions: Functions) -> None:
        self.functions, self.values, self.definitions = functions, functions.values, functions.definitions
        self.level = 0

    def result(
        self, name: str, element: Map, argument: Element, scope: Scope, path: str, trail: Trail, schema: Schema | None
    ) -> Element | Void:
        """What a call gives.

        Parameters
        ----------
        name, element, argument:
            The function, the call, and what it is given.
        scope, path, trail:
            As in :meth:`cantiere.tosca.functions.Functions.follow`.
        schema:
            What the place has to be where the result is used, if that is known.
        """
        operator = OPERATORS[name]
        items = argument.items if isinstance(argument, Seq) else []
        if not isinstance(argument, Seq) or not operator.least <= len(items) <= (operator.most or len(items)):
            count = f"{operator.least} or more" if operator.most is None else str(operator.most)
            message = f"{name} has a list of {count} argument{'s' if count != '1' else ''}."
            return self.functions.wrong("arguments", argument, message, f"Write '{name}: {operator.example}'.", path)
        if self.level >= MAX_LEVEL:
            message = f"Functions are nested more than {MAX_LEVEL} deep."
            return self.functions.wrong("depth", element, message, "Give a property the value of the inner ones.", path)
        self.level += 1
        try:
            found = [self._argument(item, scope, path, trail, schema) for item in items]
        finally:
            self.level -= 1
        for void in (Void.INVALID, Void.UNKNOWN):
            if any(value is void for value in found):
                return void
        try:
            value = self._run(name, found, schema)
        except ArgumentError as error:
            at = items[error.index]
            message = f"Argument {error.index + 1} of {name} must be {error.wanted}."
            return self.functions.wrong("arguments", at, message, f"Write it as in '{name}: {operator.example}'.", path)
        if isinstance(value, list):
            self.values.spend(len(value))
        return _element(value, element.mark)

    def matches(self, element: Map, argument: Element, scope: Scope, path: str, trail: Trail) -> Element | Void:
        """Whether a text matches a pattern, as the constraint of that name has it."""
        items = argument.items if isinstance(argument, Seq) else []
        found = [self._argument(item, scope, path, trail, None) for item in items]
        for void in (Void.INVALID, Void.UNKNOWN):
            if any(value is void for value in found):
                return void
        if len(found) != 2 or not all(isinstance(value, str) for value in found):
            return self.functions.wrong(
                "arguments", argument, "$matches has a text and a pattern.", "Write '$matches: [abc, '[a-c]+']'.", path
            )
        try:
            return _element(Pattern(found[1], self.definitions.constraints.work).matches(found[0]), element.mark)
        except (PatternError, WorkError) as error:
            message = f"The pattern cannot be used: {error}."
            return self.functions.wrong("arguments", items[1], message, "Write a simpler regular expression.", path)

    def lists(self, element: Map, items: Sequence[Element], scope: Scope, path: str, trail: Trail) -> Element | Void:
        """The entries of several lists in one."""
        found = [self._argument(item, scope, path, trail, None) for item in items]
        for void in (Void.INVALID, Void.UNKNOWN):
            if any(value is void for value in found):
                return void
        for item, value in zip(items, found, strict=True):
            if not isinstance(value, list):
                return self.functions.wrong("arguments", item, "A list is expected, as the first one is.", "Write '[a]'.", path)
        every = [entry for value in found for entry in value]
        self.values.spend(len(every))
        return _element(every, element.mark)

    def _argument(self, item: Element, scope: Scope, path: str, trail: Trail, schema: Schema | None) -> Any:
        """The value of an argument, or why there is none."""
        found, inner, trail = self.functions.follow(item, scope, path, trail, schema)
        if found is Void.ABSENT:
            return self.functions.wrong("absent", item, "What is referred to has no value.", "Give it a value or a default.", path)
        if isinstance(found, Void):
            return found
        if isinstance(found, Scalar):
            if found.value is None:
                return self.functions.wrong("arguments", item, f"A value is expected, not {kind(found)}.", "Write one.", path)
            return found.value
        value = self.values.untyped(found, inner, path, trail, MAX_DEPTH - MAX_ARGUMENT)
        return Void.UNKNOWN if _unsure(value) else value

    def _run(self, name: str, values: list[Any], schema: Schema | None) -> Any:
        """The result for values, as a text with a unit where it has one."""
        if name in AMOUNTS:
            return self._amount(name, values, schema)
        if OPERATORS[name].units:
            values = self._comparable(values)
        return OPERATORS[name].run(values)

    def _comparable(self, values: list[Any]) -> list[Any]:
        """Texts that are compared: as numbers where they have units, as versions or times where they are, else as they are."""
        first, second = values
        others = second if isinstance(second, list) else [second]
        texts = [first, *(other for other in others if other != "UNBOUNDED")]
        if len(texts) < 2 or not all(isinstance(text, str) for text in texts):
            return values
        measured: list[Any]
        if (counted := self._counted(texts, None)) is not None:
            measured = list(counted[0])
        elif None not in (found := [scalars.version(text) for text in texts]):
            measured = found
        elif None not in (times := [scalars.timestamp(text) for text in texts]):
            measured = [(time,) for time in times]
        else:
            return values
        table = dict(zip(texts, measured, strict=True))
        bounds = [table.get(other, other) for other in others]
        return [measured[0], bounds if isinstance(second, list) else bounds[0]]

    def _amount(self, name: str, values: list[Any], schema: Schema | None) -> Any:
        """A result of numbers, some of which may have units."""
        texts = [value for value in values if isinstance(value, str)]
        counted = self._counted(texts, schema) if texts else None
        if counted is None:
            return OPERATORS[name].run(values)
        least, most = AMOUNTS[name]
        if len(texts) < (least or len(values)) or len(texts) > (most or len(values)):
            index = next(index for index, value in enumerate(values) if isinstance(value, str) is bool(most))
            raise ArgumentError(index, "a number without a unit" if most else "a number with a unit, as another one is")
        if name == "$quotient" and not isinstance(values[0], str):
            raise ArgumentError(1, "a number without a unit, as the first one is")
        numbers = iter(counted[0])
        result = OPERATORS[name].run([next(numbers) if isinstance(value, str) else value for value in values])
        return float(result) if len(texts) == 2 and name == "$quotient" else f"{_written(result)} {counted[1]}"

    def _counted(self, texts: Sequence[str], schema: Schema | None) -> Counted | None:
        """Texts as numbers of one type's unit: the wanted type's, else that of the only type that has their units."""
        for group in self._wanted(schema) if schema else self._scales:
            found: list[Counted] = []
            self.values.spend(len(group) * len(texts))
            for read, unit in group:
                numbers = [read(text) for text in texts]
                if None not in numbers:
                    found.append(([Fraction(str(number)) for number in numbers], unit))
            if len(found) > 1:
                units = listed([unit for _, unit in found])
                raise ArgumentError(0, f"of one type: {quote(texts[0])} could be counted in {units}")
            if found:
                return found[0]
        return None

    def _wanted(self, schema: Schema) -> list[list[_Scale]]:
        if schema.scale is not None:
            return [[(schema.scale.read, schema.scale.canonical)]]
        return [[_old(schema.base)]] if schema.base in scalars.CANONICAL else self._scales

    @cached_property
    def _scales(self) -> list[list[_Scale]]:
        """Types with units: those of data types first, then those that TOSCA 1 has."""
        own = [self.definitions.data(type_).scale for type_ in self.definitions.registry.types["data_types"].values() if type_.counts]
        return [[(scale.read, scale.canonical) for scale in own if scale is not None], [_old(name) for name in scalars.CANONICAL]]


_Scale = tuple[Callable[[str], int | float | None], str]


def _old(name: str) -> _Scale:
    return lambda text: scalars.scalar(name, text), scalars.CANONICAL[name]


def _unsure(value: Any) -> bool:
    """Whether a part of a value is not known."""
    if isinstance(value, dict):
        return any(_unsure(item) for item in value.values())
    return any(_unsure(item) for item in value) if isinstance(value, list) else value is None


def _written(number: Any) -> str:
    """A number as a scalar writes it."""
    exact = number if isinstance(number, Fraction) else Fraction(str(number))
    return str(exact.numerator) if exact.denominator == 1 else format(Decimal(exact.numerator) / exact.denominator, "f")


def _element(value: Any, mark: Mark) -> Element:
    """The element of a value, at the place of the call that gave it."""
    if isinstance(value, list):
        listing = Seq(mark)
        listing.items.extend(_element(item, mark) for item in value)
        return listing
    if isinstance(value, dict):
        mapping = Map(mark)
        for name, item in value.items():
            mapping.keys[str(name)] = Scalar(str(name), name, mark)
            mapping.entries[str(name)] = _element(item, mark)
        return mapping
    return Scalar(str(value).lower() if isinstance(value, bool) else str(value), value, mark)
