"""Why a release does not get ready: what its pods and their last events say."""

from __future__ import annotations

from collections.abc import Iterator

from cantiere.cluster.client import Api, ApiError, Object
from cantiere.errors import CantiereError, Problem
from cantiere.values.model import Release

EVENTS = 4
PODS = 4
REMEDIES = {
    "exceeded quota": "ask the administrator for a larger quota of the namespace, or ask for less in the template",
    "ImagePull": "put the image into the registry that the site names, or give the nodes a way to it",
    "ErrImage": "put the image into the registry that the site names, or give the nodes a way to it",
    "FailedScheduling": "give the cluster nodes with the resources, labels and taints that the pod asks for, or ask for less",
    "FailedMount": "see whether the Secret, ConfigMap or volume that the event names is there",
    "ProvisioningFailed": "see whether the StorageClass works: `kubectl describe pvc`",
    "CrashLoopBackOff": "see why it ends: `kubectl logs --previous` of that pod",
    "OOMKilled": "give it more memory in its resources",
    "violates PodSecurity": "its namespace's pod-security label is too strict for it; set pod_security of the release",
}
"""Words of a pod's state to what helps."""


def explained(error: CantiereError, api: Api, release: Release) -> CantiereError:
    """A failure of Helm with what the pods of the release say.

    Parameters
    ----------
    error:
        What Helm said.
    api:
        The cluster.
    release:
        Which failed.
    """
    try:
        said = list(_pods(api, release)) + list(_events(api, release))
    except ApiError:
        return error
    if not said:
        return error
    text = "; ".join(said)
    remedy = next((remedy for word, remedy in REMEDIES.items() if word in text), error.problems[0].remedy)
    head = error.problems[0]
    return CantiereError(Problem(head.code, f"{head.message}\n    {text}", f"{remedy}; then run the same command again", path=release.name))


def _mine(item: Object, release: Release) -> bool:
    labels = item["metadata"].get("labels") or {}
    names = {labels.get("app.kubernetes.io/instance"), labels.get("release"), labels.get("app.kubernetes.io/name")}
    return release.name in names or str(item["metadata"]["name"]).startswith(f"{release.name}-")


def _pods(api: Api, release: Release) -> Iterator[str]:
    shown = 0
    for item in api.list(f"/api/v1/namespaces/{release.namespace}/pods"):
        if shown < PODS and _mine(item, release) and (state := _state(item)):
            shown += 1
            yield f"pod {item['metadata']['name']}: {state}"


def _state(item: Object) -> str:
    """What keeps a pod from being ready; empty where nothing does."""
    status = item.get("status", {})
    for found in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = found.get("state", {})
        if waiting := state.get("waiting"):
            last = found.get("lastState", {}).get("terminated") or {}
            ended = f", it ended with {last.get('exitCode')} ({last.get('reason')})" if last else ""
            return f"container {found['name']} is {waiting.get('reason')} {waiting.get('message', '')}".strip() + ended
        if (ended_ := state.get("terminated")) and ended_.get("exitCode"):
            return f"container {found['name']} ended with {ended_['exitCode']} ({ended_.get('reason')})"
        if not found.get("ready") and state.get("running"):
            return f"container {found['name']} runs and is not ready"
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            return f"FailedScheduling: {condition.get('message', '')}"
    return ""


def _events(api: Api, release: Release) -> Iterator[str]:
    items = api.list(f"/api/v1/namespaces/{release.namespace}/events", fieldSelector="type=Warning")
    mine = [item for item in items if str(item["involvedObject"].get("name", "")).startswith(release.name)]
    mine.sort(key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime") or ""))
    for item in mine[-EVENTS:]:
        about = item["involvedObject"]
        yield f"{about.get('kind')} {about.get('name')}: {item.get('reason')}: {str(item.get('message', '')).strip()[:300]}"
