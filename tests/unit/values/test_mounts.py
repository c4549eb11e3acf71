"""Storage of others as volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cantiere.values import mounts
from support.further import held, one, wrong

EOS = {"driver": "eos", "server": "eospublic.example.org", "path": "/eos/opendata"}
CEPH = {
    "driver": "cephfs",
    "server": "ceph-1",
    "path": "/volumes/cms",
    "user": "env:CEPH_USER",
    "password": "vault:ceph",
    "read_only": False,
}
WEBDAV = {"driver": "webdav", "server": "https://dav.example.org/store", "user": "env:DAV_USER", "password": "file:/etc/dav"}
NFS = {"driver": "nfs", "server": "nfs.example.org", "path": "/export", "size": "500 TB", "mount_options": ["nfsvers=4.2"]}


@pytest.mark.parametrize("properties", [EOS, CEPH, WEBDAV, NFS], ids=["eos", "cephfs", "webdav", "nfs"])
def test_volume_and_claim_find_each_other_and_nobody_else(tmp_path: Path, properties: dict[str, Any]) -> None:
    node, where, releases = one(tmp_path, mounts.TYPE, properties, "data")
    assert wrong(node, where) == []
    assert held(releases.values(), where) == []
    (release,) = releases.values()
    volume, claim = (release.values["objects"][key] for key in ("volume", "claim"))
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"] == "facility-data"
    assert volume["spec"]["claimRef"] == {"namespace": "facility", "name": claim["metadata"]["name"]}
    assert claim["metadata"]["name"] == mounts.claim(node) == "data"
    assert volume["spec"]["storageClassName"] == claim["spec"]["storageClassName"] == "", "no class makes another volume"
    assert volume["spec"]["accessModes"] == claim["spec"]["accessModes"]
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert release.owns == ("PersistentVolume/facility-data",)


def test_drivers_are_told_where_the_storage_is(tmp_path: Path) -> None:
    for properties, driver, expected in (
        (EOS, "eosxd.csi.cern.ch", {"instance": "eospublic.example.org", "path": "/eos/opendata"}),
        (NFS, "nfs.csi.k8s.io", {"server": "nfs.example.org", "share": "/export"}),
    ):
        _, _, releases = one(tmp_path, mounts.TYPE, properties, "data")
        csi = releases["data"].values["objects"]["volume"]["spec"]["csi"]
        assert (csi["driver"], csi["volumeAttributes"]) == (driver, expected)
        assert not {"nodeStageSecretRef", "nodePublishSecretRef"} & csi.keys()
        assert releases["data"].secrets == ()


def test_accounts_come_from_a_secret(tmp_path: Path) -> None:
    for properties, key, files in (
        (CEPH, "nodeStageSecretRef", {"userID": "env:CEPH_USER", "userKey": "vault:ceph"}),
        (WEBDAV, "nodePublishSecretRef", {"webdav-user": "env:DAV_USER", "webdav-pass": "file:/etc/dav"}),
    ):
        _, _, releases = one(tmp_path, mounts.TYPE, properties, "data")
        (secret,) = releases["data"].secrets
        csi = releases["data"].values["objects"]["volume"]["spec"]["csi"]
        assert csi[key] == {"name": secret.name, "namespace": "facility"}
        assert {file.file: file.secret.source for file in secret.files} == files


def test_who_may_write_is_said_once(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, mounts.TYPE, CEPH, "data")
    spec = releases["data"].values["objects"]["volume"]["spec"]
    assert spec["accessModes"] == ["ReadWriteMany"] and spec["csi"]["readOnly"] is False
    _, _, releases = one(tmp_path, mounts.TYPE, NFS, "data")
    spec = releases["data"].values["objects"]["volume"]["spec"]
    assert spec["accessModes"] == ["ReadOnlyMany"] and spec["csi"]["readOnly"] is True
    assert spec["mountOptions"] == ["nfsvers=4.2"]


@pytest.mark.parametrize(
    ("properties", "codes"),
    [
        (EOS | {"user": "env:A", "password": "env:B"}, ["mount.user"]),
        (WEBDAV | {"password": ""}, ["mount.account"]),
        (WEBDAV | {"server": "http://dav.example.org"}, ["mount.server"]),
        (CEPH | {"user": "", "password": ""}, ["mount.key"]),
        (CEPH | {"user": "", "password": "", "enabled": False}, []),
    ],
)
def test_mounts_are_checked(tmp_path: Path, properties: dict[str, Any], codes: list[str]) -> None:
    node, where, _ = one(tmp_path, mounts.TYPE, properties, "data")
    assert wrong(node, where) == codes
