"""Facts of a cluster, from what its API says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cantiere.cluster import facts
from cantiere.values.model import PLACEHOLDER, PRIVATE
from support.kube import FakeApi


def node(name: str, labels: dict[str, str], **allocatable: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": f"10.244.{len(name)}.0/24"},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi"} | allocatable},
    }


def storage(name: str, provisioner: str, default: bool = False) -> dict[str, Any]:
    notes = {facts.DEFAULT_CLASS: "true"} if default else {}
    return {"metadata": {"name": name, "annotations": notes}, "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer"}


API = {
    "/version": {"gitVersion": "v1.34.2+k3s1"},
    "/api/v1/nodes": [
        node("w1", {"cantiere.io/pool": "gpu", "zone": "a"}, **{"nvidia.com/gpu": "2"}),
        node("w22", {"cantiere.io/pool": "gpu", "zone": "b"}, cpu="3500m"),
        node("c", {"node-role.kubernetes.io/control-plane": ""}),
        node("x", {}),
    ],
    "/apis/storage.k8s.io/v1/storageclasses": [
        storage("by-hand", "kubernetes.io/no-provisioner"),
        storage("fast", "rbd.csi.ceph.com", default=True),
        storage("files", "rook-ceph.cephfs.csi.ceph.com"),
    ],
    "/apis/networking.k8s.io/v1/ingressclasses": [{"metadata": {"name": "traefik"}}],
    "/api/v1/services": [
        {
            "metadata": {"name": "lb"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 443}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}},
        }
    ],
    "/apis/apps/v1/daemonsets": [{"metadata": {"name": "cilium"}}],
    "/apis/networking.k8s.io/v1/servicecidrs": [{"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16"]}}],
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": [
        {
            "metadata": {
                "name": "certificates.cert-manager.io",
                "annotations": {facts.RELEASE_NAME: "cm", facts.RELEASE_NAMESPACE: "cert-manager"},
            }
        },
        {"metadata": {"name": "left.example.com", "managedFields": [{"manager": "helm"}]}},
        {"metadata": {"name": "hand.example.com", "managedFields": [{"manager": "kubectl"}]}},
    ],
    "/apis": {
        "items": [
            {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": [{"responseKind": {"kind": "Deployment"}}]}]},
        ]
    },
    "/api": {"items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [{"responseKind": {"kind": "Pod"}}]}]}]},
}


def test_what_a_cluster_is() -> None:
    found = facts.observe(FakeApi(API), {"zone": "site.example", "registry": "r"})
    assert found.kubernetes_version == "1.34.2"
    assert (found.storage_class, found.shared_storage_class) == ("fast", "files")
    assert (found.ingress_class, found.ingress_address, found.zone) == ("traefik", "192.0.2.7", "site.example")
    assert (found.pod_subnet, found.service_subnet) == ("10.244.0.0/22", "10.96.0.0/16")
    assert found.network_policies
    assert found.api_versions == {"v1/Pod", "apps/v1/Deployment"}


def test_pools() -> None:
    found = facts.observe(FakeApi(API), {}).pools
    assert set(found) == {"gpu", "control-plane", "worker"}
    assert (found["gpu"].nodes, found["gpu"].cpus, found["gpu"].memory) == (2, 3.5, 8 << 30)
    assert found["gpu"].gpus == {"nvidia.com/gpu": 2}
    assert found["gpu"].labels == {"cantiere.io/pool": "gpu"}


def test_owners_of_what_belongs_to_the_cluster() -> None:
    owners = facts.observe(FakeApi(API), {}).owners
    assert owners["CustomResourceDefinition/certificates.cert-manager.io"] == "cert-manager/cm"
    assert owners["CustomResourceDefinition/hand.example.com"] == ""
    assert "CustomResourceDefinition/left.example.com" not in owners
    assert owners["StorageClass/default"] == ""


def test_who_may_not_look_sees_nothing_and_goes_on() -> None:
    api = FakeApi(API)
    api.forbidden = {"/api/v1/nodes", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "/api/v1/services"}
    found = facts.observe(api, {"pod_subnet": "10.1.0.0/16"})
    assert (found.pools, found.ingress_address, found.pod_subnet) == ({}, "", "10.1.0.0/16")


def test_nothing_outside_of_a_namespace_is_looked_at() -> None:
    api = FakeApi({path: API[path] for path in ("/version", "/api", "/apis")})
    asked: list[str] = []
    get, api.list = api.get, lambda path, *_args, **_query: pytest.fail(f"asked for {path}")  # type: ignore[method-assign]
    api.get = lambda path, *args, **query: asked.append(path) or get(path, *args, **query)  # type: ignore[method-assign, func-returns-value]
    found = facts.observe(api, {"storage_class": "fast"}, namespaced=True)
    assert asked == ["/version", "/api", "/apis"]
    assert (found.kubernetes_version, found.storage_class, found.pools) == ("1.34.2", "fast", {})


@pytest.mark.parametrize(
    ("known", "networks"),
    [
        (("10.244.0.0/16", "10.96.0.0/16"), ("10.244.0.0/16", "10.96.0.0/16")),
        (("198.18.0.0/16", ""), ("198.18.0.0/16", *PRIVATE)),
        (("", ""), PRIVATE),
    ],
)
def test_own_networks(known: tuple[str, str], networks: tuple[str, ...]) -> None:
    assert replace(PLACEHOLDER, pod_subnet=known[0], service_subnet=known[1]).own_networks() == networks


@pytest.mark.parametrize(
    ("text", "number"), [("500m", 0.5), ("2", 2), ("1Ki", 1024), ("1.5G", 1.5e9), ("3Gi", 3 << 30), ("2Pi", 2 << 50), ("250u", 0.00025)]
)
def test_quantity(text: str, number: float) -> None:
    assert facts.quantity(text) == number
