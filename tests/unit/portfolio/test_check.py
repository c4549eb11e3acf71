"""What would break the dashboard is found in anybody's folder, with its place and a remedy; the rules are facts of its code."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cantiere import cli
from cantiere.errors import CantiereError
from cantiere.portfolio.check import check
from cantiere.portfolio.pages import Report

TEMPLATE = """\
tosca_definitions_version: tosca_simple_yaml_1_0
metadata:
  template_name: vm
  visibility: {type: public, groups_regex: '.*'}
topology_template:
  inputs:
    num_cpus: {type: integer, default: 1}
    mem_size: {type: scalar-unit.size, default: 2 GB}
    flavor: {type: string, default: small}
    users: {type: list, entry_schema: {type: string}}
    ports: {type: map, entry_schema: {type: tosca.datatypes.indigo.network.PortSpec}}
  node_templates:
    server: {type: tosca.nodes.Compute}
"""
PARAMETERS = """\
tabs: [Basic, More]
inputs:
  num_cpus: {tab: Basic, display_name: Cores}
  flavor:
    tab: More
    type: select
    constraints:
      - {value: small, label: Small, set: {num_cpus: 1, mem_size: 2 GB}}
"""
CARDS = """\
version: 1.1.0
services:
  - description: One machine
    metadata:
      display_name: Machine
      bookmark_id: vm
      guide_url: ''
      icon: https://example.org/vm.png
      visibility: {groups_regex: '.*'}
    templates:
      - {name: vm, option: Public}
