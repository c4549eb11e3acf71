"""Charts rendered by the real Helm with compiled values: linted, held to their schemas, and checked as a plan checks them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cantiere.supply import charts
from cantiere.values.checks import check
from cantiere.values.model import Release
from support.rendering import SITE, away, folder, had, helm, objects, render, rendered, values
from support.sizes import FACTS, context
from support.tree import REPOSITORY, name

OURS = sorted(path.parent for path in (REPOSITORY / "charts").glob("*/Chart.yaml"))
STAND_INS = sorted(path.parent for path in (REPOSITORY / "tests" / "charts").glob("*/Chart.yaml"))
STRANGER = "noValueHasThisName"


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
