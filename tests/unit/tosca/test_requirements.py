"""Requirements and capabilities (TOSCA Simple Profile 1.3, 3.7.3, 3.8.2 and 3.6.5)."""

from __future__ import annotations

import pytest

from cantiere.model import Facility
from support.templates import TYPES, Loader, template

SERVER = "    s: {type: t.Server}\n"
FAST = "    f: {type: t.Fast, capabilities: {socket: {properties: {slots: 8, size: 4 GiB}}}}\n"


def client(requirement: str) -> str:
    return f"    c:\n      type: t.Client\n      requirements:\n        - {requirement}\n"


@pytest.mark.parametrize(
    ("requirement", "target"),
    [
        ("server: s", "s"),
        ("server: {node: s}", "s"),
        ("server: t.Fast", "f"),
        ("server: {node: t.Fast}", "f"),
        ("server: {capability: t.Big}", "f"),
        ("server: {node: f, capability: socket}", "f"),
        ("server: {node: f, relationship: tosca.relationships.DependsOn}", "f"),
        ("server: {node: f, relationship: {type: tosca.relationships.DependsOn}}", "f"),
        ("server: {node_filter: {capabilities: [{socket: {properties: [{slots: {greater_than: 4}}]}}]}}", "f"),
        ("server: {node_filter: {capabilities: [{t.Socket: {properties: [{slots: 1}]}}]}}", "s"),
        ("server: {node_filter: {capabilities: [{socket: {properties: [{size: [{greater_or_equal: 1 GiB}, {less_than: 1 TiB}]}]}}]}}", "f"),
        ("server: {node_filter: {capabilities: [{socket: {properties: [{slots: {in_range: [1, {get_input: most}]}}]}}]}}", "s"),
        ("server: {node: t.Server, node_filter: {properties: [{speed: {equal: 9}}]}}", "f"),
    ],
)
def test_3_8_2_target(tosca: Loader, requirement: str, target: str) -> None:
    fast = FAST.replace("capabilities:", "properties: {speed: 9}, capabilities:")
    if "in_range" in requirement:
        requirement = requirement.replace("[1, {get_input: most}]", "[1, 4]")
    facility = tosca(template(client(requirement) + SERVER + fast)).facility
    assert facility.node("c").requirements == {"server": (target,)}


def test_3_8_2_function_in_a_filter(tosca: Loader) -> None:
    requirement = "server: {node_filter: {capabilities: [{socket: {properties: [{slots: {greater_than: {get_input: least}}}]}}]}}"
    facility = tosca(template(client(requirement) + SERVER + FAST, "    least: {type: integer, default: 4}\n")).facility
    assert facility.node("c").target("server") == "f"


def test_3_8_2_requirement_that_is_not_assigned(tosca: Loader) -> None:
    facility = tosca(template("    c: {type: t.Client}\n" + SERVER)).facility
    assert facility.node("c").target("server") == "s"
    problems = tosca.problems(template("    c: {type: t.Client}\n" + SERVER + FAST))
    assert [(p.code, p.message, p.remedy) for p in problems] == [
        ("requirement.ambiguous", "Several node templates can be the 'server' of 'c': s, f.", "Name one: '- server: s'.")
    ]


