"""What compilers of Helm values take and give: facts of a cluster, and releases. Frozen data, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.model import Facility, Node, SecretFile
from cantiere.services.facts import Facts

POD_SECURITY = ("restricted", "baseline", "privileged")
"""Levels of the Pod Security Standards, the strictest first."""


@dataclass(frozen=True, slots=True)
class StorageClass:
    """A StorageClass of the cluster.

    Parameters
    ----------
    name, provisioner:
        As ``kubectl get storageclass`` shows them.
    default:
        Whether claims without a class get it.
    expandable:
        Whether its volumes can grow.
    waits:
        Whether a volume is made only where its first pod goes (``WaitForFirstConsumer``).
    shared:
        Whether pods of several nodes can write to one volume (``ReadWriteMany``).
    """

    name: str
    provisioner: str
    default: bool = False
    expandable: bool = False
    waits: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class NodePool:
    """Nodes of the cluster that are alike.

    Parameters
    ----------
    name:
        The machine pool's name, or the value of the node's label ``cantiere.io/pool``.
    nodes:
        How many.
    cpus:
        Allocatable cores of each.
    memory:
        Allocatable bytes of each.
    labels, taints:
        Of each; a taint as ``key=value:Effect``.
    gpus:
        Extended resource (``nvidia.com/gpu``, ``nvidia.com/mig-3g.20gb``) to how many of it each node has.
    """

    name: str
    nodes: int
    cpus: float
    memory: int
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    gpus: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What is known only once the cluster exists.

    Parameters
    ----------
    kubernetes_version:
        Of the API server, without ``v``: ``1.36.3``.
    cluster_domain:
        DNS domain of the cluster's Services.
    zone:
        DNS zone under which users find the facility from outside: ``<service>.<zone>``.
    ingress_class:
        IngressClass that the facility's Ingresses name; ``""`` where there is none.
    ingress_address:
        Address at which it is reached from outside; ``""`` while there is none.
    gateway:
        ``namespace/name`` of the Gateway that HTTPRoutes attach to; ``""`` where Ingresses are used.
    issuer:
        ClusterIssuer that signs certificates of outside names; ``""`` where the facility's own CA signs.
    ca:
        Certificate of the facility's CA, PEM.
    storage_class:
        Class for volumes of one pod; ``""`` where the cluster has none.
    shared_storage_class:
        Class for volumes of many pods; ``""`` where the cluster has none.
    storage_classes:
        All of them, by name.
    pools:
        Node pools, by name.
    registry:
        Host, port and path before the names of the facility's own images: ``registry.site.example/cantiere``.
    pod_subnet, service_subnet:
        Networks of the cluster, in CIDR notation; ``""`` where they are not known.
    api_address:
        Host and port of the API server as nodes see it.
    network_policies:
        Whether the cluster's network holds NetworkPolicies.
    api_versions:
        ``group/version/Kind`` of everything the API server serves.
    owners:
        ``Kind/name`` of cluster-scoped objects that are there already, to the release that owns them (``namespace/name``), or ``""``.
    """

    kubernetes_version: str
    cluster_domain: str
    zone: str
    ingress_class: str
    ingress_address: str
    gateway: str
    issuer: str
    ca: str
    storage_class: str
    shared_storage_class: str
    storage_classes: Mapping[str, StorageClass]
    pools: Mapping[str, NodePool]
    registry: str
    pod_subnet: str
    service_subnet: str
    api_address: str
    network_policies: bool
    api_versions: frozenset[str] = frozenset()
    owners: Mapping[str, str] = field(default_factory=dict)

    def own_networks(self) -> tuple[str, ...]:
        """Networks of pods and Services, which no outside address is in; with all private ones where one of these is not known."""
        known = tuple(network for network in (self.pod_subnet, self.service_subnet) if network)
        return known if len(known) > 1 else (*known, *PRIVATE)


PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
"""Networks of private addresses, and those that providers share."""

PLACEHOLDER = ClusterFacts(
    kubernetes_version="1.36.3",
    cluster_domain="cluster.local",
    zone="facility.invalid",
    ingress_class="traefik",
    ingress_address="192.0.2.10",
    gateway="",
    issuer="facility",
    ca="-----BEGIN CERTIFICATE-----\nplaceholder\n-----END CERTIFICATE-----\n",
    storage_class="standard",
    shared_storage_class="shared",
    storage_classes={
        "standard": StorageClass("standard", "example.com/block", default=True, expandable=True),
        "shared": StorageClass("shared", "example.com/files", shared=True),
    },
    pools={"worker": NodePool("worker", 3, 8.0, 32 << 30)},
    registry="registry.invalid/cantiere",
    pod_subnet="10.244.0.0/16",
    service_subnet="10.96.0.0/16",
    api_address="192.0.2.5:6443",
    network_policies=True,
)
"""Facts of the right types and of no real cluster, for the checks at the time of the plan."""


