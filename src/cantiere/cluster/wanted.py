"""From compiled releases to those of a site: its own words about single releases, what somebody else runs already, namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cantiere.cluster.model import ENFORCE, MANAGED
from cantiere.errors import Location, Problem, TemplateError, rather
from cantiere.overlay import merged
from cantiere.site import Site
from cantiere.supply import charts
from cantiere.supply.pins import ARCHITECTURES, item
from cantiere.values.catalogue import compile_all, ordered
from cantiere.values.checks.chart import ChartFiles
from cantiere.values.helmfile import FACILITY, digest
from cantiere.values.model import POD_SECURITY, ClusterFacts, Context, Release

__all__ = ["adoptions", "at_hand", "checked", "digest", "namespaces", "overridden", "without"]

KEYS = ("values_overrides", "installed", "storage_class", "outside")
SYSTEM = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
"""Namespaces that every cluster has; they are never made, labelled or removed."""


def overridden(releases: Sequence[Release], site: Site, context: Context) -> tuple[Release, ...]:
    """Releases as the site's key ``releases`` wants them.

    Parameters
    ----------
    releases:
        As they were compiled.
    site:
        Its ``releases`` map names to ``values_overrides``, ``installed``, ``storage_class`` and ``outside``.
    context:
        What they were compiled with; they are compiled again where a node gets another storage class.

    Raises
    ------
    TemplateError
        An unknown release or key, or a value of the wrong type; all at once.
    """
    said = site.releases
    by_name = {release.name: release for release in releases}
    if problems := list(_wrong(said, by_name, site)):
        raise TemplateError(problems)
    classes = {by_name[name].node: str(entry["storage_class"]) for name, entry in said.items() if entry.get("storage_class")}
    if classes:
        nodes = tuple(
            replace(node, properties={**node.properties, "storage_class": classes[node.name]}) if node.name in classes else node
            for node in context.facility.nodes
        )
        facility = replace(context.facility, nodes=nodes)
        again = replace(context, facility=facility, services=replace(context.services, facility=facility))
        by_name = {release.name: release for release in compile_all(again)}
    changed = {name: _one(_imaged(release, site, context), said.get(name, {})) for name, release in by_name.items()}
    return ordered(changed)


def _wrong(said: Mapping[str, Any], known: Mapping[str, Release], site: Site) -> Iterable[Problem]:
    where = Location(str(site.file))
    for name, entry in said.items():
        if name not in known:
            yield Problem("site.release", f"there is no release {name!r}", rather([name], known), where, f"releases.{name}")
            continue
        for key, value in entry.items() if isinstance(entry, Mapping) else ():
            path = f"releases.{name}.{key}"
            if key not in KEYS:
                yield Problem("site.release", f"unknown key {path}", rather([key], KEYS), where, path)
            elif key == "values_overrides" and not isinstance(value, Mapping):
                yield Problem("site.release", f"{path} is no mapping", "write the values as the chart has them", where, path)
            elif key == "installed" and not isinstance(value, bool):
                yield Problem("site.release", f"{path} is no boolean", "write true or false", where, path)
        if not isinstance(entry, Mapping):
            yield Problem("site.release", f"releases.{name} is no mapping", f"use one of: {', '.join(KEYS)}", where, f"releases.{name}")


def _imaged(release: Release, site: Site, context: Context) -> Release:
    """A release with the images that the site's pins put into its chart."""
    values, ours = release.values, list(release.images)
    for path, name in charts.images(release.chart, site).items():
        image: Any = context.image(name) if name in context.tags else dict(zip(("repository", "tag"), reference(name, site), strict=True))
        ours += [name] if name in context.tags else []
        for key in reversed(path.split(".")):
            image = {key: image}
        values = merged(values, image)
    return replace(release, values=values, images=tuple(dict.fromkeys(ours)))


def reference(name: str, site: Site) -> tuple[str, str]:
    """Repository and tag of an image that is put into the nodes."""
    repository, _, tag = item(name, site, ARCHITECTURES[0]).references[0].rpartition(":")
    return repository, tag


