"""tosca-parser and this front end agree on what is a template; where they do not, the reason stands here."""

from __future__ import annotations

from pathlib import Path

import pytest
from toscaparser.tosca_template import ToscaTemplate

from support.templates import HEAD, TYPES, Loader, template

SERVER = "    s: {type: t.Server}\n"


def client(requirements: str) -> str:
    return f"    c: {{type: t.Client, requirements: [{requirements}]}}\n"


def labelled(expression: str) -> str:
    return template(
        f"    s: {{type: t.Server, properties: {{label: {expression}}}}}\n    t: {{type: t.Server, properties: {{label: x}}}}\n"
    )


def declared(definition: str, value: str) -> str:
    types = f"{TYPES}  t.X:\n    derived_from: tosca.nodes.Root\n    properties: {{p: {definition}}}\n"
    return template(f"    x: {{type: t.X, properties: {{p: {value}}}}}\n", types=types)


STORAGE = """\
    m:
      type: tosca.nodes.Compute
      requirements:
        - local_storage: {node: d, relationship: {type: tosca.relationships.AttachesTo, properties: {location: /x}}}
    d: {type: tosca.nodes.BlockStorage, properties: {size: 1 GB}}
"""
NETWORK = """\
    n: {type: tosca.nodes.network.Network, properties: {cidr: 10.0.0.0/24}}
    p: {type: tosca.nodes.network.Port, requirements: [{binding: m}, {link: n}]}
    m: {type: tosca.nodes.Compute}
"""
BOTH_ACCEPT = {
    "root": template("    n: {type: tosca.nodes.Root}\n"),
    "compute": template("    n: {type: tosca.nodes.Compute, capabilities: {host: {properties: {num_cpus: 2, mem_size: 4 GB}}}}\n"),
    "hosted on": template("    n: {type: tosca.nodes.WebServer, requirements: [{host: m}]}\n    m: {type: tosca.nodes.Compute}\n"),
    "storage": template(STORAGE),
    "network": template(NETWORK),
    "requirement": template(client("{server: s}") + SERVER),
    "requirement written out": template(client("{server: {node: s, capability: t.Socket}}") + SERVER),
    "get_input": template("    s: {type: t.Server, properties: {speed: {get_input: a}}}\n", "    a: {type: integer, default: 2}\n"),
    "concat": labelled("{concat: [a, b]}"),
    "token": labelled("{token: ['a:b', ':', 1]}"),
    "get_property": labelled("{get_property: [t, label]}"),
    "get_attribute": template(SERVER, "", "    o: {value: {get_attribute: [s, state]}}\n"),
    "TOSCA 1.0": template("    n: {type: tosca.nodes.Root}\n", head="tosca_definitions_version: tosca_simple_yaml_1_0\n"),
    "TOSCA 1.2": template("    n: {type: tosca.nodes.Root}\n", head="tosca_definitions_version: tosca_simple_yaml_1_2\n"),
    "policy": template(SERVER) + "  policies:\n    - p: {type: tosca.policies.Scaling, targets: [s]}\n",
    "group": template(SERVER) + "  groups:\n    p: {type: tosca.groups.Root, members: [s]}\n",
    "map": declared("{type: map, entry_schema: {type: string}}", "{a: b}"),
    "list": declared("{type: list, entry_schema: {type: integer}}", "[1]"),
    "range": declared("{type: range}", "[1, UNBOUNDED]"),
    "size": declared("{type: scalar-unit.size, constraints: [{in_range: [1 MB, 1 GB]}]}", "5 mb"),
    "time": declared("{type: scalar-unit.time}", "5 ms"),
    "version": declared("{type: version}", "1.2.3.alpha-4"),
    "data type": declared("{type: tosca.datatypes.network.PortSpec}", "{protocol: udp, target: 53}"),
}
BOTH_REFUSE = {
    "unknown version": template(SERVER, head="tosca_definitions_version: tosca_simple_yaml_9\n"),
    "no version": template(SERVER, head=""),
    "unknown section": HEAD + "nodes: {}\n",
    "unknown section of the topology": HEAD + "topology_template: {nodes: {}}\n",
    "unknown node type": template("    n: {type: tosca.nodes.Rot}\n"),
    "no node type": template("    n: {properties: {}}\n"),
    "unknown keyword": template("    s: {type: t.Server, property: {}}\n"),
    "unknown property": template("    s: {type: t.Server, properties: {sped: 1}}\n"),
    "missing property": template("    d: {type: tosca.nodes.BlockStorage}\n"),
    "wrong integer": template("    s: {type: t.Server, properties: {speed: fast}}\n"),
    "wrong unit": template("    d: {type: tosca.nodes.BlockStorage, properties: {size: 1 XB}}\n"),
    "too small": template("    d: {type: tosca.nodes.BlockStorage, properties: {size: 1 kB}}\n"),
    "no valid value": template("    n: {type: tosca.nodes.network.Network, properties: {ip_version: 5}}\n"),
    "unknown input": template("    s: {type: t.Server, properties: {speed: {get_input: a}}}\n"),
    "unknown type of an input": template(SERVER, "    a: {type: intger}\n"),
    "wrong default of an input": template(SERVER, "    a: {type: integer, default: x}\n"),
    "unknown requirement": template(client("{servr: s}") + SERVER),
    "unknown target": template(client("{server: x}") + SERVER),
    "nobody to fulfil it": template("    c: {type: t.Client}\n"),
    "unknown capability": template("    s: {type: t.Server, capabilities: {sock: {properties: {slots: 1}}}}\n"),
    "unknown property of a capability": template("    s: {type: t.Server, capabilities: {socket: {properties: {slot: 1}}}}\n"),
    "wrong property of a capability": template("    s: {type: t.Server, capabilities: {socket: {properties: {slots: a}}}}\n"),
    "get_property of no node": labelled("{get_property: [x, label]}"),
    "get_property of no property": labelled("{get_property: [SELF, labl]}"),
    "get_attribute of no attribute": template(SERVER, "", "    o: {value: {get_attribute: [s, stat]}}\n"),
    "token without index": labelled("{token: ['a:b', ':']}"),
    "policy for no node": template(SERVER) + "  policies:\n    - p: {type: tosca.policies.Scaling, targets: [x]}\n",
    "group of no node": template(SERVER) + "  groups:\n    p: {type: tosca.groups.Root, members: [x]}\n",
    "output without value": template(SERVER, "", "    o: {description: x}\n"),
    "missing import": template(SERVER, types="imports: [nothing.yaml]\n" + TYPES),
    "pattern": declared("{type: string, constraints: [{pattern: abc}]}", "abcd"),
    "in_range": declared("{type: integer, constraints: [{in_range: [1, 5]}]}", "7"),
    "entry": declared("{type: list, entry_schema: {type: integer}}", "[a]"),
    "boolean": declared("{type: boolean}", "'yes'"),
    "range of nothing": declared("{type: range}", "[4, 1]"),
    "timestamp": declared("{type: timestamp}", "2001-13-14"),
    "property that refers to itself": labelled("{get_property: [SELF, label]}"),
}
OURS_REFUSE = {
    "tosca-parser does not ask a default's constraints": template(
        SERVER, "    a: {type: integer, default: 4, constraints: [{less_than: 3}]}\n"
    ),
    "tosca-parser lets an input without value pass": template(SERVER, "    a: {type: integer}\n"),
    "tosca-parser does not look at the target's type": template(client("{server: r}") + SERVER + "    r: {type: tosca.nodes.Root}\n"),
    "tosca-parser takes the characters of a string for parts": labelled("{concat: abc}"),
    "tosca-parser reads types only when they are used: parent": template(SERVER, types=TYPES + "  t.X: {derived_from: t.Y}\n"),
    "tosca-parser reads types only when they are used: property": template(
        SERVER, types=TYPES + "  t.X:\n    derived_from: tosca.nodes.Root\n    properties: {p: {type: integr}}\n"
    ),
    "tosca-parser does not count the most occurrences": template(client("{server: s}, {server: s}") + SERVER),
    "PyYAML lets the last of two equal keys win": template("    s: {type: t.Server}\n    s: {type: t.Fast}\n"),
    "tosca-parser does not see that nodes require each other": template(
        "    a: {type: tosca.nodes.Root, requirements: [{dependency: b}]}\n"
        "    b: {type: tosca.nodes.Root, requirements: [{dependency: a}]}\n"
    ),
    "tosca-parser turns numbers into strings (1.10 becomes 1.1)": labelled("1.10"),
}
THEIRS_REFUSE = {
    "the orchestrator may fulfil a requirement that is not assigned (3.8.2)": template("    c: {type: t.Client}\n" + SERVER),
    "TOSCA 1.1 is a version like the others": template(SERVER, head="tosca_definitions_version: tosca_simple_yaml_1_1\n"),
}


def accepts(path: Path) -> bool:
    """Whether tosca-parser takes a template; how it fails differs."""
    try:
        ToscaTemplate(str(path), {})
    except Exception:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "ours", "theirs"),
    [
        pytest.param(text, ours, theirs, id=name)
        for cases, ours, theirs in (
            (BOTH_ACCEPT, True, True),
            (BOTH_REFUSE, False, False),
            (OURS_REFUSE, False, True),
            (THEIRS_REFUSE, True, False),
        )
        for name, text in cases.items()
    ],
)
def test_verdict(tosca: Loader, text: str, ours: bool, theirs: bool) -> None:
    assert (tosca.problems(text) == []) is ours
    assert accepts(tosca.folder / "template.yaml") is theirs


def test_tosca_parser_takes_our_templates_and_types(repository: Path) -> None:
    for path in sorted((repository / "tosca" / "templates").glob("*.yaml")):
        assert accepts(path), path
