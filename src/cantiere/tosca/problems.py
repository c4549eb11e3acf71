"""Collecting everything that is wrong, with a place for each and a hint at what was meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from cantiere.errors import Location, Problem

if TYPE_CHECKING:
    from cantiere.indigo.dialect import Dialect
    from cantiere.tosca.elements import Element, Map, Scalar

MAX_PROBLEMS = 200
MAX_SUGGESTIONS = 50
MAX_CANDIDATES = 400
SHOWN = 60
EXCERPT = 120
OPTION = "--input "
_BREAKS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


class Mark(Protocol):
    """A place in a source, counted from 0."""

    @property
    def name(self) -> str:
        """The source: a path as the user named it, or ``--input NAME``."""

    @property
    def line(self) -> int:
        """Line, from 0."""

    @property
    def column(self) -> int:
        """Column in characters, from 0."""


class Place(Protocol):
    """Anything that was written somewhere."""

    @property
    def mark(self) -> Mark:
        """Where."""


def locate(mark: Mark) -> Location:
    """The location that a reader sees, counted from 1; a command line option has no lines."""
    if mark.name.startswith(OPTION):
        return Location(mark.name)
    return Location(mark.name, mark.line + 1, mark.column + 1)


def quote(text: str) -> str:
    """A text of the template as it may be shown: quoted, short, without control characters."""
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def printable(text: str) -> str:
    """The text with control characters written as escapes."""
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def distance(one: str, other: str, limit: int) -> int:
    """Edit distance with neighbouring letters swapped counted as one; ``limit + 1`` where it is more than ``limit``."""
    before: list[int] = []
    previous = list(range(len(other) + 1))
    for row, char in enumerate(one, 1):
        current = [row]
        for column, letter in enumerate(other, 1):
            cost = min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (char != letter))
            if row > 1 and column > 1 and char == other[column - 2] and one[row - 2] == letter:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        if min(current) > limit:
            return limit + 1
        before, previous = previous, current
    return previous[-1]


class TooManyError(Exception):
    """There are so many errors that no more are looked for."""


class Problems:
    """All errors and warnings of one load.

    After ``MAX_PROBLEMS`` errors nothing more is looked for, so that a hostile template can take neither time nor memory.
    """

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.notices: list[Problem] = []
        self.repeated: list[tuple[Map, Scalar, Element]] = []
        self.dialect: Dialect | None = None
        self.texts: dict[str, str] = {}
        """The documents that may be shown, by the name that marks have."""
        self._lines: dict[str, list[str]] = {}
        self._hints = 0
        self._seen: set[tuple[str, Location | None, str]] = set()

    def error(self, code: str, message: str, remedy: str, at: Place | Mark | None = None, path: str = "") -> None:
        """Record an error.

        Parameters
        ----------
        code, message, remedy, path:
            As in :class:`~cantiere.errors.Problem`.
        at:
            The element that is wrong, or its mark.

        Raises
        ------
        TooManyError
            This is one too many.
        """
        if len(self.errors) >= MAX_PROBLEMS:
            raise TooManyError
        problem = self._problem(code, message, remedy, at, path)
        key = (code, problem.where, problem.path)
        if key not in self._seen:
            self._seen.add(key)
            self.errors.append(problem)

    def warn(self, code: str, message: str, remedy: str, at: Place | Mark | None = None, path: str = "") -> None:
        """Record something that is probably a mistake but does no harm."""
        if len(self.warnings) < MAX_PROBLEMS:
            self.warnings.append(self._problem(code, message, remedy, at, path))

    def note(self, code: str, message: str, remedy: str, at: Place | Mark | None = None, path: str = "") -> None:
        """Record something that is no mistake, but that the reader should know; the same thing once."""
        problem = self._problem(code, message, remedy, at, path)
        if len(self.notices) < MAX_PROBLEMS and problem not in self.notices:
            self.notices.append(problem)

    def tolerates(self, event: str, subject: str, at: Place | Mark | None, path: str = "", value: Any = None) -> bool:
        """Whether the template speaks a dialect in which something is no error; see :meth:`cantiere.indigo.dialect.Dialect.tolerates`."""
        return self.dialect is not None and self.dialect.tolerates(event, subject, at, path, value)

    def withdraw(self, code: str, at: Place) -> None:
        """Take an error back that a dialect does not know."""
        where = locate(at.mark)
        self.errors = [problem for problem in self.errors if (problem.code, problem.where) != (code, where)]

    @staticmethod
    def _problem(code: str, message: str, remedy: str, at: Place | Mark | None, path: str) -> Problem:
        place: Any = at
        mark: Mark | None = getattr(place, "mark", place)
        where = locate(mark) if mark is not None else None
        return Problem(code, printable(message), printable(remedy), where, printable(path))

    def suggest(self, name: str, candidates: Iterable[str], otherwise: str) -> str:
        """A remedy that names the nearest candidate.

        Parameters
        ----------
        name:
            What was written.
        candidates:
            What could have been meant.
        otherwise:
            The remedy where nothing is near.

        Returns
        -------
        str
            ``Did you mean 'x'?`` with the nearest candidate, else ``otherwise``.
        """
        self._hints += 1
        if self._hints > MAX_SUGGESTIONS or len(name) > SHOWN:
            return otherwise
        limit = 1 if len(name) < 4 else 2 if len(name) < 9 else 3
        best, nearest = limit + 1, ""
        for count, candidate in enumerate(candidates):
            if count >= MAX_CANDIDATES:
                break
            if abs(len(candidate) - len(name)) > limit:
                continue
            apart = distance(name.lower(), candidate.lower(), min(limit, best))
            if apart < best:
                best, nearest = apart, candidate
        return f"Did you mean {quote(nearest)}?" if nearest else otherwise

    def shown(self, found: Iterable[Problem]) -> list[Problem]:
        """Problems with the line that each is about, where it may be shown."""
        return [replace(problem, excerpt=self._excerpt(problem.where)) for problem in found]

    def _excerpt(self, where: Location | None) -> str:
        if where is None or not where.line or where.file not in self.texts:
            return ""
        lines = self._lines.setdefault(where.file, []) or _BREAKS.split(self.texts[where.file])
        self._lines[where.file] = lines
        if where.line > len(lines):
            return ""
        line, column = lines[where.line - 1], where.column - 1
        begin = max(0, min(column - EXCERPT // 2, len(line) - EXCERPT))
        text = printable(line[begin : begin + EXCERPT].replace("\t", " "))
        before = printable(line[begin:column].replace("\t", " "))
        return f"    | {text}\n    | {' ' * len(before)}^"

    def finish(self) -> tuple[Problem, ...]:
        """All errors, in the order of the files and lines; the last one tells where no more were looked for."""
        found = self.shown(sorted(self.errors, key=lambda problem: problem.where or Location("")))
        if len(found) >= MAX_PROBLEMS:
            message = f"After {MAX_PROBLEMS} errors no more were looked for."
            found.append(Problem("document.errors", message, "Correct these and validate again."))
        return tuple(found)


def listed(names: Collection[str], most: int = 12) -> str:
    """Names as a sentence shows them: the first few, and how many more."""
    shown = ", ".join(printable(name[:SHOWN]) for name in islice(names, most))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "none"
