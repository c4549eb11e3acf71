"""Volumes: block storage of one pod, and file systems that many pods share; one driver release each, and the StorageClasses. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.values import storage_drivers as drivers
from cantiere.values.addons import Rule, active, broken, enabled, machines
from cantiere.values.model import Context, Release, SecretObject, StorageClass

BLOCK = "cantiere.nodes.BlockStorage"
SHARED = "cantiere.nodes.SharedFileSystem"
TYPES = (BLOCK, SHARED)
CLASSES_NAMESPACE = "kube-system"
WORKERS = ("worker", "storage", "gpu")
"""Roles of machines that run pods, and hold replicas where no machine is labelled for that."""

_AREA = "storage"

PROVISIONERS = {
    "longhorn": "driver.longhorn.io",
    "nfs": "nfs.csi.k8s.io",
    "cinder": "cinder.csi.openstack.org",
    "manila": "nfs.manila.csi.openstack.org",
}


def class_name(node: Node) -> str:
    """Name of the StorageClass of a storage node: the one that it names, else ``block`` or ``shared``."""
    return str(node.properties.get("class_name") or ("block" if node.type == BLOCK else "shared"))


def classes_release(node: Node) -> str:
    """Name of the release that makes a storage node's StorageClass."""
    return f"{node.name}-class"


def needs(facility: Facility) -> tuple[str, ...]:
    """Releases after which claims are bound; every release that has a claim needs them."""
    return tuple(classes_release(node) for node in active(facility, *TYPES) if _made(node))


def classes(facility: Facility) -> tuple[StorageClass, ...]:
    """The StorageClasses that the template's storage nodes stand for, in the template's order; not the cluster's own default."""
    return tuple(
        StorageClass(
            class_name(node),
            _provisioner(node),
            default=bool(node.properties["default_class"]),
            expandable=node.properties["driver"] != "local-path",
            waits=_waits(node),
            shared=node.type == SHARED,
        )
        for node in active(facility, *TYPES)
        if _made(node) or node.properties.get("class_name")
    )


def storage_nodes(context: Context) -> int:
    """Nodes that hold replicas: those that carry Longhorn's label, else all workers, else what the cluster has; at least one."""
    found = _declared_nodes(context.facility) or sum(pool.nodes for pool in context.cluster.pools.values())
    return max(found, 1)


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The driver of a storage node, where no earlier node brings it, and its StorageClass.

    Parameters
    ----------
    node:
        A node of :data:`TYPES`.
    context:
        The facility and its cluster.
    """
    if not _made(node):
        return ()
    return (*_drivers(node, context), _class(node, context, _brings(node)[-1]))


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of a storage node, and between it and the rest of the template."""
    defaults = [other.name for other in active(facility, *TYPES) if other.properties["default_class"]]
    names = [other.name for other in active(facility, *TYPES) if class_name(other) == class_name(node)]
    rules = (
        *_rules(node.properties, _declared_nodes(facility), node.type == SHARED),
        (
            "default",
            len(defaults) > 1 and node.name == defaults[1],
            f"{' and '.join(defaults)} both make the default StorageClass",
            "leave default_class true on one of them and set it to false on the others",
        ),
        (
            "class",
            len(names) > 1 and node.name == names[1],
            f"{' and '.join(names)} make a StorageClass of one name",
            "give one of them another class_name",
        ),
    )
    return broken(_AREA, node, rules)


def _rules(given: Mapping[str, Any], nodes: int, shared: bool) -> tuple[Rule, ...]:
    driver, replicas = given["driver"], given.get("replicas")
    return (
        (
            "replicas",
            driver == "longhorn" and nodes > 0 and (replicas or 0) > nodes,
            f"asks for {replicas} replicas of each volume, and {nodes} machines hold them: volumes would stay degraded for ever",
            f"set replicas to {nodes} or less, leave it out, or add machines",
        ),
        (
            "shared",
            shared and driver == "cinder",
            "a Cinder volume attaches to one machine at a time, many pods cannot share it",
            "use driver manila or nfs here, and cinder in a node of type cantiere.nodes.BlockStorage",
        ),
        (
            "server",
            driver == "nfs" and not (given.get("server") and given.get("export")),
            "driver nfs needs a server and the folder that it exports",
            "set server and export",
        ),
        (
            "path",
            shared and driver == "local-path" and not given.get("path"),
            "driver local-path shares a file system that is mounted at the same path on all machines, and no path is given",
            "set path to where it is mounted, or use driver longhorn or nfs",
        ),
        (
            "cloud",
            driver == "cinder" and not given.get("cloud_config"),
            "driver cinder needs the cloud's configuration",
            "set cloud_config to a reference to a cloud.conf: file:PATH, env:NAME or vault:NAME",
        ),
        (
            "credentials",
            driver == "manila" and "os-authURL" not in (given.get("credentials") or {}),
            "driver manila needs credentials with the key os-authURL",
            "set credentials to references: os-authURL, os-region, os-applicationCredentialID, os-applicationCredentialSecret",
        ),
    )


