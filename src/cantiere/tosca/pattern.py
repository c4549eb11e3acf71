"""Regular expressions whose cost is bounded: they run as automata, never by backtracking.

The syntax is that of Python without back references, look-around and flags. A pattern is matched against the whole text, as
the ``pattern`` constraint of TOSCA asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

MAX_PATTERN = 512
MAX_STATES = 2000
STATE_COST = 5
MAX_SUBJECT = 16_384
MAX_WORK = 400_000

_parser: Any = vars(re)["_parser"]


class PatternError(ValueError):
    """The pattern is not valid, or is not supported."""


class WorkError(ValueError):
    """Matching would cost more than it may."""


class _Test:
    """Whether a character is in a set."""

    __slots__ = ("items", "negate")

    def __init__(self, items: Iterable[tuple[str, Any]], negate: bool = False) -> None:
        self.items, self.negate = tuple(items), negate

    def __call__(self, char: str) -> bool:
        return self._within(char) is not self.negate

    def _within(self, char: str) -> bool:
        code = ord(char)
        for what, value in self.items:
            if what == "LITERAL":
                if code == value:
                    return True
            elif what == "RANGE":
                if value[0] <= code <= value[1]:
                    return True
            elif _CATEGORIES[value](char):
                return True
        return False


_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_NOT_DIGIT": lambda char: not char.isdecimal(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda char: not char.isspace(),
    "CATEGORY_WORD": lambda char: char.isalnum() or char == "_",
    "CATEGORY_NOT_WORD": lambda char: not (char.isalnum() or char == "_"),
}
_BEGIN, _END = "begin", "end"


class Pattern:
    """A compiled pattern.

    Parameters
    ----------
    text:
        The regular expression.
    work:
        One number: how many steps may still be done; it is counted down.

    Raises
    ------
    PatternError
        It is not valid, too long, or uses what an automaton cannot do.
    """

    def __init__(self, text: str, work: list[int]) -> None:
        if len(text) > MAX_PATTERN:
            raise PatternError(f"it has more than {MAX_PATTERN} characters")
        try:
            tree = _parser.parse(text)
        except (re.error, RecursionError, OverflowError, ValueError) as error:
            raise PatternError(str(error) or "it is nested too deep") from None
        if tree.state.flags & ~re.UNICODE.value:
            raise PatternError("flags such as (?i) are not supported")
        self.text = text
        self.tests: list[_Test | str | None] = []
        self.nexts: list[list[int]] = []
        self.work = work
        self.final = self._state(None)
        self.start = self._sequence(tree, self.final)
        self._known: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def _state(self, test: _Test | str | None, *nexts: int) -> int:
        if len(self.tests) >= MAX_STATES:
            raise PatternError("its repetitions are too large")
        self.work[0] -= STATE_COST
        if self.work[0] < 0:
            raise PatternError("all patterns of the template together are too large")
        self.tests.append(test)
        self.nexts.append(list(nexts))
        return len(self.tests) - 1

    def _sequence(self, items: Any, after: int) -> int:
        for what, value in reversed(list(items)):
            after = self._item(str(what), value, after)
        return after

    def _item(self, what: str, value: Any, after: int) -> int:
        if what == "LITERAL":
            return self._state(_Test([(what, value)]), after)
        if what == "NOT_LITERAL":
            return self._state(_Test([("LITERAL", value)], True), after)
        if what == "ANY":
            return self._state(_Test([("LITERAL", 10)], True), after)
        if what == "IN":
            items = [(str(name), str(entry) if str(name) == "CATEGORY" else entry) for name, entry in value]
            negate = items[0][0] == "NEGATE"
            return self._state(_Test(items[negate:], negate), after)
        if what == "BRANCH":
            return self._state(None, *(self._sequence(branch, after) for branch in value[1]))
        if what == "SUBPATTERN":
            if value[1] or value[2]:
                raise PatternError("flags such as (?i) are not supported")
            return self._sequence(value[3], after)
        if what in ("MAX_REPEAT", "MIN_REPEAT"):
            return self._repeat(value[0], value[1], value[2], after)
        if what == "AT" and str(value) in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
            return self._state(_BEGIN, after)
        if what == "AT" and str(value) in ("AT_END", "AT_END_STRING"):
            return self._state(_END, after)
        raise PatternError("look-around, back references and word boundaries are not supported")

    def _repeat(self, least: int, most: Any, items: Any, after: int) -> int:
        if str(most) == "MAXREPEAT":
            loop = self._state(None)
            self.nexts[loop] = [self._sequence(items, loop), after]
            after = loop
        else:
            if int(most) > MAX_STATES:
                raise PatternError("its repetitions are too large")
            end = after
            for _ in range(int(most) - least):
                after = self._state(None, self._sequence(items, after), end)
        if least > MAX_STATES:
            raise PatternError("its repetitions are too large")
        for _ in range(least):
            after = self._sequence(items, after)
        return after

    def _closure(self, states: Iterable[int], begin: bool, end: bool) -> frozenset[int]:
        """The states that can be reached without reading a character."""
        found: set[int] = set()
        todo = list(states)
        while todo:
            state = todo.pop()
            if state in found:
                continue
            found.add(state)
            test = self.tests[state]
            if test is None or (test is _BEGIN and begin) or (test is _END and end):
                todo += self.nexts[state]
        return frozenset(found)

    def matches(self, subject: str) -> bool:
        """Whether the pattern matches the whole text.

        Parameters
        ----------
        subject:
            The text.

        Raises
        ------
        WorkError
            The text is too long, or no steps are left.
        """
        if len(subject) > MAX_SUBJECT:
            raise WorkError(f"a text of more than {MAX_SUBJECT} characters is not matched")
        current = self._closure([self.start], True, not subject)
        for position, char in enumerate(subject):
            last = position == len(subject) - 1
            following = None if last else self._known.get((current, char))
            if following is None:
                self.work[0] -= 2 * len(current) + 1
                if self.work[0] < 0:
                    raise WorkError("matching all patterns of the template takes too many steps")
                moved = [state for at in current if isinstance(test := self.tests[at], _Test) and test(char) for state in self.nexts[at]]
                following = self._closure(moved, False, last)
                if not last:
                    self._known[current, char] = following
            current = following
            if not current:
                return False
        return self.final in current
