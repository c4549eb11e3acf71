"""Every release is rehearsed before it is touched, and chart files are read once for all of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cantiere.cluster import apply
from cantiere.cluster.apply import Apply
from cantiere.cluster.model import ClusterSeen, ClusterWanted
from cantiere.plan.definition import Action, Kind, Step
from cantiere.supply import charts
from cantiere.values.checks.chart import ChartFiles
from cantiere.values.helmfile import Source
from cantiere.values.model import PLACEHOLDER, Release
from support.kube import FakeApi

RELEASES = (Release("iam", "facility", "devel-iam", {}, "iam"), Release("pool", "facility", "htcondor", {}, "pool"))


def test_chart_files_are_read_once_for_all_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    judged: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    synced: list[str] = []

    def files(name: str, _site: object) -> ChartFiles:
        read.append(name)
        return ChartFiles(name)

    def checked(_releases: object, known: dict[str, ChartFiles], _context: object, rendered: dict[str, Any]) -> tuple[str, ...]:
        judged.append((tuple(known), tuple(rendered)))
        return ()

    monkeypatch.setattr(charts, "files", files)
    monkeypatch.setattr(apply.wanted, "checked", checked)
    cluster: Any = SimpleNamespace(site=None, compiling=lambda facts: facts)
    helm: Any = SimpleNamespace(rendered=lambda *_: [], template=lambda *_: [], sync=lambda release, tend: synced.append(release.name))
    asked = ClusterWanted("cantiere-x", PLACEHOLDER, RELEASES, {}, {}, {})
    sources = {release.chart: Source("a folder") for release in RELEASES}
    doing = Apply(cluster, FakeApi({}), asked, ClusterSeen(), helm, sources, print)
    doing.judge()
    for release in RELEASES:
        doing.evaluate(Step(Kind.RELEASE, release.name, Action.CREATE, "it is not there"))
    assert read == ["devel-iam", "htcondor"] and synced == ["iam", "pool"]
    assert judged == [(("devel-iam", "htcondor"), ("iam", "pool"))]
