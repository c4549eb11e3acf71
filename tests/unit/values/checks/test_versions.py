"""Versions of Kubernetes: what charts take, and what is served."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cantiere.values.checks import ChartFiles
from cantiere.values.checks.api_versions import removed
from cantiere.values.checks.versions import fits
from support.releases import problems, real, release

NUMBER = st.integers(0, 50)


@pytest.mark.parametrize(
    "constraint",
    ["", ">=1.28.0-0", "^1.22.0", ">= 1.22.0-0 < 2", "~1.36", "1.36.x", "1.30 - 1.40", "<1.20 || >=1.30", ">=1.25,<1.37.0", "!=1.35", "*"],
)
def test_taken(constraint: str) -> None:
    assert fits("1.36.3", constraint)


@pytest.mark.parametrize(
    "constraint", [">=1.37.0-0", "^2", "<1.36", "~1.35.1", "1.30 - 1.35", "=1.36.2", "!=1.36", ">1.36", ">=1.20, <1.30"]
)
def test_refused(constraint: str) -> None:
    assert not fits("1.36.3", constraint)


@pytest.mark.parametrize("constraint", ["soon", ">=", "1.2 and more"])
def test_unreadable(constraint: str) -> None:
    with pytest.raises(ValueError, match="version"):
        fits("1.36.3", constraint)


@given(NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER)
def test_bounds_part_all_versions(a: int, b: int, c: int, d: int, e: int, f: int) -> None:
    version, bound = f"{a}.{b}.{c}", f"{d}.{e}.{f}"
    assert fits(version, f">={bound}") != fits(version, f"<{bound}")
    assert fits(version, f"={bound}") == (not fits(version, f"!={bound}")) == (version == bound)
    assert fits(version, f">={bound}") == ((a, b, c) >= (d, e, f))


def test_a_chart_that_refuses_the_cluster() -> None:
    chart = ChartFiles("chart", "1.0", ">=1.40.0-0")
    assert problems(release(), charts=(chart,)) == ["chart.kube-version one"]
    assert problems(release(), charts=(ChartFiles("chart", "1.0", "whenever"),)) == ["chart.kube-version one"]
    assert problems(release(), charts=(ChartFiles("chart", "1.0", ">=1.30.0-0"),)) == []


OLD = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "hub"}}
NEW = OLD | {"apiVersion": "policy/v1"}
SCALER = {"apiVersion": "autoscaling/v2beta2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "wn"}}


def test_removed_api_versions() -> None:
    assert problems(release(), one=[OLD, NEW]) == ["api.removed one.manifests.PodDisruptionBudget/hub"]
    assert problems(release(), one=[{"kind": "List", "apiVersion": "v1", "items": [SCALER]}]) == [
        "api.removed one.manifests.HorizontalPodAutoscaler/wn"
    ]


def test_manifests_in_values_count_too() -> None:
    assert problems(release(values={"extraObjects": [OLD]})) == ["api.removed one.values.extraObjects[0]"]


@pytest.mark.parametrize(("version", "gone"), [("1.24.9", False), ("1.25.0", True), ("1.36.3", True)])
def test_removed_since(version: str, gone: bool) -> None:
    assert bool(removed(version, "policy/v1beta1", "PodDisruptionBudget")) is gone


def test_kinds_that_nobody_brings() -> None:
    served = real(api_versions=frozenset({"v1/ConfigMap"}))
    monitor = {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "m"}}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}}
    assert problems(release(), cluster=served, one=[monitor, config]) == ["api.absent one.manifests.ServiceMonitor/m"]
    brings = release("two", owns=("CustomResourceDefinition/servicemonitors.monitoring.coreos.com",))
    assert problems(release(), brings, cluster=served, one=[monitor]) == []
    assert problems(release(), one=[monitor]) == [], "what a cluster that is not there serves is not known"
