"""Objects of API versions that the cluster's Kubernetes serves. Pure.

The table is the Deprecated API Migration Guide: https://kubernetes.io/docs/reference/using-api/deprecation-guide/
"""

from __future__ import annotations

from collections.abc import Mapping

from cantiere.errors import Problem
from cantiere.values.checks.subject import Subject, identity, mapping, observed
from cantiere.values.checks.versions import parse

REMOVED: Mapping[str, tuple[tuple[str, tuple[str, ...], str], ...]] = {
    "1.16": (
        ("extensions/v1beta1", ("DaemonSet", "Deployment", "ReplicaSet"), "apps/v1"),
        ("apps/v1beta1", ("Deployment", "StatefulSet", "ReplicaSet"), "apps/v1"),
        ("apps/v1beta2", ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"), "apps/v1"),
        ("extensions/v1beta1", ("NetworkPolicy",), "networking.k8s.io/v1"),
        ("extensions/v1beta1", ("PodSecurityPolicy",), ""),
    ),
    "1.22": (
        (
            "admissionregistration.k8s.io/v1beta1",
            ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
            "admissionregistration.k8s.io/v1",
        ),
        ("apiextensions.k8s.io/v1beta1", ("CustomResourceDefinition",), "apiextensions.k8s.io/v1"),
        ("apiregistration.k8s.io/v1beta1", ("APIService",), "apiregistration.k8s.io/v1"),
        ("authentication.k8s.io/v1beta1", ("TokenReview",), "authentication.k8s.io/v1"),
        (
            "authorization.k8s.io/v1beta1",
            ("LocalSubjectAccessReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"),
            "authorization.k8s.io/v1",
        ),
        ("certificates.k8s.io/v1beta1", ("CertificateSigningRequest",), "certificates.k8s.io/v1"),
        ("coordination.k8s.io/v1beta1", ("Lease",), "coordination.k8s.io/v1"),
        ("extensions/v1beta1", ("Ingress",), "networking.k8s.io/v1"),
        ("networking.k8s.io/v1beta1", ("Ingress", "IngressClass"), "networking.k8s.io/v1"),
        (
            "rbac.authorization.k8s.io/v1beta1",
            ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
            "rbac.authorization.k8s.io/v1",
        ),
        ("scheduling.k8s.io/v1beta1", ("PriorityClass",), "scheduling.k8s.io/v1"),
        ("storage.k8s.io/v1beta1", ("CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"), "storage.k8s.io/v1"),
    ),
    "1.25": (
        ("batch/v1beta1", ("CronJob",), "batch/v1"),
        ("discovery.k8s.io/v1beta1", ("EndpointSlice",), "discovery.k8s.io/v1"),
        ("events.k8s.io/v1beta1", ("Event",), "events.k8s.io/v1"),
        ("autoscaling/v2beta1", ("HorizontalPodAutoscaler",), "autoscaling/v2"),
        ("policy/v1beta1", ("PodDisruptionBudget",), "policy/v1"),
        ("policy/v1beta1", ("PodSecurityPolicy",), ""),
        ("node.k8s.io/v1beta1", ("RuntimeClass",), "node.k8s.io/v1"),
    ),
    "1.26": (
        ("flowcontrol.apiserver.k8s.io/v1beta1", ("FlowSchema", "PriorityLevelConfiguration"), "flowcontrol.apiserver.k8s.io/v1"),
        ("autoscaling/v2beta2", ("HorizontalPodAutoscaler",), "autoscaling/v2"),
    ),
    "1.27": (("storage.k8s.io/v1beta1", ("CSIStorageCapacity",), "storage.k8s.io/v1"),),
    "1.29": (("flowcontrol.apiserver.k8s.io/v1beta2", ("FlowSchema", "PriorityLevelConfiguration"), "flowcontrol.apiserver.k8s.io/v1"),),
    "1.32": (("flowcontrol.apiserver.k8s.io/v1beta3", ("FlowSchema", "PriorityLevelConfiguration"), "flowcontrol.apiserver.k8s.io/v1"),),
}
"""Release of Kubernetes to what it stopped serving: API version, kinds, and what to write instead (``""``: nothing took its place)."""


def removed(version: str, api_version: str, kind: str) -> tuple[str, str] | None:
    """The release that stopped serving an object, and what took its place; None where it is served.

    Parameters
    ----------
    version:
        The cluster's version of Kubernetes.
    api_version, kind:
        Of the object.
    """
    for release, rows in REMOVED.items():
        for gone, kinds, instead in rows:
            if parse(version) >= parse(release) and api_version == gone and kind in kinds:
                return release, instead
    return None


def check(subject: Subject) -> list[Problem]:
    """Manifests of removed API versions and, where the cluster is known, of kinds that nobody brings."""
    cluster = subject.context.cluster
    brought = groups(subject)
    problems = []
    for release in subject.releases:
        for place, manifest in subject.manifests(release):
            version, kind = str(manifest.get("apiVersion", "")), str(manifest.get("kind", ""))
            if gone := removed(cluster.kubernetes_version, version, kind):
                since, instead = gone
                message = f"{release.name}: {identity(manifest)} is of {version}, which Kubernetes {since} stopped serving"
                remedy = f"use a version of chart {release.chart} that writes {instead or 'no such object'}"
                problems.append(subject.problem(release, "api.removed", place, message, remedy))
            elif observed(subject.context) and f"{version}/{kind}" not in cluster.api_versions and version.split("/")[0] not in brought:
                message = f"{release.name}: {identity(manifest)} is of {version}, which the cluster does not serve and no release brings"
                remedy = f"add the release that brings {version}/{kind}, or turn this object off in the values of {release.name}"
                problems.append(subject.problem(release, "api.absent", place, message, remedy))
    return problems


def groups(subject: Subject) -> set[str]:
    """API groups of the CustomResourceDefinitions that releases bring."""
    names = [name for release in subject.releases for name in release.owns]
    names += [f"CustomResourceDefinition/{crd}" for release in subject.releases for crd in _crds(subject, release.chart)]
    found = {name.partition("/")[2].partition(".")[2] for name in names if name.startswith("CustomResourceDefinition/")}
    for release in subject.releases:
        for _, manifest in subject.manifests(release):
            if manifest.get("kind") == "CustomResourceDefinition":
                found.add(str(mapping(manifest, "spec").get("group", "")))
    return found


def _crds(subject: Subject, chart: str) -> tuple[str, ...]:
    files = subject.charts.get(chart)
    return files.crds if files else ()
