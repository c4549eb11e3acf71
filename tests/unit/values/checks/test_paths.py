"""Charts without a schema: a value needs a place in the defaults."""

from __future__ import annotations

from typing import Any

import pytest

from cantiere.values.checks import ChartFiles
from support.charts import upstream
from support.releases import full, problems, release

CHART = ChartFiles(
    "chart",
    values={
        "persistence": {"size": "1Gi", "class": None},
        "service": {"annotations": {"a": "b"}, "open": {}},
        "list": [],
        "text": "",
        "resources": {"limits": {"cpu": 1}},
    },
)


@pytest.mark.parametrize(
    "values",
    [
        {"persistence": {"size": "2Gi", "class": {"any": "thing"}}},
        {"service": {"annotations": {"another": "c"}, "open": {"whatever": {"deep": 1}}}},
        {"list": [{"x": 1}], "text": "long"},
        {"resources": {"requests": {"memory": "1Gi"}}},
    ],
)
def test_paths_that_are_there(values: dict[str, Any]) -> None:
    assert problems(release(values=values), charts=(CHART,)) == []


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"persistance": {"size": "2Gi"}}, "persistance"),
        ({"persistence": {"sise": "2Gi"}}, "persistence.sise"),
        ({"persistence": "2Gi"}, "persistence"),
        ({"list": {"x": 1}}, "list"),
        ({"text": {"x": 1}}, "text"),
    ],
)
def test_paths_that_no_template_reads(values: dict[str, Any], path: str) -> None:
    assert problems(release(values=values), charts=(CHART,)) == [f"values.path one.values.{path}"]


def test_the_remedy_is_the_key_that_was_meant() -> None:
    (found,) = full(release(values={"persistence": {"sise": "2Gi"}}), charts=(CHART,))
    assert found.remedy == "write size instead"


def test_subcharts() -> None:
    parent = ChartFiles("chart", values={"a": 1}, subcharts={"known": CHART, "unknown": None})
    values = {"known": {"enabled": True, "txt": ""}, "unknown": {"what": "ever"}}
    assert problems(release(values=values), charts=(parent,)) == ["values.path one.values.known.txt"]


def test_keda() -> None:
    chart = upstream("keda")
    assert problems(release("one", "keda", {"crds": {"install": False}, "nodeSelector": {"a": "b"}}), charts=(chart,)) == []
    assert problems(release("one", "keda", {"crds": {"enabled": False}}), charts=(chart,)) == ["values.path one.values.crds.enabled"]
