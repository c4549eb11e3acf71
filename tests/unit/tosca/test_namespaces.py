"""Namespaces of imports (TOSCA Simple Profile 1.3, 3.6.8; TOSCA 2.0, 6.9): types are seen behind their prefix alone."""

from __future__ import annotations

import pytest

from cantiere.tosca.namespaces import Namespaces
from support.templates import HEAD, TYPES, Loader, template

OTHER = f"""{HEAD}data_types:
  u.Word: {{derived_from: string}}
capability_types:
  u.Plug: {{derived_from: tosca.capabilities.Root}}
relationship_types:
  u.Link: {{derived_from: tosca.relationships.DependsOn}}
node_types:
  u.Box:
    derived_from: tosca.nodes.Root
    properties: {{word: {{type: u.Word, default: a}}}}
    capabilities: {{plug: {{type: u.Plug}}}}
"""


@pytest.fixture
def files(tosca: Loader) -> Loader:
    tosca.write("base.yaml", HEAD + TYPES)
    tosca.write("other.yaml", OTHER)
    tosca.write("more.yaml", f"{HEAD}imports: [base.yaml]\nnode_types:\n  t.More: {{derived_from: t.Server}}\n")
    tosca.write(
        "nested.yaml", f"{HEAD}imports: [{{file: other.yaml, namespace_prefix: q}}]\nnode_types:\n  n.In: {{derived_from: 'q:u.Box'}}\n"
    )
    return tosca


def _text(imports: str, nodes: str, types: str = "") -> str:
    return template(nodes, types=f"imports: [{imports}]\n{types}")


P_MORE, P_OTHER = "{file: more.yaml, namespace_prefix: p}", "{file: other.yaml, namespace_prefix: o}"


@pytest.mark.parametrize(
    ("imports", "type_"),
    [
        (P_MORE, "p:t.More"),
        (P_MORE, "p:t.Server"),
        (f"{P_MORE}, base.yaml", "t.Server"),
        ("{file: more.yaml, namespace: p}", "p:t.More"),
        ("{file: nested.yaml, namespace_prefix: n}", "n:n.In"),
        ("{file: nested.yaml, namespace_prefix: n}", "n:q:u.Box"),
        ("nested.yaml", "q:u.Box"),
        (P_OTHER, "tosca.nodes.Compute"),
        (P_OTHER, "tosca:Compute"),
        (f"{P_MORE}, {P_OTHER}", "o:u.Box"),
    ],
)
def test_3_6_8_seen(files: Loader, imports: str, type_: str) -> None:
    assert files(_text(imports, f"    s: {{type: '{type_}'}}\n")).facility.node("s").type.endswith(type_.rpartition(":")[2])


@pytest.mark.parametrize(
    ("imports", "type_", "remedy"),
    [
        (P_MORE, "t.More", "Did you mean 'p:t.More'?"),
        (P_MORE, "t.Server", "Did you mean 'p:t.Server'?"),
        (f"{P_MORE}, base.yaml", "t.More", "Did you mean 'p:t.More'?"),
        (f"{P_MORE}, {P_OTHER}", "p:u.Box", "Did you mean 'o:u.Box'?"),
        (f"more.yaml, {P_OTHER}", "o:t.More", "Did you mean 't.More'?"),
        ("{file: nested.yaml, namespace_prefix: n}", "q:u.Box", "Did you mean 'n:q:u.Box'?"),
        ("{file: nested.yaml, namespace_prefix: n}", "n:u.Box", "Did you mean 'n:q:u.Box'?"),
        (P_MORE, "p:t.Mor", "Did you mean 'p:t.More'?"),
    ],
)
def test_3_6_8_not_seen(files: Loader, imports: str, type_: str, remedy: str) -> None:
    problem = files.problems(_text(imports, f"    s: {{type: '{type_}'}}\n"))[0]
    assert (problem.code, problem.where.line if problem.where else 0) == ("type.unknown", 6) and problem.remedy.startswith(remedy)


def test_3_6_8_every_name_of_a_type(files: Loader) -> None:
    types = """\
data_types:
  m.Word: {derived_from: u.Word}
node_types:
  m.N:
    derived_from: tosca.nodes.Root
    properties: {word: {type: u.Word}}
    capabilities: {plug: u.Plug}
    requirements:
      - one: {capability: u.Plug, node: u.Box, relationship: u.Link, occurrences: [0, 1]}
"""
    nodes = "    n: {type: m.N, properties: {word: a}, requirements: [one: {node: u.Box}]}\n"
    wrong = files.problems(_text(P_OTHER, nodes, types))
    assert [problem.where.line for problem in wrong if problem.where] == [4, 8, 9, 11, 11, 11, 15]
    assert all("'o:u." in problem.remedy for problem in wrong)
    box = "    b: {type: 'o:u.Box'}\n"
    assert files(_text(P_OTHER, nodes.replace("u.", "'o:u.").replace("Box}", "Box'}") + box, types.replace("u.", "o:u."))).facility.node(
        "n"
    )


def test_6_9_namespace_of_2_0(files: Loader) -> None:
    head = "tosca_definitions_version: tosca_2_0\nimports: [{url: other.yaml, namespace: o}]\nservice_template:\n  node_templates:\n"
    assert files(f"{head}    n: {{type: 'o:u.Box'}}\n").facility.node("n").type == "u.Box"
    assert [problem.remedy for problem in files.problems(f"{head}    n: {{type: u.Box}}\n")] == ["Did you mean 'o:u.Box'?"]


def test_what_two_files_share_stays_behind_the_prefix() -> None:
    spaces = Namespaces({"a": [("p", "b"), ("", "c")], "b": [("", "d")], "c": [("", "d")]})
    assert spaces.sees("a", (), "d") and spaces.sees("a", ("p",), "d") and spaces.sees("d", (), "a")
    assert not spaces.sees("a", (), "b") and not spaces.sees("c", (), "b") and spaces.prefixes("c", "b") == ("p",)
    assert spaces.prefixes("b", "a") is None
