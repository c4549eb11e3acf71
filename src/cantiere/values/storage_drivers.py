"""The drivers of volumes: Longhorn, NFS, Cinder, Manila and local folders. Each makes one release; classes are not theirs. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.values.addons import OPERATOR_CRDS, POOL, definitions, enabled, has_operator, resources
from cantiere.values.model import Context, Release, SecretObject

LONGHORN_NAMESPACE = "longhorn-system"
LONGHORN_LABEL = "node.longhorn.io/create-default-disk"
MOST_REPLICAS = 3
CONTROLLERS = 3
HELPER_TAG = "1.37.0"
"""Of the image with which local folders are made and removed; the chart names none by itself."""

LONGHORN_KINDS = (
    "backingimagedatasources backingimagemanagers backingimages backupbackingimages backups backuptargets backupvolumes enginefrontends "
    "engineimages engines instancemanagers nodes orphans recurringjobs replicas settings shardgroups shards sharemanagers snapshots "
    "supportbundles systembackups systemrestores volumeattachments volumes"
).split()


def replicas(node: Node, nodes: int) -> int:
    """Copies of each Longhorn volume: what the node asks for, else three, never more than there are machines for them."""
    return min(int(node.properties.get("replicas") or MOST_REPLICAS), nodes)


def longhorn(owners: tuple[Node, ...], context: Context, nodes: int) -> Release:
    """Longhorn, for all nodes of the template that use it.

    Parameters
    ----------
    owners:
        Those nodes; settings of the driver are taken from the first one.
    context:
        The facility and its cluster.
    nodes:
        Machines that hold replicas.

    Returns
    -------
    Release
        Without StorageClasses; with a policy that shuts its page, which knows no log-in, to everything but a port-forward.
    """
    first = owners[0]
    given = first.properties
    copies = max(replicas(node, nodes) for node in owners)
    controllers = min(CONTROLLERS, nodes)
    values = {
        "persistence": {"createStorageClass": False, "defaultClass": False, "defaultClassReplicaCount": copies},
        "csi": {f"{part}ReplicaCount": controllers for part in ("attacher", "provisioner", "resizer", "snapshotter")},
        "defaultSettings": {
            "defaultReplicaCount": copies,
            "defaultDataPath": given.get("path") or "/var/lib/longhorn",
            "createDefaultDiskLabeledNodes": bool(labelled_machines(context.facility)),
            "storageReservedPercentageForDefaultDisk": given.get("reserved_percent", 25),
            "nodeDrainPolicy": "block-if-contains-last-replica",
            "replicaSoftAntiAffinity": False,
            "kubernetesClusterAutoscalerEnabled": True,
            "taintToleration": ";".join(given.get("tolerated_taints") or ()),
            "deletingConfirmationFlag": bool(given.get("removal_confirmed", False)),
            "upgradeChecker": False,
            "allowCollectingLonghornUsageMetrics": False,
        },
        "preUpgradeChecker": {"jobEnabled": True, "upgradeVersionCheck": True},
        "longhornUI": {"replicas": min(2, nodes)},
        "service": {"ui": {"type": "ClusterIP"}},
        "ingress": {"enabled": False},
        "networkPolicies": {"enabled": False},
        "metrics": {"serviceMonitor": {"enabled": has_operator(context.facility)}},
        "extraObjects": [_closed_page()],
    }
    return Release(
        "longhorn",
        LONGHORN_NAMESPACE,
        "longhorn",
        values,
        first.name,
        needs=(OPERATOR_CRDS,),
        installed=any(enabled(node) for node in owners),
        pod_security="privileged",
        owns=(
            *definitions("longhorn.io", LONGHORN_KINDS),
            "CSIDriver/driver.longhorn.io",
            "PriorityClass/longhorn-critical",
            "StorageClass/longhorn-static",
        ),
        timeout=1200,
    )


def nfs(node: Node, nodes: int) -> Release:
    """The CSI driver of NFS servers; Manila's shares are mounted by it too."""
    values = {
        "controller": {"replicas": min(2, nodes), "enableSnapshotter": False, "logLevel": 2},
        "node": {"logLevel": 2},
        "externalSnapshotter": {"enabled": False},
        "volumeSnapshotClass": {"create": False},
        "storageClass": {"create": False},
        "kubeletDir": "/var/lib/kubelet",
    }
    return Release(
        "csi-driver-nfs",
        "kube-system",
        "csi-driver-nfs",
        values,
        node.name,
        installed=enabled(node),
        pod_security="privileged",
        owns=("CSIDriver/nfs.csi.k8s.io",),
    )


