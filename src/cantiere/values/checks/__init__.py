"""What is wrong with compiled releases, found before anything is touched. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from cantiere.errors import Problem
from cantiere.values.checks import (
    api_versions,
    images,
    kube_version,
    links,
    owners,
    paths,
    pod_security,
    schema,
    secret_values,
    template_text,
)
from cantiere.values.checks.chart import ChartFiles
from cantiere.values.checks.subject import Manifest, Subject
from cantiere.values.model import Context, Release

CHECKS: tuple[Callable[[Subject], list[Problem]], ...] = (
    schema.check,
    paths.check,
    kube_version.check,
    api_versions.check,
    images.check,
    owners.check,
    pod_security.check,
    links.check,
    secret_values.check,
    template_text.check,
)


def check(
    releases: Iterable[Release],
    charts: Mapping[str, ChartFiles],
    context: Context,
    rendered: Mapping[str, Sequence[Manifest]] | None = None,
) -> list[Problem]:
    """Everything that is wrong with the releases that are to be installed, by where it is written.

    Parameters
    ----------
    charts:
        Chart name to what its files say; of a chart that is not there the values cannot be judged (see :func:`unjudged`).
    context:
        What the releases were compiled from: placeholders at the time of the plan, the cluster's own facts later.
    rendered:
        Release name to the manifests that Helm makes of it (with those of ``crds/`` unless the release skips them), for the
        releases that were rendered.

    Returns
    -------
    list of Problem
        Each with the value to flip; empty where nothing is wrong.
    """
    given = tuple(releases)
    leaving = frozenset(f"{release.namespace}/{release.name}" for release in given if not release.installed)
    subject = Subject(tuple(release for release in given if release.installed), charts, context, rendered or {}, leaving)
    problems = [problem for one in CHECKS for problem in one(subject)]
    return sorted(
        dict.fromkeys(problems), key=lambda problem: (problem.path.partition(".")[0], problem.code, problem.path, problem.message)
    )


def unjudged(releases: Iterable[Release], charts: Mapping[str, ChartFiles]) -> tuple[str, ...]:
    """Charts whose files are not at hand, so that nothing holds the values to them; who checks has to say so."""
    return tuple(sorted({release.chart for release in releases if release.installed and release.chart not in charts}))


__all__ = ["CHECKS", "ChartFiles", "Manifest", "check", "unjudged"]
