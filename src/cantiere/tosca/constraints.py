"""Constraint clauses: read against the type that they constrain, then asked of values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cantiere.tosca import scalars
from cantiere.tosca.elements import Element, Map, Scalar, Seq, kind
from cantiere.tosca.pattern import MAX_WORK, Pattern, PatternError, WorkError
from cantiere.tosca.problems import Problems, quote

if TYPE_CHECKING:
    from cantiere.tosca.schema import Schema

ORDERED = frozenset(
    (
        "integer",
        "float",
        "timestamp",
        "version",
        "scalar-unit.size",
        "scalar-unit.time",
        "scalar-unit.frequency",
        "scalar-unit.bitrate",
        "scalar",
        "string",
    )
)
SIZED = frozenset(("string", "list", "map"))
_COMPARISONS = {
    "greater_than": "more than",
    "greater_or_equal": "at least",
    "less_than": "less than",
    "less_or_equal": "at most",
}
_LENGTHS = {"length": "exactly", "min_length": "at least", "max_length": "at most"}
_TOLD = frozenset((*_LENGTHS, "schema"))
"""Clauses that say themselves what is wrong with a value."""
OPERATORS = ("equal", *_COMPARISONS, "in_range", "valid_values", *_LENGTHS, "pattern", "schema")

Read = Callable[[Element, "Schema", str], Any]
"""Reads an operand as a value of a schema; None where it is not one, which is recorded."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint clause.

    Parameters
    ----------
    operator:
        ``in_range`` and so on.
    operand:
        What it compares with: comparable values, None for an open bound.
    shown:
        The operand as it is written.
    base:
        The type that it constrains.
    """

    operator: str
    operand: Any
    shown: str
    base: str

    def broken(self, value: Any) -> str:
        """What is wrong with a value, as the end of ``it …``; empty where nothing is.

        Parameters
        ----------
        value:
            A value of the type that the clause constrains.

        Raises
        ------
        WorkError
            No steps are left.
        """
        operator, operand = self.operator, self.operand
        if operator in _LENGTHS:
            size = len(value)
            good = size == operand if operator == "length" else size >= operand if operator == "min_length" else size <= operand
            unit = "characters" if self.base == "string" else "entries"
            return "" if good else f"must have {_LENGTHS[operator]} {self.shown} {unit}, not {size}"
        if operator == "pattern":
            return "" if operand.matches(value) else f"must match {self.shown}"
        if operator == "schema":
            refused = operand.refuses(value)
            return f"must match its JSON schema: {refused}" if refused else ""
        if operator == "in_range" and self.base == "range":
            low, high = value[0], None if value[1] == "UNBOUNDED" else value[1]
            good = (operand[0] is None or low >= operand[0]) and (operand[1] is None or (high is not None and high <= operand[1]))
            return "" if good else f"must lie within {self.shown}"
        measured = comparable(self.base, value)
        if operator == "valid_values":
            return "" if measured in operand else f"must be one of {self.shown}"
        if operator == "equal":
            return "" if same(measured, operand) else f"must be {self.shown}"
        if operator == "in_range":
            good = (operand[0] is None or measured >= operand[0]) and (operand[1] is None or measured <= operand[1])
            return "" if good else f"must be in the range {self.shown}"
        good = {
            "greater_than": measured > operand,
            "greater_or_equal": measured >= operand,
            "less_than": measured < operand,
            "less_or_equal": measured <= operand,
        }[operator]
        return "" if good else f"must be {_COMPARISONS[operator]} {self.shown}"


def same(one: Any, other: Any) -> bool:
    """Equality that tells true from 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


class _Choices:
    """Valid values, found by their hash where they have one."""

    def __init__(self, values: Iterable[Any]) -> None:
        self.plain: set[Any] = set()
        self.others: list[Any] = []
        for value in values:
            if isinstance(value, Hashable):
                self.plain.add((type(value) is bool, value))
            else:
                self.others.append(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Choices) and (self.plain, self.others) == (other.plain, other.others)

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, value: object) -> bool:
        if isinstance(value, Hashable):
            return (type(value) is bool, value) in self.plain
        return any(same(value, choice) for choice in self.others)


def comparable(base: str, value: Any) -> Any:
    """A value in a form that compares as TOSCA orders it."""
    if isinstance(value, str):
        if base == "version":
            return scalars.version(value)
        if base == "timestamp":
            return scalars.timestamp(value)
    return value


def shown(element: Element, depth: int = 0) -> str:
    """An operand as a message shows it."""
    if isinstance(element, Scalar):
        text = element.text if isinstance(element.value, str) or element.text else "null"
        return text if len(text) <= 80 else text[:79] + "…"
    if isinstance(element, Seq) and depth < 2:
        entries = [shown(item, depth + 1) for item in element.items[:12]]
        return f"[{', '.join(entries)}{', …' if len(element.items) > 12 else ''}]"
    return "…"


class _Wrong(Exception):
    """A clause that cannot be used."""

    def __init__(self, element: Element, message: str, remedy: str) -> None:
        super().__init__(message)
        self.element, self.message, self.remedy = element, message, remedy