@dataclass(frozen=True, slots=True)
class SecretObject:
    """A Kubernetes Secret that exists before a release is installed; values name it, and never hold what is in it.

    Parameters
    ----------
    name:
        Its name in the release's namespace.
    files:
        Its keys: each file's name to the secret behind it.
    type:
        ``Opaque`` or ``kubernetes.io/tls`` (files ``tls.crt`` and ``tls.key``).
    labels:
        Labels that a chart asks for.
    """

    name: str
    files: tuple[SecretFile, ...]
    type: str = "Opaque"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A connection that has to work.

    Parameters
    ----------
    source, target:
        Labels of the pods at both ends, in the namespaces given; of an end outside of the cluster the labels are empty.
    port:
        TCP port on the target's pods.
    why:
        What it is for: ``notebooks submit jobs``.
    source_namespace, target_namespace:
        Where the pods are; ``""`` is outside of the cluster.
    """

    source: Mapping[str, str]
    target: Mapping[str, str]
    port: int
    why: str
    source_namespace: str
    target_namespace: str


@dataclass(frozen=True, slots=True)
class Release:
    """One Helm release.

    Parameters
    ----------
    name, namespace:
        Its name, unique in the facility, and where it goes.
    chart:
        Name of a chart of ``artifacts.yaml``.
    values:
        What it is installed with: dicts, lists, strings, numbers, booleans; nothing secret, no template text.
    node:
        The node template that it comes from.
    needs:
        Names of releases that have to be ready before it.
    installed:
        False for a part that is turned off: it is removed where it is.
    images:
        Images of ``artifacts.yaml`` that have to be in the registry.
    secrets:
        Secrets that have to be there before it.
    pod_security:
        Level that its namespace enforces.
    owns:
        ``Kind/name`` of the cluster-scoped objects that it brings with these values.
    links:
        Connections to and from its pods that have to work.
    timeout:
        Seconds until it has to be ready.
    crds:
        ``install`` leaves CustomResourceDefinitions in the chart's own hands, ``skip`` keeps Helm from them.
    """

    name: str
    namespace: str
    chart: str
    values: Mapping[str, Any]
    node: str
    needs: tuple[str, ...] = ()
    installed: bool = True
    images: tuple[str, ...] = ()
    secrets: tuple[SecretObject, ...] = ()
    pod_security: str = "baseline"
    owns: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    timeout: int = 600
    crds: str = "install"


@dataclass(frozen=True, slots=True)
class Context:
    """What a compiler may ask: pure data, the same for all releases.

    Parameters
    ----------
    facility:
        What the template declares.
    cluster:
        Facts of the cluster: real ones, or :data:`PLACEHOLDER`.
    services:
        Names inside the facility, as for containers of one machine: ``services.fqdn(name)`` is the name of the Service ``name`` in
        :attr:`namespace`, so that functions of ``cantiere.services`` give the same settings here as there.
    namespace:
        Of the facility's own services.
    tags:
        Image of ``artifacts.yaml`` to its tag.
    own:
        Compilers of types of the site's own, by type; see :mod:`cantiere.values.site_services`.
    """

    facility: Facility
    cluster: ClusterFacts
    services: Facts
    namespace: str
    tags: Mapping[str, str]
    own: Mapping[str, Any] = field(default_factory=dict)

    def image(self, name: str) -> dict[str, str]:
        """An image of ``artifacts.yaml`` as charts want it: ``repository`` and ``tag``."""
        return {"repository": f"{self.cluster.registry}/{name}", "tag": self.tags[name]}

    def image_reference(self, name: str) -> str:
        """The same as one string; what is no image of ours is taken as it is written."""
        return f"{self.cluster.registry}/{name}:{self.tags[name]}" if name in self.tags else name

    def outside(self, name: str) -> str:
        """Host name by which users find a service from outside."""
        return f"{name}.{self.cluster.zone}"

    def storage_class(self, node: Node, *, shared: bool = False) -> str:
        """Class for a volume of a node: the one that its ``storage_class`` names, else the cluster's.

        Raises
        ------
        CantiereError
            The cluster has none of the kind.
        """
        named = str(node.properties.get("storage_class") or "")
        found = named or (self.cluster.shared_storage_class if shared else self.cluster.storage_class)
        if not found:
            kind = "many pods (ReadWriteMany)" if shared else "one pod (ReadWriteOnce)"
            raise CantiereError(
                Problem(
                    "storage.none",
                    f"{node.name} needs a volume of {kind}, and no StorageClass of the cluster is known that has them",
                    "add a node of type cantiere.nodes.SharedFileSystem or cantiere.nodes.BlockStorage to the template, "
                    "or name one in the site's file (facts.storage_class, facts.shared_storage_class)",
                    node.where,
                    node.name,
                )
            )
        return found
