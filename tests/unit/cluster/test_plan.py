"""The plan of releases: what is deployed and what is wanted, to steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cantiere.cluster.leftovers import CLAIMS, PODS, left
from cantiere.cluster.model import ClusterSeen, ClusterWanted, Deployed, Namespace, changes
from cantiere.cluster.plan import build, build_removal
from cantiere.errors import Problem
from cantiere.model import Secret, SecretFile
from cantiere.plan.definition import Stage
from cantiere.values.model import PLACEHOLDER, Release, SecretObject
from support.kube import FakeApi

IAM = Release(
    "iam", "facility", "devel-iam", {"image": {"tag": "1"}}, "iam", secrets=(SecretObject("iam", (SecretFile(Secret("x"), "key"),)),)
)
POOL = Release("pool", "facility", "htcondor", {"workers": 2}, "pool", needs=("iam",), images=("htcondor",))


def wanted(*releases: Release, **more: Any) -> ClusterWanted:
    given: dict[str, Any] = {
        "name": "cantiere-x",
        "facts": PLACEHOLDER,
        "releases": releases,
        "digests": {release.name: f"of-{release.name}" for release in releases},
        "secrets": {f"{item.namespace}/{secret.name}": "s1" for item in releases for secret in item.secrets},
        "namespaces": {"facility": {"pod-security.kubernetes.io/enforce": "baseline"}},
    }
    return ClusterWanted(**(given | more))


def deployed(release: Release, **more: Any) -> Deployed:
    found = Deployed(
        release.name, release.namespace, f"{release.chart}-1", 1, "deployed", f"of-{release.name}", release.values, "cantiere-x"
    )
    return replace(found, **more)


OURS = Namespace({"pod-security.kubernetes.io/enforce": "baseline"}, ours=True)
THERE = ClusterSeen(releases={"iam": deployed(IAM), "pool": deployed(POOL)}, secrets={"facility/iam": "s1"}, namespaces={"facility": OURS})


def told(plan: Any) -> dict[str, str]:
    return {step.id: f"{step.action}: {step.reason}" for step in plan.steps}


def test_from_nothing() -> None:
    plan = build(wanted(IAM, POOL, images=("htcondor",)), ClusterSeen())
    assert [step.id for step in plan.steps].index("release/iam") < [step.id for step in plan.steps].index("release/pool")
    steps = {step.id: step for step in plan.steps}
    assert set(steps["release/pool"].after) == {"namespace/facility", "registry-image/htcondor", "release/iam"}
    assert set(steps["release/iam"].after) == {"namespace/facility", "secret/facility/iam"}
    assert {step.stage for step in plan.steps} == {Stage.RELEASES}


def test_an_image_of_a_registry_that_cannot_be_asked_says_so() -> None:
    silent = Problem("registry.silent", "the registry does not answer", "start it")
    steps = {step.id: step for step in build(wanted(POOL, images=("htcondor",)), ClusterSeen(registry=silent)).steps}
    assert steps["registry-image/htcondor"].reason == "the registry does not answer"


def test_nothing_to_do() -> None:
    assert build(wanted(IAM, POOL), THERE).steps == ()


def test_reason_names_the_values_that_differ() -> None:
    seen = replace(THERE, releases=THERE.releases | {"pool": deployed(POOL, digest="old", values={"workers": 1})})
    assert told(build(wanted(IAM, POOL), seen)) == {"release/pool": "update: workers 1 → 2"}


def test_another_chart_with_the_same_values() -> None:
    seen = replace(THERE, releases=THERE.releases | {"pool": deployed(POOL, digest="old")})
    assert told(build(wanted(IAM, POOL), seen)) == {"release/pool": "update: its chart has changed, it has htcondor-1"}


def test_what_a_kill_left_goes_on() -> None:
    seen = replace(
        THERE, releases=THERE.releases | {"pool": deployed(POOL, status="pending-upgrade"), "iam": deployed(IAM, status="failed")}
    )
    assert told(build(wanted(IAM, POOL), seen)) == {
        "release/pool": "update: a run was cut off, it is pending-upgrade",
        "release/iam": "update: its last change failed",
    }


def test_what_is_not_asked_for_goes_the_youngest_first() -> None:
    seen = replace(THERE, releases={"iam": deployed(IAM, since="2026-01-01"), "pool": deployed(POOL, since="2026-01-02")})
    plan = build(wanted(), replace(seen, secrets={"facility/iam": "s1"}))
    assert [step.id for step in plan.steps if step.kind == "release"] == ["release/pool", "release/iam"]
    assert told(plan)["secret/facility/iam"] == "delete: nothing uses it any more"
    off = build(wanted(IAM, replace(POOL, installed=False)), seen)
    assert told(off) == {"release/pool": "delete: it is turned off"}


def test_secret_of_other_content() -> None:
    assert told(build(wanted(IAM, POOL), replace(THERE, secrets={"facility/iam": "s0"}))) == {
        "secret/facility/iam": "update: the site's store holds other values"
    }


def test_namespace_of_others_is_left_as_it_is() -> None:
    strict = Namespace({"pod-security.kubernetes.io/enforce": "restricted"})
    assert build(wanted(IAM, POOL), replace(THERE, namespaces={"facility": strict})).steps == ()
    assert "namespace/facility" in told(build(wanted(IAM, POOL), replace(THERE, namespaces={"facility": replace(strict, ours=True)})))


def test_removal_takes_what_is_ours() -> None:
    seen = replace(THERE, namespaces={"facility": OURS, "other": Namespace()}, foreign=frozenset({"other/thing"}))
    steps = [step.id for step in build_removal("cantiere-x", seen).steps]
    assert set(steps) == {"release/iam", "release/pool", "secret/facility/iam", "namespace/facility"}
    assert steps[-1] == "namespace/facility"


def test_changes_in_words() -> None:
    old, new = {"a": {"b": 1, "c": [1, 2]}, "gone": "x"}, {"a": {"b": 2, "c": [1, 3]}, "new": True}
    assert changes(old, new) == "a.b 1 → 2, a.c[1] 2 → 3, gone goes, new is true"
    assert changes(new, new) == ""
    assert changes({}, {str(number): number for number in range(7)}).endswith("and 3 more")


def test_removal_takes_what_helm_leaves() -> None:
    def item(name: str, instance: str, owner: bool = False) -> dict[str, Any]:
        owners = [{"uid": "1"}] if owner else []
        return {"metadata": {"name": name, "labels": {"app.kubernetes.io/instance": instance}, "ownerReferences": owners}}

    inside = "/api/v1/namespaces/facility"
    claims = [item("data-iam-0", "iam"), item("old", "gone"), item("data", "other"), {"metadata": {"name": "by-hand"}}]
    api = FakeApi(
        {f"{inside}/persistentvolumeclaims": claims, f"{inside}/pods": [item("notebook", "iam"), item("iam-0", "iam", owner=True)]}
    )
    seen = replace(THERE, namespaces={"facility": OURS}, foreign=frozenset({"facility/other"}))
    assert left(api, seen, CLAIMS) == ("facility/data-iam-0", "facility/old")
    assert left(api, replace(seen, namespaces={}), CLAIMS) == ("facility/data-iam-0",)
    assert left(api, seen, PODS) == ("facility/notebook",)
    steps = [step.id for step in build_removal("cantiere-x", replace(seen, claims=("facility/data-iam-0",), pods=("facility/n",))).steps]
    assert steps.index("release/iam") < steps.index("volume/facility/data-iam-0") < steps.index("namespace/facility")
