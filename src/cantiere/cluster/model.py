"""What should be on a cluster and what is: namespaces, secrets, images in the registry, releases. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cantiere.errors import Problem
from cantiere.values.model import ClusterFacts, Release

MANAGED = {"app.kubernetes.io/managed-by": "cantiere"}
ENFORCE = "pod-security.kubernetes.io/enforce"
SHOWN = 4
WIDEST = 40


@dataclass(frozen=True, slots=True)
class Deployed:
    """A Helm release as the cluster knows it.

    Parameters
    ----------
    name, namespace, chart:
        Which; the chart with its version.
    revision:
        The newest one.
    status:
        ``deployed``, ``failed``, ``pending-install``, ``pending-upgrade``, ``pending-rollback``, ``uninstalling``.
    digest:
        Of chart and values, from its label; ``""`` where it has none.
    values:
        What it was installed with.
    facility:
        Prefix of the site that it was made for; ``""`` where somebody else made it.
    since:
        When it was installed first; a sortable text.
    working:
        Whether a revision of it is deployed, if not the newest.
    """

    name: str
    namespace: str
    chart: str
    revision: int
    status: str
    digest: str
    values: Mapping[str, Any]
    facility: str = ""
    since: str = ""
    working: bool = False


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace.

    Parameters
    ----------
    labels:
        Its labels.
    ours:
        Whether it was made for this facility.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    ours: bool = False


@dataclass(frozen=True, slots=True)
class ClusterWanted:
    """What should be on the cluster.

    Parameters
    ----------
    name:
        Prefix of the site.
    facts:
        What the values were compiled with.
    releases:
        All of them, each after those it needs; values are complete.
    digests:
        Release to the digest of its chart and values.
    secrets:
        ``namespace/name`` to the keyed digest of its content.
    namespaces:
        Namespace to its labels.
    images:
        Names of our images that the registry has to hold, for those who push to one.
    adopted:
        Release that is left to somebody else's, to the reason.
    unjudged:
        Charts whose files are not at hand, so that nothing holds the values to them yet.
    """

    name: str
    facts: ClusterFacts
    releases: tuple[Release, ...]
    digests: Mapping[str, str]
    secrets: Mapping[str, str]
    namespaces: Mapping[str, Mapping[str, str]]
    images: tuple[str, ...] = ()
    adopted: Mapping[str, str] = field(default_factory=dict)
    unjudged: tuple[str, ...] = ()

    @property
    def installed(self) -> tuple[Release, ...]:
        """Releases that have to be there."""
        return tuple(release for release in self.releases if release.installed)


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """What is on the cluster; empty for one that is not there yet.

    Parameters
    ----------
    releases:
        Release of this facility to what is seen of it.
    foreign:
        ``namespace/name`` of all other Helm releases.
    secrets:
        ``namespace/name`` of the facility's Secrets to their digest.
    namespaces:
        All that can be seen, by name.
    images:
        Names of our images that the registry holds in the right version.
    registry:
        Why it could not be asked for them, or None.
    claims, pods:
        ``namespace/name`` of volume claims and of pods without an owner (notebooks) that Helm does not remove with the releases.
    """

    releases: Mapping[str, Deployed] = field(default_factory=dict)
    foreign: frozenset[str] = frozenset()
    secrets: Mapping[str, str] = field(default_factory=dict)
    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    images: frozenset[str] = frozenset()
    registry: Problem | None = None
    claims: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a value with its path: ``image.tag``, ``ports[0].number``."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and value:
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{place}]")
    elif path:
        yield path, list(value) if isinstance(value, tuple) else value


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between two sets of values, in words; empty where nothing does."""
    before, after = dict(leaves(old)), dict(leaves(new))
    paths = [path for path in {**before, **after} if before.get(path, ...) != after.get(path, ...)]
    told = [_told(path, before, after) for path in paths[:SHOWN]]
    return ", ".join(told + ([f"and {len(paths) - SHOWN} more"] if len(paths) > SHOWN else []))


def _told(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if path not in after:
        return f"{path} goes"
    if path not in before:
        return f"{path} is {_short(after[path])}"
    return f"{path} {_short(before[path])} → {_short(after[path])}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
