"""The facility as JSON, and the Python interface."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import cantiere
from cantiere import cli
from cantiere.errors import TemplateError
from cantiere.export.facility import as_dict
from support.templates import TYPES, Loader, template


@pytest.fixture
def tosca(tmp_path: Path) -> Loader:
    return Loader(tmp_path)


@pytest.fixture(scope="module")
def rules(repository: Path) -> Any:
    found = json.loads((repository / "docs" / "reference" / "facility.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.mark.parametrize("name", ["cluster.yaml", "facility.yaml"])
def test_our_templates_follow_the_schema(name: str, repository: Path, rules: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = repository / "tosca" / "templates" / name
    assert cli.main(["export", str(path), "--json", "-"]) == 0
    written = json.loads(capsys.readouterr().out)
    rules.validate(written)
    facility = cantiere.load(path)
    assert [node["name"] for node in written["nodes"]] == [node.name for node in facility.nodes]
    assert written["nodes"][0]["properties"] == json.loads(json.dumps(dict(facility.nodes[0].properties)))


def test_what_json_does_not_know(tosca: Loader, rules: Any) -> None:
    types = f"{TYPES}  t.F:\n    derived_from: tosca.nodes.Root\n    properties: {{f: {{type: map}}}}\n"
    nodes = "    f: {type: t.F, properties: {f: {a: .inf}}}\n"
    written = as_dict(tosca(template(nodes, types=types)).facility)
    assert written["nodes"][0]["properties"] == {"f": {"a": "inf"}}
    rules.validate(json.loads(json.dumps(written, allow_nan=False)))


def test_node_filters(rules: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "tosca_definitions_version: tosca_simple_yaml_1_3\nimports: [machines.yaml]\ntopology_template:\n  node_templates:\n"
        "    pool:\n      type: cantiere.nodes.MachinePool\n      requirements:\n        - machine:\n            node_filter:\n"
        "              capabilities: [{host: {properties: [{num_cpus: {greater_or_equal: 4}}]}}]\n"
    )
    written = as_dict(cantiere.load(path))
    rules.validate(written)
    (condition,) = written["nodes"][0]["filters"]["machine"]
    assert condition == {"capability": "host", "property": "num_cpus", "constraints": [{"operator": "greater_or_equal", "operand": "4"}]}


ANY = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [machines.yaml, parts/more.yaml]
topology_template:
  inputs: {folder: {type: string, default: /srv}}
  node_templates:
    pool:
      type: cantiere.nodes.MachinePool
      requirements:
        - machine:
            node_filter:
              capabilities:
                - host: {properties: [{num_cpus: {valid_values: [4, 8]}}]}
                - os: {properties: [{distribution: {pattern: "deb.*"}}]}
    books: {type: t.Books, properties: {folder: {get_input: folder}}}
  outputs: {folder: {value: {get_property: [books, folder]}}}
  workflows:
    keep:
      inputs: {label: {type: string, default: x}}
      preconditions: [{target: books, condition: [{folder: [{min_length: 1}]}]}]
      steps: {a: {target: books, activities: [{call_operation: {operation: Keep.dump, inputs: {x: {get_input: label}}}}, {set_state: z}]}}
"""
MORE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
interface_types: {t.Keep: {operations: {dump: {description: writes}}}}
node_types:
  t.Books:
    derived_from: tosca.nodes.Root
    properties: {folder: {type: string}}
    interfaces: {Keep: {type: t.Keep, operations: {dump: {implementation: dump.sh}}}}
"""


def test_an_archive_is_the_same_facility(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "parts").mkdir()
    for name, text in (("any.yaml", ANY), ("parts/more.yaml", MORE), ("parts/dump.sh", "true\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    for path in (tmp_path / "any.yaml", *(repository / "tosca" / "templates").glob("*.yaml")):
        archive = tmp_path / "other-name.csar"
        assert cli.main(["export", str(path), "--csar", str(archive)]) == 0
        assert (found := cantiere.load(archive)) == cantiere.load(path), path.name
    assert found != cantiere.load(tmp_path / "any.yaml"), "not everything is equal"
    one, other = (cantiere.load(tmp_path / "any.yaml", {"folder": folder}) for folder in ("/srv", "/home"))
    assert one != other and one == cantiere.load(tmp_path / "any.yaml")
    (tmp_path / "any.yaml").write_text(ANY.replace("[4, 8]", "[4, 16]"), encoding="utf-8")
    assert one != cantiere.load(tmp_path / "any.yaml"), "filters count"


def test_missing_inputs_are_told(tosca: Loader, capsys: pytest.CaptureFixture[str]) -> None:
    path = tosca.write(
        "template.yaml", template("    s: {type: t.Server, properties: {speed: {get_input: a}}}\n", "    a: {type: integer}\n")
    )
    assert cli.main(["export", str(path), "--json", "-"]) == 3
    assert "input.missing" in capsys.readouterr().err
    assert cli.main(["export", str(path), "--json", "-", "--input", "a=7"]) == 0
    assert json.loads(capsys.readouterr().out)["nodes"][0]["properties"]["speed"] == 7
    assert cli.main(["export", str(path), "--tosca-1.0", "-"]) == 0, "what others ask for needs no inputs of ours"


def test_load(repository: Path) -> None:
    facility = cantiere.load(str(repository / "tosca" / "templates" / "cluster.yaml"), {"worker_machines": 3})
    assert facility.node("worker").properties["count"] == 3
    with pytest.raises(TemplateError) as caught:
        cantiere.load(repository / "tosca" / "templates" / "cluster.yaml", {"worker_machines": 900, "wrkers": 1})
    assert {problem.code for problem in caught.value.problems} == {"property.constraint", "input.unknown"}


def test_the_example_of_the_documentation_runs(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (repository / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    code, shown = re.findall(r"```(?:python|text)\n(.*?)```", page, re.DOTALL)[:2]
    monkeypatch.chdir(repository)
    exec(compile(code, "python.md", "exec"), {})
    assert capsys.readouterr().out == shown
