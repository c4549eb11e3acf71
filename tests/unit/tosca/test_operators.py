"""Functions of TOSCA 2.0 that compute (10.2): logic, comparison, texts, lists, maps and numbers."""

from __future__ import annotations

from typing import Any

import pytest

from support.templates import Loader

HEAD = "tosca_definitions_version: tosca_2_0\n"
TYPES = """\
data_types:
  t.Length: {derived_from: scalar, units: {m: 1, cm: 0.01, km: 1000}}
  t.Pace: {derived_from: scalar, units: {s: 1, m: 60}}
node_types:
  t.N:
    derived_from: tosca.nodes.Root
    properties:
      number: {type: integer, default: 7}
      real: {type: float, default: 2.5}
      flag: {type: boolean, default: true}
      words: {type: list, entry_schema: {type: string}, default: [a, b, a]}
      table: {type: map, default: {k: 1}}
      text: {type: string, default: abc}
      size: {type: scalar-unit.size, default: 1 GiB}
      length: {type: t.Length, default: 30 cm}
      none: {type: string, required: false}
    attributes:
      late: {type: integer}
"""


def _output(expression: str) -> str:
    return f"{HEAD}{TYPES}service_template:\n  node_templates:\n    n: {{type: t.N}}\n  outputs:\n    o: {{value: {expression}}}\n"


def _node(properties: str) -> str:
    return f"{HEAD}{TYPES}service_template:\n  node_templates:\n    n: {{type: t.N}}\n    m: {{type: t.N, properties: {{{properties}}}}}\n"


