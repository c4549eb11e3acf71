"""The chart takes the cluster's version of Kubernetes. Pure."""

from __future__ import annotations

from cantiere.errors import Problem
from cantiere.values.checks.subject import Subject
from cantiere.values.checks.versions import fits


def check(subject: Subject) -> list[Problem]:
    """Charts that refuse the cluster's version."""
    version = subject.context.cluster.kubernetes_version
    problems = []
    for release in subject.releases:
        chart = subject.charts.get(release.chart)
        if chart is None or not chart.kube_version:
            continue
        try:
            taken = fits(version, chart.kube_version)
        except ValueError as error:
            message = f"{release.name}: whether chart {chart.name} takes Kubernetes {version} cannot be told: {error}"
            problems.append(subject.problem(release, "chart.kube-version", release.name, message, f"see the Chart.yaml of {chart.name}"))
            continue
        if not taken:
            message = f"{release.name}: chart {chart.name} {chart.version} takes Kubernetes {chart.kube_version}, the cluster has {version}"
            remedy = f"pin another version of {chart.name} in artifacts.yaml, or upgrade the cluster"
            problems.append(subject.problem(release, "chart.kube-version", release.name, message, remedy))
    return problems
