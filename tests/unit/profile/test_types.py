"""``cantiere types``: what a type is, with an example that is valid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cantiere import cli
from cantiere.declared import plain
from cantiere.errors import CantiereError
from cantiere.profile.sheets import Catalogue, catalogue
from cantiere.tosca.compile import load


@pytest.fixture(scope="module")
def types() -> Catalogue:
    return catalogue()


def test_a_sheet(types: Catalogue) -> None:
    sheet = types.sheet(types.find("cantiere.nodes.CVMFS"))
    assert sheet["kind"] == "node type" and sheet["file"] == "tosca/types/cvmfs.yaml"
    assert sheet["derived_from"] == ["cantiere.nodes.Service", "tosca.nodes.Root"]
    properties = {one["name"]: one for one in sheet["properties"]}
    assert properties["driver"]["constraints"] == [{"valid_values": ["own", "csi", "node"]}]
    assert properties["cache_size"]["default"] == "4 GiB"
    assert properties["repositories"]["type"] == "list of string"
    assert properties["driver"]["description"].startswith("What mounts on a cluster")
    assert {one["name"]: one["node"] for one in sheet["requirements"]}["host"] == "cantiere.nodes.Platform", "inherited"
    assert {"name": "software", "type": "cantiere.capabilities.Software"} in sheet["capabilities"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("HTCondorPool", "cantiere.nodes.HTCondorPool"),
        ("nodes.HTCondorPool", "cantiere.nodes.HTCondorPool"),
        ("tosca.nodes.Compute", "tosca.nodes.Compute"),
        ("NotebookImage", "cantiere.datatypes.NotebookImage"),
        ("nodes.Platform", "cantiere.nodes.Platform"),
    ],
)
def test_names(name: str, found: str, types: Catalogue) -> None:
    assert types.find(name).name == found


@pytest.mark.parametrize(
    ("name", "code", "remedy"),
    [
        ("HTCondorPol", "type.unknown", "Did you mean 'HTCondorPool'?"),
        ("cantiere.nodes.Jupyterhub", "type.unknown", "Did you mean 'cantiere.nodes.JupyterHub'?"),
        ("nothing of the kind", "type.unknown", "see `cantiere types` for all of them"),
        ("Platform", "type.several", "use one of: cantiere.nodes.Platform, cantiere.capabilities.Platform"),
    ],
)
def test_unknown_names(name: str, code: str, remedy: str, types: Catalogue) -> None:
    with pytest.raises(CantiereError) as caught:
        types.find(name)
    assert [(problem.code, problem.remedy) for problem in caught.value.problems] == [(code, remedy)]


def test_every_type_of_the_profile_has_a_sheet(types: Catalogue) -> None:
    for type_ in types.own():
        sheet = types.sheet(type_)
        assert json.loads(json.dumps(sheet)) == sheet
        yaml.safe_load(sheet.get("example", ""))


def test_examples_are_valid(types: Catalogue, repository: Path, tmp_path: Path) -> None:
    """The examples of all node types of ours, put together, are a valid template; machines come from the site."""
    nodes = [type_ for type_ in types.own() if type_.section == "node_types" and type_.name.startswith("cantiere.")]
    assert len(nodes) > 20
    found: dict[str, object] = {}
    for type_ in nodes:
        if type_.name != "cantiere.nodes.Machine":
            found |= yaml.safe_load(types.sheet(type_)["example"])
    template = {
        "tosca_definitions_version": "tosca_simple_yaml_1_3",
        "imports": sorted(path.name for path in (repository / "tosca" / "types").glob("*.yaml")),
        "topology_template": {"node_templates": found},
    }
    path = tmp_path / "example.yaml"
    path.write_text(yaml.safe_dump(template))
    assert len(load(path).facility.nodes) == len(nodes) - 1


def test_samples_follow_constraints(types: Catalogue) -> None:
    for type_ in types.own():
        for name, schema in types.definitions.properties(type_).items():
            value = types.sample(schema)
            for constraint in schema.constraints:
                if constraint.operator in ("valid_values", "in_range") and schema.base in ("string", "integer", "float"):
                    assert not constraint.broken(value), f"{type_.name}.{name}: {value}"


def test_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["types", "IAM"]) == 0
    shown = capsys.readouterr().out
    for part in ("cantiere.nodes.IAM (node type, tosca/types/iam.yaml:", "derived from cantiere.nodes.Service → tosca.nodes.Root"):
        assert part in shown
    assert '  token_lifetime: scalar-unit.time, default "1 h", in_range ["1 m", "1 d"]\n' in shown
    assert "  host: cantiere.nodes.Platform (1)\n" in shown
    assert cli.main(["types"]) == 0
    assert "cantiere.nodes.HTCondorPool" in capsys.readouterr().out
    assert cli.main(["types", "--json"]) == 0
    assert {"cantiere.nodes.IAM", "cantiere.datatypes.NotebookImage"} <= {one["name"] for one in json.loads(capsys.readouterr().out)}
    assert cli.main(["types", "IAM", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "cantiere.nodes.IAM"
    assert cli.main(["types", "Iam2", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["errors"][0]["remedy"] == "Did you mean 'IAM'?"


def test_defaults_are_shown_as_written(types: Catalogue) -> None:
    type_ = types.find("cantiere.nodes.JupyterHub")
    shown = {one["name"]: one.get("default") for one in types.sheet(type_)["properties"]}
    for name, schema in types.definitions.properties(type_).items():
        assert shown[name] == plain(schema.default)
