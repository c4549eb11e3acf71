"""Charts that can be had here, rendered by the real Helm with the values that are compiled for a facility."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cantiere import site as sites
from cantiere import supply
from cantiere.cluster.wanted import overridden
from cantiere.errors import CantiereError
from cantiere.kubernetes.text import plain
from cantiere.supply import charts
from cantiere.supply.pins import own_architecture
from cantiere.values.model import Context, Release
from support.charts import documents
from support.sizes import context, releases

SITE = replace(sites.load(sites.find("nspawn")), releases={})
"""Where charts that cannot be had here are stood in for, and images that no registry gives."""
REFUSAL = "this stand-in"
"""What a stand-in says where it is asked for more than it can do."""


@cache
def program() -> str:
    """Helm of the artifact store, made or fetched where it is not there yet."""
    stored = supply.ensure(["helm"], SITE, own_architecture(), print)["helm"]
    return str(stored.files[0].path)


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Helm, which knows no cluster."""
    settings = {**os.environ, "KUBECONFIG": os.devnull, "HELM_PLUGINS": os.devnull}
    return subprocess.run([program(), *arguments], capture_output=True, text=True, env=settings, check=False)


@cache
def folder(chart: str) -> Path | None:
    """The folder of a chart, or None where it cannot be had here."""
    try:
        return charts.chart(chart, SITE, print)
    except CantiereError:
        return None


@cache
def had(size: str) -> tuple[Release, ...]:
    """The installed releases of a size whose charts can be had here."""
    wanted = overridden([release for release in releases(size) if release.chart in charts.names(SITE)], SITE, context(size))
    return tuple(release for release in wanted if release.installed and folder(release.chart) is not None)


def values(release: Release, scratch: Path) -> str:
    """A file with a release's values."""
    file = scratch / f"{release.name}.yaml"
    file.write_text(yaml.safe_dump(plain(release.values)), encoding="utf-8")
    return str(file)


def render(release: Release, facts: Context, scratch: Path) -> subprocess.CompletedProcess[str]:
    """A release as Helm renders it."""
    flags = ["--namespace", release.namespace, "--values", values(release, scratch), "--kube-version", facts.cluster.kubernetes_version]
    crds = ["--skip-crds"] if release.crds == "skip" else ["--include-crds"]
    return helm("template", release.name, str(folder(release.chart)), *flags, *crds)


@cache
def rendered(size: str) -> dict[str, subprocess.CompletedProcess[str]]:
    """Those releases as Helm renders them; what a stand-in refuses is told, and left out."""
    found = _tried(size)
    for name in stopped(size):
        print(f"{size}: {name} is more than its stand-in does: {found[name].stderr.strip().splitlines()[0]}")
    return {name: done for name, done in found.items() if name not in stopped(size)}


@cache
def stopped(size: str) -> frozenset[str]:
    """Releases of a size that ask more of a stand-in than it does."""
    return frozenset(name for name, done in _tried(size).items() if REFUSAL in done.stderr)


@cache
def _tried(size: str) -> dict[str, subprocess.CompletedProcess[str]]:
    with tempfile.TemporaryDirectory() as scratch:
        return {release.name: render(release, context(size), Path(scratch)) for release in had(size)}


def objects(text: str) -> list[dict[str, Any]]:
    """The objects that Helm has rendered."""
    return [item for item in documents(text) if isinstance(item, dict)]


def away(size: str) -> set[str]:
    """Charts of a size that cannot be had here."""
    return {release.chart for release in releases(size) if release.installed and folder(release.chart) is None}
