"""Every cluster-scoped object has one owner, and there is one default class of each kind. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from cantiere.errors import Problem
from cantiere.values.checks.subject import Subject, identity, items, mapping, metadata, observed
from cantiere.values.model import Release

KINDS = frozenset(
    "APIService ClusterIssuer ClusterRole ClusterRoleBinding CSIDriver CustomResourceDefinition GatewayClass IngressClass "
    "MutatingWebhookConfiguration PriorityClass RuntimeClass StorageClass ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding "
    "ValidatingWebhookConfiguration VolumeSnapshotClass".split()
)
"""Kinds of objects that are the whole cluster's."""

DEFAULT_MARKS: Mapping[str, str] = {
    "StorageClass": "storageclass.kubernetes.io/is-default-class",
    "IngressClass": "ingressclass.kubernetes.io/is-default-class",
}
"""Kind to the annotation that makes one of it the default."""

FLIPS: tuple[tuple[str, str, str], ...] = (
    ("CustomResourceDefinition/*.nfd.k8s-sigs.io", "gpu-operator", "nfd.enabled=false"),
    ("CustomResourceDefinition/*.nfd.k8s-sigs.io", "nvidia-device-plugin", "nfd.enabled=false"),
    ("CustomResourceDefinition/*.monitoring.coreos.com", "kube-prometheus-stack", "crds.enabled=false"),
    ("CustomResourceDefinition/*.gateway.networking.k8s.io", "envoy-gateway", "crds='skip' of the release"),
    ("CustomResourceDefinition/*.cert-manager.io", "cert-manager", "crds.enabled=false"),
    ("CustomResourceDefinition/*.keda.sh", "keda", "crds.install=false"),
    ("CustomResourceDefinition/*.metallb.io", "metallb", "crds.enabled=false"),
    ("*/*", "reana", "traefik.enabled=false"),
    ("CustomResourceDefinition/*", "traefik", "crds='skip' of the release"),
    ("CustomResourceDefinition/*", "dask-gateway", "crds='skip' of the release"),
    ("CSIDriver/cvmfs.csi.cern.ch", "swan", "cvmfs.deployCsiDriver=false"),
    ("APIService/v1beta1.external.metrics.k8s.io", "prometheus-adapter", "rules.external=[]"),
    ("APIService/v1beta1.metrics.k8s.io", "prometheus-adapter", "rules.resource={}"),
    ("APIService/v1beta1.metrics.k8s.io", "metrics-server", "apiService.create=false"),
    ("StorageClass/default", "longhorn", "persistence.defaultClass=false"),
    ("StorageClass/default", "local-path-provisioner", "storageClass.defaultClass=false"),
    ("StorageClass/default", "nfs-subdir-external-provisioner", "storageClass.defaultClass=false"),
    ("StorageClass/default", "csi-driver-nfs", "storageClass.annotations without is-default-class"),
    ("StorageClass/default", "openstack-cinder-csi", "storageClass.delete.isDefault=false, storageClass.retain.isDefault=false"),
    ("IngressClass/default", "traefik", "ingressClass.isDefaultClass=false"),
    ("IngressClass/default", "ingress-nginx", "controller.ingressClassResource.default=false"),
    ("IngressClass/*", "traefik", "ingressClass.name"),
    ("IngressClass/*", "ingress-nginx", "controller.ingressClassResource.name"),
    ("PriorityClass/*", "*", "the name of the class, or turn it off"),
    ("CustomResourceDefinition/*", "*", "crds='skip' of the release"),
)
"""Object, chart, and the value by which the chart leaves the object alone; the first row that fits counts."""


def rank(obj: str, chart: str) -> int:
    """The row of the table that tells how a chart leaves an object alone; the table's length where none does."""
    rows = (row for row, (pattern, name, _) in enumerate(FLIPS) if fnmatchcase(obj, pattern) and fnmatchcase(chart, name))
    return next(rows, len(FLIPS))


def flip(obj: str, chart: str) -> str:
    """The value of a chart by which it leaves an object alone, or ``""`` where none is known."""
    row = rank(obj, chart)
    return FLIPS[row][2] if row < len(FLIPS) else ""


