"""Groups, policies, workflows, substitution mappings, interfaces and artifacts, by the sections of the Simple Profile 1.3."""

from __future__ import annotations

import pytest

from support.templates import HEAD, TYPES, Loader, template

SERVER = "    s: {type: t.Server}\n"
MORE = (
    TYPES
    + """\
policy_types:
  t.Policy:
    derived_from: tosca.policies.Root
    properties: {most: {type: integer}}
    targets: [t.Client]
group_types:
  t.Group:
    derived_from: tosca.groups.Root
    properties: {label: {type: string, required: false}}
"""
)


def with_section(text: str, nodes: str = SERVER) -> str:
    return template(nodes, types=MORE) + text


def workflow(steps: str) -> str:
    return with_section(f"  workflows:\n    w:\n      steps:\n{steps}    other: {{steps: {{}}}}\n")


STEP = "        a: {target: s, activities: [%s]%s}\n"
ALL = "{set_state: creating}, {call_operation: Standard.start}, {inline: other}"
LIFECYCLE = "{inputs: {a: 1}, start: start.sh, stop: {implementation: stop.sh}}"
SUBSTITUTION = "  substitution_mappings: {node_type: t.Server, capabilities: {%s}}\n"
ACCEPTED = {
    "3.8.5 group": with_section("  groups:\n    g: {type: t.Group, members: [s], properties: {label: x}}\n"),
    "3.8.6 policy on a group": with_section(
        "  groups:\n    g: {type: t.Group, members: [s]}\n  policies:\n    - p: {type: t.Policy, targets: [g], properties: {most: 1}}\n"
    ),
    "3.8.7 workflow": workflow(STEP % (ALL, ", on_success: [b]") + STEP.replace("a:", "b:", 1) % ("{delegate: deploy}", "")),
    "2.10 substitution": with_section("  substitution_mappings:\n    node_type: t.Server\n    capabilities: {socket: [s, socket]}\n"),
    "3.8.3 interface": with_section("", "    s: {type: t.Server, interfaces: {Standard: %s}}\n").replace("%s", LIFECYCLE),
    "3.8.3 operations": with_section("", "    s: {type: t.Server, interfaces: {Standard: {operations: {start: start.sh}}}}\n"),
    "3.6.7 artifact": with_section("", "    s: {type: t.Server, artifacts: {a: a.sh, b: {type: tosca.artifacts.File, file: b}}}\n"),
}  # fmt: skip
REFUSED = {
    "3.8.5 member of a group": ("  groups:\n    g: {type: t.Group, members: [x]}\n", "node.unknown"),
    "3.8.5 property of a group": ("  groups:\n    g: {type: t.Group, members: [s], properties: {lable: x}}\n", "property.unknown"),
    "3.8.5 keyword of a group": ("  groups:\n    g: {type: t.Group, member: [s]}\n", "keyword.unknown"),
    "3.8.6 target of a policy": ("  policies:\n    - p: {type: t.Policy, targets: [s], properties: {most: 1}}\n", "member.type"),
    "3.8.6 property of a policy": ("  policies:\n    - p: {type: t.Policy, properties: {most: many}}\n", "property.type"),
    "3.8.6 missing property of a policy": ("  policies:\n    - p: {type: t.Policy}\n", "property.missing"),
    "3.6.22 trigger": ("  policies:\n    - p: {type: t.Policy, properties: {most: 1}, triggers: {t: {evnt: x}}}\n", "keyword.unknown"),
    "2.10 capability": (SUBSTITUTION % "sock: [s, socket]", "substitution.unknown"),
    "2.10 capability of a node": (SUBSTITUTION % "socket: [s, sock]", "substitution.unknown"),
    "2.10 node": (SUBSTITUTION % "socket: [x, socket]", "node.unknown"),
    "2.10 node type": ("  substitution_mappings: {node_type: t.Servr}\n", "type.unknown"),
}  # fmt: skip
STEPS = {
    "target": (STEP.replace("target: s", "target: x") % ("{delegate: deploy}", ""), "workflow.target"),
    "no target": ("        a: {activities: [{delegate: deploy}]}\n", "workflow.target"),
    "next step": (STEP % ("{delegate: deploy}", ", on_success: [c]"), "workflow.step"),
    "circle": (STEP % ("{delegate: deploy}", ", on_success: [a]"), "workflow.cycle"),
    "activity": (STEP % ("{call_op: Standard.start}", ""), "keyword.unknown"),
    "operation": (STEP % ("{call_operation: Standard.strt}", ""), "operation.unknown"),
    "interface": (STEP % ("{call_operation: Standrd.start}", ""), "interface.unknown"),
    "inline": (STEP % ("{inline: othr}", ""), "workflow.inline"),
}
NODES = {
    "3.8.3 interface": ("interfaces: {Standrd: {start: a.sh}}", "interface.unknown"),
    "3.8.3 operation": ("interfaces: {Standard: {strt: a.sh}}", "operation.unknown"),
    "3.8.3 keyword of an operation": ("interfaces: {Standard: {start: {implemention: a.sh}}}", "keyword.unknown"),
    "3.6.7 type of an artifact": ("artifacts: {a: {type: tosca.artifacts.Fil, file: a}}", "type.unknown"),
    "3.6.7 file of an artifact": ("artifacts: {a: {type: tosca.artifacts.File}}", "artifact.file"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(tosca: Loader, name: str) -> None:
    assert tosca.codes(ACCEPTED[name]) == []


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tosca: Loader, name: str) -> None:
    text, code = REFUSED[name]
    assert code in [found.partition(":")[0] for found in tosca.codes(with_section(text))]


@pytest.mark.parametrize("name", STEPS)
def test_3_6_23_steps(tosca: Loader, name: str) -> None:
    text, code = STEPS[name]
    assert [found.partition(":")[0] for found in tosca.codes(workflow(text))] == [code]


@pytest.mark.parametrize("name", NODES)
def test_nodes(tosca: Loader, name: str) -> None:
    text, code = NODES[name]
    assert [found.partition(":")[0] for found in tosca.codes(with_section("", f"    s: {{type: t.Server, {text}}}\n"))] == [code]


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("{join: [[a, b, c], ':']}", "a:b:c"),
        ("{join: [[a, b]]}", "ab"),
        ("{get_nodes_of_type: t.Server}", ["s"]),
        ("{get_operation_output: [s, Standard, create, address]}", None),
        ("{get_artifact: [s, a]}", None),
    ],
)
def test_4_functions(tosca: Loader, call: str, value: object) -> None:
    nodes = "    s: {type: t.Server, artifacts: {a: a.sh}}\n    n: {type: tosca.nodes.Root}\n"
    assert tosca(template(nodes, outputs=f"    o: {{value: {call}}}\n")).facility.outputs["o"] == value


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("{join: a}", "function.arguments"),
        ("{get_nodes_of_type: t.Servr}", "type.unknown"),
        ("{get_operation_output: [s, Standard, creat, address]}", "operation.unknown"),
        ("{get_operation_output: [s, Standard]}", "function.arguments"),
        ("{get_artifact: [s, x]}", "function.artifact"),
        ("{get_artifact: [x, a]}", "function.node"),
    ],
)
def test_4_functions_that_mean_nothing(tosca: Loader, call: str, code: str) -> None:
    assert [found.partition(":")[0] for found in tosca.codes(template(SERVER, outputs=f"    o: {{value: {call}}}\n"))] == [code]


def test_3_1_version_is_read(tosca: Loader) -> None:
    for version in ("1_0", "1_1", "1_2", "1_3"):
        text = template(SERVER, head=HEAD.replace("1_3", version))
        assert tosca.codes(text) == []
