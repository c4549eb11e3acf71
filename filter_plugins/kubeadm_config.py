"""Filters: kubeadm's documents and the kubelet's settings. Thin: the bodies are in :mod:`cantiere.kubernetes.kubeadm`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cantiere.kubernetes import kubeadm
from cantiere.kubernetes.text import documents, plain


def cluster_of(settings: Mapping[str, Any]) -> kubeadm.Cluster:
    """The cluster from the role's variables."""
    values = plain(settings)
    return kubeadm.Cluster(**{**values, "names": tuple(values["names"])})


def member_of(settings: Mapping[str, Any]) -> kubeadm.Member:
    """The machine from the role's variables."""
    values = plain(settings)
    return kubeadm.Member(**{**values, "taints": tuple(values["taints"]), "ignored": tuple(values["ignored"])})


def kubeadm_init(cluster: Mapping[str, Any], member: Mapping[str, Any]) -> str:
    """The documents for ``kubeadm init``."""
    return documents(kubeadm.init(cluster_of(cluster), member_of(member)))


def kubeadm_join(cluster: Mapping[str, Any], member: Mapping[str, Any], printed: str) -> str:
    """The document for ``kubeadm join``."""
    return documents(kubeadm.join(cluster_of(cluster), member_of(member), kubeadm.admission(plain(printed))))


def kubeadm_upgrade(cluster: Mapping[str, Any], member: Mapping[str, Any]) -> str:
    """The document for ``kubeadm upgrade``."""
    return documents(kubeadm.upgrade(cluster_of(cluster), member_of(member)))


def kubeadm_impossible(facts: Mapping[str, Any], control_plane: bool) -> list[str]:
    """The checks of kubeadm's preflight that cannot pass on a machine."""
    stays = bool(facts["swap"]) and bool(facts["container"])
    return list(kubeadm.impossible(bool(facts["cgroup_wrapper"]), stays, int(facts["cpus"]), int(facts["memory"]), control_plane))


def kubelet_settings(facts: Mapping[str, Any], reserved: Mapping[str, Any]) -> str:
    """The kubelet's settings of one machine."""
    wrapper = bool(facts["cgroup_wrapper"])
    legacy = wrapper or facts["cgroup"] != "unified"
    return documents(kubeadm.kubelet(plain(reserved), "cgroupfs" if wrapper else "systemd", legacy, bool(facts["container"])))


class FilterModule:
    """Ansible's entry."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {
            "kubeadm_impossible": kubeadm_impossible,
            "kubeadm_init": kubeadm_init,
            "kubeadm_join": kubeadm_join,
            "kubeadm_upgrade": kubeadm_upgrade,
            "kubelet_settings": kubelet_settings,
        }
