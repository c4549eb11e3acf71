"""A CSAR holds the template with all that it names, is the same every time, and others read it."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from toscaparser.tosca_template import ToscaTemplate

from cantiere import cli
from cantiere.declared import declared
from cantiere.errors import TemplateError
from cantiere.export.csar import archive
from cantiere.tosca.compile import load

HEAD = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
NODES = "topology_template:\n  node_templates:\n    n: {type: t.A}\n"


def unpacked(data: bytes, folder: Path) -> Path:
    """The entry of an unpacked archive."""
    zipfile.ZipFile(io.BytesIO(data)).extractall(folder)
    meta = (folder / "TOSCA-Metadata" / "TOSCA.meta").read_text()
    return folder / next(line.split(": ")[1] for line in meta.splitlines() if line.startswith("Entry-Definitions"))


@pytest.mark.parametrize("name", ["cluster.yaml", "facility.yaml"])
def test_our_templates(name: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # tosca-parser leaves there what it unpacks
    path = repository / "tosca" / "templates" / name
    data, notices = archive(declared(path))
    assert not notices
    entry = unpacked(data, tmp_path / "unpacked")
    assert load(entry).facility.outputs == load(path).facility.outputs
    (tmp_path / "a.csar.zip").write_bytes(data)
    parsed = ToscaTemplate(str(tmp_path / "a.csar.zip"))
    assert {node.name for node in parsed.nodetemplates} == {node.name for node in load(path).facility.nodes}


def test_the_same_bytes_every_time(repository: Path) -> None:
    template = declared(repository / "tosca" / "templates" / "cluster.yaml")
    assert archive(template) == archive(template)
    with zipfile.ZipFile(io.BytesIO(archive(template)[0])) as handle:
        assert {entry.date_time for entry in handle.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert handle.namelist()[0] == "TOSCA-Metadata/TOSCA.meta"


def test_the_archive_of_fixed_files(tmp_path: Path) -> None:
    """Golden: the bytes follow from the files alone, whatever the machine, the time and the folder."""
    path = tmp_path / "a.yaml"
    path.write_text(HEAD + "topology_template: {node_templates: {n: {type: tosca.nodes.Root}}}\n")
    path.touch()
    assert hashlib.sha256(archive(declared(path))[0]).hexdigest() == "7558d09e3de43f930c0ee62d5fbbd9f2fdb5de31628eab2c8139737cf1763966"


def test_what_nodes_name_is_there(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "create.sh").write_text("true\n")
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "Chart.yaml").write_text("name: chart\n")
    (tmp_path / "image.bin").write_bytes(b"\0\1")
    path = tmp_path / "a.yaml"
    path.write_text(
        HEAD + "imports: [generic.yaml]\n"
        "topology_template:\n  node_templates:\n    platform: {type: cantiere.nodes.Platform}\n"
        "    own:\n      type: cantiere.nodes.HelmRelease\n      properties: {chart: own, folder: chart}\n"
        "      requirements: [{host: platform}]\n"
        "      interfaces: {Standard: {create: scripts/create.sh, start: {implementation: absent.sh}}}\n"
        "      artifacts: {image: {type: tosca.artifacts.File, file: image.bin}}\n"
    )
    data, notices = archive(declared(path))
    assert not notices
    entry = unpacked(data, tmp_path / "out")
    for name in ("scripts/create.sh", "chart/Chart.yaml", "image.bin"):
        assert (entry.parent / name).read_bytes() == (tmp_path / name).read_bytes()
    assert load(entry).facility.node("own").properties["folder"] == "chart"


def test_imports_from_anywhere_are_found_in_the_archive(tmp_path: Path) -> None:
    """One file that is imported by two ways is in the archive once, and both find it."""
    (tmp_path / "x" / "types").mkdir(parents=True)
    (tmp_path / "x" / "base.yaml").write_text(HEAD + "node_types:\n  t.A:\n    derived_from: tosca.nodes.Root\n")
    (tmp_path / "x" / "types" / "more.yaml").write_text(HEAD + "imports:\n  - file: ../base.yaml\n")
    path = tmp_path / "x" / "a.yaml"
    path.write_text(HEAD + "imports:\n  - common.yaml  # ours\n  - own: types/more.yaml\n  - base.yaml\n" + NODES)
    data, _ = archive(declared(path))
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert [name.rpartition("/")[2] for name in names].count("base.yaml") == 1
    entry = unpacked(data, tmp_path / "out")
    assert "# ours" in entry.read_text(), "comments stay"
    assert load(entry).facility.node("n").type == "t.A"


def test_what_lies_outside_is_told(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    path = tmp_path / "x" / "a.yaml"
    path.parent.mkdir()
    nodes = (
        "topology_template: {node_templates: {n: {type: tosca.nodes.Root, artifacts: {k: {type: tosca.artifacts.File, file: ../key}}}}}\n"
    )
    path.write_text(HEAD + nodes)
    data, notices = archive(declared(path))
    assert [notice.code for notice in notices] == ["export.outside"]
    assert b"secret" not in data


def test_an_archive_is_not_packed_again(tmp_path: Path, repository: Path) -> None:
    template = declared(repository / "tosca" / "templates" / "cluster.yaml")
    packed = tmp_path / "a.csar"
    packed.write_bytes(archive(template)[0])
    object.__setattr__(template, "path", packed)
    with pytest.raises(TemplateError, match="archive already"):
        archive(template)


def test_the_verb(tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = repository / "tosca" / "templates" / "cluster.yaml", tmp_path / "a.csar"
    assert cli.main(["export", str(path), "--csar", str(out)]) == 0
    assert zipfile.is_zipfile(out)
    assert cli.main(["export", str(path), "--csar", str(tmp_path / "no" / "a.csar")]) == 3
    assert "cannot be written" in capsys.readouterr().err
