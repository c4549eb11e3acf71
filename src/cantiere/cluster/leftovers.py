"""What Helm leaves when its releases go: claims of StatefulSets, and what a service made by itself for its users."""

from __future__ import annotations

from cantiere.cluster.client import METADATA, Api
from cantiere.cluster.model import ClusterSeen

CLAIMS = "persistentvolumeclaims"
PODS = "pods"
INSTANCE = ("app.kubernetes.io/instance", "release")
"""Labels that name the release of an object; charts and spawners of notebooks set one of them."""


def left(api: Api, seen: ClusterSeen, kind: str) -> tuple[str, ...]:
    """``namespace/name`` of what stays of a facility's releases.

    Parameters
    ----------
    api:
        The cluster.
    seen:
        Its releases and namespaces; a release that is gone already still counts in a namespace that was made for the facility.
    kind:
        :data:`CLAIMS`, or :data:`PODS` without an owner.
    """
    ours = {f"{item.namespace}/{name}" for name, item in seen.releases.items()}
    made = {name for name, found in seen.namespaces.items() if found.ours}
    spaces = made | {item.namespace for item in seen.releases.values()}
    found = []
    for namespace in sorted(spaces):
        for item in api.list(f"/api/v1/namespaces/{namespace}/{kind}", METADATA):
            metadata = item["metadata"]
            labels = metadata.get("labels") or {}
            release = next((f"{namespace}/{labels[key]}" for key in INSTANCE if labels.get(key)), "")
            of_us = release in ours or (release and namespace in made and release not in seen.foreign)
            if of_us and not (kind == PODS and metadata.get("ownerReferences")):
                found.append(f"{namespace}/{metadata['name']}")
    return tuple(found)
