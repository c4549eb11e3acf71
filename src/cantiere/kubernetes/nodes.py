"""Labels and taints of nodes: what has to be changed so that they are as the template says. Pure.

A note on each node remembers which labels and taints are ours, so that those which the template drops are taken away, and what
Kubernetes and others put there stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cantiere.kubernetes.kubeadm import taint

NOTE = "cantiere/labels-and-taints"
DRAINED = "cantiere/drained"
"""The note of an upgrade that has drained a node; one that was killed leaves it."""
CORDON = "node.kubernetes.io/unschedulable"
VARIABLES = ("inventory_hostname", "kubernetes_node_name", "kubernetes_labels", "kubernetes_taints")
"""The variables of a machine that are read here."""


def name(machine: Mapping[str, Any]) -> str:
    """The name of a machine's node.

    Parameters
    ----------
    machine:
        Its variables.
    """
    return str(machine.get("kubernetes_node_name") or machine["inventory_hostname"])


def wanted(machines: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Node name to its labels and taints, from the variables of the machines.

    Parameters
    ----------
    machines:
        The variables of each machine.
    """
    return {
        name(machine): {"labels": machine.get("kubernetes_labels") or {}, "taints": machine.get("kubernetes_taints") or []}
        for machine in machines
    }


def patches(seen: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What has to be changed: for each node that differs its name and a merge patch.

    Parameters
    ----------
    seen:
        The cluster's list of nodes, as ``kubectl get nodes -o json`` prints it.
    wanted:
        From :func:`wanted`; nodes that it does not name are left alone.
    """
    found = []
    for node in seen.get("items", []):
        its = node["metadata"]["name"]
        patch = _patch(node, wanted[its]["labels"], [taint(text) for text in wanted[its]["taints"]]) if its in wanted else {}
        if patch:
            found.append({"name": its, "patch": patch})
    return found


def lines(changes: Sequence[Mapping[str, Any]]) -> str:
    """The changes as lines for a shell loop: node name, one blank, the patch as JSON."""
    return "".join(f"{change['name']} {json.dumps(change['patch'], sort_keys=True)}\n" for change in changes)


def _identity(item: Mapping[str, str]) -> str:
    return f"{item['key']}:{item['effect']}"


def _patch(node: Mapping[str, Any], labels: Mapping[str, str], taints: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    meta = node["metadata"]
    has = meta.get("labels", {})
    note = json.loads(meta.get("annotations", {}).get(NOTE, '{"labels": [], "taints": []}'))
    new: dict[str, Any] = {key: value for key, value in labels.items() if has.get(key) != value}
    new |= {key: None for key in note["labels"] if key in has and key not in labels}
    ours = {*note["taints"], *map(_identity, taints)}
    there = [dict(item) for item in node["spec"].get("taints", [])]
    after = [item for item in there if _identity(item) not in ours] + [dict(item) for item in taints]
    text = json.dumps({"labels": sorted(labels), "taints": sorted(map(_identity, taints))}, sort_keys=True)
    patch: dict[str, Any] = {}
    if new:
        patch["metadata"] = {"labels": new}
    if text != json.dumps(note, sort_keys=True):
        patch.setdefault("metadata", {})["annotations"] = {NOTE: text}
    if sorted(there, key=_identity) != sorted(after, key=_identity):
        patch["spec"] = {"taints": after}
    if DRAINED in meta.get("annotations", {}):
        patch.setdefault("metadata", {}).setdefault("annotations", {})[DRAINED] = None
        patch.setdefault("spec", {}).update({"unschedulable": None, "taints": [item for item in after if item["key"] != CORDON]})
    return patch