def _made(node: Node) -> bool:
    return bool(node.properties["driver"] != "existing")


def _declared_nodes(facility: Facility) -> int:
    return drivers.labelled_machines(facility) or machines(facility, *WORKERS)


def _waits(node: Node) -> bool:
    driver = node.properties["driver"]
    return driver == "cinder" or (driver == "local-path" and node.type == BLOCK)


def _provisioner(node: Node) -> str:
    driver = node.properties["driver"]
    return PROVISIONERS.get(driver, "") if driver != "local-path" else drivers.local_path_provisioner(node)


def _brings(node: Node) -> tuple[str, ...]:
    """Names of the releases that a node's driver is made of; the last one makes its volumes."""
    driver = node.properties["driver"]
    return {
        "longhorn": ("longhorn",),
        "nfs": ("csi-driver-nfs",),
        "manila": ("csi-driver-nfs", "openstack-manila-csi"),
        "cinder": ("openstack-cinder-csi",),
        "local-path": (drivers.local_path_release(node),),
    }.get(driver, ())


def _drivers(node: Node, context: Context) -> tuple[Release, ...]:
    """The releases of a node's driver; those that an earlier node brings are left to it."""
    nodes = storage_nodes(context)
    makers: dict[str, Callable[[], Release]] = {
        "longhorn": lambda: drivers.longhorn(_longhorn_nodes(context.facility), context, nodes),
        "csi-driver-nfs": lambda: drivers.nfs(node, nodes),
        "openstack-manila-csi": lambda: drivers.manila(node, context),
        "openstack-cinder-csi": lambda: drivers.cinder(node, context, nodes),
        drivers.local_path_release(node): lambda: drivers.local_path(node, shared=node.type == SHARED),
    }
    found = []
    for name in _brings(node):
        bringers = [other for other in active(context.facility, *TYPES) if name in _brings(other)]
        if not bringers or bringers[0] == node:
            found.append(makers[name]())
    return tuple(found)


def _longhorn_nodes(facility: Facility) -> tuple[Node, ...]:
    found = tuple(node for node in facility.nodes if node.type in TYPES and node.properties["driver"] == "longhorn")
    return tuple(node for node in found if enabled(node)) or found


def _class(node: Node, context: Context, driver: str) -> Release:
    properties = node.properties
    name = class_name(node)
    parameters, secrets = _parameters(node, context)
    values = {
        "classes": {
            name: {
                "provisioner": _provisioner(node),
                "default": properties["default_class"],
                "parameters": parameters,
                "reclaimPolicy": properties["reclaim_policy"],
                "volumeBindingMode": "WaitForFirstConsumer" if _waits(node) else "Immediate",
                "allowVolumeExpansion": properties["driver"] != "local-path",
                "mountOptions": list(properties.get("mount_options") or ()) if properties["driver"] in ("nfs", "manila") else [],
            }
        }
    }
    owns = (f"StorageClass/{name}", *(("StorageClass/default",) if properties["default_class"] else ()))
    return Release(
        classes_release(node),
        CLASSES_NAMESPACE,
        "storage-classes",
        values,
        node.name,
        needs=(driver,),
        installed=enabled(node),
        secrets=secrets,
        pod_security="privileged",
        owns=owns,
    )


def _parameters(node: Node, context: Context) -> tuple[dict[str, str], tuple[SecretObject, ...]]:
    """Parameters of a node's StorageClass, and the Secrets that they name."""
    given = node.properties
    driver = given["driver"]
    if driver == "longhorn":
        shared = {"nfsOptions": "vers=4.1,noresvport,softerr,timeo=600,retrans=5"} if node.type == SHARED else {}
        return {
            "numberOfReplicas": str(drivers.replicas(node, storage_nodes(context))),
            "staleReplicaTimeout": "30",
            "fsType": "ext4",
            "dataLocality": "disabled" if node.type == SHARED else "best-effort",
            **shared,
        }, ()
    if driver == "nfs":
        folder = {"subDir": given["subfolder"]} if given.get("subfolder") else {}
        return {"server": given["server"], "share": given["export"], **folder}, ()
    if driver == "cinder":
        named = {"type": given.get("volume_type"), "availability": given.get("availability_zone")}
        return {key: str(value) for key, value in named.items() if value}, ()
    if driver == "manila":
        secret = f"{node.name}-manila"
        stages = ("provisioner", "controller-expand", "node-stage", "node-publish")
        parameters = {f"csi.storage.k8s.io/{stage}-secret-name": secret for stage in stages}
        parameters |= {f"csi.storage.k8s.io/{stage}-secret-namespace": CLASSES_NAMESPACE for stage in stages}
        network = {"shareNetworkID": given["share_network"]} if given.get("share_network") else {}
        files = tuple(SecretFile(Secret(f"{secret}-{key.lower()}", reference), key) for key, reference in given["credentials"].items())
        return {"type": given.get("share_type") or "default", **network, **parameters}, (SecretObject(secret, files),)
    return {}, ()
