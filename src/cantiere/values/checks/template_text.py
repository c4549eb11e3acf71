"""No template text in values: what a chart or Ansible would run. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from cantiere.errors import Problem
from cantiere.values.checks.subject import Subject, dotted, leaves

TEMPLATE = re.compile(r"\{\{|\{%")

ALLOWED: Mapping[str, tuple[str, ...]] = {
    "kube-prometheus-stack": ("additionalPrometheusRulesMap.*", "grafana.dashboards.*", "grafana.alerting.*", "alertmanager.config.*"),
    "cvmfs-csi": ("extraConfigMaps.*",),
    "*": ("extraObjects*", "dashboards.*", "prometheusRules.*", "alerts.*"),
}
"""Chart to patterns of paths whose texts have braces of their own: alerts and dashboards of Prometheus, and texts a chart runs itself."""


def check(subject: Subject) -> list[Problem]:
    """Values with template text in them."""
    problems = []
    for release in subject.releases:
        allowed = (*ALLOWED.get(release.chart, ()), *ALLOWED["*"])
        for path, leaf in leaves(release.values):
            keys = [str(part) for part in path]
            texts = [text for text in (leaf, *keys) if isinstance(text, str) and TEMPLATE.search(text)]
            if texts and not any(fnmatchcase(".".join(keys), pattern) for pattern in allowed):
                message = f"{release.name}: {dotted(path)} has template text in it: {texts[0][:60]!r}"
                remedy = "compute the value in the compiler; a text that comes from the template's author may not have {{ or {% in it"
                problems.append(subject.value_problem(release, "values.template", path, message, remedy))
    return problems
