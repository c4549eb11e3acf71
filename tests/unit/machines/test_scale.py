"""``scale --auto``: what was applied is opened anew each time that it decides."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere import scale_verbs, workspace
from cantiere.errors import CantiereError
from cantiere.machines.growth import Decision

OPTIONS = argparse.Namespace(site="machines", auto=True, every=30, json=False, pools=[])


def test_each_round_decides_for_what_is_applied_then(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = iter(("first", "second"))
    decided: list[str] = []

    def opened(site: str) -> tuple[Any, None]:
        return SimpleNamespace(site=SimpleNamespace(name=site), fleet="its machines", cluster=next(templates)), None

    def slept(seconds: float) -> None:
        assert seconds == OPTIONS.every
        if len(decided) == 2:
            raise KeyboardInterrupt

    def decide(cluster: str) -> Decision:
        decided.append(cluster)
        return Decision((), {})

    monkeypatch.setattr(workspace, "open_applied", opened)
    monkeypatch.setattr(scale_verbs, "decide", decide)
    monkeypatch.setattr(scale_verbs.time, "sleep", slept)
    with pytest.raises(KeyboardInterrupt):
        scale_verbs.scale(OPTIONS)
    assert decided == ["first", "second"]


def test_a_site_without_machines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(site=SimpleNamespace(name="here"), fleet=None, cluster=None)
    monkeypatch.setattr(workspace, "open_applied", lambda site: (found, None))
    with pytest.raises(CantiereError, match="makes no machines"):
        scale_verbs.scale(OPTIONS)