@pytest.mark.parametrize(
    ("requirement", "code", "part"),
    [
        ("servr: s", "requirement.unknown", "Did you mean 'server'?"),
        ("server: x", "requirement.node", "no node template or node type 'x'"),
        ("server: c", "requirement.mismatch", "its type t.Client does not derive from t.Server"),
        ("server: r", "requirement.mismatch", "Name one of: s, f."),
        ("server: t.Server", "requirement.ambiguous", "s, f"),
        ("server: {capability: t.Socke}", "requirement.capability", "Did you mean 't.Socket'?"),
        ("server: {node: s, capability: t.Big}", "requirement.mismatch", "it has no capability t.Big"),
        ("server: {node: s, relation: x}", "keyword.unknown", "relationship"),
        ("server: {node: s, relationship: x}", "type.unknown", "relationship type 'x'"),
        (
            "server: {node: s, relationship: tosca.relationships.HostedOn}",
            "requirement.mismatch",
            "points at tosca.capabilities.Container only",
        ),
        ("server: [s]", "grammar.shape", "a list"),
        ("server:", "grammar.shape", "nothing"),
        ("server: {node: s, occurrences: [3]}", "grammar.shape", "least and most"),
        ("server: {node_filter: {properties: [{speed: {greater_than: 99}}]}}", "requirement.unfulfilled", "its speed must be more than 99"),
        ("server: {node: s, node_filter: {properties: [{sped: 1}]}}", "requirement.mismatch", "it has no property sped"),
        ("server: {node: s, node_filter: {properties: [{speed: {in_range: [3]}}]}}", "constraint.value", "lower and an upper"),
        ("server: {node: s, node_filter: {property: []}}", "keyword.unknown", "properties"),
        ("server: {node: s, node_filter: {capabilities: [{plug: {properties: []}}]}}", "requirement.mismatch", "it has no capability plug"),
    ],
)
def test_3_8_2_refused(tosca: Loader, requirement: str, code: str, part: str) -> None:
    text = template(client(requirement) + SERVER + FAST + "    r: {type: Root}\n")
    problems = tosca.problems(text)
    shown = [problem for problem in problems if problem.code == code]
    assert shown, problems
    assert part in shown[0].message + " " + shown[0].remedy
    assert shown[0].where and shown[0].where.line == text.splitlines().index(f"        - {requirement}") + 1


def test_nobody_offers_it(tosca: Loader) -> None:
    problem = tosca.problems(template("    c: {type: t.Client}\n    r: {type: Root}\n"))[0]
    assert (problem.code, problem.remedy) == ("requirement.unfulfilled", "Add a node template that offers t.Socket.")


def occurring(occurrences: str, count: int) -> str:
    types = (
        f"node_types:\n  t.M:\n    derived_from: Root\n    requirements:\n      - on: {{capability: Node, occurrences: {occurrences}}}\n"
    )
    assigned = ", ".join(f"{{on: r{n}}}" for n in range(count))
    nodes = "".join(f"    r{n}: {{type: Root}}\n" for n in range(4))
    return template(f"    m: {{type: t.M, requirements: [{assigned}]}}\n{nodes}", types=types)


@pytest.mark.parametrize(("occurrences", "count"), [("[0, 1]", 0), ("[0, 1]", 1), ("[2, 3]", 2), ("[1, UNBOUNDED]", 4)])
def test_3_7_3_occurrences(tosca: Loader, occurrences: str, count: int) -> None:
    found = tosca(occurring(occurrences, count)).facility.node("m").requirements.get("on", ())
    assert found == tuple(f"r{n}" for n in range(count))


@pytest.mark.parametrize(("occurrences", "count"), [("[0, 1]", 2), ("[2, 3]", 1), ("[2, 3]", 4), ("[2, 3]", 0)])
def test_3_7_3_too_few_or_too_many(tosca: Loader, occurrences: str, count: int) -> None:
    assert [problem.code for problem in tosca.problems(occurring(occurrences, count))] == ["requirement.occurrences"]


def test_3_7_2_valid_source_types(tosca: Loader) -> None:
    types = """\
node_types:
  t.Host:
    derived_from: Root
    capabilities: {plug: {type: Node, valid_source_types: [t.Guest]}}
  t.Guest:
    derived_from: Root
    requirements: [{at: {capability: Node, node: t.Host}}]
  t.Stranger:
    derived_from: Root
    requirements: [{at: {capability: tosca.capabilities.Container}}]
  t.Shut:
    derived_from: Root
    capabilities: {box: {type: tosca.capabilities.Container, valid_source_types: [t.Guest]}}
"""
    tosca(template("    g: {type: t.Guest, requirements: [{at: h}]}\n    h: {type: t.Host}\n", types=types))
    problems = tosca.problems(template("    s: {type: t.Stranger, requirements: [{at: h}]}\n    h: {type: t.Shut}\n", types=types))
    assert "its capability box is only for t.Guest" in problems[0].message


