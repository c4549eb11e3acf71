"""squid on a cluster: a forward proxy for CVMFS and Frontier. Pure."""

from __future__ import annotations

from cantiere.errors import Problem
from cantiere.model import Facility, Node
from cantiere.values import storage
from cantiere.values.model import Context, Release

TYPE = "cantiere.nodes.Squid"
CHART = "squid"
PORT = 3128
MIB = 1 << 20
FILE_DESCRIPTORS = 8192
LARGEST = 1 << 30


def pod_labels(name: str) -> dict[str, str]:
    """Labels by which the pods of the release ``name`` are found."""
    return {"app.kubernetes.io/name": CHART, "app.kubernetes.io/instance": name}


def url(node: Node, context: Context) -> str:
    """Where clients find the proxy."""
    return f"http://{context.services.fqdn(node.name)}:{PORT}"


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The one release of a proxy."""
    told = node.properties
    memory, disk = int(told["memory"]), int(told["disk"])
    # squid wants 14 MB of index for each GiB on disk beside what it keeps in memory
    need = memory + disk // 64 + 128 * MIB
    return (
        Release(
            name=node.name,
            namespace=context.namespace,
            chart=CHART,
            values={
                "replicas": told["replicas"],
                "image": context.image("squid"),
                "settings": {
                    # nodes too: cvmfs-csi mounts in their network namespace or its own
                    "networks": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", *filter(None, [context.cluster.pod_subnet])],
                    "destinations": list(told["destinations"]),
                    "ports": list(told["destination_ports"]),
                    "memory": memory,
                    "disk": disk,
                    "maximum_object": min(LARGEST, disk),
                    "file_descriptors": FILE_DESCRIPTORS,
                },
                "probe": list(told["probe"]),
                "storage": {"size": str(-(-disk * 6 // 5 // MIB) * MIB), "storageClassName": context.storage_class(node)},
                "resources": {"requests": {"cpu": "100m", "memory": str(need)}, "limits": {"memory": str(2 * need)}},
                # the whole cluster may ask: clients are nodes and pods of several namespaces, and what they can fetch is named
                "networkPolicy": {"enabled": True, "from": [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0"}}]},
            },
            node=node.name,
            needs=storage.needs(context.facility),
            installed=bool(told["enabled"]),
            images=("squid",),
            pod_security="restricted",
        ),
    )


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of a proxy."""
    del facility
    return [
        Problem(
            f"squid.{key}",
            f"{key} of {node.name} is empty: the proxy would refuse everything",
            "name at least one, or set enabled: false",
            node.where,
            node.name,
        )
        for key in ("destinations", "destination_ports")
        if not node.properties[key]
    ]
