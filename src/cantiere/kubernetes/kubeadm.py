"""The documents that kubeadm takes, and the kubelet's settings of one machine. Pure.

Source: kubeadm's configuration ``v1beta4`` and ``KubeletConfiguration`` ``v1beta1``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.kubernetes.containerd import SOCKET

API = "kubeadm.k8s.io/v1beta4"
CONTROL_PLANE_TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
TIMEOUTS = {"controlPlaneComponentHealthCheck": "6m0s", "etcdAPICall": "4m0s", "kubeletHealthCheck": "6m0s", "kubernetesAPICall": "2m0s"}
"""Longer than kubeadm's own: machines that join at the same time wait for each other's etcd member."""

SHARED_DISK = {"memory.available": "100Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%"}
"""Where pods are evicted on a machine whose disk belongs to others too: they fill it, and evictions would not empty it."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What all machines of a cluster share.

    Parameters
    ----------
    version:
        Of Kubernetes, without ``v``.
    endpoint:
        ``address:port`` of its API, which outlives every single machine.
    pod_subnet, service_subnet:
        Networks of pods and Services, in CIDR form.
    image_repository:
        Registry of the control plane's images; ``""`` leaves kubeadm's own.
    names:
        More names and addresses that the API's certificate is good for.
    track_connections:
        Whether kube-proxy sizes the kernel's table of connections; no where a machine shares its kernel.
    """

    version: str
    endpoint: str
    pod_subnet: str
    service_subnet: str
    image_repository: str = ""
    names: tuple[str, ...] = ()
    track_connections: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """One machine of a cluster.

    Parameters
    ----------
    name, address:
        Of the node.
    control_plane:
        Whether it carries the control plane.
    taints:
        More taints from the start, written ``key=value:Effect`` or ``key:Effect``.
    control_plane_taint:
        Whether a control plane keeps ordinary pods away.
    ignored:
        Checks of kubeadm's preflight that cannot pass on this machine.
    """

    name: str
    address: str
    control_plane: bool = False
    taints: tuple[str, ...] = ()
    control_plane_taint: bool = True
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Admission:
    """What a machine needs to join: secrets of a few minutes.

    Parameters
    ----------
    token:
        Bootstrap token.
    ca_hash:
        Digest of the cluster CA's public key, which the machine checks.
    certificate_key:
        Key of the control plane's uploaded certificates.
    """

    token: str
    ca_hash: str
    certificate_key: str


def taint(text: str) -> dict[str, str]:
    """A taint as the API has it.

    Parameters
    ----------
    text:
        ``key=value:Effect`` or ``key:Effect``.

    Raises
    ------
    CantiereError
        It is not written like that.
    """
    found = re.fullmatch(r"([^=:\s]+)(?:=([^=:\s]*))?:(NoSchedule|PreferNoSchedule|NoExecute)", text)
    if not found:
        raise CantiereError(
            Problem(
                "kubernetes.taint", f"{text!r} is not a taint", "write key=value:Effect, with NoSchedule, PreferNoSchedule or NoExecute"
            )
        )
    key, value, effect = found.groups()
    return {"key": key, **({"value": value} if value else {}), "effect": effect}


def taints(member: Member) -> list[dict[str, str]]:
    """All taints that a machine registers with."""
    own = [CONTROL_PLANE_TAINT] if member.control_plane and member.control_plane_taint else []
    return own + [taint(text) for text in member.taints]


def _registration(member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "criSocket": f"unix://{SOCKET}",
        "imagePullPolicy": "IfNotPresent",
        "taints": taints(member),
        "ignorePreflightErrors": sorted(member.ignored),
        "kubeletExtraArgs": [{"name": "node-ip", "value": member.address}],
    }


def init(cluster: Cluster, member: Member) -> list[dict[str, Any]]:
    """The documents for ``kubeadm init``; they hold no secret, kubeadm makes its own.

    Parameters
    ----------
    cluster, member:
        The cluster, and its first control plane.
    """
    networking = {"podSubnet": cluster.pod_subnet, "serviceSubnet": cluster.service_subnet}
    first = {
        "apiVersion": API,
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": member.address, "bindPort": 6443},
        "nodeRegistration": _registration(member),
        "timeouts": TIMEOUTS,
    }
    shared: dict[str, Any] = {
        "apiVersion": API,
        "kind": "ClusterConfiguration",
        "kubernetesVersion": f"v{cluster.version}",
        "controlPlaneEndpoint": cluster.endpoint,
        "networking": networking,
        "apiServer": {"certSANs": [cluster.endpoint.rpartition(":")[0], *cluster.names]},
    }
    if cluster.image_repository:
        shared["imageRepository"] = cluster.image_repository
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "rotateCertificates": True,
        "serverTLSBootstrap": False,
    }
    proxy: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": cluster.pod_subnet,
    }
    if not cluster.track_connections:
        proxy["conntrack"] = {"maxPerCore": 0, "min": 0}
    return [first, shared, kubelet, proxy]


def join(cluster: Cluster, member: Member, admission: Admission) -> list[dict[str, Any]]:
    """The document for ``kubeadm join``, secrets and all: for standard input only.

    Parameters
    ----------
    cluster, member:
        The cluster, and the machine that joins it.
    admission:
        What it needs for that.
    """
    bootstrap = {"apiServerEndpoint": cluster.endpoint, "token": admission.token, "caCertHashes": [admission.ca_hash]}
    document: dict[str, Any] = {
        "apiVersion": API,
        "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": bootstrap},
        "nodeRegistration": _registration(member),
        "timeouts": TIMEOUTS,
    }
    if member.control_plane:
        document["controlPlane"] = {
            "localAPIEndpoint": {"advertiseAddress": member.address, "bindPort": 6443},
            "certificateKey": admission.certificate_key,
        }
    return [document]


def upgrade(cluster: Cluster, member: Member) -> list[dict[str, Any]]:
    """The document for ``kubeadm upgrade apply`` and ``kubeadm upgrade node``.

    Certificates are renewed apart, where they end soon: renewing all of them would restart etcd too, for minutes on each machine.

    Parameters
    ----------
    cluster, member:
        The cluster with the version it shall have, and the machine.
    """
    shared: dict[str, Any] = {"ignorePreflightErrors": sorted(member.ignored), "imagePullPolicy": "IfNotPresent"}
    shared |= {"certificateRenewal": False, "etcdUpgrade": True}
    apply = {"kubernetesVersion": f"v{cluster.version}", **shared}
    return [{"apiVersion": API, "kind": "UpgradeConfiguration", "apply": apply, "node": shared, "timeouts": TIMEOUTS}]


def admission(text: str) -> Admission:
    """What a machine needs to join, read from what kubeadm printed.

    Parameters
    ----------
    text:
        Output of ``kubeadm token create --print-join-command``, followed by that of ``kubeadm init phase upload-certs``.

    Raises
    ------
    CantiereError
        Something is missing; the message does not repeat the text.
    """
    patterns = (r"--token ([a-z0-9]{6}\.[a-z0-9]{16})\b", r"\b(sha256:[0-9a-f]{64})\b", r"^([0-9a-f]{64})$")
    found = [re.search(pattern, text, re.MULTILINE) for pattern in patterns]
    named = ("token", "digest of the CA", "certificate key")
    missing = [what for what, match in zip(named, found, strict=True) if not match]
    if missing:
        raise CantiereError(
            Problem(
                "kubernetes.admission",
                f"kubeadm on the first control plane printed no {' and no '.join(missing)}",
                "run `kubeadm token create --print-join-command` there and see what it says",
            )
        )
    token, ca_hash, key = (match.group(1) for match in found if match)
    return Admission(token, ca_hash, key)


def kubelet(reserved: Mapping[str, str], cgroup_driver: str, legacy_cgroups: bool, shared: bool) -> list[dict[str, Any]]:
    """The kubelet's settings of one machine, on top of those that the cluster shares.

    Parameters
    ----------
    reserved:
        What pods may not use: ``cpu`` and ``memory`` as Kubernetes writes quantities.
    cgroup_driver:
        ``systemd`` or ``cgroupfs``.
    legacy_cgroups:
        Whether the machine has control groups of version 1 only.
    shared:
        Whether it is a container, which has kernel, swap and disk in common with its host and other machines.
    """
    document: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": cgroup_driver,
    }
    if legacy_cgroups:
        document["failCgroupV1"] = False
    if shared:
        document |= {"failSwapOn": False, "evictionHard": SHARED_DISK, "imageGCHighThresholdPercent": 100}
    document["systemReserved"] = dict(reserved)
    document["enforceNodeAllocatable"] = ["pods"]
    return [document]


def impossible(cgroup_wrapper: bool, swap: bool, cpus: int, memory: int, control_plane: bool) -> Sequence[str]:
    """Checks of kubeadm's preflight that cannot pass on a machine for reasons that do not keep Kubernetes from running.

    Parameters
    ----------
    cgroup_wrapper:
        Whether the kubelet sees its control groups through a wrapper, which kubeadm does not.
    swap:
        Whether swap is on and stays.
    cpus, memory:
        What it has; memory in bytes.
    control_plane:
        Whether it carries the control plane.
    """
    found = ["SystemVerification"] if cgroup_wrapper else []
    if swap:
        found.append("Swap")
    if control_plane and cpus < 2:
        found.append("NumCPU")
    if control_plane and memory < 1700 * 1024 * 1024:
        found.append("Mem")
    return found