def test_3_8_1_capability_assignment(tosca: Loader) -> None:
    def server(text: str) -> str:
        return template(f"    s: {{type: t.Server, capabilities: {{{text}}}}}\n")

    tosca(server("socket: {properties: {slots: 2}}"))
    for text, code in (
        ("sockt: {properties: {slots: 2}}", "capability.unknown"),
        ("socket: {properties: {slot: 2}}", "property.unknown"),
        ("socket: {properties: {slots: two}}", "property.type"),
        ("socket: {property: {slots: 2}}", "keyword.unknown"),
        ("socket: 2", "grammar.shape"),
    ):
        assert [problem.code for problem in tosca.problems(server(text))] == [code]


def names(facility: Facility) -> list[str]:
    return [node.name for node in facility.nodes]


def test_nodes_come_after_what_they_require_and_else_as_written(tosca: Loader) -> None:
    nodes = "    z: {type: Root, requirements: [{dependency: m}]}\n    y: {type: Root}\n    m: {type: Root}\n"
    nodes += "    a: {type: Root, requirements: [{dependency: z}]}\n"
    assert names(tosca(template(nodes)).facility) == ["y", "m", "z", "a"]


@pytest.mark.parametrize("length", [1, 2, 3, 400])
def test_cycle(tosca: Loader, length: int) -> None:
    nodes = "".join(f"    n{n}: {{type: Root, requirements: [{{dependency: n{(n + 1) % length}}}]}}\n" for n in range(length))
    text = template("    before: {type: Root, requirements: [{dependency: n0}]}\n" + nodes)
    problems = tosca.problems(text)
    assert [problem.code for problem in problems] == ["requirement.cycle"]
    assert problems[0].where and problems[0].where.line == text[: text.index(" n0: ")].count("\n") + 1
    if length == 3:
        assert problems[0].message == "Node templates require each other: n0 → n1 → n2 → n0."


def test_relationship_templates(tosca: Loader) -> None:
    nodes = """\
    machine: {type: Compute, requirements: [{local_storage: {node: disk, relationship: attach}}]}
    disk: {type: BlockStorage, properties: {size: 1 GB}}
"""
    good = "  relationship_templates:\n    attach: {type: AttachesTo, properties: {location: /data}}\n"
    assert tosca(template(nodes) + good).facility.node("machine").target("local_storage") == "disk"
    assert tosca.codes(template(nodes) + good.replace("location: /data", "")) == ["property.missing:41"]
    assert tosca.codes(template(nodes) + good.replace("attach:", "atach:"))[0].startswith("type.unknown")


def test_a_filter_that_needs_the_requirement_that_it_serves(tosca: Loader) -> None:
    nodes = """\
    c:
      type: t.Client
      requirements:
        - server: {node_filter: {properties: [{speed: {get_property: [SELF, server, speed]}}]}}
    s: {type: t.Server}
"""
    assert tosca.problems(template(nodes))


def test_3_7_3_node_filter_of_a_definition(tosca: Loader) -> None:
    types = TYPES.replace(
        "          node: t.Server\n", "          node: t.Server\n          node_filter: {properties: [speed: {greater_than: 4}]}\n"
    )
    nodes = "    slow: {type: t.Server}\n    fast: {type: t.Server, properties: {speed: 5}}\n"
    assert tosca(template(nodes + "    c: {type: t.Client}\n", types=types)).facility.node("c").requirements["server"] == ("fast",)
    refused = tosca.problems(template(nodes + "    c: {type: t.Client, requirements: [server: slow]}\n", types=types))
    assert "its speed must be more than 4" in refused[0].message
