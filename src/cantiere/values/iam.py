"""The development IAM on a cluster; an external IAM needs no release. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.model import Node, SecretFile
from cantiere.services import iam
from cantiere.services.facts import CA, IAM_PORT
from cantiere.values import storage
from cantiere.values.model import Context, Link, Release, SecretObject

TYPE = iam.TYPE
CHART = "devel-iam"
CA_FILE = "ca.crt"
TRAEFIK = "traefik"


def pod_labels(name: str) -> dict[str, str]:
    """Labels by which the pod of the release ``name`` is found."""
    return {"app.kubernetes.io/name": CHART, "app.kubernetes.io/instance": name}


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The one release of the development IAM; turned off where the template names an external one."""
    if iam.external(node):
        return (Release(node.name, context.namespace, CHART, {}, node.name, installed=False),)
    (container,) = iam.containers(node, context.services)
    secrets = [SecretObject(node.name, container.secrets)]
    ingress = _ingress(node, context)
    if ingress.get("traefikSecret"):
        secrets.append(SecretObject(ingress["traefikSecret"], (SecretFile(CA, CA_FILE, "certificate"),)))
    values = {
        "image": context.image("iam"),
        "clusterDomain": context.cluster.cluster_domain,
        "settings": dict(container.settings),
        "existingSecret": node.name,
        "storage": {"size": "1Gi", "storageClassName": context.storage_class(node)},
        "ingress": ingress,
    }
    return (
        Release(
            name=node.name,
            namespace=context.namespace,
            chart=CHART,
            values=values,
            node=node.name,
            needs=storage.needs(context.facility),
            images=("iam",),
            secrets=tuple(secrets),
            pod_security="restricted",
            links=(Link({}, pod_labels(node.name), IAM_PORT, "services fetch its keys", context.namespace, context.namespace),),
        ),
    )


def _ingress(node: Node, context: Context) -> dict[str, Any]:
    """The page's address: none where browsers use the Service's own name."""
    if not context.services.zone:
        return {"enabled": False}
    cluster = context.cluster
    host = f"{node.name}.{context.services.zone}"
    annotations = {"cert-manager.io/cluster-issuer": cluster.issuer} if cluster.issuer else {}
    if "nginx" in cluster.ingress_class:
        annotations["nginx.ingress.kubernetes.io/backend-protocol"] = "HTTPS"
    found: dict[str, Any] = {"enabled": True, "host": host, "className": cluster.ingress_class, "annotations": annotations}
    found["tlsSecret"] = f"{node.name}-page-tls"
    if TRAEFIK in cluster.ingress_class:
        found["traefikSecret"] = f"{node.name}-ca"
    return found
