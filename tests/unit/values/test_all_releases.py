"""Every compiler of the catalogue at two sizes: what it gives is checked against the charts, and compared with what it gave before.

To accept a change: ``CANTIERE_GOLDEN=write pytest tests/unit/values/test_all_releases.py``, and read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.errors import Problem
from cantiere.kubernetes.text import plain
from cantiere.values.catalogue import COMPILERS, compile_all
from cantiere.values.checks import check, unjudged
from cantiere.values.checks.chart import ChartFiles
from cantiere.values.model import Release
from support import charts
from support.sizes import FACTS, context, releases

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
UNKNOWN_CHARTS = frozenset({"catalogue.catalogue", "dask-kubernetes-operator", "external-dns", "gateway-crds-helm", "kueue", "minio"})
"""Upstream charts whose files do not lie beside the checkout: their values are held by the other checks alone."""


@cache
def problems(size: str) -> tuple[Problem, ...]:
    """What is wrong with them."""
    known = {release.chart: charts.files(release.chart) for release in releases(size)}
    return tuple(check(releases(size), {name: found for name, found in known.items() if found}, context(size)))


def named(size: str) -> list[str]:
    """Releases of a size; what keeps them from being compiled is the affair of the first test."""
    try:
        return [release.name for release in releases(size)]
    except Exception:
        return []


EACH = [(size, name) for size in FACTS for name in named(size)]


@pytest.mark.parametrize("size", FACTS)
def test_every_type_is_compiled(size: str) -> None:
    nodes = {node.name: node.type for node in context(size).facility.nodes}
    missing = set(COMPILERS) - set(nodes.values())
    assert not missing, f"add nodes of these types to tests/unit/values/data/{size}.yaml: {sorted(missing)}"


def test_every_type_makes_releases() -> None:
    made = {node.type for size in FACTS for node in context(size).facility.nodes if node.name in {r.node for r in releases(size)}}
    assert set(COMPILERS) <= made, f"no release comes of {sorted(set(COMPILERS) - made)} at any size"


@pytest.mark.parametrize("size", FACTS)
def test_template_is_right(size: str) -> None:
    facility = context(size).facility
    wrong = [
        problem
        for node in facility.nodes
        if (compiler := COMPILERS.get(node.type)) and compiler.check
        for problem in compiler.check(node, facility)
    ]
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize(("size", "name"), EACH)
def test_checks(size: str, name: str) -> None:
    wrong = [problem for problem in problems(size) if problem.path.partition(".")[0] == name]
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("size", FACTS)
def test_manifests_of_our_charts(size: str) -> None:
    ours = [release for release in releases(size) if release.installed and charts.own(release.chart)]
    manifests = {release.name: charts.rendered(release, context(size)) for release in ours}
    known = {release.chart: found for release in releases(size) if (found := charts.files(release.chart))}
    before = set(problems(size))
    wrong = [problem for problem in check(releases(size), known, context(size), manifests) if problem not in before]
    assert not wrong, "\n".join(map(str, wrong))
    assert sum(map(len, manifests.values())) > len(ours)


@pytest.mark.parametrize("size", FACTS)
def test_charts_are_at_hand(size: str) -> None:
    if not charts.SHARED.is_dir():
        pytest.skip(f"files of upstream charts are not in {charts.SHARED}: values were checked without them")
    known: dict[str, ChartFiles] = {release.chart: found for release in releases(size) if (found := charts.files(release.chart))}
    assert set(unjudged(releases(size), known)) <= UNKNOWN_CHARTS


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


@pytest.mark.parametrize(("size", "name"), EACH)
def test_values_are_plain_data(size: str, name: str) -> None:
    (release,) = (release for release in releases(size) if release.name == name)
    odd = [leaf for leaf in leaves(plain(release.values)) if not isinstance(leaf, str | int | float | bool | None)]
    assert not odd, f"neither text nor number: {odd}"
    again = {release.name: release for release in compile_all(context(size))}[name]
    assert again == release, "a compile is a pure function"


@pytest.mark.parametrize("size", FACTS)
def test_releases_fit_together(size: str) -> None:
    seen: set[str] = set()
    for release in releases(size):
        assert set(release.needs) <= seen, f"{release.name} comes before what it needs"
        assert len(release.name) <= 53, f"{release.name}: Helm takes 53 characters"
        seen.add(release.name)
    nodes = {node.name for node in context(size).facility.nodes}
    assert {release.node for release in releases(size)} <= nodes


def text(release: Release) -> str:
    """A release as a golden file holds it."""
    about = {
        "chart": release.chart,
        "namespace": release.namespace,
        "node": release.node,
        "needs": list(release.needs),
        "installed": release.installed,
        "images": list(release.images),
        "secrets": {secret.name: sorted(file.file for file in secret.files) for secret in release.secrets},
        "pod_security": release.pod_security,
        "owns": list(release.owns),
        "links": [
            f"{link.why}: {link.source_namespace or 'outside'} to {link.target_namespace or 'outside'} {link.port}"
            for link in release.links
        ],
        "timeout": release.timeout,
        "crds": release.crds,
        "values": release.values,
    }
    return yaml.safe_dump(plain(about), sort_keys=False, width=120, allow_unicode=True)


@pytest.mark.parametrize(("size", "name"), EACH)
def test_golden(size: str, name: str) -> None:
    (release,) = (release for release in releases(size) if release.name == name)
    path = GOLDEN / size / f"{name}.yaml"
    if os.environ.get("CANTIERE_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(release), encoding="utf-8")
    assert path.is_file(), "no golden file: CANTIERE_GOLDEN=write makes it"
    assert text(release) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", FACTS)
def test_no_golden_file_is_left_over(size: str) -> None:
    left = {path.stem for path in (GOLDEN / size).glob("*.yaml")} - set(named(size))
    assert not left, f"no such releases any more: {sorted(left)}"
