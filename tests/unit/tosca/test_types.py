"""Types (TOSCA Simple Profile 1.3, 3.7), imports (3.6.8) and the keywords of a template (3.10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cantiere.tosca import grammar
from support.templates import HEAD, TYPES, Loader, template

NODE = "    n: {type: tosca.nodes.Root}\n"


def typed(section: str, text: str) -> str:
    return template(NODE, types=f"{section}:\n{text}")


@pytest.mark.parametrize("version", grammar.VERSIONS)
def test_3_1_versions(tosca: Loader, version: str) -> None:
    assert tosca(template(NODE, head=f"tosca_definitions_version: {version}\n")).facility.node("n").type == "tosca.nodes.Root"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (template(NODE, head="tosca_definitions_version: tosca_2_9\n"), ["version.unknown:1"]),
        (template(NODE, head="description: none\n"), ["version.missing:1"]),
        (HEAD + "topology_templat:\n  node_templates: {}\n", ["template.empty:1", "keyword.unknown:2"]),
        (HEAD + "topology_template: []\n", ["grammar.shape:2"]),
        (HEAD + "topology_template:\n", ["template.empty:1"]),
        ("", ["document.empty:1"]),
        ("# nothing\n", ["document.empty:1"]),
        ("- a\n", ["grammar.shape:1"]),
        (HEAD + "topology_template:\n  node_template: {}\n", ["keyword.unknown:3"]),
        (HEAD + "topology_template:\n  node_templates: []\n", ["grammar.shape:3"]),
        (HEAD + "topology_template:\n  node_templates:\n    n:\n", ["grammar.shape:4"]),
        (HEAD + "topology_template:\n  node_templates:\n    n: {}\n", ["node.untyped:4"]),
        (HEAD + "topology_template:\n  node_templates:\n    n: {type: [a]}\n", ["grammar.shape:4"]),
        (HEAD + "topology_template:\n  node_templates:\n    n: {type: Root, propertys: {}}\n", ["keyword.unknown:4"]),
        (HEAD + "topology_template:\n  node_templates:\n    n: {type: Root, properties: []}\n", ["grammar.shape:4"]),
        (HEAD + "topology_template:\n  node_templates:\n    n: {type: Root, copy: m}\n", ["node.copy:4"]),
    ],
)
def test_3_10_shape_of_a_template(tosca: Loader, text: str, codes: list[str]) -> None:
    assert tosca.codes(text) == codes


def test_everything_is_told_at_once_with_place_path_and_remedy(tosca: Loader) -> None:
    text = HEAD + (
        "topology_template:\n"
        "  inputs:\n"
        "    size: {type: integer, default: big}\n"
        "  node_templates:\n"
        "    one:\n"
        "      type: tosca.nodes.Comput\n"
        "    two:\n"
        "      type: tosca.nodes.BlockStorage\n"
        "      propertis: {size: 1 GB}\n"
        "    three:\n"
        "      type: tosca.nodes.ObjectStorage\n"
        "      properties: {nam: a, size: 1}\n"
    )
    found = [(p.code, str(p.where).rpartition("/")[2], p.path.removeprefix("topology_template."), p.remedy) for p in tosca.problems(text)]
    assert found == [
        ("property.type", "template.yaml:4:36", "inputs.size.default", "Write a whole number."),
        ("type.unknown", "template.yaml:7:13", "node_templates.one.type", "Did you mean 'tosca.nodes.Compute'?"),
        (
            "property.missing",
            "template.yaml:8:5",
            "node_templates.two.properties.size",
            "Add 'size:' with a value of type scalar-unit.size.",
        ),
        ("keyword.unknown", "template.yaml:10:7", "node_templates.two.propertis", "Did you mean 'properties'?"),
        ("property.missing", "template.yaml:11:5", "node_templates.three.properties.name", "Add 'name:' with a value of type string."),
        ("property.unknown", "template.yaml:13:20", "node_templates.three.properties.nam", "Did you mean 'name'?"),
        (
            "property.type",
            "template.yaml:13:34",
            "node_templates.three.properties.size",
            "Write a number with a unit (B, kB, KiB, MB, MiB, GB, GiB, TB, TiB), such as 4 GiB.",
        ),
    ]


@pytest.mark.parametrize(
    ("section", "text", "codes"),
    [
        ("node_types", "  a: {derived_from: b}\n  b: {derived_from: a}\n", ["type.cycle:3", "type.cycle:4"]),
        ("node_types", "  a: {derived_from: a}\n", ["type.cycle:3"]),
        ("node_types", "  a: {derived_from: tosca.nodes.Rot}\n", ["type.unknown:3"]),
        ("data_types", "  a: {derived_from: b}\n  b: {derived_from: a}\n", ["type.cycle:3", "type.cycle:4"]),
        ("node_types", "  a: {derivd_from: tosca.nodes.Root}\n", ["keyword.unknown:3"]),
        ("node_types", "  a: [b]\n", ["grammar.shape:3"]),
        ("node_types", "  tosca.nodes.Root: {}\n", ["type.duplicate:3"]),
        ("data_types", "  string: {}\n", ["type.duplicate:3"]),
        ("node_types", "  a:\n    properties:\n      p: {type: strin}\n", ["type.unknown:5"]),
        ("node_types", "  a:\n    properties:\n      p: {default: 1}\n", ["property.untyped:5"]),
        ("node_types", "  a:\n    capabilities:\n      c: {type: tosca.capabilities.Non}\n", ["type.unknown:5"]),
        ("node_types", "  a:\n    capabilities:\n      c: {valid_source_types: []}\n", ["grammar.shape:5"]),
        ("node_types", "  a:\n    capabilities:\n      c: {type: Node, valid_source_types: [x]}\n", ["type.unknown:5"]),
        ("node_types", "  a:\n    requirements:\n      - r: {capability: Nod}\n", ["type.unknown:5"]),
        ("node_types", "  a:\n    requirements:\n      - r: {node: tosca.nodes.Root}\n", ["grammar.shape:5"]),
        ("node_types", "  a:\n    requirements:\n      r: {capability: Node}\n", ["grammar.shape:5"]),
        ("node_types", "  a:\n    requirements:\n      - r: {capability: Node, occurrences: [2, 1]}\n", ["grammar.shape:5"]),
        ("node_types", "  a:\n    requirements:\n      - r: {capability: Node, relationship: X}\n", ["type.unknown:5"]),
        ("relationship_types", "  a: {valid_target_types: [b]}\n", ["type.unknown:3"]),
        ("capability_types", "  a: {valid_source_types: b}\n", ["grammar.shape:3"]),
    ],
)
def test_3_7_type_that_is_wrong(tosca: Loader, section: str, text: str, codes: list[str]) -> None:
    assert tosca.codes(typed(section, text)) == codes


def test_3_7_derived_type_refines_a_property(tosca: Loader) -> None:
    types = (
        "node_types:\n"
        "  a:\n    properties:\n      p: {type: integer, default: 1, constraints: [{less_than: 10}]}\n"
        "  b:\n    derived_from: a\n    properties:\n      p: {default: 5, constraints: [{greater_than: 2}]}\n"
    )
    assert tosca(template("    n: {type: b}\n", types=types)).facility.node("n").properties == {"p": 5}
    for value in (2, 10):
        assert tosca.codes(template(f"    n: {{type: b, properties: {{p: {value}}}}}\n", types=types)) == ["property.constraint:13"]


def test_3_7_chain_of_types_is_bounded(tosca: Loader) -> None:
    chain = "".join(f"  a{n}: {{derived_from: a{n + 1}}}\n" for n in range(100)) + "  a100: {}\n"
    assert {code.partition(":")[0] for code in tosca.codes(typed("node_types", chain))} == {"type.depth"}


@pytest.mark.parametrize("name", ["tosca.nodes.Compute", "Compute", "tosca:Compute"])
def test_5_normative_types_have_short_names(tosca: Loader, name: str) -> None:
    assert tosca(template(f"    n: {{type: {name}}}\n")).facility.node("n").type == "tosca.nodes.Compute"


def test_3_6_8_imports(tosca: Loader) -> None:
    tosca.write("types/one.yaml", HEAD + "imports: [{file: two.yaml}]\n")
    tosca.write("types/two.yaml", HEAD + TYPES)
    text = template("    s: {type: t.Server}\n", types="imports:\n  - types/one.yaml\n  - again: types/two.yaml\n  - common.yaml\n")
    assert tosca(text).facility.node("s").type == "t.Server"


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ("https://example.org/types.yaml", "import.url"),
        ("{file: 'http://example.org/types.yaml'}", "import.url"),
        ("../../../../etc/passwd", "import.outside"),
        ("/etc/passwd", "import.outside"),
        ("nothing.yaml", "import.missing"),
        ("{file: a.yaml, repository: r}", "import.repository"),
        ("{profile: com.example.types}", "import.profile"),
        ("{file: a.yaml, uri: p}", "keyword.unknown"),
        ("[a]", "import.shape"),
        ("link.yaml", "import.outside"),
        ("template.yaml", "import.cycle"),
    ],
)
def test_3_6_8_import_that_is_refused(tosca: Loader, entry: str, code: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    tosca.write("a.yaml", HEAD)
    outside = tmp_path_factory.mktemp("outside") / "types.yaml"
    outside.write_text(HEAD)
    (tosca.folder / "link.yaml").symlink_to(outside)
    problems = tosca.problems(template(NODE, types=f"imports:\n  - {entry}\n"))
    assert [problem.code for problem in problems] == [code]
    assert problems[0].where and problems[0].where.line == 3 and problems[0].remedy


def test_3_6_8_cycle_of_imports(tosca: Loader) -> None:
    tosca.write("one.yaml", HEAD + "imports: [two.yaml]\n")
    tosca.write("two.yaml", HEAD + "imports: [one.yaml]\n")
    problems = tosca.problems(template(NODE, types="imports: [one.yaml]\n"))
    assert [(p.code, Path(p.where.file).name if p.where else "", p.message) for p in problems] == [
        ("import.cycle", "two.yaml", "Imports form a cycle: one.yaml → two.yaml → one.yaml.")
    ]


def test_3_6_8_error_in_an_import_names_that_file(tosca: Loader) -> None:
    tosca.write("one.yaml", HEAD + "node_types:\n  a: {derived_from: tosca.nodes.Rooot}\n")
    problems = tosca.problems(template(NODE, types="imports: [one.yaml]\n"))
    assert [str(problem.where) for problem in problems] == [f"{tosca.folder}/one.yaml:3:21"]


def test_a_type_that_two_files_define(tosca: Loader) -> None:
    tosca.write("one.yaml", HEAD + TYPES)
    assert {code.partition(":")[0] for code in tosca.codes(template(NODE, types="imports: [one.yaml]\n" + TYPES))} == {"type.duplicate"}


def test_files_that_cannot_be_read(tosca: Loader) -> None:
    for path, code in ((tosca.folder / "none.yaml", "file.missing"), (tosca.folder, "file.kind"), (Path("/dev/zero"), "file.kind")):
        from cantiere.errors import TemplateError
        from cantiere.tosca.compile import load

        with pytest.raises(TemplateError) as caught:
            load(path)
        assert [problem.code for problem in caught.value.problems] == [code]
        assert caught.value.exit_code == 3


def test_what_is_declared_and_not_carried_out_is_told(tosca: Loader) -> None:
    more = "  policies:\n    - p: {type: tosca.policies.Scaling, targets: [n]}\n  groups:\n    g: {type: tosca.groups.Root, members: [n]}\n"
    text = template("    n:\n      type: Root\n      interfaces: {Standard: {create: a.sh}}\n") + more
    assert [warning.code for warning in tosca(text).warnings] == ["topology.unused", "topology.unused", "node.unused"]
    assert tosca.codes(text.replace("targets: [n]", "targets: [m]").replace("groups.Root", "groups.Rot")) == [
        "node.unknown:42",
        "type.unknown:44",
    ]


def test_control_characters_do_not_reach_the_terminal(tosca: Loader) -> None:
    problem = tosca.problems(template('    n: {type: "\\e[31mred\\a"}\n'))[0]
    assert problem.message.isprintable() and problem.path.isprintable() and "x1b" in problem.message


def test_3_7_file_of_types_alone(tosca: Loader) -> None:
    assert tosca(HEAD + TYPES).facility.nodes == ()
    assert tosca.codes(HEAD + TYPES.replace("t.Socket:", "t.Sockets:", 1)) != []


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("properties", "p: {type: integer}", "p: {type: string}"),
        ("properties", "p: {type: tosca.datatypes.Credential}", "p: {type: tosca.datatypes.network.PortSpec}"),
        ("capabilities", "c: {type: tosca.capabilities.Node}", "c: {type: tosca.capabilities.Endpoint}"),
        ("requirements", "- r: {capability: Node, node: tosca.nodes.Compute}", "- r: {capability: Node, node: tosca.nodes.Database}"),
    ],
)
def test_3_7_definition_that_refines_nothing(tosca: Loader, kind: str, before: str, after: str) -> None:
    types = f"node_types:\n  a:\n    {kind}:\n      {before}\n  b:\n    derived_from: a\n    {kind}:\n      {after}\n"
    assert [warning.code for warning in tosca(template(NODE, types=types)).warnings] == ["type.refinement"]
    assert tosca(template(NODE, types=types.replace(after, before))).warnings == ()


def test_3_8_3_copy(tosca: Loader) -> None:
    nodes = "    a: {type: t.Server, properties: {speed: 5, label: x}}\n    b: {copy: a}\n    c: {copy: a, properties: {speed: 6}}\n"
    facility = tosca(template(nodes)).facility
    assert facility.node("b").properties == {"speed": 5, "label": "x"}
    assert facility.node("c").properties == {"speed": 6}
    assert tosca.codes(template(nodes + "    d: {copy: b}\n")) == ["node.untyped:41", "node.copy:41"]
