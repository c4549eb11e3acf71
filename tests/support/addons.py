"""Facilities with add-ons of a cluster, for the tests of their compilers: templates of our own types, loaded as a user's are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cantiere.model import Facility
from cantiere.services.facts import Facts
from cantiere.tosca.compile import load
from cantiere.values.catalogue import COMPILERS, compile_all
from cantiere.values.checks import check
from cantiere.values.declared import declared
from cantiere.values.model import PLACEHOLDER, ClusterFacts, Context, Release
from support.charts import SHARED, files
from support.releases import node

TYPES = [
    f"{name}.yaml"
    for name in (
        "common iam htcondor xrootd jupyterhub cvmfs monitoring autoscaling certificates dns gpu ingress load_balancer policies storage"
    ).split()
]
UNREAD = frozenset({"gateway-crds-helm", "external-dns"})
"""Charts whose files do not lie beside the checkout."""

HIDDEN: Mapping[str, tuple[str, ...]] = {
    "csi-driver-nfs": (),
    "kube-prometheus-stack": (
        "alertmanager.alertmanagerSpec.configSecret",
        "grafana.env",
        "grafana.resources",
        "grafana.testFramework",
        "grafana.ingress.ingressClassName",
        "grafana.sidecar.datasources.initDatasources",
    ),
    "local-path-provisioner": ("sharedFileSystemPath", "storageClass.provisionerName"),
    "openstack-cinder-csi": ("secret.name",),
}
"""Values that charts read and do not show among their defaults: written there as comments, or of a dependency."""

SMALL = {"worker": 2}
LARGE = {"worker": 12, "storage": 3, "gpu": 4}


def facility(folder: Path, nodes: str, **machines: int) -> Facility:
    """A facility of the given node templates (two spaces of indentation), on machines of these roles where any are given.

    Raises
    ------
    TemplateError
        A property breaks its type.
    """
    pools = "".join(
        f"    {role}:\n      type: cantiere.nodes.MachinePool\n      properties: {{count: {count}, roles: [{role}]}}\n"
        for role, count in machines.items()
    )
    hosts = "".join(f"        - machines: {role}\n" for role in machines)
    body = "\n".join(f"  {line}" if line.strip() else line for line in _on_platform(nodes).splitlines())
    text = (
        "tosca_definitions_version: tosca_simple_yaml_1_3\n"
        "metadata: {template_name: facility, template_version: 1.0.0, template_author: test}\n"
        f"imports: [{', '.join(TYPES)}]\n"
        "topology_template:\n  node_templates:\n"
        "    platform:\n      type: cantiere.nodes.Platform\n" + (f"      requirements:\n{hosts}" if hosts else "") + pools + body + "\n"
    )
    path = folder / "template.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path).facility


def _on_platform(nodes: str) -> str:
    """The node templates, each hosted on the platform."""
    lines = []
    for line in nodes.rstrip().splitlines():
        lines.append(line)
        if line.startswith("    type: "):
            lines.append("    requirements: [host: platform]")
    return "\n".join(lines)


def context(found: Facility, cluster: ClusterFacts = PLACEHOLDER) -> Context:
    """That facility on a cluster, in the namespace ``facility``."""
    known = declared(cluster, found)
    facts = Facts(found, f"facility.svc.{known.cluster_domain}", {}, "", "", "", {}, zone=known.zone)
    return Context(found, known, facts, "facility", {"condor-exporter": "1"})


def compiled(folder: Path, nodes: str, cluster: ClusterFacts = PLACEHOLDER, **machines: int) -> dict[str, Release]:
    """The releases of a facility by name, in the order in which they are installed."""
    return {release.name: release for release in compile_all(context(facility(folder, nodes, **machines), cluster))}


def wrong(folder: Path, nodes: str, **machines: int) -> list[str]:
    """Codes of what the checks between properties find, with the node."""
    found = facility(folder, nodes, **machines)
    problems = [
        problem for one in found.nodes if (compiler := COMPILERS.get(one.type)) and compiler.check for problem in compiler.check(one, found)
    ]
    assert all(problem.remedy and problem.message for problem in problems)
    return [f"{problem.code} {problem.path}" for problem in problems]


def held(releases: Mapping[str, Release], cluster: ClusterFacts = PLACEHOLDER) -> None:
    """Hold every value against the chart's schema or default values, and the releases against each other.

    The test is skipped where the files of the upstream charts do not lie beside the checkout.
    """
    if not SHARED.is_dir():
        pytest.skip(f"the files of the charts are not in {SHARED}: nothing to hold values against")
    wanted = [release for release in releases.values() if release.installed]
    charts = {release.chart: found for release in wanted if (found := files(release.chart))}
    missing = {release.chart for release in wanted} - charts.keys() - UNREAD
    assert not missing, f"no files of {missing}"
    stub = Facility("facility", "", tuple(node(name) for name in sorted({release.node for release in wanted})), {})
    place = Context(stub, cluster, Facts(stub, "facility.svc.cluster.local", {}, "", "", "", {}), "facility", {})
    shown = [f"has no value {path} " for paths in HIDDEN.values() for path in paths]
    problems = [found for found in check(wanted, charts, place) if not any(text in f"{found.message} " for text in shown)]
    assert not problems, "\n".join(map(str, problems))
    for release in wanted:
        defaults = charts[release.chart].defaults() if release.chart in charts else None
        if defaults is not None:
            astray = list(strays(release.values, defaults, HIDDEN.get(release.chart, ())))
            assert not astray, f"{release.chart} reads none of {astray}"


def strays(values: Mapping[str, Any], defaults: Mapping[str, Any], hidden: tuple[str, ...], above: str = "") -> Iterator[str]:
    """Paths that the default values have no place for; below an empty map or list anything goes."""
    for key, value in values.items():
        path = f"{above}{key}"
        if path in hidden or key == "resources":
            continue
        if key not in defaults:
            yield path
        elif isinstance(value, Mapping) and isinstance(defaults[key], Mapping) and defaults[key]:
            yield from strays(value, defaults[key], hidden, f"{path}.")
