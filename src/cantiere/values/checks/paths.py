"""Charts without a schema: every value has a place in the chart's default values. Pure.

Helm says nothing of a key that no template reads, so that a misspelt one is lost without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from cantiere.errors import Problem, rather
from cantiere.values.checks.chart import ChartFiles
from cantiere.values.checks.subject import Path, Subject, dotted

OPEN = re.compile(
    r"(?i)(\w*annotations|\w*labels|\w*nodeSelector|\w*selector|resources|affinity|\w*securityContext|extra[A-Z]\w*|additional[A-Z]\w*|env"
    r"|\w*matchLabels|global)"
)
"""Keys whose maps hold what their user likes, whatever the chart has there itself."""

HIDDEN: Mapping[str, tuple[str, ...]] = {
    "csi-driver-nfs": ("storageClass", "storageClasses"),
    "dex": ("config",),
    "gpu-operator": ("devicePlugin.config", "migManager.config"),
    "kube-prometheus-stack": ("alertmanager.alertmanagerSpec.configSecret", "alertmanager.config"),
    "local-path-provisioner": ("sharedFileSystemPath", "storageClass.provisionerName"),
    "nvidia-device-plugin": ("config.map",),
    "openstack-cinder-csi": ("secret.name",),
    "reana": ("fullnameOverride", "ingress.tls.secret_name", "kubernetes_jobs_*"),
    "rucio-daemons": ("config",),
    "rucio-server": ("config", "ingress.ingressClassName"),
    "rucio-ui": ("config", "ingress.ingressClassName"),
    "seaweedfs": ("s3.createBuckets", "s3.credentials"),
}
"""Values that charts read although their defaults do not show them, or only as comments; at and below these paths anything goes."""


def check(subject: Subject) -> list[Problem]:
    """Values that the chart's default values have no place for."""
    problems = []
    for release in subject.releases:
        chart = subject.charts.get(release.chart)
        if chart is None or chart.schema is not None:
            continue
        for path, message, remedy in _strays(chart, release.values, ()):
            problems.append(subject.value_problem(release, "values.path", path, f"{release.name}: {message}", remedy))
    return problems


def _strays(chart: ChartFiles, values: Mapping[str, Any], above: Path) -> Iterator[tuple[Path, str, str]]:
    if chart.values is None:
        return
    yield from _compare(chart, chart.values, values, above, ())


def _compare(
    chart: ChartFiles, defaults: Mapping[str, Any], values: Mapping[str, Any], above: Path, path: tuple[str, ...]
) -> Iterator[tuple[Path, str, str]]:
    for key, value in values.items():
        here = (*path, str(key))
        place = (*above, *here)
        if is_open(chart.name, here):
            continue
        if not path and key in chart.subcharts:
            below = chart.subcharts[key]
            if below is not None and below.schema is None and isinstance(value, Mapping):
                yield from _strays(below, {k: v for k, v in value.items() if k != "enabled"}, place)
            continue
        if key not in defaults:
            yield place, f"chart {chart.name} has no value {dotted(here)}", rather([str(key)], map(str, defaults))
            continue
        yield from _inside(chart, defaults[key], value, above, here)


def _inside(chart: ChartFiles, default: Any, value: Any, above: Path, path: tuple[str, ...]) -> Iterator[tuple[Path, str, str]]:
    if isinstance(default, Mapping):
        if isinstance(value, Mapping):
            if default:
                yield from _compare(chart, default, value, above, path)
        elif value is not None:
            yield (*above, *path), f"chart {chart.name} has a map at {dotted(path)}, not {type(value).__name__}", "give it keys and values"
    elif isinstance(default, list):
        if not isinstance(value, list | tuple) and value is not None:
            yield (*above, *path), f"chart {chart.name} has a list at {dotted(path)}, not {type(value).__name__}", "make it a list"
    elif default is not None and isinstance(value, Mapping | list | tuple):
        remedy = f"write it as text if the chart's templates read it so, else as the chart does: {default!r}"
        yield (*above, *path), f"chart {chart.name} has a {type(default).__name__} at {dotted(path)}, not {type(value).__name__}", remedy


def is_open(chart: str, path: tuple[str, ...]) -> bool:
    """Whether anything goes at a path of a chart's values."""
    if any(OPEN.fullmatch(part) for part in path[:-1]):
        return True
    written = ".".join(path)
    return any(fnmatchcase(written, pattern) or fnmatchcase(written, f"{pattern}.*") for pattern in HIDDEN.get(chart, ()))
