"""PostgreSQL by the CloudNativePG operator, for services that keep their state in a database. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.model import Node
from cantiere.values import storage
from cantiere.values.addons import definitions, resources
from cantiere.values.model import Context, Release
from cantiere.values.units import quantity

OPERATOR = "cloudnative-pg"
NAMESPACE = "cnpg-system"
PORT = 5432
_KINDS = (
    "backups clusterimagecatalogs clusters databaseroles databases failoverquorums imagecatalogs poolers publications scheduledbackups "
    "subscriptions"
).split()


def operator(node: Node) -> Release:
    """The operator, of which a cluster has one however many databases there are."""
    values = {"crds": {"create": True}, "config": {"clusterWide": True}, "resources": resources("50m", "128Mi", "256Mi")}
    owns = definitions("postgresql.cnpg.io", _KINDS)
    return Release(OPERATOR, NAMESPACE, OPERATOR, values, node.name, pod_security="restricted", owns=owns)


def host(node: Node) -> str:
    """Service of the server that takes writes."""
    return f"{node.name}-db-rw"


def secret(node: Node) -> str:
    """Secret that the operator makes: ``username``, ``password``, ``uri`` and more."""
    return f"{node.name}-db-app"


def cluster(node: Node, context: Context, database: str) -> Release:
    """A database with a user of the same name, in the service's namespace.

    Parameters
    ----------
    node:
        A node with ``database_replicas``, ``database_size`` and ``storage_class``.
    context:
        The facility and its cluster.
    database:
        Its name, and its owner's.
    """
    name = f"{node.name}-db"
    spec: dict[str, Any] = {
        "instances": node.properties["database_replicas"],
        "storage": {"size": quantity(node.properties["database_size"]), "storageClass": context.storage_class(node)},
        "bootstrap": {"initdb": {"database": database, "owner": database}},
        "resources": resources("100m", "256Mi", "1Gi"),
    }
    kind = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": name}, "spec": spec}
    needs = (OPERATOR, *storage.needs(context.facility))
    return Release(name, context.namespace, "objects", {"objects": {"database": kind}}, node.name, needs=needs)
