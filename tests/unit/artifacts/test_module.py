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


CTR = """#!/bin/sh
# containerd's store as files: name, digest and labels of an image in each
shift 3
cd {store}
case $0-$1 in
*-ls) echo REF TYPE DIGEST SIZE PLATFORMS LABELS; cat image-* 2>/dev/null || : ;;
*-import)
  echo imported >>imports
  for name in a b; do echo "$name:1 type sha256:$(grep -c . imports) 1 MiB linux/amd64 -" >image-$name:1; done
  ;;
*-label) sed -i "s#-\\$#$3,{managed}#" image-$2 ;;
esac
"""


@pytest.fixture
def store(body: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for containerd's store, and ``ctr`` that works on it."""
    folder, program = tmp_path / "containerd", tmp_path / "ctr"
    folder.mkdir()
    program.write_text(CTR.format(store=folder, managed=body.MANAGED))
    program.chmod(0o755)
    monkeypatch.setattr(body.shutil, "which", lambda *_, **__: str(program))
    return folder


def test_images(body: ModuleType, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image.tar").write_bytes(CONTENT)
    row = {"archive": str(tmp_path / "image.tar"), "sha256": DIGEST, "references": ["a:1", "b:1"], "sources": [], "artifact": "image"}
    memory: dict[str, Any] = {"files": {}, "images": {}}

    def load(check: bool = False) -> list[str]:
        changes: list[str] = []
        body.load(row, body.Images(), memory, {}, check, changes, [])
        return changes

    def imports() -> int:
        return len((store / "imports").read_text().split()) if (store / "imports").exists() else 0

    assert (load(check=True), imports()) == (["images a:1, b:1"], 0)
    assert (load(), imports()) == (["images a:1, b:1"], 1)
    assert (load(), imports()) == ([], 1)
    (store / "image-b:1").unlink()
    assert (load(), imports()) == (["images a:1, b:1"], 2)
    (store / "image-a:1").write_text(f"a:1 type sha256:another 1 MiB linux/amd64 {body.PINNED},{body.MANAGED}\n")
    assert (load(), imports()) == (["images a:1, b:1"], 3)
    (store / "image-a:1").write_text("a:1 type sha256:3 1 MiB linux/amd64 -\n")  # an import that was killed before its marks
    assert (load(), imports()) == (["images a:1, b:1"], 4)
    monkeypatch.setattr(body.shutil, "which", lambda *_, **__: None)
    with pytest.raises(body.Refused, match="ctr is not installed"):
        load()


def test_an_image_that_the_kubelet_is_not_offered_is_told(
    body: ModuleType, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "MANAGED", "another")
    monkeypatch.setattr(body, "PATIENCE", 0)
    with pytest.raises(body.Refused, match="does not offer the kubelet a:1, b:1"):
        body.Images().load("image.tar", ["a:1", "b:1"])