class Constraints:
    """Reads constraint clauses.

    Parameters
    ----------
    problems:
        Where errors go.
    read:
        Reads operands.
    share:
        How many times the usual work may be spent on patterns.
    """

    def __init__(self, problems: Problems, read: Read, share: float = 1.0) -> None:
        self.problems, self.operand = problems, read
        self.work = [int(MAX_WORK * share)]

    def read(self, clauses: Seq, schema: Schema, path: str) -> tuple[Constraint, ...]:
        """The clauses of a ``constraints`` list; what is no clause is recorded and left out."""
        found = [self.clause(item, schema, f"{path}.{number}") for number, item in enumerate(clauses.items)]
        return tuple(constraint for constraint in found if constraint is not None)

    def clause(self, element: Element, schema: Schema, path: str) -> Constraint | None:
        """One clause, or None where it is not one."""
        try:
            return self._clause(element, schema, path)
        except _Wrong as wrong:
            self.problems.error("constraint.value", wrong.message, wrong.remedy, wrong.element, path)
            return None

    def equal(self, element: Element, schema: Schema, path: str) -> Constraint | None:
        """The clause that a bare value stands for."""
        return self._read("equal", element, schema, path)

    def _clause(self, element: Element, schema: Schema, path: str) -> Constraint | None:
        if not isinstance(element, Map) or len(element.entries) != 1:
            what = "several" if isinstance(element, Map) else kind(element)
            raise _Wrong(element, f"A constraint is one operator with its value, not {what}.", "Write '- in_range: [1, 4]'.")
        name, operand = next(element.items())
        operator, base = name.text, schema.base
        if operator not in OPERATORS:
            remedy = self.problems.suggest(operator, OPERATORS, f"Use one of: {', '.join(OPERATORS)}.")
            self.problems.error("constraint.unknown", f"There is no constraint {quote(operator)}.", remedy, name, path)
            return None
        if base == "any":
            return None
        if not self._fits(operator, base):
            raise _Wrong(
                name, f"{quote(operator)} does not constrain values of type {schema.title}.", "Remove it, or use another constraint."
            )
        return self._read(operator, operand, schema, f"{path}.{operator}")

    @staticmethod
    def _fits(operator: str, base: str) -> bool:
        if operator in _LENGTHS:
            return base in SIZED
        if operator == "pattern":
            return base == "string"
        if operator == "schema":
            return base in SIZED
        if operator in _COMPARISONS:
            return base in ORDERED
        return operator != "in_range" or base in ORDERED or base == "range"

    def _read(self, operator: str, operand: Element, schema: Schema, path: str) -> Constraint | None:
        base, text = schema.base, shown(operand)
        value: Any
        if operator in _LENGTHS:
            value = operand.value if isinstance(operand, Scalar) else None
            if type(value) is not int or value < 0:
                raise _Wrong(operand, f"A length is a number, not {kind(operand)}.", "Write 0 or more.")
        elif operator == "pattern":
            if not isinstance(operand, Scalar) or not isinstance(operand.value, str):
                raise _Wrong(operand, f"A pattern is a string, not {kind(operand)}.", "Write it in single quotes.")
            try:
                value = Pattern(operand.text, self.work)
            except PatternError as error:
                raise _Wrong(operand, f"The pattern cannot be used: {error}.", "Write a simpler regular expression.") from None
        elif operator == "schema":
            value = self._rules(operand)
        elif operator == "in_range":
            value = self._range(operand, schema, path)
        elif operator == "valid_values":
            if not isinstance(operand, Seq):
                raise _Wrong(operand, f"Valid values are a list, not {kind(operand)}.", "Write '[one, other]'.")
            values = [self.operand(item, schema, path) for item in operand.items]
            value = None if any(entry is None for entry in values) else _Choices(comparable(base, entry) for entry in values)
        else:
            value = comparable(base, self.operand(operand, schema, path))
        return None if value is None else Constraint(operator, value, text, base)

    def _rules(self, operand: Element) -> Any:
        """A JSON schema."""
        from cantiere.tosca.jsonrules import Rules, RulesError  # few templates have one, and the validator takes long to import

        if not isinstance(operand, Scalar) or not isinstance(operand.value, str):
            raise _Wrong(operand, f"A schema is a string that holds a JSON schema, not {kind(operand)}.", "Write it in single quotes.")
        try:
            return Rules(operand.text, self.work)
        except RulesError as error:
            raise _Wrong(operand, f"The schema {error}.", "Correct it, or define a data type in place of it.") from None

    def _range(self, operand: Element, schema: Schema, path: str) -> tuple[Any, Any] | None:
        if not isinstance(operand, Seq) or len(operand.items) != 2:
            raise _Wrong(operand, f"A range has a lower and an upper bound, not {kind(operand)}.", "Write '[1, 4]'.")
        bound = replace(schema, base="integer", data=None) if schema.base == "range" else schema
        ends: list[Any] = []
        for item in operand.items:
            if isinstance(item, Scalar) and item.value == "UNBOUNDED":
                ends.append(None)
            elif (end := self.operand(item, bound, path)) is None:
                return None
            else:
                ends.append(comparable(bound.base, end))
        if None not in ends and ends[0] > ends[1]:
            raise _Wrong(operand, f"The range {shown(operand)} is empty.", "Write the lower bound first.")
        return ends[0], ends[1]

    def check(self, value: Any, constraints: tuple[Constraint, ...], element: Element, what: str, path: str) -> bool:
        """Ask all constraints of a value; what is broken is recorded.

        Parameters
        ----------
        value, element:
            The value, and where it is written.
        what:
            What the value is, for the message.
        path:
            Its path.
        """
        good = True
        for constraint in constraints:
            try:
                broken = constraint.broken(value)
            except WorkError as error:
                message = f"A {constraint.operator} cannot be checked: {error}."
                self.problems.error("constraint.work", message, "Use shorter texts.", element, path)
                return False
            if broken and not self.problems.tolerates("constraint", f"{what} {broken}", element, path, value):
                good = False
                message = f"{what} {broken}" + (f", not {quote(shown(element))}." if constraint.operator not in _TOLD else ".")
                self.problems.error("property.constraint", message, "Write a value that fulfils the constraint.", element, path)
        return good
