"""The stages of a run over releases: what the Ansible module calls for a site whose platform is a cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable

from cantiere.cluster.apply import RELEASES_AT_ONCE, Apply
from cantiere.cluster.client import Api
from cantiere.cluster.helm import Helm
from cantiere.cluster.model import ClusterSeen, ClusterWanted
from cantiere.cluster.plan import build, build_removal
from cantiere.cluster.platform import Cluster
from cantiere.plan.definition import Action, Done, Kind, Plan
from cantiere.plan.walk import Report, walk
from cantiere.runs import asker_gone

ROUNDS = 3
"""Rounds until nothing is left to do: a release can make a fact (an address) from which another one's values are compiled."""


def plan_of(cluster: Cluster) -> Plan:
    """The plan of a facility's releases, from what is seen now; for a cluster that is not there yet, from placeholders."""
    if not cluster.asked:
        return Plan(cluster.site.prefix, ())
    return planned(*look(cluster, cluster.api()))


def planned(wanted: ClusterWanted, seen: ClusterSeen) -> Plan:
    """The plan that makes one into the other; warns of what could not be judged."""
    if wanted.unjudged:
        print(f"warning: values of {', '.join(wanted.unjudged)} are not checked: their charts are not here yet", file=sys.stderr)
    if wanted.images and seen.registry:
        print(f"warning: it is not known which images are in the registry: {seen.registry}", file=sys.stderr)
    return build(wanted, seen)


def look(cluster: Cluster, api: Api | None) -> tuple[ClusterWanted, ClusterSeen]:
    """What should be on the cluster, and what is."""
    seen = cluster.observe(api)
    return cluster.wanted(cluster.known(api), seen), seen


def removal_of(cluster: Cluster) -> Plan:
    """The plan that takes a facility's releases off a cluster."""
    return build_removal(cluster.site.prefix, cluster.observe(cluster.api(), leftovers=True))


def release(cluster: Cluster, log: Callable[[str], None], report: Report, check: bool) -> Done:
    """Bring all releases to what the template asks for.

    Parameters
    ----------
    cluster:
        Where; the caller holds the site's lock.
    log, report:
        Take lines of long work, and steps.
    check:
        Only tell.
    """
    if not cluster.asked:
        return Done()
    if check:
        return Done(tuple(str(step) for step in plan_of(cluster).steps))
    api = cluster.answering()
    told: list[str] = []
    for _ in range(ROUNDS):
        wanted, seen = look(cluster, api)
        cluster.store.keep()
        plan = build(wanted, seen)
        if not plan.steps:
            break
        told += [str(step) for step in plan.steps]
        helm = helm_of(cluster, log)
        sources = cluster.sources(wanted.releases, log)
        new = frozenset(item.name for item in wanted.releases if item.name not in seen.releases or not seen.releases[item.name].working)
        helm.write(wanted, new, sources)
        doing = Apply(cluster, api, wanted, seen, helm, sources, log)
        if any(step.kind is Kind.RELEASE and step.action is not Action.DELETE for step in plan.steps):
            doing.judge()
        walk(plan, doing, RELEASES_AT_ONCE, report)
    return Done(tuple(told))


def remove(cluster: Cluster, log: Callable[[str], None], report: Report, check: bool) -> Done:
    """Take all releases off the cluster, with their Secrets and the namespaces that are empty then."""
    api = cluster.api()
    seen = cluster.observe(api, leftovers=True)
    plan = build_removal(cluster.site.prefix, seen)
    if api and plan.steps and not check:
        walk(plan, Apply(cluster, api, None, seen, helm_of(cluster, log), {}, log), RELEASES_AT_ONCE, report)
    return Done(tuple(str(step) for step in plan.steps))


def helm_of(cluster: Cluster, log: Callable[[str], None]) -> Helm:
    """Helm on a facility's cluster."""
    return Helm(cluster.site, cluster.site.state_dir / "releases", cluster.kubeconfig, cluster.context, log, asker_gone)
