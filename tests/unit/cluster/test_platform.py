"""A cluster is looked at once for what is told of it, and one that has to answer and does not is an error."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere.cluster import raising, stages
from cantiere.cluster.model import ClusterSeen, ClusterWanted, Deployed
from cantiere.cluster.platform import Cluster
from cantiere.errors import CantiereError
from cantiere.model import Facility
from cantiere.values.model import PLACEHOLDER, Release


def test_a_cluster_that_is_not_there_yet_does_not_answer(tmp_path: Path) -> None:
    site: Any = SimpleNamespace(template=tmp_path / "facility.yaml", state_dir=tmp_path)
    fleet: Any = SimpleNamespace(ssh=SimpleNamespace(config=tmp_path / "none"))
    cluster = Cluster(site, Facility("lab", "", (), {}), fleet)
    assert cluster.api() is None
    with pytest.raises(CantiereError, match="does not answer") as refused:
        cluster.answering()
    assert [problem.code for problem in refused.value.problems] == ["cluster.silent"]


def test_status_takes_rows_and_drift_from_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    iam, pool = (Release(name, "facility", name, {}, name) for name in ("iam", "pool"))
    there = Deployed("iam", "facility", "iam-1", 3, "deployed", "of-iam", {}, "cantiere-x")
    asked = ClusterWanted("cantiere-x", PLACEHOLDER, (iam, pool), {"iam": "of-iam", "pool": "of-pool"}, {}, {})
    looks: list[object] = []

    def look(_cluster: object, api: object) -> tuple[ClusterWanted, ClusterSeen]:
        looks.append(api)
        return asked, ClusterSeen(releases={"iam": there})

    monkeypatch.setattr(stages, "look", look)
    cluster: Any = SimpleNamespace(asked=True, api=lambda: "its API")
    rows, drift = raising.status(cluster)
    assert looks == ["its API"]
    assert [(row["release"], row["state"], row["current"]) for row in rows] == [("iam", "deployed", True), ("pool", "absent", False)]
    assert len(drift) == 1 and "pool" in drift[0]
