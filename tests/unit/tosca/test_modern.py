"""TOSCA 2.0: the same meaning under its own keywords."""

from __future__ import annotations

import pytest

from support.templates import Loader

HEAD = "tosca_definitions_version: tosca_2_0\n"
TYPES = """\
data_types:
  t.Port:
    derived_from: integer
    validation: {$in_range: [$value, [1, 65535]]}
capability_types:
  t.Socket:
    derived_from: tosca.capabilities.Root
    properties:
      slots: {type: integer, default: 1}
node_types:
  t.Server:
    derived_from: tosca.nodes.Root
    properties:
      port: {type: t.Port, default: 80}
      words:
        type: list
        entry_schema: {type: string, validation: {$matches: [$value, '[a-z]+']}}
        required: false
        validation: {$less_or_equal: [{$length: [$value]}, 2]}
      text: {type: string, required: false}
    capabilities:
      socket: {type: t.Socket}
    requirements:
      - peer: {capability: t.Socket, node: t.Server, relationship: DependsOn, count_range: [0, UNBOUNDED]}
"""

SERVER = "    s: {type: t.Server}\n"


def template(nodes: str, inputs: str = "", outputs: str = "", types: str = TYPES) -> str:
    parts = [HEAD, types, "service_template:\n"]
    for key, text in (("inputs", inputs), ("node_templates", nodes), ("outputs", outputs)):
        parts.append(f"  {key}:\n{text}" if text else "")
    return "".join(parts)


def test_5_service_template_and_functions(tosca: Loader) -> None:
    nodes = "    s: {type: t.Server, properties: {port: {$get_input: p}, text: {$concat: [a, $$b, {$get_property: [SELF, port]}]}}}\n"
    outputs = "    o: {value: {$get_property: [s, CAPABILITY, socket, slots]}}\n"
    facility = tosca(template(nodes, "    p: {type: t.Port, default: 8080}\n", outputs)).facility
    assert facility.node("s").properties["text"] == "a$b8080"
    assert facility.outputs["o"] == 1


@pytest.mark.parametrize(
    ("properties", "code"),
    [("port: 0", "property.constraint"), ("words: [A]", "property.constraint"), ("words: [a, b, c]", "property.constraint")],
)
def test_9_validation_clause(tosca: Loader, properties: str, code: str) -> None:
    assert [found.partition(":")[0] for found in tosca.codes(template(f"    s: {{type: t.Server, properties: {{{properties}}}}}\n"))] == [
        code
    ]


def test_9_conditions_joined(tosca: Loader) -> None:
    inputs = "    n: {type: integer, default: 7, validation: {$and: [{$greater_than: [$value, 1]}, {$less_than: [$value, 5]}]}}\n"
    problems = tosca.problems(template("    s: {type: t.Server, properties: {port: {$get_input: n}}}\n", inputs))
    assert "must be less than 5" in problems[0].message


def test_8_node_filter_is_a_condition(tosca: Loader) -> None:
    slots = "{$greater_or_equal: [{$get_property: [SELF, CAPABILITY, socket, slots]}, 1]}"
    condition = f"{{$and: [{{$equal: [{{$get_property: [SELF, port]}}, 81]}}, {slots}]}}"
    nodes = "    a: {type: t.Server}\n    b: {type: t.Server, properties: {port: 81}}\n"
    text = template(nodes + f"    c: {{type: t.Server, requirements: [peer: {{node: t.Server, node_filter: {condition}}}]}}\n")
    assert tosca(text).facility.node("c").requirements["peer"] == ("b",)


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        (template("    s: {type: t.Server, properties: {text: {$concta: [a]}}}\n"), "function.unknown", "concat"),
        (
            template(SERVER, "    n: {type: integer, default: 1, validation: {$in_rang: [$value, [1, 2]]}}\n"),
            "modern.unsupported",
            "$in_range",
        ),
        (HEAD + "topology: {}\n", "keyword.unknown", "topology"),
    ],
)
def test_what_is_no_2_0(tosca: Loader, text: str, code: str, word: str) -> None:
    assert any(problem.code == code and word in problem.message + problem.remedy for problem in tosca.problems(text))


def test_7_relationship_types_name_what_they_point_at(tosca: Loader) -> None:
    link = "  t.Link: {derived_from: DependsOn, valid_target_node_types: [%s], valid_capability_types: [t.Socket]}\n"
    nodes = "    a: {type: t.Server}\n    b: {type: t.Server, requirements: [peer: {node: a, relationship: t.Link}]}\n"
    for target, codes in (("t.Server", []), ("t.Servr", ["type.unknown:27"])):
        assert tosca.codes(template(nodes, types=f"{TYPES}relationship_types:\n{link % target}")) == codes
