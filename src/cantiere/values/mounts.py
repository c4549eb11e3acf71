"""Storage of others as volumes: EOS, CephFS, WebDAV and NFS through CSI drivers. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.values.addons import broken, enabled
from cantiere.values.model import Context, Release, SecretObject
from cantiere.values.units import quantity

TYPE = "cantiere.nodes.StorageMount"
DRIVERS = {"eos": "eosxd.csi.cern.ch", "cephfs": "cephfs.csi.ceph.com", "webdav": "csi-rclone", "nfs": "nfs.csi.k8s.io"}
ACCOUNTS = ("cephfs", "webdav")
KEYS = {"cephfs": ("userID", "userKey"), "webdav": ("webdav-user", "webdav-pass")}
"""Keys under which a driver looks for account and password in its Secret."""


def claim(node: Node) -> str:
    """Name of the claim that pods of the facility's namespace mount."""
    return node.name


def volume(node: Node, context: Context) -> str:
    """Name of the volume: unique in the cluster, where the claim's is in its namespace."""
    return f"{context.namespace}-{node.name}"


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The volume and its claim."""
    told = node.properties
    mode = "ReadOnlyMany" if told["read_only"] else "ReadWriteMany"
    name = volume(node, context)
    secrets = _secrets(node)
    csi: dict[str, Any] = {
        "driver": str(told["csi_driver"]) or DRIVERS[told["driver"]],
        "volumeHandle": name,
        "readOnly": told["read_only"],
        "volumeAttributes": attributes(node),
    }
    if secrets:
        reference = {"name": secrets[0].name, "namespace": context.namespace}
        csi["nodeStageSecretRef" if told["driver"] == "cephfs" else "nodePublishSecretRef"] = reference
    spec: dict[str, Any] = {
        "capacity": {"storage": quantity(told["size"])},
        "accessModes": [mode],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
        "claimRef": {"namespace": context.namespace, "name": claim(node)},
        "csi": csi,
    }
    if told["mount_options"]:
        spec["mountOptions"] = list(told["mount_options"])
    wanted = {
        "accessModes": [mode],
        "resources": {"requests": {"storage": quantity(told["size"])}},
        "storageClassName": "",
        "volumeName": name,
    }
    objects = {
        "volume": {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec},
        "claim": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim(node)}, "spec": wanted},
    }
    return (
        Release(
            name=node.name,
            namespace=context.namespace,
            chart="objects",
            values={"objects": objects},
            node=node.name,
            installed=enabled(node),
            secrets=secrets,
            owns=(f"PersistentVolume/{name}",),
        ),
    )


def attributes(node: Node) -> dict[str, str]:
    """What the driver is told of the storage."""
    told = node.properties
    match told["driver"]:
        case "eos":
            return {"instance": told["server"], "path": told["path"]}
        case "cephfs":
            return {"clusterID": told["server"], "fsName": told["file_system"], "staticVolume": "true", "rootPath": told["path"]}
        case "webdav":
            return {"remote": "webdav", "remotePath": told["path"], "webdav-url": told["server"], "webdav-vendor": "other"}
        case _:
            return {"server": told["server"], "share": told["path"]}


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of a mount."""
    told = node.properties
    driver = told["driver"]
    account = bool(told["user"]), bool(told["password"])
    rules = (
        ("account", account[0] != account[1], "it has one of user and password", "give both, or none"),
        (
            "user",
            any(account) and driver not in ACCOUNTS,
            f"the driver for {driver} takes no account: who reads is told by the pod",
            "remove user and password",
        ),
        ("key", driver == "cephfs" and not all(account), "CephFS is mounted with an account and its key", "set user and password"),
        (
            "server",
            driver == "webdav" and not str(told["server"]).startswith("https://"),
            "the password would go to a server that is not named by an https URL",
            "set server to an https URL",
        ),
    )
    return broken("mount", node, rules)


def _secrets(node: Node) -> tuple[SecretObject, ...]:
    told = node.properties
    if told["driver"] not in KEYS or not told["password"]:
        return ()
    user, password = KEYS[told["driver"]]
    files = (
        SecretFile(Secret(f"{node.name}-user", str(told["user"])), user),
        SecretFile(Secret(f"{node.name}-password", str(told["password"])), password),
    )
    return (SecretObject(f"{node.name}-mount", files),)
