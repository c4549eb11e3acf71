"""The documents that kubeadm takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cantiere.errors import CantiereError
from cantiere.kubernetes import kubeadm

CLUSTER = kubeadm.Cluster("1.36.3", "10.0.0.250:6443", "10.244.0.0/16", "10.96.0.0/16")
FIRST = kubeadm.Member("cp1", "10.0.0.11", control_plane=True)
WORKER = kubeadm.Member("w1", "10.0.0.21", taints=("gpu=yes:NoSchedule",), ignored=("Swap", "Mem"))
TOKEN = "abcdef" + ".0123456789abcdef"
HASH = "sha256:" + "1" * 64
KEY = "2" * 64
PRINTED = (
    f"kubeadm join 10.0.0.250:6443 --token {TOKEN} --discovery-token-ca-cert-hash {HASH} \n[upload-certs] Using certificate key:\n{KEY}\n"
)


def kinds(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in documents}


def test_init() -> None:
    found = kinds(kubeadm.init(CLUSTER, FIRST))
    assert list(found) == ["InitConfiguration", "ClusterConfiguration", "KubeletConfiguration", "KubeProxyConfiguration"]
    cluster = found["ClusterConfiguration"]
    assert cluster["kubernetesVersion"] == "v1.36.3"
    assert cluster["controlPlaneEndpoint"] == "10.0.0.250:6443"
    assert cluster["networking"] == {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/16"}
    assert cluster["apiServer"]["certSANs"] == ["10.0.0.250"]
    assert "imageRepository" not in cluster
    assert found["InitConfiguration"]["localAPIEndpoint"] == {"advertiseAddress": "10.0.0.11", "bindPort": 6443}
    assert found["KubeProxyConfiguration"]["mode"] == "nftables"
    assert "conntrack" not in found["KubeProxyConfiguration"]


def test_init_holds_no_secret() -> None:
    first = kinds(kubeadm.init(CLUSTER, FIRST))["InitConfiguration"]
    assert not {"bootstrapTokens", "certificateKey"} & first.keys()


def test_init_where_the_kernel_is_shared() -> None:
    found = kinds(kubeadm.init(replace(CLUSTER, track_connections=False, image_repository="r/k", names=("api.site",)), FIRST))
    assert found["KubeProxyConfiguration"]["conntrack"] == {"maxPerCore": 0, "min": 0}
    assert found["ClusterConfiguration"]["imageRepository"] == "r/k"
    assert found["ClusterConfiguration"]["apiServer"]["certSANs"] == ["10.0.0.250", "api.site"]


def test_join_of_a_worker() -> None:
    (found,) = kubeadm.join(CLUSTER, WORKER, kubeadm.Admission(TOKEN, HASH, KEY))
    assert found["discovery"]["bootstrapToken"] == {"apiServerEndpoint": "10.0.0.250:6443", "token": TOKEN, "caCertHashes": [HASH]}
    assert found["nodeRegistration"]["taints"] == [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
    assert found["nodeRegistration"]["ignorePreflightErrors"] == ["Mem", "Swap"]
    assert found["nodeRegistration"]["kubeletExtraArgs"] == [{"name": "node-ip", "value": "10.0.0.21"}]
    assert "controlPlane" not in found, "a worker gets no key of the control plane"
    assert KEY not in str(found)


def test_join_of_a_control_plane() -> None:
    (found,) = kubeadm.join(CLUSTER, replace(FIRST, name="cp2", address="10.0.0.12"), kubeadm.Admission(TOKEN, HASH, KEY))
    assert found["controlPlane"] == {"localAPIEndpoint": {"advertiseAddress": "10.0.0.12", "bindPort": 6443}, "certificateKey": KEY}


@pytest.mark.parametrize(
    ("member", "wanted"),
    [
        (FIRST, [kubeadm.CONTROL_PLANE_TAINT]),
        (replace(FIRST, control_plane_taint=False), []),
        (kubeadm.Member("w", "10.0.0.1"), []),
        (WORKER, [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
    ],
)
def test_taints(member: kubeadm.Member, wanted: list[dict[str, str]]) -> None:
    assert kubeadm.taints(member) == wanted


def test_taint_without_value() -> None:
    assert kubeadm.taint("storage:NoExecute") == {"key": "storage", "effect": "NoExecute"}


@pytest.mark.parametrize("text", ["gpu", "gpu=yes", "gpu=yes:Never", "=yes:NoSchedule", "a b:NoSchedule"])
def test_a_wrong_taint_is_refused(text: str) -> None:
    with pytest.raises(CantiereError, match="is not a taint"):
        kubeadm.taint(text)


def test_admission() -> None:
    assert kubeadm.admission(PRINTED) == kubeadm.Admission(TOKEN, HASH, KEY)


def test_a_refused_admission_tells_no_secret() -> None:
    with pytest.raises(CantiereError) as caught:
        kubeadm.admission(PRINTED.replace(KEY, ""))
    assert "no certificate key" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_upgrade() -> None:
    (found,) = kubeadm.upgrade(replace(CLUSTER, version="1.37.0"), WORKER)
    assert found["apply"]["kubernetesVersion"] == "v1.37.0"
    assert found["node"]["ignorePreflightErrors"] == found["apply"]["ignorePreflightErrors"] == ["Mem", "Swap"]


def test_kubelet_of_a_usual_machine() -> None:
    (found,) = kubeadm.kubelet({"memory": "256Mi"}, "systemd", legacy_cgroups=False, shared=False)
    assert found["cgroupDriver"] == "systemd"
    assert not {"failCgroupV1", "failSwapOn", "evictionHard"} & found.keys()


def test_kubelet_of_a_container() -> None:
    (found,) = kubeadm.kubelet({}, "cgroupfs", legacy_cgroups=True, shared=True)
    assert (found["failCgroupV1"], found["failSwapOn"], found["cgroupDriver"]) == (False, False, "cgroupfs")
    assert found["evictionHard"]["nodefs.available"] == "1%", "a shared disk that others fill evicts no pods"


@pytest.mark.parametrize(
    ("machine", "wanted"),
    [
        ((False, False, 2, 4 << 30, True), []),
        ((True, False, 2, 4 << 30, True), ["SystemVerification"]),
        ((False, True, 2, 4 << 30, False), ["Swap"]),
        ((False, False, 1, 1 << 30, True), ["NumCPU", "Mem"]),
        ((False, False, 1, 1 << 30, False), []),
    ],
)
def test_only_what_is_impossible_is_ignored(machine: tuple[bool, bool, int, int, bool], wanted: list[str]) -> None:
    assert list(kubeadm.impossible(*machine)) == wanted
