"""Filters: labels and taints of nodes, members of etcd. Thin: the bodies are in :mod:`cantiere.kubernetes`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cantiere.kubernetes import etcd, nodes
from cantiere.kubernetes.text import plain


def kubernetes_node_patches(printed: str, machines: Iterable[Mapping[str, Any]]) -> str:
    """What has to be changed on the cluster's nodes, a line for each."""
    wanted = nodes.wanted({key: plain(machine[key]) for key in nodes.VARIABLES if key in machine} for machine in machines)
    return nodes.lines(nodes.patches(json.loads(printed or "{}"), wanted))


def kubernetes_node_name(machine: Mapping[str, Any]) -> str:
    """The name of a machine's node."""
    return nodes.name({key: machine[key] for key in nodes.VARIABLES if key in machine})


def kubernetes_node_address(machine: Mapping[str, Any]) -> str:
    """The address of a machine's node: its variable, or what was seen on it."""
    return str(machine.get("kubernetes_node_address") or machine["ansible_facts"]["cantiere"]["default_address"])


def etcd_initial_cluster(machines: Iterable[Mapping[str, Any]]) -> str:
    """The value of etcd's ``--initial-cluster`` for all control planes."""
    return etcd.initial_cluster({kubernetes_node_name(machine): kubernetes_node_address(machine) for machine in machines})


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {
            "etcd_initial_cluster": etcd_initial_cluster,
            "kubernetes_node_address": kubernetes_node_address,
            "kubernetes_node_name": kubernetes_node_name,
            "kubernetes_node_patches": kubernetes_node_patches,
        }
