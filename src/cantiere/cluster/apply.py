"""The only writer of a cluster: does the steps of a plan of releases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from cantiere.cluster import images, secrets, wanted
from cantiere.cluster import releases as records
from cantiere.cluster.client import METADATA, Api, ApiError, Paths
from cantiere.cluster.helm import Helm
from cantiere.cluster.model import ClusterSeen, ClusterWanted
from cantiere.cluster.platform import Cluster
from cantiere.cluster.stuck import Tender
from cantiere.cluster.trouble import explained
from cantiere.errors import CantiereError, Problem
from cantiere.plan.definition import Action, Kind, Step
from cantiere.values.helmfile import FACILITY, Source
from cantiere.values.model import Release, SecretObject

RELEASES_AT_ONCE = 4
KEPT_BY = ("pods", "services", "secrets", "configmaps", "persistentvolumeclaims")
"""What keeps a namespace of ours when the facility goes: somebody put it there."""
OF_KUBERNETES = ("kube-root-ca.crt",)


class Apply:
    """Does steps.

    Parameters
    ----------
    cluster, api:
        Where.
    asked, seen:
        What the plan was made from; ``asked`` is None where all goes.
    helm:
        Helm on that cluster.
    sources:
        Chart to its folder.
    log:
        Takes lines of long work.
    """

    def __init__(
        self,
        cluster: Cluster,
        api: Api,
        asked: ClusterWanted | None,
        seen: ClusterSeen,
        helm: Helm,
        sources: Mapping[str, Source],
        log: Callable[[str], None],
    ) -> None:
        self.cluster = cluster
        self.api = api
        self.wanted = asked
        self.seen = seen
        self.helm = helm
        self.sources = sources
        self.log = log
        self._releases: dict[str, Release] = {item.name: item for item in asked.releases} if asked else {}
        self._secrets: dict[str, SecretObject] = {
            f"{item.namespace}/{secret.name}": secret for item in self._releases.values() for secret in item.secrets
        }
        self._handlers: Mapping[tuple[Kind, Action], Callable[[str], None]] = {
            (Kind.NAMESPACE, Action.CREATE): self._write_namespace,
            (Kind.NAMESPACE, Action.UPDATE): self._write_namespace,
            (Kind.NAMESPACE, Action.DELETE): self._delete_namespace,
            (Kind.SECRET, Action.CREATE): self._write_secret,
            (Kind.SECRET, Action.UPDATE): self._write_secret,
            (Kind.SECRET, Action.DELETE): lambda name: self._delete("secrets", name),
            (Kind.VOLUME, Action.DELETE): lambda name: self._delete("persistentvolumeclaims", name),
            (Kind.CONTAINER, Action.DELETE): lambda name: self._delete("pods", name),
            (Kind.REGISTRY_IMAGE, Action.CREATE): self._push,
            (Kind.RELEASE, Action.CREATE): self._install,
            (Kind.RELEASE, Action.UPDATE): self._install,
            (Kind.RELEASE, Action.DELETE): self._uninstall,
        }

    def judge(self) -> None:
        """Check all releases once more, with the objects that Helm makes of them: policies of one rule pods of another.

        Raises
        ------
        TemplateError
            What is wrong with any of them.
        """
        assert self.wanted is not None
        rendered = {}
        for release in self.wanted.installed:
            with suppress(CantiereError):  # it is told where the release itself is rehearsed
                folder = self.sources[release.chart].folder
                rendered[release.name] = self.helm.template(release, folder, self.wanted.facts.kubernetes_version)
        known = wanted.at_hand(self.wanted.releases, self.cluster.site)
        wanted.checked(self.wanted.releases, known, self.cluster.compiling(self.wanted.facts), rendered)

    def evaluate(self, step: Step) -> None:
        """Do one step."""
        self._handlers[step.kind, step.action](step.name)

    def _write_namespace(self, name: str) -> None:
        assert self.wanted is not None
        labels = dict(self.wanted.namespaces[name])
        self.api.apply(
            f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        )

    def _delete_namespace(self, name: str) -> None:
        """Remove a namespace of ours that is empty; what others put into it keeps it, and then it is only no longer ours."""
        path = f"/api/v1/namespaces/{name}"
        for kind in KEPT_BY:
            there = [item["metadata"] for item in self.api.list(f"{path}/{kind}", METADATA)]
            left = [item["name"] for item in there if item["name"] not in OF_KUBERNETES and not item.get("deletionTimestamp")]
            if left:
                self.log(f"namespace {name} stays: {kind} {', '.join(left[:5])} are not of this facility")
                self.api.patch(path, {"metadata": {"labels": {FACILITY: None}}})
                return
        self.api.delete(path)

    def _write_secret(self, name: str) -> None:
        namespace = name.partition("/")[0]
        secrets.write(self.api, self.cluster.store, self._secrets[name], namespace, self.cluster.site.prefix)

    def _delete(self, kind: str, name: str) -> None:
        namespace, _, item = name.partition("/")
        self.api.delete(f"/api/v1/namespaces/{namespace}/{kind}/{item}")

    def _push(self, name: str) -> None:
        assert self.cluster.registry is not None
        images.push(name, self.cluster.site, self.cluster.registry, self.log)

    def _install(self, name: str) -> None:
        release = self._releases[name]
        found = self.seen.releases.get(name)
        if found and found.status in records.PENDING:
            self.log(f"{name}: a run was cut off while it was {found.status}; it goes on from there")
            records.settle(self.api, found)
        self._rehearse(release)
        try:
            self.helm.sync(release, Tender(self.api, release, self.log))
        except CantiereError as error:
            raise explained(error, self.api, release) from error

    def _rehearse(self, release: Release) -> None:
        """Let the API server judge every object of a release before the first of them is touched.

        Raises
        ------
        CantiereError
            It refuses some; all of them are told.
        """
        items = self.helm.rendered(release, self.sources[release.chart].folder)
        brings = {str(item["kind"]) for item in items} & {"CustomResourceDefinition", "Namespace"}
        paths, problems = Paths(self.api), []
        for item in items:
            path = paths.of(item, release.namespace)
            if path is None:
                if not brings:
                    problems.append(_unknown(release, item))
                continue
            try:
                self.api.apply(path, item, dry_run=True)
            except ApiError as error:
                if not (error.status == 404 and brings):
                    problems.append(_refused(release, item, error))
        if problems:
            raise CantiereError(problems)

    def _uninstall(self, name: str) -> None:
        found = self.seen.releases[name]
        self.helm.uninstall(name, found.namespace)


def _unknown(release: Release, item: Mapping[str, object]) -> Problem:
    kind = f"{item['apiVersion']} {item['kind']}"
    return Problem(
        "release.kind",
        f"release {release.name} makes objects of {kind}, which the cluster does not serve",
        "add the release that brings this kind to the template (and let this one need it), or turn the feature off in its values",
        path=release.name,
    )


def _refused(release: Release, item: Mapping[str, object], error: ApiError) -> Problem:
    metadata = item.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else ""
    return Problem(
        "release.refused",
        f"release {release.name}: the cluster would refuse {item['kind']} {name}: {error.said}",
        "change the values of that release (`cantiere values` shows where they come from); nothing of it was touched",
        path=release.name,
    )