def cinder(node: Node, context: Context, nodes: int) -> Release:
    """The CSI driver of OpenStack's volumes; the cloud's configuration is a Secret of the key ``cloud.conf``."""
    values = {
        "secret": {"enabled": True, "create": False, "name": "cloud-config", "filename": "cloud.conf"},
        "storageClass": {"enabled": False},
        "clusterID": context.facility.name,
        "csi": {"plugin": {"controllerPlugin": {"replicas": min(2, nodes)}, "resources": resources("20m", "64Mi", "256Mi")}},
        "priorityClassName": "system-cluster-critical",
    }
    return Release(
        "openstack-cinder-csi",
        "kube-system",
        "openstack-cinder-csi",
        values,
        node.name,
        installed=enabled(node),
        secrets=(cloud_config(str(node.properties.get("cloud_config") or "")),),
        pod_security="privileged",
        owns=("CSIDriver/cinder.csi.openstack.org",),
    )


def manila(node: Node, context: Context) -> Release:
    """The CSI driver of OpenStack's shares, over NFS."""
    values = {
        "shareProtocols": [
            {
                "protocolSelector": "NFS",
                "fsGroupPolicy": "None",
                "fwdNodePluginEndpoint": {"dir": "/var/lib/kubelet/plugins/csi-nfsplugin", "sockFile": "csi.sock"},
            }
        ],
        "csimanila": {"clusterID": context.facility.name},
        "nodeplugin": {"priorityClassName": "system-node-critical", "tolerations": [{"operator": "Exists"}]},
    }
    return Release(
        "openstack-manila-csi",
        "kube-system",
        "openstack-manila-csi",
        values,
        node.name,
        needs=("csi-driver-nfs",),
        installed=enabled(node),
        pod_security="privileged",
        owns=("CSIDriver/nfs.manila.csi.openstack.org",),
    )


def local_path_release(node: Node) -> str:
    """Name of the release that makes local folders for a node."""
    return f"{node.name}-local-path"


def local_path_provisioner(node: Node) -> str:
    """Name under which it provisions."""
    return f"cantiere.io/{node.name}"


def local_path(node: Node, *, shared: bool) -> Release:
    """Volumes that are folders: of the machine that a pod runs on, or of a file system that all machines have mounted.

    Parameters
    ----------
    node:
        A storage node.
    shared:
        Whether its ``path`` is the same file system on all machines.
    """
    path = node.properties.get("path") or "/var/lib/cantiere-volumes"
    where: dict[str, Any] = (
        {"sharedFileSystemPath": path, "nodePathMap": []}
        if shared
        else {"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [path]}]}
    )
    values = {
        **where,
        "fullnameOverride": local_path_release(node),
        "storageClass": {"create": False, "provisionerName": local_path_provisioner(node)},
        "configmap": {"name": f"{local_path_release(node)}-config"},
        "helperImage": {"tag": HELPER_TAG},
        "resources": resources("10m", "64Mi", "128Mi"),
        "priorityClassName": "system-cluster-critical",
    }
    return Release(
        local_path_release(node),
        "local-path-storage",
        "local-path-provisioner",
        values,
        node.name,
        installed=enabled(node),
        pod_security="privileged",
    )


def cloud_config(reference: str) -> SecretObject:
    """The Secret with the cloud's configuration, from a reference to it."""
    return SecretObject("cloud-config", (SecretFile(Secret("openstack-cloud-config", reference), "cloud.conf"),))


def _closed_page() -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "longhorn-ui", "namespace": LONGHORN_NAMESPACE},
        "spec": {"podSelector": {"matchLabels": {"app": "longhorn-ui"}}, "policyTypes": ["Ingress"], "ingress": []},
    }


def labelled_machines(facility: Facility) -> int:
    """Machines of the template that alone hold replicas: those of pools with the label :data:`LONGHORN_LABEL`; 0 where all do."""
    return sum(pool.properties["count"] for pool in facility.of_type(POOL) if pool.properties["labels"].get(LONGHORN_LABEL) == "true")