def check(subject: Subject) -> list[Problem]:
    """Objects with two owners, one problem for those that the same two share; and missing default classes."""
    claims = _claims(subject)
    shared: dict[tuple[str, ...], list[str]] = {}
    for obj, owners in claims.items():
        if len(owners) > 1:
            shared.setdefault(tuple(sorted(owners)), []).append(obj)
    found = [_problem(subject, owners, sorted(objects)) for owners, objects in shared.items()]
    return [problem for problem in found if problem is not None] + _without_class(subject, claims)


def owned(subject: Subject, release: Release) -> Iterator[str]:
    """``Kind/name`` of the cluster-scoped objects of a release, as it says itself and as its manifests show."""
    yield from release.owns
    chart = subject.charts.get(release.chart)
    if chart and release.crds != "skip":
        yield from (f"CustomResourceDefinition/{name}" for name in chart.crds)
    for _, manifest in subject.manifests(release):
        kind = str(manifest.get("kind", ""))
        if kind in KINDS:
            yield identity(manifest)
        mark = DEFAULT_MARKS.get(kind)
        if mark and str(mapping(metadata(manifest), "annotations").get(mark, "")).lower() == "true":
            yield f"{kind}/default"


def _claims(subject: Subject) -> dict[str, set[str]]:
    """Object to its owners: ``namespace/name`` of releases, ``""`` for what the cluster has from elsewhere."""
    claims: dict[str, set[str]] = {}
    for release in subject.releases:
        for obj in owned(subject, release):
            claims.setdefault(obj, set()).add(_id(release))
    if observed(subject.context):
        for obj, owner in subject.context.cluster.owners.items():
            if obj in claims and owner not in subject.leaving:
                claims[obj].add(owner)
    return claims


def _id(release: Release) -> str:
    return f"{release.namespace}/{release.name}"


def _problem(subject: Subject, owners: tuple[str, ...], objects: list[str]) -> Problem | None:
    releases = [release for release in subject.releases if _id(release) in owners]
    if not releases:
        return None
    # of two releases the one whose row comes first is the one to change
    blamed = max(releases, key=lambda release: (-rank(objects[0], release.chart), release.name))
    others = [_named(owner) for owner in owners if owner != _id(blamed)]
    shown = ", ".join(objects[:3]) + (f" and {len(objects) - 3} more" if len(objects) > 3 else "")
    default = objects[0].endswith("/default")
    message = (
        f"{blamed.name} and {', '.join(others)} both make their {objects[0].split('/')[0]} the cluster's default"
        if default
        else f"{blamed.name} and {', '.join(others)} both own {shown}"
    )
    ways = [f"set {way} in {release.name}" for release in (blamed, *releases) if (way := flip(objects[0], release.chart))]
    remedy = "; or ".join(dict.fromkeys(ways)) or f"leave {blamed.name} or {others[0]} out: neither has a value for this"
    value = flip(objects[0], blamed.chart).partition("=")[0]
    place = f"{blamed.name}.values.{value}" if value and "'" not in remedy.partition(";")[0] else f"{blamed.name}.owns"
    return subject.problem(blamed, "owner.default" if default else "owner.two", place, message, remedy)


def _named(owner: str) -> str:
    return f"release {owner}" if owner else "the cluster (not by a release)"


def _without_class(subject: Subject, claims: Mapping[str, set[str]]) -> list[Problem]:
    """Claims for volumes that name no class where nothing is the default."""
    classes = subject.context.cluster.storage_classes.values()
    if "StorageClass/default" in claims or any(storage.default for storage in classes):
        return []
    problems = []
    for release in subject.releases:
        for place, manifest in subject.manifests(release):
            spec = mapping(manifest, "spec")
            templates = items(spec, "volumeClaimTemplates") if manifest.get("kind") == "StatefulSet" else ()
            wanted = [manifest] if manifest.get("kind") == "PersistentVolumeClaim" else templates
            for claim in wanted:
                if mapping(claim, "spec").get("storageClassName") is None and not mapping(claim, "spec").get("volumeName"):
                    message = f"{release.name}: {metadata(claim).get('name')} names no storage class, and the cluster has no default one"
                    remedy = f"set the storage class in the values of {release.name}"
                    problems.append(subject.problem(release, "storage.no-default", place, message, remedy))
    return problems
