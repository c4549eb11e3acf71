"""Images are pinned, and none is forbidden."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cantiere.values.checks import ChartFiles
from cantiere.values.checks.images import HUB, parse
from support.releases import full, problems, release, workload

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("debian", (HUB, "debian", "", "")),
        ("library/debian:13", (HUB, "debian", "13", "")),
        (f"index.{HUB}/minio/minio:x", (HUB, "minio/minio", "x", "")),
        ("host:5000/a/b", ("host:5000", "a/b", "", "")),
        ("host:5000/a/b:1", ("host:5000", "a/b", "1", "")),
        ("localhost/a:1", ("localhost", "a", "1", "")),
        (f"r.test/a@{DIGEST}", ("r.test", "a", "", DIGEST)),
        (f"r.test/a:2@{DIGEST}", ("r.test", "a", "2", DIGEST)),
    ],
)
def test_parse(text: str, parts: tuple[str, ...]) -> None:
    image = parse(text)
    assert (image.registry, image.name, image.tag, image.digest) == parts


WORD = st.text("abc01", min_size=1, max_size=4)


@given(WORD, st.lists(WORD, min_size=1, max_size=3), st.just("") | WORD, st.sampled_from(["", DIGEST]))
def test_a_reference_is_its_parts(host: str, path: list[str], tag: str, digest: str) -> None:
    text = f"{host}.test/{'/'.join(path)}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    image = parse(text)
    assert (image.registry, image.name, image.tag, image.digest) == (f"{host}.test", "/".join(path), tag, digest)
    assert str(image) == text


@pytest.mark.parametrize(
    "values",
    [
        {"image": {"repository": "r.test/a", "tag": "1"}},
        {"image": {"repository": "r.test/a", "digest": DIGEST}},
        {"image": {"tag": "1"}},
        {"image": {"pullPolicy": "Always"}},
        {"hub": {"image": {"name": "r.test/hub", "tag": "4"}}},
        {"profileList": [{"kubespawner_override": {"image": "r.test/analysis:1"}}]},
        {"image": "r.test/a", "imageTag": "1"},
        {"image": {"registry": "r.test", "repository": "a", "tag": "1"}},
        {"image": {"repository": "r.test/a", "sha": "0" * 64, "tag": ""}},
    ],
)
def test_pinned(values: dict[str, Any]) -> None:
    assert problems(release(values=values)) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"image": {"repository": "r.test/a"}}, "image.untagged one.values.image"),
        ({"image": {"repository": "r.test/a", "tag": ""}}, "image.untagged one.values.image"),
        ({"image": {"repository": "r.test/a", "tag": "latest"}}, "image.latest one.values.image"),
        ({"image": {"tag": "latest"}}, "image.latest one.values.image"),
        ({"job": {"image": "r.test/a"}}, "image.untagged one.values.job.image"),
        ({"sidecarImage": "r.test/a:latest"}, "image.latest one.values.sidecarImage"),
        ({"image": {"repository": "minio/minio", "tag": "1"}}, "image.forbidden one.values.image"),
        ({"image": {"registry": HUB, "repository": "bitnami/kubectl", "tag": "1"}}, "image.forbidden one.values.image"),
        ({"kubectl": {"image": "bitnamilegacy/kubectl:1.33"}}, "image.forbidden one.values.kubectl.image"),
        ({"image": "k8s.gcr.io/pause:3"}, "image.forbidden one.values.image"),
    ],
)
def test_bad_values(values: dict[str, Any], expected: str) -> None:
    assert problems(release(values=values)) == [expected]


def test_minio_of_another_registry_is_not_forbidden() -> None:
    assert problems(release(values={"image": {"repository": "registry.test/cantiere/minio", "tag": "1"}})) == []


def test_a_tag_may_be_the_charts_own() -> None:
    chart = ChartFiles("chart", values={"image": {"repository": "r.test/a", "tag": "1"}})
    assert problems(release(values={"image": {"repository": "mirror.test/a"}}), charts=(chart,)) == []


def test_manifests() -> None:
    bad = workload({"initContainers": [{"name": "wait", "image": "bitnami/kubectl:latest", "securityContext": {}}]})
    found = full(release(), one=[bad])
    assert [(problem.code, problem.path) for problem in found] == [
        ("image.forbidden", "one.manifests.Deployment/work.initContainers[wait].image"),
        ("image.latest", "one.manifests.Deployment/work.initContainers[wait].image"),
    ]
    assert "own project" in found[0].remedy
    assert problems(release(), one=[workload(container={"image": "r.test/a"})]) == [
        "image.untagged one.manifests.Deployment/work.containers[main].image"
    ]
