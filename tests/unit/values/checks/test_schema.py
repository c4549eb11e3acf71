"""Values against a chart's schema and default values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cantiere.overlay import merged
from cantiere.values.checks import ChartFiles, unjudged
from support.charts import upstream
from support.releases import WHERE, full, problems, release

STRICT: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "required": ["size", "mode"],
    "properties": {
        "size": {"type": "string", "pattern": "^[0-9]+Gi$"},
        "mode": {"enum": ["fast", "slow"]},
        "pods": {"type": "object", "additionalProperties": False, "properties": {"replicas": {"type": "integer"}}},
        "outside": {"$ref": "https://elsewhere.test/schema.json"},
    },
}
OWN = ChartFiles("chart", values={"size": "1Gi", "mode": "fast", "pods": {"replicas": 1}}, schema=STRICT)


def test_good_values_pass() -> None:
    assert problems(release(values={"size": "2Gi", "pods": {"replicas": 3}}), charts=(OWN,)) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"size": "2G"}, "one.values.size"),
        ({"mode": "medium"}, "one.values.mode"),
        ({"pods": {"replicas": "3"}}, "one.values.pods.replicas"),
        ({"pods": {"replica": 3}}, "one.values.pods"),
        ({"mode": None}, "one.values"),
    ],
)
def test_bad_values_are_named(values: dict[str, Any], expected: str) -> None:
    assert problems(release(values=values), charts=(OWN,)) == [f"values.schema {expected}"]


def test_a_schema_of_another_address_is_not_fetched() -> None:
    assert problems(release(values={"outside": {"any": "thing"}}), charts=(OWN,)) == []


def test_a_problem_says_where_and_what_to_write() -> None:
    (found,) = full(release(values={"pods": {"replica": 3}}), charts=(OWN,))
    assert found.where == WHERE
    assert found.remedy == "write replicas instead" and "'replica'" in found.message


def test_all_at_once() -> None:
    assert len(problems(release(values={"size": 1, "mode": "no", "pods": {"replicas": "x"}}), charts=(OWN,))) == 3


def test_unknown_defaults_may_hold_what_is_required() -> None:
    unknown = ChartFiles("chart", schema=STRICT)
    assert problems(release(values={"mode": "fast"}), charts=(unknown,)) == []
    assert problems(release(values={"mode": "fast", "extra": 1}), charts=(unknown,)) == ["values.schema one.values"]


def test_a_release_that_is_not_installed_is_not_judged() -> None:
    assert problems(release(values={"size": 1}, installed=False), charts=(OWN,)) == []


def test_charts_without_files_are_told() -> None:
    assert unjudged([release(), release("two", "other", installed=False)], {}) == ("chart",)


def test_subcharts_have_their_own_schema() -> None:
    parent = ChartFiles("chart", values={"db": {}}, subcharts={"db": OWN})
    assert problems(release(values={"db": {"mode": "medium"}}), charts=(parent,)) == ["values.schema one.values.db.mode"]


def test_jupyterhub_knows_its_keys() -> None:
    chart = upstream("jupyterhub")
    assert problems(release("hub", "jupyterhub", {"singleuser": {"memory": {"limit": "2G"}}}), charts=(chart,)) == []
    assert problems(release("hub", "jupyterhub", {"singleuser": {"ram": "2G"}}), charts=(chart,)) == ["values.schema hub.values.singleuser"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab", max_size=2),
    lambda below: st.dictionaries(st.sampled_from("abcd"), below, max_size=3),
    max_leaves=8,
)
MAPS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=3)


@given(MAPS)
def test_nothing_given_leaves_the_defaults(defaults: dict[str, Any]) -> None:
    assert merged(defaults, {}) == defaults


@given(MAPS, MAPS)
def test_what_is_given_wins(defaults: dict[str, Any], given_values: dict[str, Any]) -> None:
    both = merged(defaults, given_values)
    for key, value in given_values.items():
        if not isinstance(value, dict):
            assert both.get(key) == value
    assert all(both[key] == value for key, value in defaults.items() if key not in given_values)
