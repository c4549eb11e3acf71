"""Errors as values: what failed, where it was written, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file that somebody wrote.

    Parameters
    ----------
    file:
        Path of the file as the user named it.
    line, column:
        Counted from 1; 0 where only the file is known.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, ready to be shown or written as JSON.

    Parameters
    ----------
    code:
        Stable identifier, ``area.reason`` in lower case (``property.type``, ``engine.missing``).
    message:
        What is wrong, in one sentence.
    remedy:
        What the reader can do about it, in one sentence.
    where:
        The place in a file, where there is one.
    path:
        The place in the document as dotted keys (``topology_template.node_templates.pool``), or the object's name.
    excerpt:
        The line that is wrong with a caret below it, where it may be shown.
    """

    code: str
    message: str
    remedy: str
    where: Location | None = None
    path: str = ""
    excerpt: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: " if self.where else f"{self.path}: " if self.path else ""
        shown = "".join(f"\n{line}" for line in self.excerpt.splitlines())
        return f"{head}{self.message} [{self.code}]{shown}\n    remedy: {self.remedy}"

    def as_dict(self) -> dict[str, str | int]:
        """The shape of one entry of ``{"errors": [...]}``."""
        where = self.where or Location("")
        return {
            "code": self.code,
            "message": self.message,
            "file": where.file,
            "line": where.line,
            "column": where.column,
            "path": self.path,
            "excerpt": self.excerpt,
            "remedy": self.remedy,
        }


def rather(words: Iterable[str], known: Iterable[str]) -> str:
    """A remedy for words that are not known: to write those that look like them, or any of all that are."""
    names = sorted(known)
    near = dict.fromkeys(name for word in words for name in get_close_matches(word, names, 2))
    return f"write {' or '.join(near)} instead" if near else f"leave it out, or use one of: {', '.join(names) or '(nothing)'}"


class CantiereError(Exception):
    """One or more problems, and the exit code they mean.

    Parameters
    ----------
    problems:
        A problem or several of them, all found in one run.
    """

    exit_code = 1

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TemplateError(CantiereError):
    """The template or its inputs are invalid.

    Parameters
    ----------
    problems:
        What is wrong.
    warnings:
        What is probably a mistake but does no harm.
    """

    exit_code = 3

    def __init__(self, problems: Problem | Iterable[Problem], warnings: Sequence[Problem] = ()) -> None:
        super().__init__(problems)
        self.warnings = warnings


class PreflightError(CantiereError):
    """The machine or a service that the facility needs cannot be used; nothing was touched."""

    exit_code = 4
