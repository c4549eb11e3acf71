"""Scalar types of TOSCA 2.0 (9.1): numbers with units that a data type defines."""

from __future__ import annotations

from typing import Any

import pytest

from support.templates import Loader

HEAD = "tosca_definitions_version: tosca_2_0\n"
TYPES = """\
data_types:
  t.Length:
    derived_from: scalar
    units: {m: 1, metre: 1, cm: 0.01, km: 1000, in: 0.0254}
    canonical_unit: m
  t.Memory:
    derived_from: scalar
    data_type: integer
    units: {B: 1}
    prefixes: {k: 1000, Ki: 1024, Mi: 1048576}
  t.Height:
    derived_from: t.Length
    validation: {$in_range: [$value, [10 cm, 3 m]]}
"""


def _template(definition: str, written: str, types: str = TYPES) -> str:
    node = f"node_types:\n  t.N:\n    derived_from: tosca.nodes.Root\n    properties:\n      p: {definition}\n"
    return f"{HEAD}{types}{node}service_template:\n  node_templates:\n    n:\n      type: t.N\n      properties:\n        p: {written}\n"


@pytest.mark.parametrize(
    ("type_", "written", "value"),
    [
        ("t.Length", "5 m", 5.0),
        ("t.Length", "5metre", 5.0),
        ("t.Length", "-2.5 km", -2500.0),
        ("t.Length", "30 cm", 0.3),
        ("t.Length", "1e3 in", 25.4),
        ("t.Memory", "3 B", 3),
        ("t.Memory", "4 KiB", 4096),
        ("t.Memory", "9007199254740993 kB", 9007199254740993000),
        ("t.Height", "20 in", 0.508),
    ],
)
def test_9_1_scalar_values(tosca: Loader, type_: str, written: str, value: Any) -> None:
    found = tosca(_template(f"{{type: {type_}}}", written)).facility.node("n").properties["p"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("type_", "written", "code", "word"),
    [
        ("t.Length", "5", "property.type", "number with a unit"),
        ("t.Length", "5 parsec", "property.type", "such as 5 m"),
        ("t.Length", "5 M", "property.type", "such as 5 m"),
        ("t.Length", ".inf m", "property.type", "such as 5 m"),
        ("t.Memory", "1.5 KiB", "property.type", "whole number"),
        ("t.Memory", "4 GiB", "property.type", "B, kB, KiB, MiB"),
        ("t.Height", "5 cm", "property.constraint", "fulfils"),
        ("scalar", "5 m", "type.unknown", ""),
    ],
)
def test_9_1_scalar_values_that_are_none(tosca: Loader, type_: str, written: str, code: str, word: str) -> None:
    (problem,) = tosca.problems(_template(f"{{type: {type_}}}", written))
    assert problem.code == code and word in problem.remedy


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("units: {}", "no units"),
        ("description: none", "no units"),
        ("units: {cm: 0.01}", "multiplier 1"),
        ("units: {m: 1, metre: 1}", "Several"),
        ("units: {m: 1}, canonical_unit: cm", "'cm'"),
        ("units: {m: 1, cm: .nan}", "above 0"),
        ("units: {m: 1, cm: .inf}", "above 0"),
        ("units: {m: 1, cm: -1}", "above 0"),
        ("units: {m: 1, '': 2}", "one word"),
        ("units: {m: 1, cm: 0.01}, data_type: integer", "whole"),
        ("units: {m: 1, cm: 0.01}, prefixes: {k: 1000}", "one unit alone"),
        ("units: {m: 1}, data_type: string", "float or integer"),
    ],
)
def test_9_1_scalar_types_that_are_none(tosca: Loader, body: str, word: str) -> None:
    types = f"data_types:\n  t.S: {{derived_from: scalar, {body}}}\n"
    problems = tosca.problems(_template("{type: t.S, required: false}", "1 m", types))
    assert any(problem.code == "scalar.definition" and word in problem.message and problem.where.line == 3 for problem in problems)


def test_9_1_units_stand_where_scalar_is_derived_from(tosca: Loader) -> None:
    types = f"{TYPES}  t.Long: {{derived_from: t.Length, units: {{mile: 1609}}}}\n"
    assert tosca.codes(_template("{type: t.Long}", "1 m", types)) == ["keyword.unknown:15"]


def test_9_1_scalars_of_inputs_and_filters(tosca: Loader) -> None:
    text = _template("{type: t.Memory}", "{$get_input: i}")
    text = text.replace("service_template:\n", "service_template:\n  inputs:\n    i: {type: t.Memory, default: 1 kB}\n")
    assert tosca(text, {"i": "2 MiB"}).facility.node("n").properties["p"] == 2 << 20
    assert [problem.code for problem in tosca.problems(text, {"i": "2 m"})] == ["property.type"]
