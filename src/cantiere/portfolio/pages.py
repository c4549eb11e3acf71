"""Files of a portfolio as the dashboard reads them, with the place of everything in them, and what their schemas say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from cantiere.errors import Location, Problem
from cantiere.tosca.document import Budget, parse
from cantiere.tosca.problems import Problems, quote

SCHEMAS = Path(__file__).parent / "schemas"
TWICE = "document.duplicate"
"""The dashboard takes the last of two entries of one key."""
Path_ = Sequence[str | int]


@dataclass(slots=True)
class Report:
    """What is wrong with a portfolio.

    Parameters
    ----------
    errors:
        What breaks the dashboard, or hides something from those who should see it.
    warnings:
        What does no harm yet.
    """

    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """A file.

    Parameters
    ----------
    name:
        The file as messages call it.
    value:
        Its content, as PyYAML reads it.
    node:
        The same with places.
    """

    name: str
    value: Any
    node: yaml.Node | None

    def where(self, path: Path_ = ()) -> Location:
        """The place of a key, or of the nearest element above it."""
        node, mark = self.node, self.node.start_mark if self.node else None
        for step in path:
            found = _step(node, step)
            if found is None:
                break
            mark, node = found
        return Location(self.name, mark.line + 1, mark.column + 1) if mark else Location(self.name)

    def get(self, *path: str) -> Any:
        """What stands there; an empty mapping where that is no mapping."""
        value = self.value
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}

    def problem(self, code: str, message: str, remedy: str, path: Path_ = ()) -> Problem:
        """A problem at a place of this file."""
        return Problem(f"portfolio.{code}", message, remedy, self.where(path), ".".join(str(step) for step in path))


def _step(node: yaml.Node | None, step: str | int) -> tuple[Any, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark, value) for key, value in reversed(node.value) if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark, node.value[step]
    return None


def read(path: Path, name: str, report: Report) -> Page | None:
    """A file of the portfolio; None where it cannot be read, which is reported."""
    problems = Problems()
    try:
        data = path.read_bytes()
    except OSError as error:
        report.errors.append(Problem("portfolio.unreadable", f"{error.strerror}.", "Correct the file or its permissions.", Location(name)))
        return None
    parse(data, name, problems, Budget())
    found = problems.finish()
    report.warnings.extend(problem for problem in found if problem.code == TWICE)
    if any(problem.code != TWICE for problem in found):
        report.errors.extend(problem for problem in found if problem.code != TWICE)
        return None
    try:
        node = yaml.compose(data, yaml.CSafeLoader)
        value = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        report.errors.append(Problem("portfolio.yaml", f"PyYAML cannot read the file: {error}.", "Correct it.", Location(name)))
        return None
    page = Page(name, value, node)
    report.errors.extend(_strangers(page, value, ()))
    return page


def _strangers(page: Page, value: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """Values that YAML knows and JSON, in which the dashboard keeps everything, does not."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _strangers(page, inner, (*path, key))
    elif value is not None and not isinstance(value, str | bool | int | float):
        message = f"{quote(str(value))} is read as a {type(value).__name__}, which the dashboard cannot keep; it stops at it."
        yield page.problem("value", message, "Write it in quotes.", path)


def conforms(page: Page, schema: str, report: Report) -> bool:
    """Whether a file is what its schema says; what is not is reported."""
    found = sorted(_validator(schema).iter_errors(page.value), key=lambda error: [str(step) for step in error.absolute_path])
    for error in found:
        path = list(error.absolute_path)
        message, path, remedy = _said(error, path)
        report.errors.append(page.problem("schema", message, remedy, path))
    return not found


@cache
def _validator(schema: str) -> Any:
    rules = json.loads((SCHEMAS / f"{schema}.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(rules, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


def _said(error: Any, path: list[str | int]) -> tuple[str, list[str | int], str]:
    """Message, place and remedy of what a schema refuses."""
    what = quote(str(path[-1])) if path else "The file"
    if len(path) > 1 and isinstance(path[-1], int):
        what = f"Entry {path[-1] + 1} of {quote(str(path[-2]))}"
    remedy = str(error.schema.get("description", "Correct it."))
    rule, instance = error.validator, error.instance
    if rule == "required":
        missing = [name for name in error.validator_value if name not in instance]
        return f"{what} lacks {', '.join(map(quote, missing))}.", path, remedy
    if rule == "additionalProperties":
        known = error.schema.get("properties", {})
        extra = [name for name in instance if name not in known]
        hint = Problems().suggest(str(extra[0]), known, f"It may have: {', '.join(known)}.")
        return f"{what} has no keyword {quote(str(extra[0]))}.", [*path, extra[0]], hint
    if rule == "type":
        wanted = {"object": "a mapping", "array": "a list", "boolean": "true or false", "integer": "a number"}
        return f"{what} is {wanted.get(error.validator_value, 'a text')}, not {_shown(instance)}.", path, remedy
    if rule == "enum":
        remedy = Problems().suggest(str(instance), map(str, error.validator_value), remedy)
    if rule == "anyOf" and "x-unmet" in error.schema:
        return f"{what} {error.schema['x-unmet']}.", path, remedy
    if rule == "not" and "title" in error.schema:
        return f"{error.schema['title']}.", path, remedy
    return f"{what} cannot be {_shown(instance)}.", path, remedy


def _shown(value: Any) -> str:
    return "nothing" if value is None else quote(value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False))
