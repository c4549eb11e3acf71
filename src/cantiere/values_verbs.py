"""What ``cantiere values`` does: the Helm values of a release, and where each of them comes from."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cantiere.errors import CantiereError, Problem
from cantiere.kubernetes.text import plain
from cantiere.site import REPOSITORY, Site

if TYPE_CHECKING:
    from cantiere.values.model import ClusterFacts, Context, Release
    from cantiere.values.why import Provenance
    from cantiere.workspace import Workspace

WIDTH = 120
"""Columns of the YAML that is shown."""


@dataclass(frozen=True)
class Compiled:
    """The releases of a facility on a site.

    Parameters
    ----------
    site:
        Which.
    context:
        What they were compiled from.
    releases:
        As the site wants them, each after those it needs.
    real:
        Whether the facts are those of the cluster itself; else placeholders.
    """

    site: Site
    context: Context
    releases: tuple[Release, ...]
    real: bool

    def release(self, name: str) -> Release:
        """The release of that name.

        Raises
        ------
        CantiereError
            There is none.
        """
        for release in self.releases:
            if release.name == name:
                return release
        known = ", ".join(release.name for release in self.releases) or "none: the template has nothing that a cluster runs"
        raise CantiereError(Problem("release.unknown", f"there is no release {name!r}", f"use one of: {known}", path=name))

    def why(self, name: str) -> Provenance:
        """Where every value of a release comes from."""
        from cantiere.values.samples import samples
        from cantiere.values.why import why

        profile = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((REPOSITORY / "tosca" / "types").glob("*.yaml"))]
        said = self.site.releases.get(name, {})
        beside = {
            f"site.releases.{name}.{key}": _compiler(replace(self.site, releases={**self.site.releases, name: _without(said, key)}))
            for key in said
        }
        return why(self.context, name, _compiler(self.site), samples(profile), beside)


def _without(said: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {other: value for other, value in said.items() if other != key}


def _compiler(site: Site, strict: bool = False) -> Callable[[Context], tuple[Release, ...]]:
    """What compiles the releases of a site; unless ``strict``, what it says of releases that are not there is left out."""
    from cantiere.cluster.wanted import overridden
    from cantiere.values.catalogue import compile_all

    def compiler(context: Context) -> tuple[Release, ...]:
        releases = compile_all(context)
        names = {release.name for release in releases}
        said = {name: words for name, words in site.releases.items() if strict or name in names}
        return overridden(releases, replace(site, releases=said), context)

    return compiler


def compiled(workspace: Workspace, placeholder: bool) -> Compiled:
    """The releases of a workspace.

    Parameters
    ----------
    placeholder:
        Whether to take placeholders for the facts even where the cluster can be asked.
    """
    from cantiere.cluster.platform import Cluster

    cluster = workspace.cluster or Cluster(workspace.site, workspace.facility)
    api = None if placeholder or workspace.cluster is None else cluster.api()
    facts = cluster.facts(cluster.known(api)) if api else _placeholders(workspace)
    context = cluster.compiling(facts)
    return Compiled(workspace.site, context, _compiler(workspace.site, strict=True)(context), api is not None)


def _placeholders(workspace: Workspace) -> ClusterFacts:
    from cantiere.values.declared import declared
    from cantiere.values.model import PLACEHOLDER

    return declared(replace(PLACEHOLDER, **workspace.site.facts), workspace.facility)


def words(options: argparse.Namespace) -> None:
    """Put the words of a command line in their places: one that is no file's name is a release."""
    if options.release is None and options.template is not None and options.template.suffix not in (".yaml", ".yml"):
        options.release, options.template = str(options.template), None


def values(workspace: Workspace, options: argparse.Namespace) -> int:
    """Show the values of a release, or list the releases."""
    found = compiled(workspace, options.placeholder)
    if not found.real and not options.json:
        reason = "as asked for" if options.placeholder else f"site {workspace.site.name} has no cluster that can be asked"
        print(f"facts of the cluster are placeholders: {reason}", file=sys.stderr)
    if options.release is None:
        return _list(found, options.json)
    release = found.release(options.release)
    if options.why:
        return _why(found, release, options.json)
    if options.json:
        print(json.dumps({"release": release.name, "placeholder": not found.real, "values": plain(release.values)}, indent=1))
    else:
        print(text(release.values), end="")
    return 0


def _list(found: Compiled, as_json: bool) -> int:
    rows = [
        {
            "name": release.name,
            "namespace": release.namespace,
            "chart": release.chart,
            "version": _version(release, found.site),
            "node": release.node,
            "needs": list(release.needs),
            "installed": release.installed,
        }
        for release in found.releases
    ]
    if as_json:
        print(json.dumps({"placeholder": not found.real, "releases": rows}, indent=1))
        return 0
    head = ("RELEASE", "NAMESPACE", "CHART", "VERSION", "NODE", "NEEDS")
    lines = [head, *((*(str(row[key.lower() if key != "RELEASE" else "name"]) for key in head[:5]), _needs(row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    return 0


def _needs(row: Mapping[str, Any]) -> str:
    return ", ".join(row["needs"]) if row["installed"] else "(not installed)"


def _version(release: Release, site: Site) -> str:
    """The chart's version; a question mark where nothing pins it."""
    from cantiere.supply import charts

    try:
        return charts.version(release.chart, site)
    except (CantiereError, OSError, KeyError):
        return "?"


def _why(found: Compiled, release: Release, as_json: bool) -> int:
    from cantiere.values.checks.subject import dotted, leaves

    told = found.why(release.name)
    if as_json:
        origins = {dotted(path): list(names) for path, names in told.origins.items()}
        shown = {"release": release.name, "placeholder": not found.real, "values": plain(release.values)}
        print(json.dumps({**shown, "why": origins, "unjudged": list(told.unjudged)}, indent=1))
        return 0
    for path, value in leaves(release.values):
        print(f"{dotted(path)}: {json.dumps(plain(value), ensure_ascii=False)}  # {', '.join(told.origins[path])}")
    for origin in told.unjudged:
        print(f"what comes from {origin} is unknown: no other value of it compiles", file=sys.stderr)
    return 0


def text(release_values: Mapping[str, Any]) -> str:
    """Values as YAML."""
    return yaml.safe_dump(plain(release_values), sort_keys=False, width=WIDTH, allow_unicode=True) if release_values else "{}\n"


def helm_values(release: str, site: str = "here", template: str = "", inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Values of a release, as the filter ``helm_values`` gives them.

    Parameters
    ----------
    release:
        Its name.
    site:
        A site's name, or the path of its inventory source.
    template:
        Path of a service template in place of the site's own.
    inputs:
        Inputs on top of the site's own.

    Raises
    ------
    CantiereError
        The site, the template, an input or the release is wrong.
    """
    from cantiere.workspace import open_site

    found = compiled(open_site(site, Path(template) if template else None, inputs or {}, None), placeholder=False)
    made: dict[str, Any] = plain(found.release(release).values)
    return made
