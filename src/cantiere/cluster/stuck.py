"""Pods that hold up the update of their StatefulSet: they never got ready, and Kubernetes waits for them before it makes better ones."""

from __future__ import annotations

import time
from collections.abc import Callable

from cantiere.cluster.client import Api, ApiError, Object
from cantiere.values.model import Release

PAUSE = 5.0
REVISION = "controller-revision-hash"


class Tender:
    """Removes such pods of a release while it is upgraded; each is made again at once, from the new revision.

    Parameters
    ----------
    api:
        The cluster.
    release:
        Which.
    log:
        Takes what was done.
    """

    def __init__(self, api: Api, release: Release, log: Callable[[str], None]) -> None:
        self.api = api
        self.release = release
        self.log = log
        self._next = time.monotonic() + PAUSE

    def __call__(self) -> None:
        """Look, if it is time to."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PAUSE
        try:
            self.look()
        except ApiError:
            return  # the API server is busy or away for a moment; Helm itself waits for it too

    def look(self) -> None:
        """Remove pods that are stuck in an old revision."""
        inside = f"/api/v1/namespaces/{self.release.namespace}/pods"
        for item in self.api.list(f"/apis/apps/v1/namespaces/{self.release.namespace}/statefulsets"):
            notes = item["metadata"].get("annotations") or {}
            if notes.get("meta.helm.sh/release-name") != self.release.name:
                continue
            for pod in self.api.list(inside):
                if stuck(pod, item):
                    name = pod["metadata"]["name"]
                    self.log(f"{self.release.name}: pod {name} of an old revision never got ready; it is made anew")
                    self.api.delete(f"{inside}/{name}")


def stuck(pod: Object, of: Object) -> bool:
    """Whether a pod of a StatefulSet is of an old revision, is not ready, and never ran in it."""
    owners = pod["metadata"].get("ownerReferences") or ()
    wanted = of.get("status", {}).get("updateRevision")
    if not wanted or not any(owner.get("uid") == of["metadata"]["uid"] for owner in owners):
        return False
    if (pod["metadata"].get("labels") or {}).get(REVISION) == wanted or pod["metadata"].get("deletionTimestamp"):
        return False
    containers = pod.get("status", {}).get("containerStatuses") or ()
    return not any(found.get("ready") or found.get("state", {}).get("running") for found in containers)
