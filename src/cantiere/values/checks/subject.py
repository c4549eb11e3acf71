"""What every check looks at, and how it names what it finds. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cantiere.errors import Location, Problem
from cantiere.values.checks.chart import ChartFiles
from cantiere.values.model import Context, Release

Manifest = Mapping[str, Any]
"""A Kubernetes object as YAML gives it."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """The releases under check, and what they are checked against.

    Parameters
    ----------
    releases:
        Those that are to be installed.
    charts:
        Chart name to what its files say.
    context:
        What the releases were compiled from.
    rendered:
        Release name to its manifests, for the releases that were rendered.
    leaving:
        ``namespace/name`` of the releases that are not to be there; what they own becomes free.
    """

    releases: tuple[Release, ...]
    charts: Mapping[str, ChartFiles]
    context: Context
    rendered: Mapping[str, Sequence[Manifest]] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()

    def manifests(self, release: Release) -> Iterator[tuple[str, Manifest]]:
        """Every manifest that is known of a release: its place, and the object; rendered ones, and those written out in its values."""
        for manifest in flattened(self.rendered.get(release.name, ())):
            yield f"{release.name}.manifests.{identity(manifest)}", manifest
        for path, manifest in written_out(release.values):
            yield f"{release.name}.values.{dotted(path)}", manifest

    def where(self, release: Release) -> Location | None:
        """Where the node is written that a release comes from."""
        return next((node.where for node in self.context.facility.nodes if node.name == release.node), None)

    def problem(self, release: Release, code: str, place: str, message: str, remedy: str) -> Problem:
        """A problem of a release at a full place."""
        return Problem(code, message, remedy, self.where(release), place)

    def value_problem(self, release: Release, code: str, path: Path, message: str, remedy: str) -> Problem:
        """A problem of one of a release's values."""
        return self.problem(release, code, f"{release.name}.values.{dotted(path)}".rstrip("."), message, remedy)


def dotted(path: Path) -> str:
    """A path as it is written: ``a.b[0]``; a key with dots in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = part if re.fullmatch(r"[\w/-]+", part) else f'"{part}"'
            text += f".{word}" if text else word
    return text


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that holds no other: scalars, and maps and lists with nothing in them."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, str(key)))
    elif isinstance(value, list | tuple) and value:
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def nested(value: Any, path: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every map of a value, the outer ones first."""
    if isinstance(value, Mapping):
        yield path, value
        for key, item in value.items():
            yield from nested(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from nested(item, (*path, index))


def written_out(values: Mapping[str, Any]) -> Iterator[tuple[Path, Manifest]]:
    """Manifests that stand in values in full, as ``extraObjects`` of many charts take them."""
    for path, item in nested(values):
        if path and all(isinstance(item.get(key), str) for key in ("apiVersion", "kind")) and "metadata" in item:
            yield path, item


def flattened(manifests: Sequence[Manifest]) -> Iterator[Manifest]:
    """Manifests with those of lists in their place, and empty documents left out."""
    for manifest in manifests:
        if not manifest:
            continue
        if str(manifest.get("kind", "")).endswith("List") and isinstance(manifest.get("items"), list):
            yield from flattened(manifest["items"])
        else:
            yield manifest


def identity(manifest: Manifest) -> str:
    """``Kind/name`` of a manifest."""
    return f"{manifest.get('kind', '')}/{metadata(manifest).get('name', '')}"


def metadata(manifest: Manifest) -> Mapping[str, Any]:
    """The ``metadata`` of a manifest."""
    return mapping(manifest, "metadata")


def namespace(manifest: Manifest, release: Release) -> str:
    """Where a manifest goes."""
    return str(metadata(manifest).get("namespace") or release.namespace)


def mapping(value: Any, *keys: str) -> Mapping[str, Any]:
    """The map under some keys; an empty one where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def items(value: Any, *keys: str) -> Sequence[Any]:
    """The list under some keys; an empty one where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, list | tuple) else ()


def pod(manifest: Manifest) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Labels and ``spec`` of the pods that a workload makes, or None where it makes none."""
    spec = mapping(manifest, "spec")
    kind = manifest.get("kind")
    if kind == "Pod":
        template = manifest
    elif kind == "CronJob":
        template = mapping(spec, "jobTemplate", "spec", "template")
    elif kind == "ScaledJob":
        template = mapping(spec, "jobTargetRef", "template")
    else:
        template = mapping(spec, "template")
    inner = mapping(template, "spec")
    return (mapping(template, "metadata", "labels"), inner) if "containers" in inner else None


def containers(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every container of a pod's ``spec``, with its place in it."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(items(spec, key)):
            if isinstance(container, Mapping):
                yield f"{key}[{container.get('name', index)}]", container


def observed(context: Context) -> bool:
    """Whether the facts are those of a real cluster."""
    return bool(context.cluster.api_versions)
