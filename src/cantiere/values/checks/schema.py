"""Values against the chart's own ``values.schema.json``. Pure: a reference to elsewhere is never followed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema.exceptions import ValidationError
from jsonschema.validators import Draft7Validator, validator_for
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from cantiere.errors import Problem, rather
from cantiere.kubernetes.text import plain
from cantiere.overlay import merged
from cantiere.values.checks.chart import ChartFiles
from cantiere.values.checks.subject import Subject, dotted

SHOWN = 80
"""Characters of a value that a message shows."""

ANY: Registry[Any] = Registry(retrieve=lambda uri: Resource(contents={}, specification=DRAFT7))  # type: ignore[call-arg]
"""Schemas of other addresses: they take anything, and nothing is fetched."""


def check(subject: Subject) -> list[Problem]:
    """Everything in the releases' values that a chart's schema refuses."""
    problems = []
    for release in subject.releases:
        chart = subject.charts.get(release.chart)
        if chart is None:
            continue
        for path, error in _all_errors(chart, release.values):
            where = (*path, *error.absolute_path)
            message = f"{release.name}: {dotted(where) or 'the values'}: {_told(error)}"
            problems.append(subject.value_problem(release, "values.schema", where, message, remedy(error, dotted(where))))
    return problems


def _all_errors(chart: ChartFiles, values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], ValidationError]]:
    for error in errors(chart, values):
        yield (), error
    for key, below in chart.subcharts.items():
        given = values.get(key)
        if below is not None and isinstance(given, Mapping):
            for path, error in _all_errors(below, given):
                yield (key, *path), error


def errors(chart: ChartFiles, values: Mapping[str, Any]) -> Iterator[ValidationError]:
    """What a chart's schema refuses of values laid over its defaults.

    Helm checks the sum of both. Where the defaults are not known, a key that is missing may be one of theirs, and null takes a default
    away: neither counts.
    """
    if chart.schema is None:
        return
    defaults = chart.defaults()
    sum_of_both = values if defaults is None else merged(defaults, values)
    kind = validator_for(chart.schema, default=Draft7Validator)
    for error in kind(chart.schema, registry=ANY).iter_errors(plain(sum_of_both)):
        for single in _singles(error):
            if defaults is not None or not _of_defaults(single):
                yield single


def _singles(error: ValidationError) -> Iterator[ValidationError]:
    """An error of ``allOf``, ``if`` or a reference in terms of what is wrong inside it."""
    if error.context and error.validator in ("allOf", "then", "else", "if", "$ref"):
        for below in error.context:
            yield from _singles(below)
    else:
        yield error


def _of_defaults(error: ValidationError) -> bool:
    """Whether an error may be none once the chart's defaults are there."""
    if error.validator in ("required", "minProperties") or error.instance is None:
        return True
    if error.validator in ("anyOf", "oneOf") and error.context:
        branches = {below.schema_path[0] for below in error.context}
        return any(all(_of_defaults(below) for below in error.context if below.schema_path[0] == branch) for branch in branches)
    return False


def unknown_keys(error: ValidationError) -> list[str]:
    """Keys that ``additionalProperties: false`` refuses."""
    schema = mapping_of(error.schema)
    known, patterns = mapping_of(schema.get("properties")), mapping_of(schema.get("patternProperties"))
    return sorted(key for key in error.instance if key not in known and not any(re.search(pattern, key) for pattern in patterns))


def mapping_of(value: Any) -> Mapping[str, Any]:
    """A value where it is a map, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _told(error: ValidationError) -> str:
    shown = repr(error.instance)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
    match error.validator:
        case "additionalProperties":
            return f"the chart's schema knows no {_listed(unknown_keys(error))}"
        case "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            return f"the chart's schema asks for {_listed(missing)}"
        case "type":
            return f"{shown} is no {_kinds(error.validator_value)}"
        case "enum":
            return f"{shown} is none of {_listed(error.validator_value)}"
        case "pattern":
            return f"{shown} does not match {error.validator_value}"
        case _:
            return f"{shown} is refused by the chart's schema ({error.validator}: {str(error.validator_value)[:SHOWN]})"


def remedy(error: ValidationError, path: str) -> str:
    """What to do about an error of a schema."""
    match error.validator:
        case "additionalProperties":
            return rather(unknown_keys(error), mapping_of(mapping_of(error.schema).get("properties")))
        case "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            return f"set {_listed([f'{path}.{key}'.lstrip('.') for key in missing])}"
        case "type":
            return f"make {path} {_kinds(error.validator_value)}"
        case "enum":
            return f"set {path} to one of: {', '.join(map(str, error.validator_value))}"
        case _:
            return f"set {path} to what the chart's values.schema.json describes"


def _kinds(kinds: str | Iterable[str]) -> str:
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _listed(words: Iterable[Any]) -> str:
    return ", ".join(repr(word) for word in words)
