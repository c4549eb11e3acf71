"""Images that carry programs of the store: what they are made from, and what the engine is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere import artifacts, imagebuild, preflight
from cantiere.engine import Engine
from cantiere.supply import pins

IMAGE = "worker-apptainer"


def test_an_image_is_another_one_when_its_programs_are(monkeypatch: pytest.MonkeyPatch) -> None:
    before = artifacts.catalogue.__wrapped__()
    item = pins.item
    monkeypatch.setattr(artifacts, "item", lambda *asked: dataclasses.replace(item(*asked), pin="another"))
    after = artifacts.catalogue.__wrapped__()
    assert {name for name in before if before[name] != after[name]} == {IMAGE}


def test_programs_are_build_contexts_of_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    told: list[list[str]] = []

    def ensure(names: list[str], *others: Any) -> dict[str, Any]:
        asked.append(names)
        return {name: SimpleNamespace(folder=Path("/store") / name) for name in names}

    monkeypatch.setattr(imagebuild, "ensure", ensure)
    monkeypatch.setattr(imagebuild, "_stream", lambda _engine, command, *_others: told.append(command))
    site: Any = None
    for name in ("worker", IMAGE):
        imagebuild.build(Engine("podman"), artifacts.catalogue()[name], site, print)
    usual, carrying = told
    assert asked == [["apptainer"]] and "--build-context" not in usual
    assert carrying[carrying.index("--build-context") + 1] == "apptainer=/store/apptainer"
    text = (artifacts.catalogue()[IMAGE].folder / "Containerfile").read_text(encoding="utf-8")
    assert text.count("COPY --from=apptainer ") == 2


def test_a_missing_c_compiler_is_told_before_anything_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(preflight.supply, "missing", lambda names, *_others: names)
    images = [(name, "", artifacts.catalogue()[name].reference) for name in ("worker", IMAGE)]
    workspace: Any = SimpleNamespace(wanted=SimpleNamespace(images=images), site=pins.Anywhere())
    nothing: Any = SimpleNamespace(images=())
    (problem,) = preflight._compilers(workspace, nothing)
    assert "apptainer" in problem.message and "libc6-dev" in problem.remedy
    everything: Any = SimpleNamespace(images=[reference for _, _, reference in images])
    assert list(preflight._compilers(workspace, everything)) == []
