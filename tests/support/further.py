"""Node templates of the further services, compiled by the front end, and their releases held against the charts' own files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from cantiere.model import Facility, Node
from cantiere.services.facts import Facts
from cantiere.tosca.compile import load
from cantiere.values.catalogue import COMPILERS
from cantiere.values.checks import check
from cantiere.values.model import PLACEHOLDER, ClusterFacts, Context, Release
from support.charts import files, upstream
from support.tree import REPOSITORY
from support.tree import load as read

TAGS = {name: f"{name}-tag" for name in read(REPOSITORY / "artifacts.yaml")["images"]}
UNREAD = frozenset({"minio", "kueue", "dask-kubernetes-operator"})
"""Charts whose files do not lie beside the checkout."""


def context(*found: Node, cluster: ClusterFacts = PLACEHOLDER, namespace: str = "facility", **facts: Any) -> Context:
    """A context of a facility with these nodes."""
    facility = Facility("facility", "", found, {})
    where = replace(cluster, **facts)
    services = Facts(facility, f"{namespace}.svc.{where.cluster_domain}", {}, "", "", "", {}, where.zone)
    return Context(facility, where, services, namespace, TAGS)


def nodes(folder: Path, templates: Mapping[str, Any]) -> tuple[Node, ...]:
    """Node templates, beside a platform and an IAM, so that every property has its default.

    Parameters
    ----------
    folder:
        Where the template is written.
    templates:
        Node templates by name; each is put on the platform.
    """
    identity = {"iam": {"type": "cantiere.nodes.IAM"}}
    placed = {}
    for name, template in {**identity, **templates}.items():
        host = [] if template["type"] == "cantiere.nodes.MachinePool" else [{"host": "platform"}]
        placed[name] = {**template, "requirements": [*host, *template.get("requirements", ())]}
    types = sorted(path.name for path in (REPOSITORY / "tosca" / "types").glob("*.yaml"))
    document = {
        "tosca_definitions_version": "tosca_simple_yaml_1_3",
        "imports": types,
        "topology_template": {"node_templates": {"platform": {"type": "cantiere.nodes.Platform"}, **placed}},
    }
    path = folder / "template.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return load(path).facility.nodes


def one(
    folder: Path, kind: str, properties: Mapping[str, Any] | None = None, name: str = "it", **others: Any
) -> tuple[Node, Context, dict[str, Release]]:
    """A node of a type, the context it is in, and its releases by name.

    Parameters
    ----------
    folder:
        Where the template is written.
    kind:
        The node's type.
    properties:
        Of the node.
    name:
        Of the node.
    others:
        ``requirements`` of the node, ``beside`` (further node templates), and facts of the cluster.
    """
    template = {"type": kind, "properties": dict(properties or {}), "requirements": others.pop("requirements", [])}
    found = nodes(folder, {name: template, **others.pop("beside", {})})
    where = context(*found, **others)
    node = next(node for node in found if node.name == name)
    return node, where, {release.name: release for release in COMPILERS[kind].releases(node, where)}


def wrong(node: Node, where: Context) -> list[str]:
    """Codes of what the check of a node finds; each has a remedy and a place."""
    check_ = COMPILERS[node.type].check
    found = check_(node, where.facility) if check_ else []
    assert all(problem.remedy and problem.message and problem.where for problem in found)
    return [problem.code for problem in found]


def held(releases: Iterable[Release], where: Context) -> list[str]:
    """What the checks find in releases, against the charts' own files; the test is skipped where these are not at hand."""
    wanted = [release for release in releases if release.installed]
    for release in wanted:
        if release.chart not in UNREAD and files(release.chart) is None:
            upstream(release.chart)
    charts = {release.chart: found for release in wanted if (found := files(release.chart))}
    assert charts, "nothing to hold values against"
    return [str(problem) for problem in check(wanted, charts, where)]
