"""Releases wanted × releases seen → plan. Pure."""

from __future__ import annotations

from cantiere.cluster.model import ClusterSeen, ClusterWanted, Deployed, changes
from cantiere.plan.definition import Action, Kind, Plan, Step, waiting_order
from cantiere.values.model import Release

DOWN = "the facility is taken down"


def build(wanted: ClusterWanted, seen: ClusterSeen) -> Plan:
    """The plan that makes what is on the cluster into what is wanted.

    Parameters
    ----------
    wanted:
        What should be there.
    seen:
        What is there.
    """
    steps = [*_namespaces(wanted, seen), *_secrets(wanted, seen)]
    why = seen.registry.message if seen.registry else "the registry does not have this version"
    steps += [Step(Kind.REGISTRY_IMAGE, name, Action.CREATE, why) for name in wanted.images if name not in seen.images]
    steps += [step for release in wanted.installed if (step := _release(wanted, release, seen))]
    made = tuple(step.id for step in steps)
    should = {release.name: release for release in wanted.installed}
    gone = [found for name, found in seen.releases.items() if name not in should]
    steps += _departures(gone, {found.name: _why_gone(wanted, found) for found in gone}, made)
    before = tuple(step.id for step in steps)
    steps += [
        Step(Kind.SECRET, name, Action.DELETE, "nothing uses it any more", before) for name in seen.secrets if name not in wanted.secrets
    ]
    return Plan(wanted.name, waiting_order(steps))


def build_removal(name: str, seen: ClusterSeen) -> Plan:
    """The plan that removes what was made for a facility: releases, Secrets and volumes, then namespaces; what others put there keeps them.

    Parameters
    ----------
    name:
        Prefix of the site.
    seen:
        What is there.
    """
    steps = _departures(list(seen.releases.values()), dict.fromkeys(seen.releases, DOWN), ())
    before = tuple(step.id for step in steps)
    steps += [Step(Kind.SECRET, secret, Action.DELETE, DOWN, before) for secret in seen.secrets]
    steps += [Step(Kind.CONTAINER, pod, Action.DELETE, DOWN, before) for pod in seen.pods]
    steps += [Step(Kind.VOLUME, claim, Action.DELETE, DOWN, before) for claim in seen.claims]
    before = tuple(step.id for step in steps)
    steps += [Step(Kind.NAMESPACE, space, Action.DELETE, DOWN, before) for space, found in seen.namespaces.items() if found.ours]
    return Plan(name, waiting_order(steps))


def _namespaces(wanted: ClusterWanted, seen: ClusterSeen) -> list[Step]:
    steps = []
    for name, labels in wanted.namespaces.items():
        found = seen.namespaces.get(name)
        if found is None:
            steps.append(Step(Kind.NAMESPACE, name, Action.CREATE, "there is no such namespace"))
        elif found.ours and (text := changes(dict(found.labels), {**found.labels, **labels})):
            steps.append(Step(Kind.NAMESPACE, name, Action.UPDATE, f"its labels differ: {text}"))
    return steps


def _secrets(wanted: ClusterWanted, seen: ClusterSeen) -> list[Step]:
    steps = []
    for name, digest in wanted.secrets.items():
        after = (f"{Kind.NAMESPACE}/{name.partition('/')[0]}",)
        if name not in seen.secrets:
            steps.append(Step(Kind.SECRET, name, Action.CREATE, "there is no such Secret", after))
        elif seen.secrets[name] != digest:
            steps.append(Step(Kind.SECRET, name, Action.UPDATE, "the site's store holds other values", after))
    return steps


def _release(wanted: ClusterWanted, release: Release, seen: ClusterSeen) -> Step | None:
    after = (
        f"{Kind.NAMESPACE}/{release.namespace}",
        *(f"{Kind.SECRET}/{release.namespace}/{secret.name}" for secret in release.secrets),
        *(f"{Kind.REGISTRY_IMAGE}/{image}" for image in release.images),
        *(f"{Kind.RELEASE}/{name}" for name in release.needs),
    )
    found = seen.releases.get(release.name)
    if found is None:
        return Step(Kind.RELEASE, release.name, Action.CREATE, "it is not there", after)
    if found.status == "deployed" and found.digest == wanted.digests[release.name]:
        return None
    return Step(Kind.RELEASE, release.name, Action.UPDATE, _why(release, found, wanted.digests[release.name]), after)


def _why(release: Release, found: Deployed, digest: str) -> str:
    differs = changes(found.values, release.values)
    if found.status == "deployed":
        return differs or f"its chart has changed, it has {found.chart}"
    state = "its last change failed" if found.status == "failed" else f"a run was cut off, it is {found.status}"
    return f"{state}; {differs}" if differs and found.digest != digest else state


def _why_gone(wanted: ClusterWanted, found: Deployed) -> str:
    if found.name in wanted.adopted:
        return wanted.adopted[found.name]
    if any(release.name == found.name for release in wanted.releases):
        return "it is turned off"
    return "the template no longer asks for it"


def _departures(gone: list[Deployed], reasons: dict[str, str], before: tuple[str, ...]) -> list[Step]:
    """Releases that go, the youngest first: each was installed after those it needs."""
    steps: list[Step] = []
    for found in sorted(gone, key=lambda item: item.since, reverse=True):
        earlier = tuple(step.id for step in steps)
        steps.append(Step(Kind.RELEASE, found.name, Action.DELETE, reasons[found.name], (*before, *earlier)))
    return steps