def _one(release: Release, entry: Mapping[str, Any]) -> Release:
    """A release as the site says it; null takes a compiled value away, and of a key that is not compiled the chart's default."""
    return replace(
        release,
        values=merged(release.values, entry.get("values_overrides", {})),
        installed=release.installed and entry.get("installed", True) and not entry.get("outside"),
    )


def adoptions(releases: Sequence[Release], owners: Mapping[str, str], ours: frozenset[str], foreign: frozenset[str]) -> dict[str, str]:
    """Releases that are not installed, because somebody else's do the same on this cluster already.

    Parameters
    ----------
    releases:
        All of them.
    owners:
        ``Kind/name`` of cluster-scoped objects that are there, to the release that owns them.
    ours:
        Names of the releases of this facility that are there.
    foreign:
        ``namespace/name`` of all other releases that are there.

    Returns
    -------
    dict
        Name of the release to what is used in its place.
    """
    found = {}
    for release in releases:
        mine = f"{release.namespace}/{release.name}"
        others = [item for item in release.owns if item in owners and (owners[item] != mine or mine in foreign)]
        if release.installed and release.name not in ours and others:
            owner = f"release {owners[others[0]]}" if owners[others[0]] else "somebody else"
            found[release.name] = f"{owner} brings {others[0]} to this cluster already; that one is used"
    return found


def used(facts: ClusterFacts, seen: ClusterFacts, adopted: Sequence[Release]) -> ClusterFacts:
    """Facts in which what somebody else brings stands in place of what the template would have brought.

    Parameters
    ----------
    facts:
        With what the template adds.
    seen:
        Without it.
    adopted:
        Releases that are not installed, because there are others.
    """
    kinds = {item.partition("/")[0] for release in adopted for item in release.owns}
    if "StorageClass" in kinds and seen.storage_class:
        classes = {**seen.storage_classes}
        shared = seen.shared_storage_class or facts.shared_storage_class
        facts = replace(facts, storage_class=seen.storage_class, shared_storage_class=shared, storage_classes=classes)
    if "IngressClass" in kinds and seen.ingress_class:
        facts = replace(facts, ingress_class=seen.ingress_class, ingress_address=seen.ingress_address)
    return facts


def without(releases: Sequence[Release], adopted: Mapping[str, str]) -> tuple[Release, ...]:
    """Releases with those turned off that are adopted; nobody waits for them."""
    return ordered({item.name: replace(item, installed=False) if item.name in adopted else item for item in releases})


def namespaces(releases: Sequence[Release], facility: str) -> dict[str, dict[str, str]]:
    """Namespace to the labels that it gets: the weakest pod-security level that one of its releases needs."""
    levels: dict[str, str] = {}
    for release in releases:
        if release.installed and release.namespace not in SYSTEM:
            before = levels.get(release.namespace, POD_SECURITY[0])
            levels[release.namespace] = max(before, release.pod_security, key=POD_SECURITY.index)
    return {
        name: {ENFORCE: level, "kubernetes.io/metadata.name": name, FACILITY: facility, **MANAGED} for name, level in sorted(levels.items())
    }


def at_hand(releases: Sequence[Release], site: Site) -> dict[str, ChartFiles]:
    """What the files of the releases' charts say, of those that are here; reads them all."""
    found = {name: charts.files(name, site) for name in dict.fromkeys(release.chart for release in releases)}
    return {name: files for name, files in found.items() if files is not None}


def checked(
    releases: Sequence[Release],
    known: Mapping[str, ChartFiles],
    context: Context,
    rendered: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> tuple[str, ...]:
    """Check all releases against their charts and each other.

    Parameters
    ----------
    releases:
        All of them.
    known:
        Their charts, as :func:`at_hand` gives them.
    context:
        What they were compiled with.
    rendered:
        Release to the objects that Helm makes of it, of those that were rendered.

    Returns
    -------
    tuple of str
        Charts whose files are not at hand, so that nothing holds the values to them.

    Raises
    ------
    TemplateError
        All that is wrong.
    """
    from cantiere.values.checks import check, unjudged

    if problems := check(releases, known, context, rendered):
        raise TemplateError(problems)
    return unjudged(releases, known)
