"""What a template becomes in a portfolio. To accept a change of the golden files: ``CANTIERE_GOLDEN=write pytest tests/unit/portfolio``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from cantiere.declared import declared
from cantiere.errors import CantiereError, TemplateError
from cantiere.portfolio.build import build
from cantiere.portfolio.check import check
from cantiere.portfolio.fields import fields, label
from cantiere.tosca.compile import load

HERE = Path(__file__).parent
TEMPLATE = HERE / "analysis.yaml"
GOLDEN = HERE / "golden"


def test_the_four_artefacts(tmp_path: Path) -> None:
    made = build(tmp_path, [TEMPLATE])
    assert len(made.files) == 4
    for name in made.files:
        golden = GOLDEN / name
        if os.environ.get("CANTIERE_GOLDEN") == "write":
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_text((tmp_path / name).read_text(encoding="utf-8"), encoding="utf-8")
        assert (tmp_path / name).read_text(encoding="utf-8") == golden.read_text(encoding="utf-8"), name


def test_what_the_dashboard_cannot_show_is_told(tmp_path: Path) -> None:
    notices = build(tmp_path, [TEMPLATE]).notices
    unshown = [notice for notice in notices if notice.code == "portfolio.unshown"]
    assert [notice.path for notice in unshown] == ["topology_template.inputs.limits"]
    assert unshown[0].where is not None and (unshown[0].where.line, unshown[0].where.column) == (49, 7)


def test_every_template_of_the_project(repository: Path, tmp_path: Path) -> None:
    templates = sorted((repository / "tosca" / "templates").glob("*.yaml"))
    made = build(tmp_path, templates)
    assert len(made.files) == 3 * len(templates) + 1
    report = check(tmp_path)
    assert not report.errors and not report.warnings
    for template in templates:
        parameters = yaml.safe_load((tmp_path / "tosca-parameters" / f"{template.stem}.parameters.yml").read_text())
        assert parameters["inputs"].keys() == declared(template).inputs.keys()
        written = load(tmp_path / "tosca-templates" / template.name).facility
        assert written.outputs == load(template).facility.outputs


def test_parameters_follow_the_inputs() -> None:
    found = {field.name: field for field in fields(declared(TEMPLATE))}
    assert found["workers"].tab == "Batch", "the type of the only node that uses it names the tab"
    assert (found["groups"].tab, found["groups"].label) == ("Access", "Who may submit"), "the input itself wins"
    assert found["store_mode"].tab == "General"
    assert found["admin_password"].secret and found["admin_password"].required
    assert found["copies"].choices == (1, 3)


@pytest.mark.parametrize(
    ("name", "metadata", "secret"),
    [
        ("admin_token", "", True),
        ("key", "", False),
        ("key", "metadata: {secret: true}", True),
        ("password_file", "metadata: {secret: false}", False),
    ],
)
def test_secrets_are_called_so_or_say_so(name: str, metadata: str, secret: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "tosca_definitions_version: tosca_simple_yaml_1_3\ntopology_template:\n  inputs:\n"
        f"    {name}:\n      type: string\n      {metadata}\n"
    )
    (field,) = fields(declared(path))
    assert field.secret is secret


@pytest.mark.parametrize(
    ("name", "shown"),
    [("workers", "Workers"), ("cpus_per_worker", "CPUs per worker"), ("iam_client_id", "IAM client ID"), ("s3_url", "S3 URL")],
)
def test_labels(name: str, shown: str) -> None:
    assert label(name) == shown


def test_cards_of_others_stay_and_ours_are_replaced(tmp_path: Path) -> None:
    build(tmp_path, [TEMPLATE])
    path = tmp_path / "tosca-metadata" / "metadata.yml"
    cards = yaml.safe_load(path.read_text())
    (tmp_path / "tosca-templates" / "vm.yaml").write_text(
        "tosca_definitions_version: tosca_simple_yaml_1_0\nmetadata: {template_name: vm}\ntopology_template: {}\n"
    )
    other = {**cards["services"][0], "templates": [{"name": "vm"}]}
    other["metadata"] = {**other["metadata"], "bookmark_id": "vm"}
    path.write_text(yaml.safe_dump({"version": "1.1.0", "services": [other, *cards["services"]]}))
    build(tmp_path, [TEMPLATE], ["cms"])
    services = yaml.safe_load(path.read_text())["services"]
    assert [service["metadata"]["bookmark_id"] for service in services] == ["vm", "analysis"]
    assert services[1]["metadata"]["visibility"] == {"type": "private", "groups": ["cms"]}


def test_an_icon_beside_the_template_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(TEMPLATE.read_text().replace("display_name: Analysis", "icon: images/pool.png"))
    codes = [notice.code for notice in build(tmp_path / "portfolio", [path]).notices]
    assert "portfolio.icon" in codes
    path.write_text(TEMPLATE.read_text().replace("display_name: Analysis", "icon: https://example.org/pool.png"))
    assert "portfolio.icon" not in [notice.code for notice in build(tmp_path / "portfolio", [path]).notices]
    card = yaml.safe_load((tmp_path / "portfolio" / "tosca-metadata" / "metadata.yml").read_text())["services"][0]
    assert card["metadata"]["icon"] == "https://example.org/pool.png"


def test_an_invalid_template_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(TEMPLATE.read_text().replace("default: 2\n", "default: 900\n"))
    with pytest.raises(TemplateError) as caught:
        build(tmp_path / "portfolio", [bad])
    assert [problem.code for problem in caught.value.problems] == ["property.constraint"]
    assert not (tmp_path / "portfolio").exists()


def test_what_is_there_already_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "tosca-templates").mkdir()
    (tmp_path / "tosca-templates" / "old.yaml").write_text("tosca_definitions_version: tosca_simple_yaml_1_0\ntopology_template: {}\n")
    with pytest.raises(CantiereError) as caught:
        build(tmp_path, [TEMPLATE])
    assert [problem.code for problem in caught.value.problems] == ["portfolio.template_name"]
