"""Volumes: drivers, classes, and what must not be asked of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cantiere.values.model import PLACEHOLDER
from cantiere.values.storage import needs, releases, storage_nodes
from support.addons import LARGE, SMALL, compiled, context, facility, held, wrong

LONGHORN = """\
  disks:
    type: cantiere.nodes.BlockStorage
  files:
    type: cantiere.nodes.SharedFileSystem
"""
NFS = """\
  disks:
    type: cantiere.nodes.BlockStorage
    properties: {driver: local-path}
  files:
    type: cantiere.nodes.SharedFileSystem
    properties: {driver: nfs, server: nfs.example.org, export: /export, subfolder: volumes}
"""
OPENSTACK = """\
  disks:
    type: cantiere.nodes.BlockStorage
    properties: {driver: cinder, cloud_config: "file:/etc/cloud.conf", volume_type: ssd}
  files:
    type: cantiere.nodes.SharedFileSystem
    properties: {driver: manila, credentials: {os-authURL: "env:OS_AUTH_URL", os-region: "env:OS_REGION_NAME"}}
"""
FOLDERS = """\
  files:
    type: cantiere.nodes.SharedFileSystem
    properties: {driver: local-path, path: /shared, default_class: true}
"""


@pytest.mark.parametrize("machines", [SMALL, LARGE, {}], ids=["small", "large", "existing"])
@pytest.mark.parametrize("nodes", [LONGHORN, NFS, OPENSTACK, FOLDERS], ids=["longhorn", "nfs", "openstack", "folders"])
def test_values_have_a_place(tmp_path: Path, nodes: str, machines: dict[str, int]) -> None:
    releases = compiled(tmp_path, nodes, **machines)
    assert wrong(tmp_path, nodes, **machines) == []
    defaults = [name for release in releases.values() for name in release.owns if name == "StorageClass/default"]
    assert len(defaults) == 1
    held(releases)


def test_one_driver_serves_both(tmp_path: Path) -> None:
    releases = compiled(tmp_path, LONGHORN, worker=2)
    assert list(releases) == ["longhorn", "disks-class", "files-class"]
    assert releases["longhorn"].values["persistence"]["createStorageClass"] is False
    block, shared = (releases[f"{name}-class"].values["classes"] for name in ("disks", "files"))
    assert block["block"]["default"] is True and shared["shared"]["default"] is False
    assert shared["shared"]["parameters"]["nfsOptions"].startswith("vers=4.1")


@pytest.mark.parametrize(("machines", "copies"), [({"worker": 1}, "1"), ({"worker": 2}, "2"), ({"worker": 12}, "3"), ({}, "3")])
def test_never_more_replicas_than_machines(tmp_path: Path, machines: dict[str, int], copies: str) -> None:
    releases = compiled(tmp_path, LONGHORN, **machines)
    assert releases["disks-class"].values["classes"]["block"]["parameters"]["numberOfReplicas"] == copies
    assert releases["longhorn"].values["defaultSettings"]["defaultReplicaCount"] == int(copies)


def test_too_many_replicas_are_refused(tmp_path: Path) -> None:
    asked = LONGHORN.replace("cantiere.nodes.BlockStorage\n", "cantiere.nodes.BlockStorage\n    properties: {replicas: 3}\n")
    assert wrong(tmp_path, asked, worker=2) == ["storage.replicas disks"]
    assert wrong(tmp_path, asked, worker=3) == []


def test_only_labelled_machines_hold_replicas(tmp_path: Path) -> None:
    found = facility(tmp_path, LONGHORN, worker=8, storage=2)
    pools = [
        replace(node, properties={**node.properties, "labels": {"node.longhorn.io/create-default-disk": "true"}})
        if node.name == "storage"
        else node
        for node in found.nodes
    ]
    here = context(replace(found, nodes=tuple(pools)))
    assert storage_nodes(here) == 2
    (longhorn, _) = releases(here.facility.node("disks"), here)
    assert longhorn.values["defaultSettings"]["createDefaultDiskLabeledNodes"] is True


def test_longhorn_is_kept_safe(tmp_path: Path) -> None:
    """Its page is shut, its data stays unless removal is confirmed, and upgrades are looked at before."""
    longhorn = compiled(tmp_path, LONGHORN, worker=3)["longhorn"]
    assert longhorn.values["defaultSettings"]["deletingConfirmationFlag"] is False
    assert longhorn.values["preUpgradeChecker"] == {"jobEnabled": True, "upgradeVersionCheck": True}
    (policy,) = longhorn.values["extraObjects"]
    assert policy["spec"] == {"podSelector": {"matchLabels": {"app": "longhorn-ui"}}, "policyTypes": ["Ingress"], "ingress": []}
    assert longhorn.pod_security == "privileged"
    confirmed = LONGHORN.replace("BlockStorage\n", "BlockStorage\n    properties: {removal_confirmed: true}\n")
    assert compiled(tmp_path, confirmed, worker=3)["longhorn"].values["defaultSettings"]["deletingConfirmationFlag"] is True


def test_a_disabled_node_is_removed(tmp_path: Path) -> None:
    """A driver stays while another node uses it, and goes with the last."""
    files_off = LONGHORN + "    properties: {enabled: false}\n"
    found = compiled(tmp_path, files_off, worker=3)
    assert {name: release.installed for name, release in found.items()} == {"longhorn": True, "disks-class": True, "files-class": False}
    both_off = files_off.replace("BlockStorage\n", "BlockStorage\n    properties: {enabled: false}\n")
    assert not any(release.installed for release in compiled(tmp_path, both_off, worker=3).values())


def test_the_flag_switches_the_type(tmp_path: Path) -> None:
    provisioners = {
        nodes: next(iter(compiled(tmp_path, nodes, worker=3)["files-class"].values["classes"].values()))["provisioner"]
        for nodes in (LONGHORN, NFS, OPENSTACK, FOLDERS)
    }
    assert list(provisioners.values()) == ["driver.longhorn.io", "nfs.csi.k8s.io", "nfs.manila.csi.openstack.org", "cantiere.io/files"]


def test_manila_mounts_by_the_driver_of_nfs(tmp_path: Path) -> None:
    releases = compiled(tmp_path, OPENSTACK, worker=3)
    assert releases["openstack-manila-csi"].needs == ("csi-driver-nfs",)
    (secret,) = releases["files-class"].secrets
    assert [(file.file, file.secret.source) for file in secret.files] == [
        ("os-authURL", "env:OS_AUTH_URL"),
        ("os-region", "env:OS_REGION_NAME"),
    ]
    parameters = releases["files-class"].values["classes"]["shared"]["parameters"]
    assert parameters["csi.storage.k8s.io/node-stage-secret-name"] == secret.name
    (cloud,) = releases["openstack-cinder-csi"].secrets
    assert cloud.files[0].file == releases["openstack-cinder-csi"].values["secret"]["filename"]


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ("driver: nfs, server: nfs.example.org", "server"),
        ("driver: local-path", "path"),
        ("driver: manila", "credentials"),
    ],
)
def test_what_is_refused(tmp_path: Path, properties: str, code: str) -> None:
    node = f"  files:\n    type: cantiere.nodes.SharedFileSystem\n    properties: {{{properties}}}\n"
    assert wrong(tmp_path, node, worker=3) == [f"storage.{code} files"]


def test_cinder_cannot_be_shared(tmp_path: Path) -> None:
    node = "  files:\n    type: cantiere.nodes.SharedFileSystem\n    properties: {driver: cinder}\n"
    assert "storage.shared files" in wrong(tmp_path, node, worker=3)


def test_two_defaults_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    two = LONGHORN + "    properties: {default_class: true}\n"
    assert wrong(tmp_path, two, worker=3) == ["storage.default files"]
    same = LONGHORN + "    properties: {class_name: block}\n"
    assert wrong(tmp_path, same, worker=3) == ["storage.class files"]


def test_who_claims_waits_for_the_classes(tmp_path: Path) -> None:
    found = facility(tmp_path, NFS, worker=3)
    assert needs(found) == ("disks-class", "files-class")
    here = context(found, replace(PLACEHOLDER, storage_class="", shared_storage_class="", storage_classes={}))
    assert (here.cluster.storage_class, here.cluster.shared_storage_class) == ("block", "shared")
    assert here.cluster.storage_classes["block"].waits and here.cluster.storage_classes["shared"].shared


def test_a_class_that_is_there_is_only_named(tmp_path: Path) -> None:
    node = """\
  files:
    type: cantiere.nodes.SharedFileSystem
    properties: {driver: existing, class_name: cephfs}
"""
    found = facility(tmp_path, node)
    assert compiled(tmp_path, node) == {} and needs(found) == ()
    assert context(found).storage_class(found.node("files"), shared=True) == "cephfs"


@pytest.mark.parametrize(("theirs", "ours"), [("ssd", "ssd"), ("", "shared")])
def test_volumes_of_one_pod_stay_where_the_cluster_has_them(tmp_path: Path, theirs: str, ours: str) -> None:
    """A shared file system does not take them over, unless there is nothing else."""
    node = "  files:\n    type: cantiere.nodes.SharedFileSystem\n    properties: {driver: nfs, server: a, export: /b}\n"
    here = context(facility(tmp_path, node), replace(PLACEHOLDER, storage_class=theirs))
    assert (here.cluster.storage_class, here.cluster.shared_storage_class) == (ours, "shared")
