"""A facility on a cluster, put together once: its API, facts, releases, secrets and charts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from cantiere import artifacts
from cantiere.cluster import facts as looking
from cantiere.cluster import images, secrets, wanted
from cantiere.cluster import releases as records
from cantiere.cluster.client import METADATA, Api, ApiError, KubeApi
from cantiere.cluster.leftovers import CLAIMS, PODS, left
from cantiere.cluster.model import ClusterSeen, ClusterWanted, Namespace
from cantiere.errors import CantiereError, Problem
from cantiere.machines.fleet import Fleet
from cantiere.model import Facility
from cantiere.secrets import SecretStore
from cantiere.services.facts import CA, Facts
from cantiere.site import Site
from cantiere.supply import charts
from cantiere.supply.push import Registry
from cantiere.values import generic, site_services
from cantiere.values.catalogue import COMPILERS, Compiler, compile_all
from cantiere.values.declared import declared
from cantiere.values.helmfile import FACILITY, Source
from cantiere.values.model import ClusterFacts, Context, Release

LOCAL_REGISTRY = "localhost/cantiere"
"""Where nodes find images that were put into them by hand."""


@dataclass
class Cluster:
    """A facility's releases on a site.

    Parameters
    ----------
    site, facility:
        Which.
    fleet:
        The machines of the cluster, where it is ours; None for one that exists.
    """

    site: Site
    facility: Facility
    fleet: Fleet | None = None

    def __post_init__(self) -> None:
        """Charts that nodes of the template bring are pinned there."""
        if brought := generic.pins(self.facility, str(self.site.template.parent)):
            self.site = replace(self.site, charts=brought)

    @property
    def namespace(self) -> str:
        """Of the facility's own services."""
        return self.site.namespace

    @property
    def namespaced(self) -> bool:
        """Whether the user's rights end with that namespace."""
        return bool(self.site.provider.get("namespaced"))

    @property
    def asked(self) -> bool:
        """Whether the template has anything that a cluster runs."""
        return any(node.type in COMPILERS or node.type in self.own for node in self.facility.nodes)

    @cached_property
    def own(self) -> dict[str, Compiler]:
        """Compilers of the site's own types."""
        return site_services.load(self.site.file.parent, self.site.services)

    @cached_property
    def store(self) -> SecretStore:
        """The site's secrets."""
        return SecretStore(self.site.state_dir)

    @cached_property
    def kubeconfig(self) -> Path:
        """The file that names the cluster."""
        if self.fleet:
            return self.site.state_dir / "kubeconfig"
        return self.site.kubeconfig

    @property
    def context(self) -> str:
        """Its context; ``""`` takes the current one."""
        return "" if self.fleet else str(self.site.provider.get("context") or "")

    def api(self) -> KubeApi | None:
        """The cluster's API, or None where a cluster of ours does not answer (yet).

        Raises
        ------
        CantiereError
            An existing cluster does not answer, or its kubeconfig cannot be used.
        """
        return self._connection

    def answering(self) -> KubeApi:
        """The cluster's API, which has to answer.

        Raises
        ------
        CantiereError
            It does not, or the kubeconfig cannot be used.
        """
        api = self.api()
        if api is None:
            remedy = "see `./cantiere status`, then run the same command again"
            raise CantiereError(Problem("cluster.silent", "the cluster's API does not answer", remedy, path="api"))
        return api

    @cached_property
    def _connection(self) -> KubeApi | None:
        if self.fleet is None:
            return KubeApi(self.kubeconfig, self.context)
        from cantiere.cluster.admin import fetch

        if not fetch(self.fleet, self.kubeconfig):
            return None
        api = KubeApi(self.kubeconfig)
        try:
            api.get("/version")
        except ApiError:
            return None
        return api

    def given(self) -> dict[str, Any]:
        """Facts that the site knows, whatever the cluster says."""
        platforms = self.facility.of_type("cantiere.nodes.Platform")
        found: dict[str, Any] = {
            "zone": str(platforms[0].properties["domain"]) if platforms else "",
            "registry": self._registry_prefix(),
            "ca": self.store.value(CA, "certificate"),
        }
        if self.fleet:
            network = self.fleet.network
            found |= {"pod_subnet": network.pod_subnet, "service_subnet": network.service_subnet, "network_policies": True}
        return {**found, **self.site.facts}

    def _registry_prefix(self) -> str:
        if self.registry:
            return self.registry.prefix
        place = self.fleet.registry_place(self.fleet.machines()) if self.fleet else None
        return place.prefix if place else LOCAL_REGISTRY

    def known(self, api: Api | None) -> ClusterFacts:
        """What is known of the cluster now: what it says itself, and what the site says."""
        return looking.observe(api, self.given(), namespaced=self.namespaced) if api else looking.expected(self.given())

    def facts(self, known: ClusterFacts) -> ClusterFacts:
        """What is known of the cluster, with what the template will add to it."""
        return declared(known, self.facility)

    def compiling(self, facts: ClusterFacts) -> Context:
        """What compilers may ask."""
        return Context(
            facility=self.facility,
            cluster=facts,
            services=Facts(
                facility=self.facility,
                domain=f"{self.namespace}.svc.{facts.cluster_domain}",
                paths={"samples": "/samples", "engine": "", "cvmfs": "/cvmfs"},
                engine="",
                network="",
                prefix=self.site.prefix,
                images=artifacts.references(),
                zone=facts.zone if facts.ingress_class or facts.gateway else "",
            ),
            namespace=self.namespace,
            tags={name: image.reference.rpartition(":")[2] for name, image in artifacts.catalogue().items()},
            own=self.own,
        )

    def wanted(self, known: ClusterFacts, seen: ClusterSeen) -> ClusterWanted:
        """What should be on the cluster.

        Parameters
        ----------
        known, seen:
            What is there now, its releases among it.

        Raises
        ------
        TemplateError
            What the site says of a release cannot be, or the values are wrong; all problems at once.
        """
        facts = self.facts(known)
        context = self.compiling(facts)
        compiled = wanted.overridden(compile_all(context), self.site, context)
        adopted = wanted.adoptions(compiled, facts.owners, frozenset(seen.releases), seen.foreign)
        others = wanted.used(facts, known, [item for item in compiled if item.name in adopted])
        if others != facts:
            context = self.compiling(facts := others)
            compiled = wanted.overridden(compile_all(context), self.site, context)
        compiled = wanted.without(compiled, adopted)
        digests = {
            f"{release.namespace}/{item.name}": secrets.digest(self.store, item)
            for release in compiled
            if release.installed
            for item in release.secrets
        }
        final = tuple(self._filled(release, digests) for release in compiled)
        unjudged = wanted.checked(final, wanted.at_hand(final, self.site), context)
        return ClusterWanted(
            name=self.site.prefix,
            facts=facts,
            releases=final,
            digests={release.name: wanted.digest(release, charts.digest(release.chart, self.site)) for release in final},
            secrets=digests,
            namespaces=wanted.namespaces(final, self.site.prefix) if not self.namespaced else {},
            images=self._images(final) if self.registry else (),
            adopted=adopted,
            unjudged=unjudged,
        )

    @staticmethod
    def _filled(release: Release, digests: Mapping[str, str]) -> Release:
        mine = {item.name: digests[key] for item in release.secrets if (key := f"{release.namespace}/{item.name}") in digests}
        return replace(release, values=secrets.filled(release.values, mine))

    @staticmethod
    def _images(releases: tuple[Release, ...]) -> tuple[str, ...]:
        known = artifacts.catalogue()
        return tuple(dict.fromkeys(image for release in releases if release.installed for image in release.images if image in known))

    def observe(self, api: Api | None, *, leftovers: bool = False) -> ClusterSeen:
        """What is on the cluster.

        Parameters
        ----------
        api:
            None for one that is not there yet.
        leftovers:
            Whether to look for what Helm leaves when its releases go.
        """
        if api is None:
            return ClusterSeen()
        where = self.namespace if self.namespaced else ""
        found = records.observe(api, where)
        pushed, silent = images.pushed(self.registry) if self.registry else (frozenset(), None)
        seen = ClusterSeen(
            releases={item.name: item for item in found.values() if item.facility == self.site.prefix},
            foreign=frozenset(name for name, item in found.items() if item.facility != self.site.prefix),
            secrets=secrets.observe(api, self.site.prefix, where),
            namespaces=self._namespaces(api),
            images=pushed,
            registry=silent,
        )
        return replace(seen, claims=left(api, seen, CLAIMS), pods=left(api, seen, PODS)) if leftovers else seen

    def _namespaces(self, api: Api) -> dict[str, Namespace]:
        if self.namespaced:
            found = api.get(f"/api/v1/namespaces/{self.namespace}")
            items = [found] if found else []
        else:
            items = api.list("/api/v1/namespaces", METADATA)
        prefix = self.site.prefix
        labels = {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in items}
        return {name: Namespace(mine, mine.get(FACILITY) == prefix) for name, mine in labels.items()}

    @cached_property
    def registry(self) -> Registry | None:
        """The registry that the nodes ask for our images; None where images are put into the nodes by hand."""
        return images.registry_of(self.site, self.fleet, self.store)

    def sources(self, releases: tuple[Release, ...], log: Any) -> dict[str, Source]:
        """Chart to its folder, for all that has to be installed; fetched where it is not here yet."""
        names = {release.chart for release in releases}
        installed = {release.chart for release in releases if release.installed}
        return {name: Source(str(charts.chart(name, self.site, log)) if name in installed else "none") for name in sorted(names)}
