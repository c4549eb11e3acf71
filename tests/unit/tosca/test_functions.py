"""Intrinsic functions (TOSCA Simple Profile 1.3, 4)."""

from __future__ import annotations

from typing import Any

import pytest

from support.templates import Loader, template

INPUTS = """\
    word: {type: string, default: hello}
    count: {type: integer, default: 3}
    flag: {type: boolean, default: true}
    nested: {type: map, default: {a: [x, {b: y}]}}
    none: {type: string, required: false}
"""
NODES = """\
    s:
      type: t.Server
      properties: {speed: 7, label: {concat: [fast-, {get_property: [SELF, speed]}]}}
      capabilities: {socket: {properties: {slots: 4}}}
    c:
      type: t.Client
      properties:
        words: [one, {get_input: word}]
        number: {get_property: [SELF, server, slots]}
      requirements: [{server: s}]
"""


def output(tosca: Loader, expression: str) -> Any:
    return tosca(template(NODES, INPUTS, f"    o: {{value: {expression}}}\n")).facility.outputs["o"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("{get_input: word}", "hello"),
        ("{get_input: [word]}", "hello"),
        ("{get_input: [nested, a, 1, b]}", "y"),
        ("{get_property: [s, speed]}", 7),
        ("{get_property: [s, label]}", "fast-7"),
        ("{get_property: [c, number]}", 4),
        ("{get_property: [c, words, 1]}", "hello"),
        ("{get_property: [c, server, speed]}", 7),
        ("{get_property: [s, socket, slots]}", 4),
        ("{get_attribute: [c, address]}", None),
        ("{get_attribute: [c, text]}", None),
        ("{get_attribute: [c, state]}", None),
        ("{concat: [a, 1, true, {get_input: count}]}", "a1true3"),
        ("{concat: [a, {get_attribute: [c, address]}]}", None),
        ("{concat: []}", ""),
        ("{token: ['a:b-c', ':-', 2]}", "c"),
        ("{token: [{get_property: [s, label]}, '-', 1]}", "7"),
        ("[1, {get_input: flag}, {x: {get_input: word}}]", [1, True, {"x": "hello"}]),
        ("'{{ word }}'", "{{ word }}"),
        ("{get_input: none}", None),
    ],
)
def test_4_value(tosca: Loader, expression: str, value: Any) -> None:
    assert output(tosca, expression) == value


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("{get_input: wrd}", "function.input"),
        ("{get_input: [nested, b]}", "function.path"),
        ("{get_input: [nested, a, 7]}", "function.path"),
        ("{get_input: {a: b}}", "function.arguments"),
        ("{get_property: [x, speed]}", "function.node"),
        ("{get_property: [s, sped]}", "function.property"),
        ("{get_property: [s, speed, 0]}", "function.path"),
        ("{get_property: s}", "function.arguments"),
        ("{get_property: [SELF, speed]}", "function.keyword"),
        ("{get_property: [HOST, speed]}", "function.keyword"),
        ("{get_property: [TARGET, speed]}", "function.keyword"),
        ("{get_attribute: [c, adress]}", "function.attribute"),
        ("{concat: word}", "function.arguments"),
        ("{concat: [[a]]}", "function.arguments"),
        ("{concat: [{get_input: none}]}", "function.absent"),
        ("[{get_input: none}]", "function.absent"),
        ("{token: ['a:b', ':', 2]}", "function.index"),
        ("{token: ['a:b', '', 0]}", "function.arguments"),
        ("{token: ['a:b', ':']}", "function.arguments"),
        ("{get_operation_output: [SELF, a, b, c]}", "function.keyword"),
    ],
)
def test_4_refused(tosca: Loader, expression: str, code: str) -> None:
    assert [problem.code for problem in tosca.problems(template(NODES, INPUTS, f"    o: {{value: {expression}}}\n"))] == [code]


