"""JSON Schema as a constraint: bounded, nothing is fetched, and patterns are those of :mod:`cantiere.tosca.pattern`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import Draft202012Validator, extend, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from cantiere.tosca.pattern import MAX_WORK, Pattern, PatternError, WorkError
from cantiere.tosca.problems import printable

MAX_TEXT = 65_536
MAX_DEPTH = 64
SHOWN = 120
"""Characters of a text, how deep it and a schema are nested, and how much of a refusal is told."""
_COST = 20
READ_COST = 40
"""Steps for a keyword that is asked, and for a character of a schema that is read."""
_LITERAL = frozenset(("const", "default", "enum", "examples"))


class RulesError(ValueError):
    """A schema that cannot be used, as the end of ``it …``."""


class Rules:
    """A JSON schema.

    Parameters
    ----------
    text:
        The schema as it is written.
    work:
        One number: how many steps may still be done; it is counted down.

    Raises
    ------
    RulesError
        It is no JSON schema, or uses what is not supported.
    """

    def __init__(self, text: str, work: list[int]) -> None:
        if text.lstrip().startswith("<"):
            raise RulesError("is an XML schema; JSON schemas alone are checked")
        work[0] -= READ_COST * len(text)
        if work[0] < 0:
            raise RulesError(f"has too many characters: all of a template may have {MAX_WORK // READ_COST} for each MiB")
        self.work = work
        self.patterns: dict[str, Pattern] = {}
        try:
            schema = _read(text)
            kind = validator_for(schema, default=Draft202012Validator)
            kind.check_schema(schema, format_checker=FormatChecker(formats=()))
            self._walk(schema)
        except (ValueError, RecursionError, TypeError) as error:
            raise RulesError(f"is no JSON: {error}" if isinstance(error, json.JSONDecodeError) else f"cannot be used: {error}") from None
        except SchemaError as error:
            raise RulesError(f"is no JSON schema: {_told(error)}") from None
        keywords = {name: self._counted(run) for name, run in kind.VALIDATORS.items()}
        keywords |= {"pattern": self._counted(self._pattern), "uniqueItems": self._counted(_unique)}
        self.validator = extend(kind, keywords)(schema, registry=Registry())

    def refuses(self, value: Any) -> str:
        """What is wrong with a value, a text of JSON or a plain list or map; empty where nothing is.

        Raises
        ------
        WorkError
            It is too long, or no steps are left.
        """
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise WorkError(f"a text of more than {MAX_TEXT} characters is not checked")
        try:
            found = _read(value) if isinstance(value, str) else value
            return _told(error) if (error := best_match(self.validator.iter_errors(found))) is not None else ""
        except WorkError:
            raise
        except ValueError as error:
            return f"it is no JSON ({error})"
        except Unresolvable as error:
            return f"the schema refers to {error.ref!r}, which it does not have"
        except RecursionError:
            return "the schema refers to itself without end"

    def _walk(self, schema: Any) -> None:
        """Compile all patterns, and refuse what would read more than the schema."""
        todo = [schema]
        while todo:
            part = todo.pop()
            if isinstance(part, list):
                todo += part
            elif isinstance(part, dict):
                if isinstance(part.get("patternProperties"), dict):
                    raise ValueError("patternProperties is not supported")
                if isinstance(text := part.get("pattern"), str):
                    try:
                        self.patterns[text] = Pattern(rf"[\s\S]*(?:{text})[\s\S]*", self.work)
                    except PatternError as error:
                        raise ValueError(f"the pattern {text!r}: {error}") from None
                if isinstance(target := part.get("$ref"), str) and not target.startswith("#"):
                    raise ValueError(f"it refers to {target!r}, and nothing is fetched")
                todo += [value for name, value in part.items() if name not in _LITERAL]

    def _counted(self, run: Callable[..., Any]) -> Callable[..., Iterator[ValidationError]]:
        def counted(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            self.work[0] -= _COST + sum(len(part) for part in (rule, instance) if isinstance(part, list | dict))
            if self.work[0] < 0:
                raise WorkError("checking all schemas of the template takes too many steps")
            yield from run(validator, rule, instance, schema) or ()

        return counted

    def _pattern(self, validator: Any, rule: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if validator.is_type(instance, "string") and not self.patterns[rule].matches(instance):
            yield ValidationError(f"{instance!r} does not match {rule!r}")


def _unique(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if rule and validator.is_type(instance, "array") and len({json.dumps(item, sort_keys=True) for item in instance}) < len(instance):
        yield ValidationError("it has an entry twice")


def _read(text: str) -> Any:
    """What a text of JSON holds."""
    if _depth(text) > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    return json.loads(text, parse_constant=_constant)


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _depth(text: str) -> int:
    """How deep brackets are nested, at most; those in strings count too."""
    deepest = depth = 0
    for char in text:
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _told(error: ValidationError | SchemaError) -> str:
    """What a validator found, and where."""
    where = "".join(f"/{part}" for part in error.absolute_path)
    message = error.message if len(error.message) <= SHOWN else error.message[: SHOWN - 1] + "…"
    return printable(f"at {where}: {message}" if where else message)
