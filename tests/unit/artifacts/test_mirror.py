"""A bundle holds what is pinned, says what is wrong with it, and gives nothing away that is not what its index names."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from cantiere import supply
from cantiere.errors import CantiereError, Problem
from cantiere.supply import bundle, pins, store
from cantiere.supply.pins import Anywhere, Item, Supplied
from cantiere.supply.store import Log, Made, Stored

SITE = Anywhere("build")


def quiet(line: str) -> None:
    assert line


def put(wanted: Item, root: Path) -> Stored:
    """Something small in the place of an artifact."""

    def maker(folder: Path) -> Sequence[Made]:
        name = "image.tar" if wanted.references else wanted.name
        (folder / name).write_text(f"{wanted.name} {wanted.version} {wanted.arch}\n", encoding="utf-8")
        return [Made(name, ("other",) if not wanted.references else (), wanted.references)]

    return store.make(wanted, "build", maker, quiet, root)


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def ensure(names: Sequence[str], site: Supplied, arch: str, log: Log) -> Mapping[str, Stored]:
        return {name: put(pins.item(name, site, arch), tmp_path / "store") for name in names}

    monkeypatch.setattr(bundle, "ensure", ensure)
    bundle.pull(tmp_path / "bundle", SITE, ["amd64", "arm64"], quiet)
    return tmp_path / "bundle"


@pytest.fixture
def address(filled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(bundle.Handler, "log_message", lambda *_: None)
    server = bundle.server(filled, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def codes(problems: Sequence[Problem]) -> list[str]:
    return [problem.code for problem in problems]


def file_of(folder: Path, name: str) -> Path:
    return next(path for path in folder.glob(f"{name}/*-amd64-*/*"))


def test_whole(filled: Path) -> None:
    assert bundle.verify(filled, SITE) == []
    index = json.loads((filled / "index.json").read_text(encoding="utf-8"))
    held = {(entry["name"], entry["arch"]) for entry in index["artifacts"]}
    assert {(name, arch) for name in bundle.offered(SITE) for arch in pins.ARCHITECTURES} <= held
    assert ("rootfs", pins.own_architecture()) in held


def test_what_is_wrong(filled: Path) -> None:
    file_of(filled, "etcd").write_text("something else", encoding="utf-8")
    file_of(filled, "containerd").unlink()
    (filled / "stranger").write_text("?", encoding="utf-8")
    problems = bundle.verify(filled, SITE)
    assert sorted(codes(problems)) == ["artifact.hash", "mirror.missing", "mirror.stranger"]
    changed = next(problem for problem in problems if problem.code == "artifact.hash")
    assert "expected sha256" in changed.message and store.sha256(file_of(filled, "etcd")) in changed.message


def test_pulled_again(filled: Path) -> None:
    file_of(filled, "etcd").write_text("something else", encoding="utf-8")
    kept = file_of(filled, "containerd").stat().st_mtime_ns
    (filled / "stranger").write_text("?", encoding="utf-8")
    bundle.pull(filled, SITE, ["amd64", "arm64"], quiet)
    assert bundle.verify(filled, SITE) == []
    assert file_of(filled, "containerd").stat().st_mtime_ns == kept


def test_other_pins(filled: Path, tmp_path: Path) -> None:
    own = tmp_path / "pins.yml"
    own.write_text("binaries: {etcd: {version: 3.99.0}}\n", encoding="utf-8")
    site = Anywhere("mirror", str(filled), own)
    assert set(codes(bundle.verify(filled, site))) == {"mirror.pin"}
    with pytest.raises(CantiereError, match=r"lacks etcd 3\.99\.0 for amd64"):
        supply.ensure(["etcd"], site, "amd64", quiet, tmp_path / "fresh")


@pytest.mark.parametrize("by", ["folder", "web"])
def test_taken(filled: Path, address: str, tmp_path: Path, by: str) -> None:
    site = Anywhere("mirror", str(filled) if by == "folder" else address)
    stored = supply.ensure(["etcd", "pause-image"], site, "amd64", quiet, tmp_path / "fresh")
    assert {item.supply for item in stored.values()} == {"mirror"}
    assert stored["etcd"].files[0].links == ("other",)
    assert stored["pause-image"].images == pins.item("pause-image", SITE, "amd64").references
    sources = supply.placed(["etcd"], site, "amd64", tmp_path / "fresh")[0]["sources"]
    assert len(sources) == (1 if by == "folder" else 2)
    assert supply.missing(["etcd", "pause-image"], site, "amd64", tmp_path / "fresh") == ()


def test_a_changed_file_is_refused(filled: Path, address: str, tmp_path: Path) -> None:
    expected = store.sha256(file_of(filled, "etcd"))
    file_of(filled, "etcd").write_text("something else", encoding="utf-8")
    with pytest.raises(CantiereError) as caught:
        supply.ensure(["etcd"], Anywhere("mirror", address), "amd64", quiet, tmp_path / "fresh")
    message = caught.value.problems[0].message
    assert all(text in message for text in (expected, store.sha256(file_of(filled, "etcd")), f"{address}/etcd/"))
    assert [path for path in (tmp_path / "fresh").rglob("*") if path.is_file() and not path.name.endswith(".lock")] == []


def test_only_a_bundle_is_served(tmp_path: Path) -> None:
    with pytest.raises(CantiereError, match="index"):
        bundle.server(tmp_path, "127.0.0.1", 0)