NUMBER, WORDS, TABLE = (f"{{$get_property: [n, {name}]}}" for name in ("number", "words", "table"))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("{$and: [true, {$get_property: [n, flag]}]}", True),
        ("{$and: [true, false, true]}", False),
        ("{$or: [false, true]}", True),
        ("{$not: [true]}", False),
        ("{$xor: [true, true]}", False),
        (f"{{$equal: [{NUMBER}, 7.0]}}", True),
        ("{$equal: [true, 1]}", False),
        ("{$equal: [[1, {a: b}], [1, {a: b}]]}", True),
        ("{$equal: [1024 MiB, 1 GiB]}", True),
        (f"{{$greater_than: [{NUMBER}, 7]}}", False),
        ("{$greater_or_equal: [{$get_property: [n, size]}, 1000 MB]}", True),
        ("{$less_than: ['1.9', '1.10']}", True),
        ("{$less_than: [b, abc]}", False),
        ("{$less_or_equal: ['2019-12-31T23:30:00-01:00', '2020-01-01']}", False),
        ("{$in_range: [3, [1, UNBOUNDED]]}", True),
        ("{$in_range: [3 GiB, [1 GiB, 2 GiB]]}", False),
        (f"{{$valid_values: [{NUMBER}, [1, 7]]}}", True),
        ("{$valid_values: [1, [true]]}", False),
        ("{$matches: [abc, '[a-c]+']}", True),
        ("{$matches: [abcd, '[a-c]+']}", False),
        ("{$has_suffix: [abc, bc]}", True),
        ("{$has_suffix: [[1, 2, 3], [2, 3]]}", True),
        ("{$has_prefix: [[1, 2], [2]]}", False),
        ("{$contains: [abc, b]}", True),
        ("{$contains: [[1, 2, 3], [2, 3]]}", True),
        ("{$contains: [[1, 2, 3], [1, 3]]}", False),
        (f"{{$has_entry: [{WORDS}, b]}}", True),
        (f"{{$has_entry: [{TABLE}, 1]}}", True),
        (f"{{$has_key: [{TABLE}, k]}}", True),
        (f"{{$has_all_entries: [{WORDS}, [a, c]]}}", False),
        (f"{{$has_any_entry: [{WORDS}, [a, c]]}}", True),
        (f"{{$has_all_keys: [{TABLE}, [k]]}}", True),
        (f"{{$has_any_key: [{TABLE}, [x]]}}", False),
        (f"{{$length: [{WORDS}]}}", 3),
        ("{$length: [{$get_property: [n, text]}]}", 3),
        (f"{{$union: [{WORDS}, [c, true, 1]]}}", ["a", "b", "c", True, 1]),
        (f"{{$intersection: [{WORDS}, [c, b, a]]}}", ["a", "b"]),
        (f"{{$concat: [{WORDS}, [c]]}}", ["a", "b", "a", "c"]),
        (f"{{$concat: [x, {NUMBER}]}}", "x7"),
        (f"{{$join: [{WORDS}, '-']}}", "a-b-a"),
        ("{$token: ['a:b', ':', 1]}", "b"),
        (f"{{$sum: [{NUMBER}, 1, 2]}}", 10),
        (f"{{$difference: [{NUMBER}, 10]}}", -3),
        (f"{{$product: [{NUMBER}, 2, 0.5]}}", 7.0),
        (f"{{$quotient: [{NUMBER}, 2]}}", 3.5),
        ("{$quotient: [3 GiB, 2 GiB]}", 1.5),
        (f"{{$remainder: [{NUMBER}, 4]}}", 3),
        ("{$remainder: [-7, 4]}", -3),
        ("{$round: [{$get_property: [n, real]}]}", 3),
        ("{$floor: [2.5]}", 2),
        ("{$ceil: [2.1]}", 3),
        ("{$sum: [1 GiB, 1 MiB]}", "1074790400 B"),
        ("{$sum: [1 km, 20 cm]}", "1000.2 m"),
        ("{$sum: [{$product: [2, 3]}, {$length: [abc]}]}", 9),
        ("{$sum: [{$get_attribute: [n, late]}, 1]}", None),
        ("{$has_entry: [[{$get_attribute: [n, late]}], 1]}", None),
        ("{$$sum: [1]}", {"$sum": [1]}),
    ],
)
def test_10_2_result(tosca: Loader, expression: str, value: Any) -> None:
    found = tosca(_output(expression)).facility.outputs["o"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("expression", "code", "word"),
    [
        ("{$sum: [1, a]}", "function.arguments", "Argument 2 of $sum must be a number"),
        ("{$sum: [1, true]}", "function.arguments", "Argument 2"),
        ("{$sum: [1 GiB, 1]}", "function.arguments", "with a unit"),
        ("{$sum: [1 GiB, 1 s]}", "function.arguments", "a number"),
        ("{$sum: [1 m, 2 m]}", "function.arguments", "of one type"),
        ("{$product: [1 GiB, 1 GiB]}", "function.arguments", "without a unit"),
        ("{$quotient: [2, 1 GiB]}", "function.arguments", "without a unit"),
        ("{$quotient: [1, 0]}", "function.arguments", "other than 0"),
        ("{$remainder: [1, 0.5]}", "function.arguments", "whole number"),
        ("{$round: [.inf]}", "function.arguments", "finite"),
        ("{$round: [1, 2]}", "function.arguments", "list of 1 argument."),
        ("{$not: true}", "function.arguments", "list of 1 argument."),
        ("{$not: [1]}", "function.arguments", "true or false"),
        ("{$greater_than: [1, a]}", "function.arguments", "a number"),
        ("{$greater_than: [[1], [2]]}", "function.arguments", "a number or a string"),
        ("{$in_range: [1, 2]}", "function.arguments", "lower and an upper"),
        ("{$in_range: [1, [a, 2]]}", "function.arguments", "same type"),
        ("{$has_prefix: [abc, [a]]}", "function.arguments", "as the first one is"),
        ("{$has_key: [[a], a]}", "function.arguments", "a map"),
        ("{$union: [a]}", "function.arguments", "a list"),
        ("{$length: [1]}", "function.arguments", "a string, a list or a map"),
        ("{$matches: [a, '(']}", "function.arguments", "pattern"),
        ("{$concat: [[a], b]}", "function.arguments", "A list is expected"),
        ("{$sum: [1, {$get_property: [n, none]}]}", "function.absent", "no value"),
        ("{$sum: [1, {$get_property: [n, nothing]}]}", "function.property", "nothing"),
        ("{$product: [" + ", ".join(["9" * 60] * 9) + "]}", "function.arguments", "too large"),
        ("{$sum: [" * 13 + "1" + "]}" * 13, "function.depth", "nested"),
        ("{$sume: [1]}", "function.unknown", "$sume"),
    ],
)
def test_10_2_arguments(tosca: Loader, expression: str, code: str, word: str) -> None:
    problem = tosca.problems(_output(expression))[0]
    assert problem.code == code and word in problem.message and problem.where is not None and problem.where.line == 24


