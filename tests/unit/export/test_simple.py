"""TOSCA Simple Profile 1.0: the same facility, in one file, and nothing lost in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toscaparser.tosca_template import ToscaTemplate

from cantiere import cli
from cantiere.declared import declared
from cantiere.errors import TemplateError
from cantiere.export.simple import simple
from cantiere.export.written import dump
from cantiere.model import Facility
from cantiere.tosca.compile import load
from support.templates import TYPES, Loader, template

SERVER = "    s: {type: t.Server}\n"


@pytest.fixture
def tosca(tmp_path: Path) -> Loader:
    return Loader(tmp_path)


def meaning(facility: Facility) -> Any:
    return [(node.name, node.type, node.properties, node.requirements) for node in facility.nodes], facility.outputs


def exported(tosca: Loader, text: str) -> tuple[dict[str, Any], list[str]]:
    """The document, read again as others read it, and the codes of the notices."""
    document, notices = simple(declared(tosca.write("template.yaml", text)))
    return yaml.safe_load(dump(document)), [notice.message for notice in notices]


@pytest.mark.parametrize("name", ["cluster.yaml", "facility.yaml"])
def test_our_templates_mean_the_same(name: str, repository: Path, tmp_path: Path) -> None:
    path = repository / "tosca" / "templates" / name
    document, notices = simple(declared(path))
    written = tmp_path / name
    written.write_text(dump(document), encoding="utf-8")
    assert document["tosca_definitions_version"] == "tosca_simple_yaml_1_0" and "imports" not in document
    assert meaning(load(written).facility) == meaning(load(path).facility)
    ToscaTemplate(str(written))
    assert any("no operations" in notice.message for notice in notices)


def test_only_the_types_that_are_used_and_each_after_its_parent(tosca: Loader) -> None:
    document, _ = exported(tosca, template("    f: {type: t.Fast}\n"))
    assert list(document["node_types"]) == ["t.Server", "t.Fast"]
    assert list(document["capability_types"]) == ["t.Socket", "t.Big"]


@pytest.mark.parametrize(
    ("written", "read"),
    [("'no'", "no"), ("'0123'", "0123"), ("'1.10'", "1.10"), ("'2030-01-31'", "2030-01-31"), ("no", "no"), ("'a: b #c'", "a: b #c")],
)
def test_texts_are_read_the_same_by_yaml_1_1(written: str, read: str, tosca: Loader) -> None:
    document, _ = exported(tosca, template(f"    s: {{type: t.Server, properties: {{label: {written}}}}}\n"))
    assert document["topology_template"]["node_templates"]["s"]["properties"]["label"] == read


def test_numbers_are_read_the_same_by_yaml_1_1(tosca: Loader) -> None:
    document, _ = exported(tosca, template("    s: {type: t.Server, properties: {speed: 010}}\n"))
    assert document["topology_template"]["node_templates"]["s"]["properties"]["speed"] == 10


def test_a_version_keeps_its_digits(tosca: Loader) -> None:
    types = f"{TYPES}  t.V:\n    derived_from: tosca.nodes.Root\n    properties: {{v: {{type: version}}}}\n"
    path = tosca.write("template.yaml", template("    v: {type: t.V, properties: {v: 1.30}}\n", types=types))
    assert "v: 1.30\n" in dump(simple(declared(path))[0])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (template("    s: {type: t.Server, properties: {label: {join: [[a, b]]}}}\n"), "function 'join'"),
        (template(SERVER, "    a: {type: scalar-unit.bitrate, default: 1 Mbps}\n"), "type 'scalar-unit.bitrate'"),
        (template(SERVER) + "  workflows: {}\n", "imperative workflows"),
        (
            template("    s: {type: t.Server, properties: {label: {get_input: [a, 0]}}}\n", "    a: {type: list, default: [x]}\n"),
            "parts of inputs: get_input takes one name",
        ),
        (
            template("    s: {type: t.Server, interfaces: {Standard: {create: {implementation: {primary: a.sh, timeout: 5}}}}}\n"),
            "timeouts of operations",
        ),
        (
            template(SERVER) + "  substitution_mappings: {node_type: t.Server, substitution_filter: {properties: []}}\n",
            "filters of substitutions",
        ),
    ],
)
def test_what_1_0_cannot_say_is_an_error(text: str, what: str, tosca: Loader) -> None:
    path = tosca.write("template.yaml", text)
    with pytest.raises(TemplateError) as caught:
        simple(declared(path))
    (problem,) = caught.value.problems
    assert problem.message == f"TOSCA 1.0 has no {what}."
    assert problem.where is not None and problem.where.line


@pytest.mark.parametrize(
    ("definition", "what"),
    [("key_schema: {type: string}", "no schemas of keys"), ("metadata: {tab: X}", "no metadata of definitions")],
)
def test_what_is_checked_less_is_told(definition: str, what: str, tosca: Loader) -> None:
    document, notices = exported(
        tosca, template(SERVER, f"    a: {{type: map, entry_schema: {{type: string}}, default: {{}}, {definition}}}\n")
    )
    assert any(what in notice for notice in notices)
    assert document["topology_template"]["inputs"]["a"] == {"type": "map", "entry_schema": {"type": "string"}, "default": {}}


def test_values_may_be_called_like_keywords(tosca: Loader) -> None:
    types = f"{TYPES}  t.M:\n    derived_from: tosca.nodes.Root\n    properties: {{metadata: {{type: map}}}}\n"
    document, notices = exported(tosca, template("    m: {type: t.M, properties: {metadata: {triggers: {key_schema: 1}}}}\n", types=types))
    assert document["topology_template"]["node_templates"]["m"]["properties"] == {"metadata": {"triggers": {"key_schema": 1}}}
    assert document["node_types"]["t.M"]["properties"] == {"metadata": {"type": "map"}}
    assert all("no operations" in notice for notice in notices)


def test_inputs_of_operations_are_values(tosca: Loader) -> None:
    inputs = "{key_schema: {metadata: 1}, timeout: {get_input: a}}"
    nodes = f"    s:\n      type: t.Server\n      interfaces: {{Standard: {{create: {{implementation: a.sh, inputs: {inputs}}}}}}}\n"
    document, notices = exported(tosca, template(nodes, "    a: {type: integer, default: 1}\n"))
    create = document["topology_template"]["node_templates"]["s"]["interfaces"]["Standard"]["create"]
    assert create["inputs"] == {"key_schema": {"metadata": 1}, "timeout": {"get_input": "a"}}
    assert not notices


def test_checksums_are_left_out(tosca: Loader) -> None:
    artifact = "{type: tosca.artifacts.File, file: a, checksum: abc, checksum_algorithm: SHA-256}"
    document, notices = exported(tosca, template(f"    s: {{type: t.Server, artifacts: {{checksum: {artifact}}}}}\n"))
    assert document["topology_template"]["node_templates"]["s"]["artifacts"] == {"checksum": {"type": "tosca.artifacts.File", "file": "a"}}
    assert any("no checksums of artifacts" in notice for notice in notices)


def test_operations_are_written_as_1_0_does(tosca: Loader) -> None:
    nodes = "    s:\n      type: t.Server\n      interfaces:\n        Standard: {operations: {create: {implementation: a.sh}}}\n"
    document, notices = exported(tosca, template(nodes))
    assert document["topology_template"]["node_templates"]["s"]["interfaces"] == {"Standard": {"create": {"implementation": "a.sh"}}}
    assert not notices


@pytest.mark.parametrize("metadata", ["", "metadata:\n", "metadata: {template_name: null}\n", "metadata: {display_name: A}\n"])
def test_there_is_always_a_name(metadata: str, tosca: Loader) -> None:
    document, _ = exported(tosca, template(SERVER).replace("\n", f"\n{metadata}", 1))
    assert document["metadata"]["template_name"] == "template"


WORDS = (
    "[] {} 7 1.5 true [1,2] {a: b} type metadata default constraints in_range valid_values tosca.nodes.Compute integer string list map "
    "scalar-unit.size {get_input: workers} key_schema entry_schema tab properties"
).split()


@settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_valid_means_the_same(data: st.DataObject, repository: Path, tmp_path: Path) -> None:
    """Round trip: a template, however it is changed, is invalid, refused with a reason, or the same facility after the export."""
    lines = (repository / "tests" / "unit" / "portfolio" / "analysis.yaml").read_text(encoding="utf-8").splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    head, colon, _ = lines[number].partition(":")
    lines[number] = data.draw(st.sampled_from(["", lines[number - 1], *(f"{head}{colon} {word}" for word in WORDS)]))
    path, written = tmp_path / "a.yaml", tmp_path / "b.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    inputs = {"admin_password": "env:A"}
    try:
        expected = load(path, inputs).facility
        document, _ = simple(declared(path))
    except TemplateError as error:
        assert error.problems
        return
    written.write_text(dump(document), encoding="utf-8")
    assert meaning(load(written, inputs).facility) == meaning(expected)


def test_the_verb(tosca: Loader, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tosca.write("template.yaml", template(SERVER))
    out = tmp_path / "out.yaml"
    assert cli.main(["export", str(path), "--tosca-1.0", str(out)]) == 0
    assert "no operations" in capsys.readouterr().err
    assert yaml.safe_load(out.read_text())["metadata"] == {"template_name": "template"}
    assert cli.main(["export", str(path)]) == 1
    assert "--csar" in capsys.readouterr().err
