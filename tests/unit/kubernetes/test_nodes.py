"""Labels and taints of nodes."""

from __future__ import annotations

import json
from typing import Any

from cantiere.kubernetes import etcd, nodes

MACHINES = [
    {"inventory_hostname": "w1", "kubernetes_labels": {"pool": "gpu"}, "kubernetes_taints": ["gpu=yes:NoSchedule"]},
    {"inventory_hostname": "machine", "kubernetes_node_name": "w2"},
]
FOREIGN = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
OURS = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


def node(name: str, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "labels": more.get("labels", {}), "annotations": more.get("annotations", {})}
    return {"metadata": meta, "spec": {"taints": more.get("taints", [])}}


def after(before: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """The node with a merge patch applied, as the API does it."""
    meta = patch.get("metadata", {})
    labels = {key: value for key, value in {**before["metadata"]["labels"], **meta.get("labels", {})}.items() if value is not None}
    annotations = {**before["metadata"]["annotations"], **meta.get("annotations", {})}
    spec = {**before["spec"], **patch.get("spec", {})}
    return {"metadata": {"name": before["metadata"]["name"], "labels": labels, "annotations": annotations}, "spec": spec}


def test_wanted() -> None:
    assert nodes.wanted(MACHINES) == {
        "w1": {"labels": {"pool": "gpu"}, "taints": ["gpu=yes:NoSchedule"]},
        "w2": {"labels": {}, "taints": []},
    }


def test_new_labels_and_taints() -> None:
    before = node("w1", labels={"own": "stays"}, taints=[FOREIGN])
    (change,) = nodes.patches({"items": [before, node("other")]}, nodes.wanted(MACHINES[:1]))
    now = after(before, change["patch"])
    assert now["metadata"]["labels"] == {"own": "stays", "pool": "gpu"}
    assert now["spec"]["taints"] == [FOREIGN, OURS]
    assert nodes.patches({"items": [now]}, nodes.wanted(MACHINES[:1])) == [], "nothing is left to do"


def test_what_the_template_drops_goes() -> None:
    note = json.dumps({"labels": ["pool"], "taints": ["gpu:NoSchedule"]})
    before = node("w1", labels={"own": "stays", "pool": "gpu"}, annotations={nodes.NOTE: note}, taints=[FOREIGN, OURS])
    (change,) = nodes.patches({"items": [before]}, {"w1": {"labels": {}, "taints": []}})
    now = after(before, change["patch"])
    assert now["metadata"]["labels"] == {"own": "stays"}
    assert now["spec"]["taints"] == [FOREIGN]


def test_a_taint_with_another_value_is_replaced() -> None:
    note = json.dumps({"labels": ["pool"], "taints": ["gpu:NoSchedule"]})
    before = node("w1", labels={"pool": "gpu"}, annotations={nodes.NOTE: note}, taints=[{**OURS, "value": "no"}])
    (change,) = nodes.patches({"items": [before]}, nodes.wanted(MACHINES[:1]))
    assert change["patch"] == {"spec": {"taints": [OURS]}}


def test_a_node_without_wishes_is_not_touched() -> None:
    assert nodes.patches({"items": [node("w2", labels={"a": "b"}, taints=[FOREIGN])]}, nodes.wanted(MACHINES)) == []


def test_a_node_that_a_killed_upgrade_left_drained_is_used_again() -> None:
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    before = node("w2", annotations={nodes.DRAINED: "upgrade"}, taints=[cordon])
    (change,) = nodes.patches({"items": [before]}, nodes.wanted(MACHINES))
    assert change["patch"] == {"metadata": {"annotations": {nodes.DRAINED: None}}, "spec": {"unschedulable": None, "taints": []}}


def test_a_node_that_somebody_cordoned_stays_so() -> None:
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    assert nodes.patches({"items": [node("w2", taints=[cordon])]}, nodes.wanted(MACHINES)) == []


def test_lines() -> None:
    text = nodes.lines([{"name": "w1", "patch": {"spec": {"taints": []}}}])
    assert text == 'w1 {"spec": {"taints": []}}\n'
    assert nodes.lines([]) == ""


def test_members_of_etcd() -> None:
    assert etcd.initial_cluster({"b": "10.0.0.2", "a": "10.0.0.1"}) == "a=https://10.0.0.1:2380,b=https://10.0.0.2:2380"
