"""Module cantiere_artifacts: what is there is left alone, what is wrong is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.modules import module

CONTENT = b"the program\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
EMPTY: dict[str, dict[str, Any]] = {"files": {}, "images": {}}


@pytest.fixture
def body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loaded = module("cantiere_artifacts")
    monkeypatch.setattr(loaded, "MEMORY", str(tmp_path / "memory" / "artifacts.json"))
    return loaded


@pytest.fixture
def row(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "store").write_bytes(CONTENT)
    return {
        "dest": str(tmp_path / "bin" / "program"),
        "sha256": DIGEST,
        "mode": "0755",
        "links": [str(tmp_path / "bin" / "other")],
        "sources": [str(tmp_path / "none"), str(tmp_path / "store")],
        "artifact": "program",
    }


def install(
    body: ModuleType, row: dict[str, Any], check: bool = False, received: dict[str, str] | None = None
) -> tuple[list[str], list[Any]]:
    changes: list[str] = []
    lacking: list[Any] = []
    memory = body.remembered()
    body.install(row, memory, received or {}, check, changes, lacking)
    if not check:
        body.remember(memory)
    return changes, lacking


def test_installed_once(body: ModuleType, row: dict[str, Any]) -> None:
    assert install(body, row, check=True) == ([f"{row['dest']}: absent -> {DIGEST[:12]}", f"{row['links'][0]} -> program"], [])
    assert not Path(row["dest"]).exists()
    changes, _ = install(body, row)
    assert len(changes) == 2
    assert Path(row["links"][0]).read_bytes() == CONTENT
    assert Path(row["dest"]).stat().st_mode & 0o7777 == 0o755
    assert install(body, row) == ([], [])


def test_known_content_is_not_read_again(body: ModuleType, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    install(body, row)

    def never(path: str) -> str:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(body, "digest_of", never)
    assert install(body, row) == ([], [])


def test_changed_on_the_machine(body: ModuleType, row: dict[str, Any]) -> None:
    install(body, row)
    Path(row["dest"]).write_bytes(b"somebody's own\n")
    Path(row["links"][0]).unlink()
    changes, _ = install(body, row)
    assert len(changes) == 2
    assert Path(row["dest"]).read_bytes() == CONTENT
    Path(row["dest"]).chmod(0o700)
    assert install(body, row)[0] == [f"{row['dest']}: mode 0755"]


def test_another_file_is_refused(body: ModuleType, row: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"something else\n")
    with pytest.raises(body.Refused) as caught:
        install(body, row)
    found = hashlib.sha256(b"something else\n").hexdigest()
    assert all(text in str(caught.value) for text in (DIGEST, found, str(tmp_path / "store")))
    assert list((tmp_path / "bin").iterdir()) == []


def test_what_no_source_has(body: ModuleType, row: dict[str, Any], tmp_path: Path) -> None:
    row["sources"] = [str(tmp_path / "none")]
    changes, lacking = install(body, row)
    assert (changes, lacking) == ([], [{"sha256": DIGEST, "sources": row["sources"], "what": "program"}])
    changes, lacking = install(body, row, received={DIGEST: str(tmp_path / "store")})
    assert (len(changes), lacking) == (2, [])


class Containerd:
    """What the module asks of containerd, without containerd."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.problem = ""
        self.loaded: list[str] = []

    def load(self, archive: str, references: list[str]) -> None:
        self.loaded.append(archive)
        self.digests |= dict.fromkeys(references, f"sha256:{len(self.loaded)}")


def test_images(body: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(CONTENT)
    row = {"archive": str(tmp_path / "image.tar"), "sha256": DIGEST, "references": ["a:1", "b:1"], "sources": [], "artifact": "image"}
    containerd, memory = Containerd(), {"files": {}, "images": {}}

    def load(check: bool = False) -> list[str]:
        changes: list[str] = []
        body.load(row, containerd, memory, {}, check, changes, [])
        return changes

    assert (load(check=True), containerd.loaded) == (["images a:1, b:1"], [])
    assert (load(), containerd.loaded) == (["images a:1, b:1"], [row["archive"]])
    assert load() == []
    del containerd.digests["b:1"]
    assert load() == ["images a:1, b:1"]
    containerd.digests["a:1"] = "sha256:another"
    assert load() == ["images a:1, b:1"]
    containerd.problem, row["sha256"] = "connection refused", hashlib.sha256(b"").hexdigest()
    with pytest.raises(body.Refused, match="connection refused"):
        load()
