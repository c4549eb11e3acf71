"""Property types (TOSCA Simple Profile 1.3, 3.3) and constraint clauses (3.6.3)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cantiere.tosca import scalars
from support.templates import HEAD, Loader

SHAPE = """\
data_types:
  t.Point:
    derived_from: tosca.datatypes.Root
    properties:
      x: {type: integer}
      y: {type: integer, default: 0}
      name: {type: string, required: false}
  t.Named:
    derived_from: t.Point
    properties:
      name: {type: string, default: none}
  t.Port:
    derived_from: integer
    constraints: [{in_range: [1, 65535]}]
  t.Low:
    derived_from: t.Port
    constraints: [{less_than: 1024}]
"""

GOOD: list[tuple[str, str, Any]] = [
    ("{type: string}", "hello", "hello"),
    ("{type: string}", "'5'", "5"),
    ("{type: string}", "2001-12-14", "2001-12-14"),
    ("{type: string}", "'{{ lookup(1) }}'", "{{ lookup(1) }}"),
    ("{type: integer}", "-3", -3),
    ("{type: float}", "3", 3),
    ("{type: float}", "3.5", 3.5),
    ("{type: float}", ".inf", math.inf),
    ("{type: float}", "-.INF", -math.inf),
    ("{type: float}", "!!float 0x10", 16.0),
    ("{type: boolean}", "true", True),
    ("{type: version}", "1.10", "1.10"),
    ("{type: version}", "2.0.1.alpha-10", "2.0.1.alpha-10"),
    ("{type: timestamp}", "2001-12-14T21:59:43.10-05:00", "2001-12-14T21:59:43.10-05:00"),
    ("{type: timestamp}", "2001-12-14 21:59:43.10 -5", "2001-12-14 21:59:43.10 -5"),
    ("{type: range}", "[1, 4]", [1, 4]),
    ("{type: range}", "[1, UNBOUNDED]", [1, "UNBOUNDED"]),
    ("{type: scalar-unit.size}", "4 GiB", 4 << 30),
    ("{type: scalar-unit.size}", "4gb", 4_000_000_000),
    ("{type: scalar-unit.size}", "0.1 MB", 100_000),
    ("{type: scalar-unit.size}", "9007199254740993 B", 9007199254740993),
    ("{type: scalar-unit.time}", "10 m", 600.0),
    ("{type: scalar-unit.time}", "1.5 ms", 0.0015),
    ("{type: scalar-unit.frequency}", "2.4 GHz", 2.4e9),
    ("{type: scalar-unit.bitrate}", "1 KBps", 8000.0),
    ("{type: list, entry_schema: {type: integer}}", "[1, 2]", [1, 2]),
    ("{type: list, entry_schema: integer}", "[1, 2]", [1, 2]),
    ("{type: list}", "[1, a, {b: c}]", [1, "a", {"b": "c"}]),
    ("{type: map, entry_schema: {type: list, entry_schema: {type: string}}}", "{a: [b]}", {"a": ["b"]}),
    ("{type: map, key_schema: {type: integer}, entry_schema: {type: string}}", "{1: a}", {1: "a"}),
    ("{type: t.Point}", "{x: 1}", {"x": 1, "y": 0}),
    ("{type: t.Named}", "{x: 1}", {"x": 1, "y": 0, "name": "none"}),
    ("{type: t.Low}", "80", 80),
    ("{type: PortDef}", "80", 80),
    ("{type: tosca:PortDef}", "80", 80),
    ("{type: tosca.datatypes.Credential}", "{token: secret}", {"token_type": "password", "token": "secret"}),
    ("{type: map, entry_schema: {type: string}}", "{concat: x}", {"concat": "x"}),
]

BAD: list[tuple[str, str, str]] = [
    ("{type: string}", "5", "property.type"),
    ("{type: string}", "true", "property.type"),
    ("{type: string}", "[a]", "property.type"),
    ("{type: string}", "", "property.type"),
    ("{type: integer}", "'5'", "property.type"),
    ("{type: integer}", "5.0", "property.type"),
    ("{type: integer}", "true", "property.type"),
    ("{type: float}", ".nan", "property.type"),
    ("{type: boolean}", "yes", "property.type"),
    ("{type: boolean}", "1", "property.type"),
    ("{type: version}", "1", "property.type"),
    ("{type: version}", "1.2.3.4.5", "property.type"),
    ("{type: timestamp}", "2001-13-14", "property.type"),
    ("{type: timestamp}", "soon", "property.type"),
    ("{type: range}", "[4, 1]", "property.type"),
    ("{type: range}", "[1]", "property.type"),
    ("{type: scalar-unit.size}", "4", "property.type"),
    ("{type: scalar-unit.size}", "4 parsecs", "property.type"),
    ("{type: scalar-unit.size}", "-4 MB", "property.type"),
    ("{type: scalar-unit.bitrate}", "1 kbps", "property.type"),
    ("{type: list, entry_schema: {type: integer}}", "[1, a]", "property.type"),
    ("{type: list}", "{a: 1}", "property.type"),
    ("{type: map, key_schema: {type: integer}}", "{a: 1}", "property.type"),
    ("{type: t.Point}", "{}", "property.missing"),
    ("{type: t.Point}", "{x: 1, z: 2}", "property.unknown"),
    ("{type: t.Point}", "5", "property.type"),
    ("{type: t.Low}", "1024", "property.constraint"),
    ("{type: t.Low}", "0", "property.constraint"),
    ("{type: t.Lwo}", "0", "type.unknown"),
    ("{type: string, entry_schema: {type: string}}", "a", "grammar.shape"),
    ("{type: string, requird: false}", "a", "keyword.unknown"),
    ("{type: string, required: maybe}", "a", "grammar.shape"),
]


@pytest.mark.parametrize(("definition", "written", "value"), GOOD)
def test_3_3_value(tosca: Loader, definition: str, written: str, value: Any) -> None:
    found = tosca.value(definition, written, SHAPE)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(("definition", "written", "code"), BAD)
def test_3_3_not_a_value(tosca: Loader, definition: str, written: str, code: str) -> None:
    assert tosca.refused(definition, written, SHAPE) == [code]


@pytest.mark.parametrize(
    ("type_", "clause", "good", "bad"),
    [
        ("integer", "equal: 2", "2", "3"),
        ("boolean", "equal: true", "true", "false"),
        ("integer", "greater_than: 2", "3", "2"),
        ("integer", "greater_or_equal: 2", "2", "1"),
        ("float", "less_than: 2.5", "2.4", "2.5"),
        ("float", "less_or_equal: 2.5", "2.5", "2.6"),
        ("integer", "in_range: [1, 4]", "4", "5"),
        ("integer", "in_range: [1, UNBOUNDED]", "400", "0"),
        ("integer", "in_range: [UNBOUNDED, 4]", "-4", "5"),
        ("range", "in_range: [1, 10]", "[2, 3]", "[2, 11]"),
        ("range", "in_range: [1, 10]", "[1, 10]", "[1, UNBOUNDED]"),
        ("string", "valid_values: [a, b]", "b", "c"),
        ("integer", "valid_values: [4, 6]", "6", "5"),
        ("string", "length: 3", "abc", "ab"),
        ("string", "min_length: 3", "abc", "ab"),
        ("string", "max_length: 3", "abc", "abcd"),
        ("list", "max_length: 1", "[a]", "[a, b]"),
        ("map", "min_length: 1", "{a: 1}", "{}"),
        ("string", "pattern: '[a-c]+'", "abc", "abcd"),
        ("string", "pattern: 'a|bc'", "bc", "abc"),
        ("scalar-unit.size", "greater_or_equal: 1 GiB", "1024 MiB", "1 GB"),
        ("scalar-unit.time", "in_range: [1 m, 1 d]", "60 s", "59 s"),
        ("scalar-unit.frequency", "less_than: 1 GHz", "999 MHz", "1000 MHz"),
        ("version", "greater_or_equal: 1.9", "1.10", "1.8.9"),
        ("version", "less_than: 2.0", "2.0.0.beta", "2.0"),
        ("timestamp", "less_than: 2020-01-01", "2019-12-31T23:30:00Z", "2019-12-31T23:30:00-01:00"),
        ("list, entry_schema: {type: string, constraints: [{max_length: 2}]}", "max_length: 2", "[aa, b]", "[aaa]"),
    ],
)
def test_3_6_3_constraint(tosca: Loader, type_: str, clause: str, good: str, bad: str) -> None:
    definition = f"{{type: {type_}, constraints: [{{{clause}}}]}}"
    tosca.value(definition, good)
    assert tosca.refused(definition, bad) == ["property.constraint"]


@pytest.mark.parametrize(
    ("type_", "clause", "code"),
    [
        ("integer", "in_rnge: [1, 2]", "constraint.unknown"),
        ("integer", "in_range: [2, 1]", "constraint.value"),
        ("integer", "in_range: [1]", "constraint.value"),
        ("integer", "in_range: [1, a]", "property.type"),
        ("integer", "max_length: 3", "constraint.value"),
        ("integer", "pattern: a", "constraint.value"),
        ("boolean", "greater_than: true", "constraint.value"),
        ("string", "max_length: -1", "constraint.value"),
        ("string", "pattern: '('", "constraint.value"),
        ("string", "pattern: '(a)\\1'", "constraint.value"),
        ("string", "pattern: 'a{100000}'", "constraint.value"),
        ("string", "valid_values: a", "constraint.value"),
        ("string", "schema: '<xs:schema/>'", "constraint.value"),
        ("string", "schema: '{'", "constraint.value"),
        ("string", "schema: '[]'", "constraint.value"),
        ("string", "schema: {type: object}", "constraint.value"),
        ("string", 'schema: \'{"type": "objekt"}\'', "constraint.value"),
        ("string", 'schema: \'{"pattern": "(a)\\\\1"}\'', "constraint.value"),
        ("string", 'schema: \'{"patternProperties": {"a": {}}}\'', "constraint.value"),
        ("string", 'schema: \'{"$ref": "http://example.org/s.json"}\'', "constraint.value"),
        ("integer", "schema: '{}'", "constraint.value"),
        ("scalar-unit.size", "greater_than: 4", "property.type"),
    ],
)
def test_3_6_3_clause_that_is_none(tosca: Loader, type_: str, clause: str, code: str) -> None:
    good = {"string": "a", "boolean": "true", "scalar-unit.size": "1 MB"}.get(type_, "1")
    assert code in tosca.refused(f"{{type: {type_}, constraints: [{{{clause}}}]}}", good)


def test_3_6_8_default_is_checked(tosca: Loader) -> None:
    assert tosca.refused("{type: integer, default: many}", "1") == ["property.type"]
    assert tosca.refused("{type: integer, default: 9, constraints: [{less_than: 5}]}", "1") == ["property.constraint"]


def test_a_data_type_that_holds_itself_ends(tosca: Loader) -> None:
    types = "data_types:\n  t.D:\n    properties:\n      a: {type: t.D, default: {}}\n      b: {type: t.D, default: {}}\n"
    assert "property.type" in tosca.refused("{type: t.D}", "{}", types)


def test_sizes_are_exact() -> None:
    assert scalars.scalar("scalar-unit.size", "1.000000000001 TB") == 1_000_000_000_001
    assert scalars.scalar("scalar-unit.size", "0.3 kB") == 300
    assert scalars.scalar("scalar-unit.size", "1" * 31 + " B") is None


ODD = [
    *(
        ".inf",
        "-.inf",
        ".nan",
        "+.Inf",
        "1e9999",
        "-1e9999",
        "!!float .inf",
        "!!float 0x10",
        "!!int .inf",
        "!!int 5",
        "!!bool yes",
        "!!null ~",
    ),
    *(
        "9" * 64,
        "9" * 65,
        "-" + "9" * 5000,
        "0x" + "f" * 64,
        "0x" + "f" * 5000,
        "!!float " + "9" * 64,
        "9" * 64 + "e9999",
        "0o",
        "0x",
        "-0",
        "1.",
    ),
    *(
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59-99:99",
        "0000-00-00",
        "2001-02-30",
        "!!timestamp 2001-01-01",
    ),
    *(
        "9" * 30 + " TiB",
        "9" * 31 + " B",
        "1e400 B",
        "٣",
        "1٣",
        r'"\0"',
        r'"\U0010FFFF"',
        "''",
        "[1, .inf]",
        "[.nan, .nan]",
        "{.inf: .nan}",
    ),
]


@pytest.mark.parametrize("written", ODD, ids=[word[:24] for word in ODD])
def test_3_3_odd_scalars_are_values_or_errors(tosca: Loader, written: str) -> None:
    types = [f"{{type: {name}}}" for name in ("string", "integer", "float", "boolean", "version", "timestamp", "range", "list", "map")]
    types += [f"{{type: scalar-unit.{name}}}" for name in ("size", "time", "frequency", "bitrate")]
    types += ["{type: list, entry_schema: {type: float}}", "{type: map, key_schema: {type: float}}"]
    clauses = [f"{clause}: {written}" for clause in ("equal", "less_than", "in_range", "valid_values", "max_length", "pattern")]
    types += [f"{{type: {name}, default: 1, constraints: [{{{clause}}}]}}" for name in ("float", "integer", "string") for clause in clauses]
    kinds = "".join(f"      p{number}: {definition}\n" for number, definition in enumerate(types))
    values = "".join(f"        p{number}: {written}\n" for number in range(len(types)))
    node = f"node_types:\n  t.N:\n    derived_from: tosca.nodes.Root\n    properties:\n{kinds}"
    problems = tosca.problems(f"{HEAD}{node}topology_template:\n  node_templates:\n    n:\n      type: t.N\n      properties:\n{values}")
    assert problems and {problem.code for problem in problems} <= {
        *("property.type", "property.constraint", "constraint.value", "document.tag", "document.character"),
    }
