"""Charts rendered by the real Helm with compiled values: linted, held to their schemas, and checked as a plan checks them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere import site as sites
from cantiere import supply
from cantiere.cluster.wanted import overridden
from cantiere.errors import CantiereError
from cantiere.kubernetes.text import plain
from cantiere.supply import charts
from cantiere.supply.bundle import own_architecture
from cantiere.values.checks import check
from cantiere.values.model import Context, Release
from support.charts import documents
from support.sizes import FACTS, context, releases
from support.tree import REPOSITORY, name

SITE = replace(sites.load(sites.find("nspawn")), releases={})
"""Where charts that cannot be had here are stood in for, and images that no registry gives."""
OURS = sorted(path.parent for path in (REPOSITORY / "charts").glob("*/Chart.yaml"))
STAND_INS = sorted(path.parent for path in (REPOSITORY / "tests" / "charts").glob("*/Chart.yaml"))
STRANGER = "noValueHasThisName"
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
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for release in had(size):
            done = render(release, context(size), Path(scratch))
            if REFUSAL in done.stderr:
                print(f"{size}: {release.name} is more than its stand-in does: {done.stderr.strip().splitlines()[0]}")
            else:
                found[release.name] = done
    return found


def objects(text: str) -> list[dict[str, Any]]:
    """The objects that Helm has rendered."""
    return [item for item in documents(text) if isinstance(item, dict)]


def users(chart: Path) -> list[tuple[str, Release]]:
    """Releases that install a chart, with their size."""
    return [(size, release) for size in FACTS for release in had(size) if folder(release.chart) == chart]


@pytest.mark.parametrize("chart", [*OURS, *STAND_INS], ids=name)
def test_lint(chart: Path, tmp_path: Path) -> None:
    """Helm finds nothing to complain of, with the values that compilers give."""
    used = [release for size, release in users(chart) if release.name in rendered(size)]
    assert used or chart in OURS, "no release installs this stand-in: remove it"
    given = [values(release, tmp_path) for release in used[:1]] or [str(file) for file in sorted(chart.glob("ci/*.yaml"))]
    flags = [flag for file in given for flag in ("--values", file)]
    done = helm("lint", "--strict", "--quiet", str(chart), *flags)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("chart", OURS, ids=name)
def test_schema(chart: Path, tmp_path: Path) -> None:
    """Our charts refuse values that they do not know, so that a misspelt one is not lost."""
    assert (chart / "values.schema.json").is_file(), "a chart of ours has a schema"
    given = [f"--values={values(release, tmp_path)}" for _, release in users(chart)[:1]]
    done = helm("template", "one", str(chart), *given, "--set", f"{STRANGER}=1")
    assert done.returncode and STRANGER in done.stderr, f"{STRANGER} was taken:\n{done.stdout[-500:]}{done.stderr}"


@pytest.mark.parametrize("size", FACTS)
def test_rendered(size: str) -> None:
    """All releases whose charts are here render, and what they render to stands the checks of a plan."""
    broken = {release: done.stderr.strip()[-600:] for release, done in rendered(size).items() if done.returncode}
    assert not broken, "\n".join(f"{release}: {why}" for release, why in broken.items())
    files = {release.chart: found for release in had(size) if (found := charts.files(release.chart, SITE))}
    made = {release: objects(done.stdout) for release, done in rendered(size).items()}
    checked = [release for release in had(size) if release.name in made]
    problems = check(checked, files, context(size), made)
    assert not problems, "\n".join(map(str, problems))
    print(f"{size}: {len(made)} releases, {sum(map(len, made.values()))} objects; not to be had here: {', '.join(sorted(away(size)))}")


def away(size: str) -> set[str]:
    """Charts of a size that cannot be had here."""
    return {release.chart for release in releases(size) if release.installed and folder(release.chart) is None}


@pytest.mark.parametrize("size", FACTS)
def test_same_twice(size: str, tmp_path: Path) -> None:
    """A chart gives the same objects each time, else every run would be an upgrade; those that look up what they made before aside."""
    moving = [
        release.name
        for release in had(size)
        if release.name in rendered(size)
        and not looks_up(folder(release.chart))
        and objects(render(release, context(size), tmp_path).stdout) != objects(rendered(size)[release.name].stdout)
    ]
    assert not moving, f"random or dated content in {moving}"


def looks_up(chart: Path | None) -> bool:
    """Whether a chart asks the cluster for what it made before; without one it makes it anew."""
    return chart is not None and any('lookup "' in path.read_text(encoding="utf-8") for path in chart.glob("templates/**/*.*"))
