"""The editors' schema: our templates follow it, broken ones do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cantiere import cli


@pytest.fixture(scope="module")
def rules() -> Any:
    from cantiere.profile.editor import schema
    from cantiere.profile.sheets import catalogue

    found = schema(catalogue())
    jsonschema.Draft7Validator.check_schema(found)
    return jsonschema.Draft7Validator(found)


TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
imports: [../types/htcondor.yaml, ../types/jupyterhub.yaml]
topology_template:
  inputs:
    workers: {type: integer, default: 2}
  node_templates:
    platform: {type: cantiere.nodes.Platform}
    pool:
      type: cantiere.nodes.HTCondorPool
      properties:
        workers: {get_input: workers}
        memory_per_worker: 2 GiB
      requirements:
        - host: platform
    own: {type: example.nodes.Own, properties: {anything: 1}}
"""


@pytest.mark.parametrize("name", ["cluster.yaml", "facility.yaml"])
def test_our_templates_follow_it(name: str, repository: Path, rules: Any) -> None:
    rules.validate(yaml.safe_load((repository / "tosca" / "templates" / name).read_text(encoding="utf-8")))


def test_public_templates_follow_it(repository: Path, rules: Any) -> None:
    folder = repository.parent / "shared" / "data" / "tosca"
    found = sorted(folder.glob("*.y*ml"))
    if not found:
        pytest.skip(f"{folder} has no public templates: they are beside the checkout where the project is developed, not in it")
    for path in found:
        errors = [f"{path.name}{error.json_path[1:]}: {error.message}" for error in rules.iter_errors(yaml.safe_load(path.read_text()))]
        assert not errors


def test_a_template_with_types_of_its_own_follows_it(rules: Any) -> None:
    rules.validate(yaml.safe_load(TEMPLATE))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("workers: {get_input: workers}", "wokers: 2"),
        ("workers: {get_input: workers}", "workers: many"),
        ("workers: {get_input: workers}", "workers: -1"),
        ("workers: {get_input: workers}", "workers: {get_inptu: workers}"),
        ("2 GiB", "2 G"),
        ("2 GiB", "2"),
        ("- host: platform", "- hots: platform"),
        ("- host: platform", "- host: 3"),
        ("cantiere.nodes.HTCondorPool", "cantiere.nodes.HTCondorPol"),
        ("tosca_simple_yaml_1_3", "tosca_simple_yaml_1_9"),
        ("node_templates:", "node_template:"),
        ("type: integer", "type: int"),
        ("      properties:\n", "      propertys:\n"),
    ],
)
def test_a_broken_template_does_not(old: str, new: str, rules: Any) -> None:
    assert old in TEMPLATE
    assert not rules.is_valid(yaml.safe_load(TEMPLATE.replace(old, new, 1)))


def test_required_properties(rules: Any) -> None:
    node = "    release: {type: cantiere.nodes.HelmRelease, properties: {namespace: a}}\n"
    errors = list(rules.iter_errors(yaml.safe_load(TEMPLATE + node)))
    assert any("'chart' is a required property" in error.message for error in errors)


def test_descriptions_and_defaults_are_there_for_completion(rules: Any) -> None:
    (rule,) = (
        one for one in rules.schema["definitions"]["node"]["allOf"] if one["if"]["properties"]["type"]["const"] == "cantiere.nodes.CVMFS"
    )
    driver = rule["then"]["properties"]["properties"]["properties"]["driver"]
    assert driver["default"] == "own" and driver["description"].startswith("What mounts")
    assert driver["anyOf"][0] == {"type": "string", "enum": ["own", "csi", "node"]}


def test_the_verb(capsys: pytest.CaptureFixture[str], rules: Any) -> None:
    assert cli.main(["types", "--json-schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(rules.schema))
    assert cli.main(["types", "IAM", "--json-schema"]) == 1
