"""The configurations of containerd, keepalived and kube-router."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from cantiere.kubernetes import containerd, keepalived, kube_router


def test_containerd_of_a_usual_machine() -> None:
    (found,) = containerd.files(containerd.config("", True, False, "/usr/sbin/runc"), {}, {})
    values = tomllib.loads(found["content"])
    runtime = values["plugins"]["io.containerd.cri.v1.runtime"]
    assert values["version"] == 3
    assert runtime["containerd"]["runtimes"]["runc"]["options"] == {"BinaryName": "/usr/sbin/runc", "SystemdCgroup": True}
    assert "restrict_oom_score_adj" not in runtime
    assert "pinned_images" not in values["plugins"]["io.containerd.cri.v1.images"]


def test_containerd_of_a_restricted_machine() -> None:
    values = containerd.config("pause:1", False, True, "/usr/sbin/runc")
    runtime = values["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is True
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is False
    assert values["plugins"]["io.containerd.cri.v1.images"]["pinned_images"] == {"sandbox": "pause:1"}


def test_mirrors_of_a_registry() -> None:
    found = containerd.files(containerd.config("", True, False, "runc"), {"images.site": ["https://one.site", "https://two.site/v2"]}, {})
    assert [item["path"] for item in found] == ["/etc/containerd/config.toml", "/etc/containerd/certs.d/images.site/hosts.toml"]
    hosts = tomllib.loads(found[1]["content"])
    assert hosts["server"] == "https://images.site"
    assert list(hosts["host"]) == ["https://one.site", "https://two.site/v2"]


def test_authority_of_a_registry() -> None:
    found = containerd.files(containerd.config("", True, False, "runc"), {}, {"10.0.0.11:5000": "PEM\n"})
    assert [item["path"] for item in found[1:]] == [
        "/etc/containerd/certs.d/10.0.0.11:5000/ca.crt",
        "/etc/containerd/certs.d/10.0.0.11:5000/hosts.toml",
    ]
    assert found[1]["content"] == "PEM\n"
    hosts = tomllib.loads(found[2]["content"])
    assert hosts["server"] == "https://10.0.0.11:5000"
    assert hosts["host"]["https://10.0.0.11:5000"]["ca"] == found[1]["path"]


def keepalived_text(**more: Any) -> list[str]:
    usual = {"address": "10.0.0.250", "interface": "eth0", "own": "10.0.0.11", "priority": 110, "router_id": 51, "interval": 1.0}
    return [line.strip() for line in keepalived.config(**{**usual, "peers": [], "check": "/check", **more}).splitlines()]


def test_keepalived() -> None:
    found = keepalived_text(peers=["10.0.0.13", "10.0.0.12"])
    assert found[found.index("unicast_peer {") + 1 : found.index("unicast_peer {") + 4] == ["10.0.0.12", "10.0.0.13", "}"]
    assert {"priority 110", "advert_int 1", "10.0.0.250/32 dev eth0", 'script "/check"', "weight 50"} <= set(found)
    assert found.count("}") == sum(line.endswith("{") for line in found)


def test_keepalived_alone_and_fast() -> None:
    found = keepalived_text(interval=0.5)
    assert "unicast_peer {" not in found
    assert "advert_int 0.5" in found


def objects(overlay: str = "subnet", mtu: int = 0) -> dict[str, dict[str, Any]]:
    return {item["kind"]: item for item in kube_router.manifests("router:v1", "10.96.0.0/16", overlay, mtu)}


def test_kube_router_objects() -> None:
    found = objects()
    assert list(found) == ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet"]
    template = found["DaemonSet"]["spec"]["template"]
    assert found["DaemonSet"]["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    mounts = {mount["name"] for part in ("initContainers", "containers") for one in template["spec"][part] for mount in one["volumeMounts"]}
    assert mounts == {volume["name"] for volume in template["spec"]["volumes"]}
    assert template["spec"]["tolerations"] == [{"operator": "Exists"}], "it makes nodes ready, so it runs on those that are not"


@pytest.mark.parametrize(
    ("overlay", "wanted"),
    [
        ("subnet", ["--enable-overlay=true", "--overlay-type=subnet"]),
        ("full", ["--enable-overlay=true", "--overlay-type=full"]),
        ("none", ["--enable-overlay=false"]),
    ],
)
def test_overlay(overlay: str, wanted: list[str]) -> None:
    assert [word for word in kube_router.arguments("10.96.0.0/16", overlay, 0) if "overlay" in word] == wanted


@pytest.mark.parametrize("mtu", [0, 1400])
def test_mtu(mtu: int) -> None:
    bridge = json.loads(objects(mtu=mtu)["ConfigMap"]["data"]["cni.json"])["plugins"][0]
    assert bridge.get("mtu", 0) == mtu
    assert f"--auto-mtu={'false' if mtu else 'true'}" in kube_router.arguments("10.96.0.0/16", "none", mtu)
