"""Failures in words, pods that hold up an upgrade, rights that are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cantiere import site as sites
from cantiere.cluster import preflight
from cantiere.cluster.model import ClusterSeen, ClusterWanted, Namespace
from cantiere.cluster.stuck import Tender, stuck
from cantiere.cluster.trouble import explained
from cantiere.errors import CantiereError, Problem
from cantiere.values.model import PLACEHOLDER, Release
from support.kube import FakeApi

POOL = Release("pool", "facility", "htcondor", {"spool": {"storageClassName": "nonesuch"}}, "pool")
ROLES = "roles.rbac.authorization.k8s.io"
PODS = "/api/v1/namespaces/facility/pods"


def pod(**status: Any) -> dict[str, Any]:
    owner = [{"uid": "u1"}]
    return {"metadata": {"name": "pool-cm-0", "labels": {"controller-revision-hash": "old"}, "ownerReferences": owner}, "status": status}


WAITING = pod(containerStatuses=[{"name": "cm", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}])


def test_a_failure_tells_what_the_pods_say() -> None:
    event = {
        "involvedObject": {"kind": "Pod", "name": "pool-cm-0"},
        "reason": "Failed",
        "message": "pull access denied",
        "lastTimestamp": "2026-01-01",
    }
    api = FakeApi({PODS: [WAITING], "/api/v1/namespaces/facility/events": [event]})
    error = explained(CantiereError(Problem("release.failed", "release pool: timed out", "look", path="pool")), api, POOL)
    text = str(error)
    assert "pool-cm-0: container cm is ImagePullBackOff no such image" in text
    assert "pull access denied" in text
    assert "put the image into the registry" in error.problems[0].remedy


SET = {"metadata": {"uid": "u1", "annotations": {"meta.helm.sh/release-name": "pool"}}, "status": {"updateRevision": "new"}}


def test_a_pod_that_never_got_ready_does_not_hold_up_the_next_revision() -> None:
    api = FakeApi({PODS: [WAITING], "/apis/apps/v1/namespaces/facility/statefulsets": [SET]})
    Tender(api, POOL, lambda line: None).look()
    assert api.done == [("delete", f"{PODS}/pool-cm-0")]


def test_pods_that_work_are_left_alone() -> None:
    assert stuck(WAITING, SET)
    assert not stuck(pod(containerStatuses=[{"name": "cm", "ready": True, "state": {"running": {}}}]), SET)
    assert not stuck(WAITING, {**SET, "status": {"updateRevision": "old"}})
    assert not stuck(WAITING, {**SET, "metadata": {"uid": "another"}})


def wanted(release: Release) -> ClusterWanted:
    return ClusterWanted("cantiere-x", PLACEHOLDER, (release,), {}, {}, {"facility": {}})


class Limits:
    namespaced = True
    namespace = "facility"
    site = sites.load(sites.find("nspawn"))


def test_preflight_names_all_that_is_missing() -> None:
    api = FakeApi({"/api/v1/namespaces/facility/resourcequotas": []})
    api.forbidden = {"statefulsets", "namespaces"}
    limits: Any = Limits()
    codes = [problem.code for problem in preflight.rights(api, wanted(POOL), ClusterSeen(), limits)]
    assert codes == ["cluster.rights"]
    found = list(preflight.storage(PLACEHOLDER, wanted(POOL)))
    assert found[0].code == "storage.class"
    assert "nonesuch" in found[0].message
    taken = ClusterSeen(foreign=frozenset({"facility/pool"}))
    assert [problem.code for problem in preflight.names(wanted(POOL), taken)] == ["release.taken"]
    strict = ClusterSeen(namespaces={"facility": Namespace({"pod-security.kubernetes.io/enforce": "restricted"})})
    assert [problem.code for problem in preflight.pod_security(wanted(POOL), strict, limits)] == ["namespace.security"]


@pytest.mark.parametrize(
    ("chart", "refused"), [("htcondor", []), ("jupyterhub", ["create, patch, delete roles.rbac.authorization.k8s.io"])]
)
def test_rights_are_asked_for_what_a_chart_makes(chart: str, refused: list[str]) -> None:
    api = FakeApi()
    limits: Any = Limits()
    api.forbidden = {"roles"}
    release = replace(POOL, chart=chart, owns=("CSIDriver/x",))
    found = [problem.message.partition("has not: ")[2] for problem in preflight.rights(api, wanted(release), ClusterSeen(), limits)]
    assert found == refused


def test_nothing_is_asked_of_what_lies_outside_of_the_namespace() -> None:
    api = FakeApi()
    limits: Any = Limits()
    api.forbidden = {"secrets", "/api/v1/namespaces/monitoring/resourcequotas"}
    elsewhere = wanted(replace(POOL, namespace="monitoring"))
    assert list(preflight.rights(api, elsewhere, ClusterSeen(), limits)) == []
    assert list(preflight.quotas(api, elsewhere, limits)) == []


def test_a_namespace_is_the_limit() -> None:
    limits: Any = Limits()
    elsewhere, owner = replace(POOL, namespace="monitoring"), replace(POOL, owns=("CSIDriver/x",))
    assert [problem.path for problem in preflight.outside(limits, wanted(elsewhere))] == ["pool"]
    assert "CSIDriver/x" in next(iter(preflight.outside(limits, wanted(owner)))).message
    assert list(preflight.outside(limits, wanted(POOL))) == []


def test_quota_that_is_used_up() -> None:
    limits: Any = Limits()
    status = {"hard": {"requests.cpu": "4", "pods": "10"}, "used": {"requests.cpu": "4000m", "pods": "3"}}
    api = FakeApi({"/api/v1/namespaces/facility/resourcequotas": [{"metadata": {"name": "q"}, "status": status}]})
    assert [problem.message for problem in preflight.quotas(api, wanted(POOL), limits)] == [
        "namespace facility has used all of its quota q: requests.cpu 4000m of 4"
    ]
