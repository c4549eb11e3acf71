"""Charts are the pinned ones: folders as they are, packages by their hash, others refused with a way on."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from pathlib import Path

import pytest
import yaml

from cantiere.errors import CantiereError
from cantiere.site import REPOSITORY
from cantiere.supply import bundle, charts, mirror, pins
from cantiere.supply.pins import Anywhere

ENSURE = charts.ensure
PINNED = pins.catalogue(Anywhere())["charts"]
PARTS = {
    "Chart.yaml": "apiVersion: v2\nname: small\nversion: 1.2.3\nkubeVersion: '>=1.28.0-0'\n"
    "dependencies: [{name: below, version: 0.1.0, alias: under}]\n",
    "values.yaml": "replicas: 1\nmatch: =\n",
    "values.schema.json": '{"type": "object"}\n',
    "crds/one.yaml": "kind: CustomResourceDefinition\nmetadata: {name: ones.example.com}\n---\n",
    "charts/below/Chart.yaml": "apiVersion: v2\nname: below\nversion: 0.1.0\n",
    "charts/below/values.yaml": "deep: true\n",
}


def quiet(line: str) -> None:
    assert line


def package(place: Path, parts: dict[str, str]) -> str:
    """A packaged chart; its hash."""
    with tarfile.open(place, "w:gz") as archive:
        for name, text in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return hashlib.sha256(place.read_bytes()).hexdigest()


def site_of(tmp_path: Path, supply: str = "upstream", place: str = "", **entry: object) -> Anywhere:
    own = tmp_path / "pins.yml"
    own.write_text(yaml.safe_dump({"charts": {"small": entry}}), encoding="utf-8")
    return Anywhere(supply, place, own)


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, str]:
    place = tmp_path / "small-1.2.3.tgz"
    return place, package(place, {f"small/{name}": text for name, text in PARTS.items()})


@pytest.mark.parametrize("name", PINNED)
def test_pins(name: str) -> None:
    entry = PINNED[name]
    if "folder" in entry:
        assert set(entry) == {"folder"} and entry["folder"].startswith("charts/")
        return
    published = entry["upstream"]
    assert re.fullmatch(r"v?\d+\.\d+\.\d+.*", str(entry["version"]))
    assert published["repository"].startswith(("https://", "oci://"))
    assert re.fullmatch("[0-9a-f]{64}", published.get("sha256", "0" * 64))
    assert "sha256" not in published or published["file"].startswith("https://")


def test_no_two_charts_have_one_hash() -> None:
    digests = [entry["upstream"]["sha256"] for entry in PINNED.values() if "sha256" in entry.get("upstream", {})]
    assert len(digests) > 20
    assert len(digests) == len(set(digests))


def test_every_folder_of_ours_is_pinned() -> None:
    assert {path.parent.name for path in (REPOSITORY / "charts").glob("*/Chart.yaml")} <= set(PINNED)


def test_package(tmp_path: Path, published: tuple[Path, str]) -> None:
    file, digest = published
    site = site_of(tmp_path, version="1.2.3", upstream={"file": str(file), "sha256": digest})
    root = tmp_path / "cache"
    assert charts.files("small", site, root) is None
    assert charts.missing(["small"], site, root) == ("small",)
    place = charts.chart("small", site, quiet, root)
    assert (place / "values.yaml").read_text(encoding="utf-8") == PARTS["values.yaml"]
    assert charts.missing(["small"], site, root) == ()
    found = charts.files("small", site, root)
    assert found is not None and found.subcharts["under"] is not None
    assert (found.name, found.version, found.kube_version) == ("small", "1.2.3", ">=1.28.0-0")
    assert found.values == {"replicas": 1, "match": "="}
    assert found.schema == {"type": "object"}
    assert found.crds == ("ones.example.com",)
    assert found.subcharts["under"].values == {"deep": True}
    file.unlink()
    assert charts.chart("small", site, quiet, root) == place, "it is in the store"


def test_another_file_is_refused(tmp_path: Path, published: tuple[Path, str]) -> None:
    site = site_of(tmp_path, version="1.2.3", upstream={"file": str(published[0]), "sha256": "0" * 64})
    with pytest.raises(CantiereError, match=f"expected sha256 {'0' * 64}, found {published[1]}"):
        charts.chart("small", site, quiet, tmp_path / "cache")
    assert charts.files("small", site, tmp_path / "cache") is None


def test_what_is_no_chart_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "small.tgz"
    digest = package(file, {"small/README.md": "nothing"})
    site = site_of(tmp_path, version="1.2.3", upstream={"file": str(file), "sha256": digest})
    with pytest.raises(CantiereError, match="holds no chart"):
        charts.chart("small", site, quiet, tmp_path / "cache")


def test_a_path_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "small.tgz"
    digest = package(file, {"small/Chart.yaml": "name: small", "../../stranger": "x"})
    site = site_of(tmp_path, version="1.2.3", upstream={"file": str(file), "sha256": digest})
    with pytest.raises(CantiereError, match="cannot be unpacked"):
        charts.chart("small", site, quiet, tmp_path / "cache")
    assert not list(tmp_path.rglob("stranger"))


@pytest.mark.parametrize(
    ("supply", "code"), [("upstream", "artifact.unpinned"), ("auto", "artifact.unpinned"), ("build", "artifact.unavailable")]
)
def test_without_a_hash_it_is_refused(tmp_path: Path, supply: str, code: str) -> None:
    site = site_of(tmp_path, supply, version="1.2.3", upstream={"repository": "https://charts.example"})
    with pytest.raises(CantiereError) as caught:
        charts.chart("small", site, quiet, tmp_path / "cache")
    (problem,) = caught.value.problems
    assert problem.code == code
    assert "charts: {small: {folder: ...}}" in problem.remedy
    assert charts.files("small", site, tmp_path / "cache") is None


def test_a_folder_takes_the_place_of_a_package(tmp_path: Path) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    (place / "Chart.yaml").write_text("name: jupyterhub\nversion: 0.1.0\n", encoding="utf-8")
    own = tmp_path / "pins.yml"
    own.write_text(f"charts: {{jupyterhub: {{folder: {place}}}}}\n", encoding="utf-8")
    site = Anywhere("build", "", own)
    assert charts.chart("jupyterhub", site, quiet, tmp_path / "cache") == place
    assert charts.origin("jupyterhub", site) == {"folder": str(place)}
    assert charts.origin("jupyterhub", Anywhere())["version"] == str(PINNED["jupyterhub"]["version"])
    before = charts.digest("jupyterhub", site)
    (place / "values.yaml").write_text("more: true\n", encoding="utf-8")
    assert charts.digest("jupyterhub", site) != before


def test_an_unknown_chart_says_where_to_name_it() -> None:
    with pytest.raises(CantiereError, match="there is no chart 'none'"):
        charts.chart("none", Anywhere(), quiet)


def test_from_a_bundle(tmp_path: Path, published: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    file, digest = published
    upstream = {"file": str(file), "sha256": digest}
    site = site_of(tmp_path, version="1.2.3", upstream=upstream)
    monkeypatch.setattr(bundle, "offered", lambda site: ())
    monkeypatch.setattr(bundle, "packaged", lambda site: ("small",))
    monkeypatch.setattr(bundle, "own_architecture", lambda: "none")
    folder = tmp_path / "bundle"
    with monkeypatch.context() as patch:
        patch.setattr(charts, "ensure", lambda name, site, log: ENSURE(name, site, log, tmp_path / "one"))
        bundle.pull(folder, site, ["amd64"], quiet)
    assert bundle.verify(folder, site) == []
    file.unlink()
    away = site_of(tmp_path, "mirror", str(folder), version="1.2.3", upstream=upstream)
    assert (charts.chart("small", away, quiet, tmp_path / "two") / "Chart.yaml").is_file()
    held = next((folder).rglob("*.tgz"))
    held.write_bytes(b"another")
    assert [problem.code for problem in bundle.verify(folder, site)] == ["artifact.hash"]
    with pytest.raises(CantiereError, match="is refused"):
        charts.chart("small", away, quiet, tmp_path / "three")
    assert mirror.read_index(str(folder))["left_out"] == []
