"""Which module makes which type of node into releases. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cantiere.errors import CantiereError, Problem
from cantiere.model import Facility, Node
from cantiere.values import (
    autoscaling,
    certificates,
    computing,
    cvmfs,
    dask,
    dns,
    generic,
    gpu,
    htcondor,
    iam,
    identity,
    ingress,
    interlink,
    jupyterhub,
    kueue,
    load_balancer,
    monitoring,
    mounts,
    policies,
    reana,
    rucio,
    s3,
    spark,
    squid,
    storage,
    xrootd,
)
from cantiere.values.model import Context, Release


@dataclass(frozen=True, slots=True)
class Compiler:
    """What the catalogue knows of a node type on a cluster.

    Parameters
    ----------
    releases:
        Makes the releases of a node.
    check:
        Finds what is wrong between several properties of a node, or None.
    """

    releases: Callable[[Node, Context], tuple[Release, ...]]
    check: Callable[[Node, Facility], list[Problem]] | None = None


COMPILERS: Mapping[str, Compiler] = {
    autoscaling.TYPE: Compiler(autoscaling.releases, autoscaling.check),
    certificates.TYPE: Compiler(certificates.releases, certificates.check),
    cvmfs.TYPE: Compiler(cvmfs.releases, cvmfs.check),
    squid.TYPE: Compiler(squid.releases, squid.check),
    dns.TYPE: Compiler(dns.releases, dns.check),
    gpu.TYPE: Compiler(gpu.releases, gpu.check),
    ingress.TYPE: Compiler(ingress.releases, ingress.check),
    load_balancer.TYPE: Compiler(load_balancer.releases, load_balancer.check),
    monitoring.TYPE: Compiler(monitoring.releases, monitoring.check),
    policies.TYPE: Compiler(policies.releases, policies.check),
    **{name: Compiler(storage.releases, storage.check) for name in storage.TYPES},
    htcondor.TYPE: Compiler(htcondor.releases, htcondor.check),
    iam.TYPE: Compiler(iam.releases),
    jupyterhub.TYPE: Compiler(jupyterhub.releases),
    **{name: Compiler(xrootd.releases, xrootd.check) for name in xrootd.TYPES},
    computing.TYPE: Compiler(computing.releases, computing.check),
    dask.GATEWAY: Compiler(dask.gateway, dask.check_gateway),
    dask.OPERATOR: Compiler(dask.operator),
    generic.TYPE: Compiler(generic.releases, generic.check),
    identity.DEX: Compiler(identity.dex, identity.check_dex),
    identity.KEYCLOAK: Compiler(identity.keycloak, identity.check_keycloak),
    interlink.TYPE: Compiler(interlink.releases, interlink.check),
    kueue.TYPE: Compiler(kueue.releases, kueue.check),
    mounts.TYPE: Compiler(mounts.releases, mounts.check),
    reana.TYPE: Compiler(reana.releases, reana.check),
    rucio.TYPE: Compiler(rucio.releases, rucio.check),
    s3.TYPE: Compiler(s3.releases, s3.check),
    spark.TYPE: Compiler(spark.releases, spark.check),
}


def compile_all(context: Context) -> tuple[Release, ...]:
    """All releases of a facility, each after those it needs; needs of a release that is not installed, or not there, are dropped.

    Raises
    ------
    CantiereError
        Two nodes make releases of one name that are not the same.
    """
    compilers = {**COMPILERS, **context.own}
    found: dict[str, Release] = {}
    for node in context.facility.nodes:
        compiler = compilers.get(node.type)
        for release in compiler.releases(node, context) if compiler else ():
            known = found.setdefault(release.name, release)
            if (known.chart, known.namespace) != (release.chart, release.namespace):
                message = f"{known.node} and {node.name} both make a release {release.name}"
                raise CantiereError(Problem("release.twice", message, "rename one of the nodes", node.where, node.name))
    return ordered(found)


def ordered(releases: Mapping[str, Release]) -> tuple[Release, ...]:
    """Releases in an order in which each comes after those it needs.

    Raises
    ------
    graphlib.CycleError
        Releases need each other.
    """
    from dataclasses import replace
    from graphlib import TopologicalSorter

    there = {name for name, release in releases.items() if release.installed}
    kept = {name: replace(release, needs=tuple(need for need in release.needs if need in there)) for name, release in releases.items()}
    return tuple(kept[name] for name in TopologicalSorter({name: release.needs for name, release in kept.items()}).static_order())