"""
FILES = {
    "tosca-templates/vm/vm.yaml": TEMPLATE,
    "tosca-parameters/vm/vm.parameters.yml": PARAMETERS,
    "tosca-metadata/metadata.yml": CARDS,
}
T, P, C = FILES


def checked(folder: Path, changes: dict[str, str | tuple[str, str] | None]) -> Report:
    """The report of the folder, with files replaced, edited (old, new) or removed."""
    for name, text in {**FILES, **{name: FILES.get(name, "") for name in changes}}.items():
        change = changes.get(name, text)
        if change is None:
            continue
        if isinstance(change, tuple):
            assert change[0] in text
            change = text.replace(*change)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(change)
    return check(folder, "d")


def test_nothing_wrong(tmp_path: Path) -> None:
    report = checked(tmp_path, {})
    assert not report.errors and not report.warnings


@pytest.mark.parametrize(
    ("changes", "code", "place", "says"),
    [
        ({T: ("  template_name: vm\n", "")}, "template_name", f"d/{T}:2:1", "loads none"),
        ({"tosca-templates/other.yaml": TEMPLATE}, "template_name", f"d/{T}:3:3", "one hides the other"),
        ({T: ("type: integer, ", "")}, "type", "d/tosca-parameters/vm/vm.parameters.yml:3:3", "has no type"),
        (
            {T: ("users: {type: list, entry_schema: {type: string}}", "users: {type: list}")},
            "entry_schema",
            f"d/{T}:10:5",
            "type of its entries",
        ),
        ({T: ("entry_schema: {type: string}", "entry_schema: string")}, "entry_schema", f"d/{T}:10:25", "type of its entries"),
        (
            {T: ("type: list, entry_schema: {type: string}", "type: list, entry_schema: {type: map}")},
            "entry_schema",
            f"d/{T}:10:25",
            "is lost",
        ),
        ({T: ("tosca.datatypes.indigo.network.PortSpec", "integer")}, "entry_schema", f"d/{T}:11:24", "sent as a text"),
        ({T: ("default: 2 GB", "default: 2GB")}, "size", f"d/{T}:8:40", "'2GB'"),
        ({T: (", default: 2 GB", "")}, "size", f"d/{T}:8:5", "missing"),
        ({T: ("default: 2 GB", "default: 2 GB, constraints: {in_range: [1024 MB, 8 GB]}")}, "size", f"d/{T}:8:69", "another unit"),
        ({T: ("default: 2 GB", "default: 2 GB, constraints: {in_range: [1GB]}")}, "size", f"d/{T}:8:69", "cannot read"),
        ({T: ("topology_template:", "topology:")}, "schema", f"d/{T}:1:1", "'topology_template'"),
        ({T: ("inputs:\n", "inputs: 7\n  other:\n")}, "schema", f"d/{T}:6:3", "a mapping"),
        ({T: ("num_cpus:", "7:")}, "schema", f"d/{T}:6:3", "a text"),
        ({T: ("default: 1", "default: 2026-01-31")}, "value", f"d/{T}:7:31", "date"),
        ({T: ("    num_cpus", "\tnum_cpus")}, "tab", f"d/{T}:7:1", "tab"),
        ({P: ("set: {num_cpus: 1, mem_size: 2 GB}", "x: y")}, "flavor", f"d/{P}:7:5", "lacks set"),
        ({P: ("label: Small, ", "")}, "flavor", f"d/{P}:7:5", "lacks label"),
        ({P: ("mem_size: 2 GB", "memory: 2 GB")}, "flavor", f"d/{P}:7:5", "no mem_size"),
        ({P: ("num_cpus: 1", "num_cpus_node: 1")}, "flavor", f"d/{P}:7:5", "'num_cpus_node', which is no input"),
        (
            {P: ("    constraints:\n      - {value: small, label: Small, set: {num_cpus: 1, mem_size: 2 GB}}\n", "")},
            "flavor",
            f"d/{P}:4:3",
            "without",
        ),
        ({P: ("type: select", "type: selekt")}, "form_type", f"d/{P}:6:5", "'selekt'"),
        ({P: ("Cores}", "Cores, type: radio}")}, "choices", f"d/{P}:3:47", "nothing to choose"),
        ({P: ("Cores}", "Cores, type: multiselect}")}, "form_type", f"d/{P}:3:47", "'options'"),
        ({P: ("[Basic, More]", "[Basic, More settings]")}, "schema", f"d/{P}:1:15", "More settings"),
        ({P: ("[Basic, More]", "[Basic, Advanced]")}, "schema", f"d/{P}:1:15", "Advanced"),
        ({P: ("tabs:", "tab:")}, "schema", f"d/{P}:1:1", "no keyword 'tab'"),
        ({P: ""}, "schema", f"d/{P}", "nothing"),
        ({P: "../shared.yml\n"}, "link", "d/tosca-parameters/vm/vm", "not there"),
        ({C: ("groups_regex: '.*'", "type: public")}, "schema", f"d/{C}:9:7", "locked for everybody"),
        ({C: ("version: 1.1.0\n", "")}, "visibility", f"d/{C}:8:7", "has no type"),
        ({C: ("1.1.0", "1.1")}, "schema", f"d/{C}:1:1", "1.1"),
        ({C: ("name: vm,", "name: wm,")}, "card", f"d/{C}:11:10", "'wm'"),
        ({C: ("      guide_url: ''\n", "")}, "schema", f"d/{C}:4:5", "'guide_url'"),
        ({C: ("guide_url: ''", "guide_url: ''\n      guide: ''")}, "schema", f"d/{C}:8:7", "'guide'"),
        ({C: ("https://example.org/vm.png", "vm.png")}, "schema", f"d/{C}:8:7", "vm.png"),
        ({C: (CARDS, CARDS + CARDS.split("services:\n")[1].replace("One", "A"))}, "bookmark", f"d/{C}:15:7", "another card"),
        ({C: None, T: (", groups_regex: '.*'", "")}, "visibility", f"d/{T}:4:3", "locked for everybody"),
        ({C: None, T: ("type: public, ", "")}, "visibility", f"d/{T}:4:3", "has no type"),
        (
            {"tosca-metadata/vm/vm.metadata.yml": "metadata: {allowed_groups: [cms]}\n"},
            "schema",
            "d/tosca-metadata/vm/vm.metadata.yml:1:12",
            "no longer",
        ),
        (
            {"tosca-metadata/vm/vm.metadata.yml": "metadata: {require_ssh_key: 'no'}\n"},
            "schema",
            "d/tosca-metadata/vm/vm.metadata.yml:1:12",
            "true or",
        ),
    ],
)
def test_what_breaks_the_dashboard(
    changes: dict[str, str | tuple[str, str] | None], code: str, place: str, says: str, tmp_path: Path
) -> None:
    report = checked(tmp_path, changes)
    found = [problem for problem in report.errors if problem.code in (f"portfolio.{code}", f"document.{code}")]
    assert [str(problem.where) for problem in found][:1] == [place], [str(problem) for problem in report.errors]
    assert says in found[0].message
    assert found[0].remedy


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({P: ("tab: More", "tab: Mor")}, "tab", "nobody sees it"),
        ({P: ("num_cpus: {", "num_cpu: {type: text, ")}, "input", "not one of the template's"),
        ({T: ("type: integer", "type: tosca.datatypes.Credential")}, "type", "line of text"),
        ({C: ("name: vm,", "name: wm,")}, "unseen", "No card shows"),
        ({"tosca-parameters/old.parameters.yml": "inputs: {}\n"}, "orphan", "no template"),
        ({T: ("default: 1}", "default: 1, default: 2}")}, "duplicate", "already written"),
    ],
)
def test_what_hardly_anybody_means(changes: dict[str, str | tuple[str, str] | None], code: str, says: str, tmp_path: Path) -> None:
    found = [problem for problem in checked(tmp_path, changes).warnings if problem.code in (f"portfolio.{code}", f"document.{code}")]
    assert len(found) == 1 and says in found[0].message and found[0].where is not None


def test_parameters_may_be_another_file(tmp_path: Path) -> None:
    report = checked(tmp_path, {P: "../common.yml", "tosca-parameters/common.yml": PARAMETERS.replace("type: select", "type: selekt")})
    assert [str(problem.where) for problem in report.errors] == ["d/tosca-parameters/common.yml:6:5"]
    assert not report.warnings


def test_templates_may_be_the_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "vm.yml").write_text(TEMPLATE)
    (tmp_path / "tosca-parameters").mkdir()
    (tmp_path / "tosca-parameters" / "vm.parameters.yml").write_text(PARAMETERS.replace("num_cpus: 1, ", ""))
    assert [problem.code for problem in check(tmp_path).errors] == ["portfolio.flavor"]


@pytest.mark.parametrize("name", ["absent", "."])
def test_a_folder_without_templates(name: str, tmp_path: Path) -> None:
    with pytest.raises(CantiereError):
        check(tmp_path / name)


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked(tmp_path, {})
    assert cli.main(["portfolio", "check", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"errors": [], "warnings": []}
    checked(tmp_path, {P: ("type: select", "type: selekt")})
    assert cli.main(["portfolio", "check", str(tmp_path), "--json"]) == 1
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert (error["line"], error["column"], error["remedy"]) == (6, 5, "Did you mean 'select'?")
    assert cli.main(["portfolio", "check", str(tmp_path)]) == 1
    assert f"{tmp_path}/{P}:6:5" in capsys.readouterr().err


WORDS = ("{", "}", "[", "]", ":", "- ", "\n", "  ", "7", "null", "'", "*", "&a ", "2026-01-31", "flavor", "type", "in_range", "select", "x")


@settings(max_examples=80, deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_folder_crashes(data: st.DataObject) -> None:
    """Whatever is in the files, the answer is a report, with a place for every problem."""
    name = data.draw(st.sampled_from(list(FILES)))
    text = FILES[name]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.sampled_from(WORDS)) + text[end:]
    with tempfile.TemporaryDirectory() as folder:
        report = checked(Path(folder), {name: text})
        assert all(problem.where is not None for problem in (*report.errors, *report.warnings))


def test_what_cannot_be_written_is_told(tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    template = str(repository / "tosca" / "templates" / "cluster.yaml")
    assert cli.main(["portfolio", "build", str(tmp_path / "file"), template]) == 1
    assert "cannot be written" in capsys.readouterr().err