@pytest.mark.parametrize(
    ("properties", "codes"),
    [
        ("number: {$sum: [1, 2]}", []),
        ("number: {$quotient: [4, 2]}", ["property.type:23"]),
        ("number: {$round: [{$quotient: [4, 2]}]}", []),
        ("flag: {$less_than: [1, 2]}", []),
        ("text: {$sum: [1, 2]}", ["property.type:23"]),
        ("size: {$product: [{$get_property: [n, size]}, 2]}", []),
        ("size: {$difference: [1 GiB, 2 GiB]}", ["property.type:23"]),
        ("length: {$sum: [2 m, {$product: [{$get_property: [n, length]}, 3]}]}", []),
        ("words: {$union: [{$get_property: [n, words]}, [1]]}", ["property.type:23"]),
        ("number: {$sum: [{$get_property: [SELF, number]}, 1]}", ["function.cycle:23"]),
    ],
)
def test_10_2_type_of_the_place(tosca: Loader, properties: str, codes: list[str]) -> None:
    assert tosca.codes(_node(properties)) == codes


def test_10_2_units_of_the_place(tosca: Loader) -> None:
    text = _node("length: {$sum: [2 m, 20 cm, {$get_property: [n, length]}]}, size: {$quotient: [{$get_property: [n, size]}, 2]}")
    assert dict(tosca(text).facility.node("m").properties)["length"] == 2.5
    assert dict(tosca(text).facility.node("m").properties)["size"] == 1 << 29


def test_10_1_functions_of_its_own_are_not_carried_out(tosca: Loader) -> None:
    (problem,) = tosca.problems(_output("1").replace("data_types:", "functions: {f: {signatures: []}}\ndata_types:", 1))
    assert problem.code == "modern.unsupported" and problem.where is not None and problem.where.line == 2


def test_10_2_names_are_calls_in_2_0_alone(tosca: Loader) -> None:
    text = _output("{$sum: [1, 2]}").replace("tosca_2_0", "tosca_simple_yaml_1_3").replace("service_template", "topology_template")
    text = text.replace("  t.Length: {derived_from: scalar, units: {m: 1, cm: 0.01, km: 1000}}\n", "  t.Length: {derived_from: string}\n")
    text = text.replace("  t.Pace: {derived_from: scalar, units: {s: 1, m: 60}}\n", "")
    assert tosca(text).facility.outputs["o"] == {"$sum": [1, 2]}


def test_10_2_lists_that_double_end(tosca: Loader) -> None:
    nodes = "    l0: {type: t.N, properties: {words: [a, b]}}\n"
    for number in range(40):
        before = f"{{$get_property: [l{number}, words]}}"
        nodes += f"    l{number + 1}: {{type: t.N, properties: {{words: {{$concat: [{before}, {before}]}}}}}}\n"
    problems = tosca.problems(f"{HEAD}{TYPES}service_template:\n  node_templates:\n{nodes}")
    assert {problem.code for problem in problems} & {"document.expansion", "function.depth"}


def test_10_2_long_lists_are_not_looked_for_in_long_lists(tosca: Loader) -> None:
    problems = tosca.problems(_output(f"{{$contains: [[{'a,' * 20000}], [{'a,' * 9999}b]]}}"))
    assert [problem.code for problem in problems] == ["function.arguments"]
