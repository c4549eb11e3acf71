"""Templates that peers accept, or answer with a traceback: each is refused at its place, with a remedy and the line itself."""

from __future__ import annotations

import pytest

from cantiere.tosca.problems import Problems
from support.templates import HEAD, Loader, template

SERVER = "    s: {type: t.Server}\n"
RING = "    a: {type: tosca.nodes.Root, requirements: [dependency: b]}\n    b: {type: tosca.nodes.Root, requirements: [dependency: a]}\n"
CIRCLE = "node_types:\n  t.A: {derived_from: t.B}\n  t.B: {derived_from: t.A}\n"
PUZZLE = (
    "    s: {type: t.Server, properties: {speed: 2}}\n    c:\n      type: t.Client\n      requirements:\n"
    "        - server: {node: t.Server, node_filter: {properties: [speed: {greater_than: 4}]}}\n"
)
BOMB = "metadata:\n  a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"  a{n}: &a{n} [{','.join([f'*a{n - 1}' if n else '*a'] * 9)}]\n" for n in range(12)
)
NODE = "    n: {type: tosca.nodes.Root}\n"


def labelled(value: str) -> str:
    return template(f"    s: {{type: t.Server, properties: {{label: {value}}}}}\n")


BROKEN = {
    "alias bomb": (HEAD + BOMB, "document.alias", "aliases", ""),
    "nested too deep": (f"{HEAD}metadata: {'[' * 60}{']' * 60}\n", "document.depth", "Nest less", "["),
    "duplicate key": (template("    s: {type: t.Server}\n    s: {type: t.Server}\n"), "document.duplicate", "Remove one", "s"),
    "tab": (f"{HEAD}topology_template:\n\tnode_templates: {{}}\n", "document.tab", "spaces", ""),
    "no YAML": (f"{HEAD}topology_template: {{a: [\n", "document.syntax", "", ""),
    "not a mapping": ("- a\n", "grammar.shape", "Begin with", "- a"),
    "empty": ("", "document.empty", "Begin with", ""),
    "no version": ("topology_template: {node_templates: {}}\n", "version.missing", "Begin with", "topology"),
    "unknown version": (template(NODE, head="tosca_definitions_version: tosca_9\n"), "version.unknown", "Use one of", "tosca_9"),
    "circular dependency": (template(RING), "requirement.cycle", "Remove one", "b]"),
    "requires itself": (template("    a: {type: tosca.nodes.Root, requirements: [dependency: a]}\n"), "requirement.cycle", "Remove", "a]"),
    "circular derived_from": (template(NODE, types=CIRCLE), "type.cycle", "Break", "t.B"),
    "unknown keyword": (template("    s: {type: t.Server, propertys: {}}\n"), "keyword.unknown", "'properties'", "propertys"),
    "unknown type": (template("    s: {type: t.Servr}\n"), "type.unknown", "'t.Server'", "t.Servr"),
    "unknown property": (template("    s: {type: t.Server, properties: {sped: 1}}\n"), "property.unknown", "'speed'", "sped"),
    "wrong type": (template("    s: {type: t.Server, properties: {speed: fast}}\n"), "property.type", "whole number", "fast"),
    "out of range": (
        template(SERVER, "    i: {type: integer, default: 9, constraints: [in_range: [1, 4]]}\n"), "property.constraint", "fulfils", "9"
    ),
    "unknown function": (labelled("{get_inptu: x}"), "function.unknown", "'get_input'", "get_inptu"),
    "undefined input": (labelled("{get_input: x}"), "function.input", "Declare it", "x"),
    "undefined node": (template("    c: {type: t.Client, requirements: [server: x]}\n"), "requirement.node", "", "x"),
    "unsatisfiable node filter": (template(PUZZLE), "requirement.unfulfilled", "Add a node template", "t.Server"),
    "value that refers to itself": (
        labelled("{get_property: [SELF, label]}"), "function.cycle", "of its own", "{get_property"
    ),
    "output that can never have a value": (
        template(SERVER, "", "    o: {value: {get_property: [s, label]}}\n"), "output.absent", "remove the output", "{get_property"
    ),
    "output of an attribute that is none": (
        template(SERVER, "", "    o: {value: {get_attribute: [s, stat]}}\n"), "function.attribute", "'state'", "stat"
    ),
    "import of itself": (template(NODE, types="imports: [template.yaml]\n"), "import.cycle", "Remove", "template"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_refused_with_place_and_remedy(tosca: Loader, name: str) -> None:
    text, code, remedy, there = BROKEN[name]
    problems = [problem for problem in tosca.problems(text) if problem.code == code]
    assert problems, tosca.codes(text)
    assert remedy in problems[0].remedy
    if there:
        shown, caret = problems[0].excerpt.split("\n")
        assert shown[caret.index("^") :].startswith(there)
        assert text.split("\n")[problems[0].where.line - 1][problems[0].where.column - 1 :].startswith(there)


def test_all_errors_at_once_in_order(tosca: Loader) -> None:
    server = "    s: {type: t.Server, properties: {speed: a, labl: b}}\n"
    nodes = f"{server}    c: {{type: t.Client, requirements: [server: x]}}\n    d: {{tpe: t.Client}}\n"
    assert tosca.codes(template(nodes)) == [
        "property.type:38", "property.unknown:38", "requirement.node:39", "node.untyped:40", "keyword.unknown:40"
    ]  # fmt: skip


def test_nearest_candidates_and_what_each_misses(tosca: Loader) -> None:
    nodes = "".join(f"    s{n}: {{type: t.Server, properties: {{speed: {n}, label: {'x' if n == 1 else 'y'}}}}}\n" for n in range(3))
    asked = "{properties: [speed: {greater_than: 4}, label: {equal: x}]}"
    problem = tosca.problems(template(f"{nodes}    c: {{type: t.Client, requirements: [server: {{node_filter: {asked}}}]}}\n"))[0]
    assert "s1: its speed must be more than 4; s0: its speed must be more than 4 and its label must be x" in problem.message


def test_warnings_come_with_errors_and_apart(tosca: Loader) -> None:
    from cantiere.errors import TemplateError

    with pytest.raises(TemplateError) as caught:
        tosca(template("    s: {type: t.Servr}\n", "    unused: {type: string, default: x}\n"))
    assert [warning.code for warning in caught.value.warnings] == ["input.unused"]
    assert "unused: {type" in caught.value.warnings[0].excerpt
    assert [problem.code for problem in caught.value.problems] == ["type.unknown"]


def test_excerpt_of_a_long_line() -> None:
    problems = Problems()
    problems.texts["f"] = "a" * 500 + "!" + "b" * 500
    from cantiere.tosca.elements import Point

    problems.error("a.b", "m", "r", Point("f", 0, 500))
    shown, caret = problems.finish()[0].excerpt.split("\n")
    assert shown[caret.index("^")] == "!" and len(shown) < 130


SECRET = "    token: {type: string, metadata: {secret: true}, constraints: [max_length: 3]}\n"
USED = "    s: {type: t.Server, properties: {label: {get_input: token}}}\n"


@pytest.mark.parametrize("way", ["option", "file"])
def test_secret_inputs_are_references_and_not_shown(tosca: Loader, way: str) -> None:
    given = {"inputs": {"token": "hunter2"}} if way == "option" else {"file": "other: 1\ntoken: hunter2\n"}
    problems = tosca.problems(template(USED, SECRET), **given)
    assert "input.secret" in [problem.code for problem in problems]
    assert "hunter2" not in "".join(map(str, problems))


def test_secret_input_as_reference(tosca: Loader) -> None:
    assert tosca(template(USED, SECRET), {"token": "env:TOKEN"}).facility.node("s").properties["label"] == "env:TOKEN"


def test_inputs_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import argparse

    from cantiere import verbs

    monkeypatch.setenv("CANTIERE_INPUT_workers", "4")
    monkeypatch.setenv("CANTIERE_INPUT_name", "lab")
    assert verbs._inputs(argparse.Namespace(input=["name=site"])) == {"workers": 4, "name": "site"}
