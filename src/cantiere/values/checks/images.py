"""Images are pinned, and none is one that should not be run. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cantiere.errors import Problem
from cantiere.values.checks.subject import Path, Subject, containers, dotted, items, leaves, mapping, nested, pod

HUB = "docker.io"

FORBIDDEN: tuple[tuple[str, str, str, str], ...] = (
    (HUB, "minio", "its images were taken off that registry, and the project gets no more fixes", "a build of this project (image minio)"),
    (HUB, "bitnami", "its free images were withdrawn and get no fixes", "the image of the program's own project"),
    (HUB, "bitnamilegacy", "it is an archive without fixes", "the image of the program's own project"),
    (HUB, "bitnamisecure", "its free images have only the tag latest", "the image of the program's own project"),
    ("k8s.gcr.io", "", "that registry is frozen since 2023", "the same image of registry.k8s.io"),
    ("gcr.io", "kubebuilder", "its images are gone since 2025", "the kube-rbac-proxy of its own project (brancz), or none"),
)
"""Registry, first part of the name, why the image should not be run, and what to use."""

IMAGE_KEY = re.compile(r"image|\w*Image|\w*_image")
NAME = re.compile(r"[a-z0-9]+([._/:@-]+[A-Za-z0-9_.-]+)*")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image reference in its parts; ``registry`` is never empty."""

    registry: str
    name: str
    tag: str
    digest: str

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}" + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """The parts of an image reference, as container engines read it: without a registry it is one of the Docker Hub."""
    rest, _, digest = text.partition("@")
    head, slash, tail = rest.partition("/")
    registry, name = (head, tail) if slash and ("." in head or ":" in head or head == "localhost") else (HUB, rest)
    path, colon, tag = name.rpartition(":")
    name, tag = (path, tag) if colon and "/" not in tag else (name, "")
    registry = HUB if registry in (f"index.{HUB}", f"registry-1.{HUB}") else registry
    return Reference(registry, name.removeprefix("library/") if registry == HUB else name, tag, digest)


def check(subject: Subject) -> list[Problem]:
    """Images without tag or digest, with the tag ``latest``, and forbidden ones, in values and in manifests."""
    problems = []
    for release in subject.releases:
        defaults = chart.defaults() if (chart := subject.charts.get(release.chart)) else None
        found = [(f"{release.name}.values.{dotted(path)}", image) for path, image in in_values(release.values, defaults)]
        found += [place for _, manifest in subject.manifests(release) for place in _in_manifest(release.name, manifest)]
        for place, reference in dict(found).items():
            for code, message, remedy in wrong(reference):
                problems.append(subject.problem(release, code, place, f"{release.name}: image {reference} {message}", remedy))
    return problems


def wrong(text: str) -> Iterator[tuple[str, str, str]]:
    """What is wrong with an image reference: code, what, and the remedy."""
    image = parse(text)
    if not image.digest and not image.tag:
        yield "image.untagged", "has neither a tag nor a digest", "set the tag that has been tried, or a digest"
    elif not image.digest and image.tag == "latest":
        yield "image.latest", "is another one every week", "set the tag that has been tried, or a digest"
    for registry, first, why, instead in FORBIDDEN:
        if image.registry == registry and (not first or image.name == first or image.name.startswith(f"{first}/")):
            yield "image.forbidden", f"should not be run: {why}", f"use {instead}"


def in_values(values: Mapping[str, Any], defaults: Mapping[str, Any] | None) -> Iterator[tuple[Path, str]]:
    """Images that values name: as a map of ``repository`` (or ``name``) and ``tag``, or as text under a key ``image``.

    A map that names neither a repository nor the tag ``latest`` leaves the image to the chart.
    """
    for path, item in nested(values):
        if not path or not isinstance(path[-1], str):
            continue
        default = at(defaults, path)
        named = item.get("repository")
        if named is None and IMAGE_KEY.fullmatch(path[-1]):
            named = item.get("name")
        if isinstance(named, str) and named and (IMAGE_KEY.fullmatch(path[-1]) or "tag" in item or "digest" in item):
            registry = item.get("registry", default.get("registry", ""))
            tag = item.get("tag", default.get("tag")) or ""
            digest = item.get("digest") or item.get("sha") or default.get("digest") or default.get("sha") or ""
            text = f"{registry}/{named}" if registry else named
            yield path, text + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
        elif named is None and item.get("tag") == "latest":
            yield path, f"{default.get('repository') or default.get('name') or '(of the chart)'}:latest"
    for path, leaf in leaves(values):
        key = path[-1] if path else ""
        if isinstance(key, str) and IMAGE_KEY.fullmatch(key) and isinstance(leaf, str) and NAME.fullmatch(leaf):
            beside = at(values, path[:-1])
            tag = beside.get(f"{key}Tag") or beside.get("tag") or beside.get("imageTag") or ""
            yield path, leaf if ":" in leaf.rpartition("/")[2] or "@" in leaf or not tag else f"{leaf}:{tag}"


def at(values: Any, path: Path) -> Mapping[str, Any]:
    """The map at a path; an empty one where there is none."""
    for part in path:
        if isinstance(values, Mapping):
            values = values.get(part)
        elif isinstance(values, list | tuple) and isinstance(part, int) and part < len(values):
            values = values[part]
        else:
            return {}
    return values if isinstance(values, Mapping) else {}


def _in_manifest(release: str, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    made = pod(manifest)
    if made is None:
        return
    head = f"{release}.manifests.{manifest.get('kind')}/{mapping(manifest, 'metadata').get('name', '')}"
    for place, container in containers(made[1]):
        if container.get("image"):
            yield f"{head}.{place}.image", str(container["image"])
    for volume in items(made[1], "volumes"):
        if reference := mapping(volume, "image").get("reference"):
            yield f"{head}.volumes[{volume.get('name')}].image", str(reference)
