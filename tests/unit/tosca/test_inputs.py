"""Inputs: declared in the template (TOSCA Simple Profile 1.3, 3.6.14), given in a file and on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from cantiere.model import Facility
from support.templates import Loader, template

INPUTS = """\
    count: {type: integer, default: 1, constraints: [{in_range: [0, 5]}]}
    word: {type: string, default: a}
    words: {type: list, entry_schema: {type: string}, default: []}
    size: {type: scalar-unit.size, default: 1 GB}
"""
TYPES = """\
node_types:
  t.All:
    derived_from: Root
    properties:
      count: {type: integer}
      word: {type: string}
      words: {type: list, entry_schema: {type: string}}
      size: {type: scalar-unit.size}
"""
NODES = "    n:\n      type: t.All\n      properties:\n" + "".join(
    f"        {name}: {{get_input: {name}}}\n" for name in ("count", "word", "words", "size")
)
TEXT = template(NODES, INPUTS, types=TYPES)


def values(facility: Facility) -> dict[str, Any]:
    return dict(facility.node("n").properties)


def test_defaults(tosca: Loader) -> None:
    assert values(tosca(TEXT).facility) == {"count": 1, "word": "a", "words": [], "size": 10**9}


def test_the_command_line_wins_over_the_file_and_the_file_over_the_default(tosca: Loader) -> None:
    loaded = tosca(TEXT, {"count": 3}, "count: 2\nword: b\n")
    assert values(loaded.facility) == {"count": 3, "word": "b", "words": [], "size": 10**9}


def test_strings_of_the_command_line_are_read_by_the_type(tosca: Loader) -> None:
    loaded = tosca(TEXT, {"count": "3", "word": "4", "words": "[x, y]", "size": "2 kB"})
    assert values(loaded.facility) == {"count": 3, "word": "4", "words": ["x", "y"], "size": 2000}
    assert values(tosca(TEXT, {"words": ["x"]}).facility)["words"] == ["x"]


@pytest.mark.parametrize(
    ("given", "code", "path"),
    [
        ({"cuont": 1}, "input.unknown", "--input cuont"),
        ({"count": 9}, "property.constraint", "--input count"),
        ({"count": "many"}, "property.type", "--input count"),
        ({"count": ""}, "property.type", "--input count"),
        ({"count": "["}, "document.syntax", "--input count"),
        ({"words": "a"}, "property.type", "--input words"),
        ({"words": [1]}, "property.type", "--input words"),
        ({"word": 1}, "property.type", "--input word"),
        ({"word": None}, "property.type", "--input word"),
        ({"word": object()}, "input.type", "--input word"),
    ],
)
def test_command_line(tosca: Loader, given: dict[str, Any], code: str, path: str) -> None:
    problem = tosca.problems(TEXT, given)[0]
    assert (problem.code, str(problem.where)) == (code, path)


def test_file(tosca: Loader) -> None:
    problems = tosca.problems(TEXT, None, "count: 9\nwords:\n  - a\n  - 5\ncuont: 1\nsize:\n")
    assert [(problem.code, str(problem.where).rpartition("/")[2]) for problem in problems] == [
        ("property.constraint", "inputs.yaml:1:8"),
        ("property.type", "inputs.yaml:4:5"),
        ("input.unknown", "inputs.yaml:5:1"),
        ("property.type", "inputs.yaml:6:6"),
    ]
    assert problems[2].remedy == "Did you mean 'count'?"


@pytest.mark.parametrize(
    ("text", "code"), [("- a\n", "inputs.shape"), ("a: 1\na: 2\n", "document.duplicate"), ("a: [\n", "document.syntax")]
)
def test_file_that_is_none(tosca: Loader, text: str, code: str) -> None:
    assert code in [problem.code for problem in tosca.problems(TEXT, None, text)]


def test_empty_file(tosca: Loader) -> None:
    assert values(tosca(TEXT, None, "# nothing\n").facility)["count"] == 1


def test_missing_and_fixed(tosca: Loader) -> None:
    nodes = "    s: {type: t.Server, properties: {speed: {get_input: speed}}}\n"
    problems = tosca.problems(template(nodes, "    speed: {type: integer}\n"))
    assert [(problem.code, problem.remedy) for problem in problems] == [
        ("input.missing", "Give it with --input speed=… or in the inputs file.")
    ]
    assert tosca(template(nodes, "    speed: {type: integer, value: 4}\n")).facility.node("s").properties["speed"] == 4


def test_an_error_is_told_once_however_often_the_input_is_used(tosca: Loader) -> None:
    nodes = "".join(f"    s{n}: {{type: t.Server, properties: {{speed: {{get_input: speed}}}}}}\n" for n in range(5))
    assert len(tosca.problems(template(nodes, "    speed: {type: integer}\n"), {"speed": "x"})) == 1


def test_unused_inputs_are_warned_of(tosca: Loader) -> None:
    nodes = "    s: {type: t.Server, interfaces: {Standard: {inputs: {a: {get_input: used}}}}}\n"
    warnings = tosca(template(nodes, "    used: {type: string, default: a}\n    idle: {type: string, default: a}\n")).warnings
    found = [(w.code, w.where.line if w.where else 0) for w in warnings if w.code == "input.unused"]
    assert found == [("input.unused", 39)]


def test_inputs_are_literals(tosca: Loader) -> None:
    given = {"word": "{get_input: word}", "words": "[{get_input: word}]"}
    assert [problem.code for problem in tosca.problems(TEXT, given)] == ["property.type"]
    assert values(tosca(TEXT, {"word": "{get_input: word}"}).facility)["word"] == "{get_input: word}"
    assert [problem.code for problem in tosca.problems(TEXT, None, "words: [{concat: [a]}]\n")] == ["property.type"]