def test_4_2_host_is_searched_upwards(tosca: Loader) -> None:
    types = """\
node_types:
  t.Box:
    derived_from: tosca.nodes.Compute
    properties: {zone: {type: string}}
  t.Item:
    derived_from: tosca.nodes.SoftwareComponent
    properties: {zone_of_host: {type: string}}
    capabilities: {host: {type: tosca.capabilities.Container}}
    requirements:
      - host: {capability: tosca.capabilities.Container, node: tosca.nodes.Root, relationship: tosca.relationships.HostedOn}
"""
    item = "{type: t.Item, properties: {zone_of_host: {get_property: [HOST, zone]}}, requirements: [{host: %s}]}"
    nodes = f"    inner: {item % 'outer'}\n    outer: {item % 'box'}\n    box: {{type: t.Box, properties: {{zone: north}}}}\n"
    facility = tosca(template(nodes, types=types)).facility
    assert [node.name for node in facility.nodes] == ["box", "outer", "inner"]
    assert [facility.node(name).properties["zone_of_host"] for name in ("inner", "outer")] == ["north", "north"]
    assert tosca.codes(template(nodes.replace("HOST, zone", "HOST, zome"), types=types)) == ["function.property:15", "function.property:16"]


def test_a_function_is_checked_against_the_type_that_uses_it(tosca: Loader) -> None:
    nodes = "    s: {type: t.Server, properties: {speed: {get_input: word}}}\n"
    problems = tosca.problems(template(nodes, "    word: {type: string, default: hello}\n"))
    assert [(problem.code, problem.path) for problem in problems] == [
        ("property.type", "topology_template.node_templates.s.properties.speed")
    ]


def test_an_optional_input_without_a_value_leaves_the_default(tosca: Loader) -> None:
    nodes = "    s: {type: t.Server, properties: {speed: {get_input: speed}, label: {get_input: label}}}\n"
    inputs = "    speed: {type: integer, required: false}\n    label: {type: string, required: false}\n"
    assert tosca(template(nodes, inputs)).facility.node("s").properties == {"speed": 1}


@pytest.mark.parametrize(
    "label",
    [
        "{get_property: [SELF, label]}",
        "{get_property: [t, label]}",
        "{concat: [a, {get_property: [t, label]}]}",
        "{token: [{get_property: [t, label]}, a, 0]}",
    ],
)
def test_4_cycle(tosca: Loader, label: str) -> None:
    nodes = f"    s: {{type: t.Server, properties: {{label: {label}}}}}\n"
    nodes += "    t: {type: t.Server, properties: {label: {get_property: [s, label]}}}\n"
    assert [problem.code for problem in tosca.problems(template(nodes))] == ["function.cycle"]


@pytest.mark.parametrize("backwards", [False, True])
def test_4_long_chain_of_references(tosca: Loader, backwards: bool) -> None:
    def chain(length: int) -> str:
        lines = ["    s0: {type: t.Server, properties: {speed: 5}}\n"]
        lines += [f"    s{n}: {{type: t.Server, properties: {{speed: {{get_property: [s{n - 1}, speed]}}}}}}\n" for n in range(1, length)]
        return template("".join(reversed(lines) if backwards else lines))

    assert tosca(chain(60)).facility.node("s59").properties["speed"] == 5
    assert {problem.code for problem in tosca.problems(chain(80))} == {"function.depth"}


def test_4_doubling_ends(tosca: Loader) -> None:
    lines = ["    s0: {type: t.Server, properties: {label: ''}}\n"]
    for n in range(1, 60):
        again = f"{{get_property: [s{n - 1}, label]}}"
        lines.append(f"    s{n}: {{type: t.Server, properties: {{label: {{concat: [{again}, {again}]}}}}}}\n")
    assert tosca.codes(template("".join(lines))) == ["document.expansion:0"]


def test_values_are_never_jinja(tosca: Loader) -> None:
    nodes = "    s: {type: t.Server, properties: {label: '{{ 7 * 7 }} {% raw %}'}}\n"
    assert tosca(template(nodes)).facility.node("s").properties["label"] == "{{ 7 * 7 }} {% raw %}"
