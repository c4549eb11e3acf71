"""Object storage on a cluster: one S3 contract (endpoint, buckets, exchange of tokens) by MinIO, by SeaweedFS or from outside. Pure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.services import minio
from cantiere.values import storage
from cantiere.values.addons import resources
from cantiere.values.model import Context, Link, Release, SecretObject
from cantiere.values.parts import (
    CONTAINER_SECURITY,
    POD_SECURITY,
    host_secret,
    image,
    image_problem,
    own_images,
    tls_secret,
    trust_secret,
)
from cantiere.values.units import quantity

TYPE = minio.TYPE
IMAGE = "minio"
POLICY = "users"
USER = {"runAsUser": 1000, "runAsGroup": 1000}
JOB_MEMORY = "128Mi"
INGRESS_PORTS = (443, 8443)
"""Of ingress controllers: of their Service, and of the pods behind it, which is what policies see."""

READ_WRITE = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
LOOK = ("s3:GetBucketLocation", "s3:HeadBucket")


def client_label(node: Node) -> dict[str, str]:
    """The label by which the store's network policy knows who may connect: pods of the same namespace that use it bear it."""
    return {f"{node.name}-client": "true"}


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The store's release; none for a store outside of the facility."""
    which = minio.driver(node)
    if which == minio.EXTERNAL:
        return ()
    if which == minio.SEAWEEDFS:
        from cantiere.values import seaweedfs

        return seaweedfs.releases(node, context)
    return (_minio(node, context),)


def credentials(node: Node, name: str) -> SecretObject:
    """The keys of the store's administrator, or those given for a store outside, as ``access-key`` and ``secret-key``.

    Parameters
    ----------
    node:
        The store.
    name:
        Name of the Secret in the namespace of the service that uses it.
    """
    if minio.driver(node) == minio.EXTERNAL:
        user = Secret(f"{node.name}-access-key", str(node.properties["access_key"]))
        password = Secret(f"{node.name}-secret-key", str(node.properties["secret_key"]))
    else:
        user, password = minio.root_user(node), minio.root_password(node)
    return SecretObject(name, (SecretFile(user, "access-key"), SecretFile(password, "secret-key")))


def statements(node: Node, context: Context) -> list[dict[str, Any]]:
    """What users may do, as statements of IAM policies: each in the part of every bucket that bears his subject.

    They say the same as the policy of the image (``images/minio``), which a test compares.
    """
    found: list[dict[str, Any]] = []
    for number, issuer in enumerate(context.services.issuers(node), 1):
        prefix = f"{'' if number == 1 else f'issuer{number}/'}${{jwt:sub}}/"
        same = {"jwt:iss": issuer}
        for bucket in node.properties["buckets"]:
            arn = f"arn:aws:s3:::{bucket}"
            listing = {"StringEquals": same, "StringLike": {"s3:prefix": f"{prefix}*"}}
            found += [
                {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [arn], "Condition": listing},
                {"Effect": "Allow", "Action": [*READ_WRITE], "Resource": [f"{arn}/{prefix}*"], "Condition": {"StringEquals": same}},
                {"Effect": "Allow", "Action": [*LOOK], "Resource": [arn], "Condition": {"StringEquals": same}},
            ]
    return [*found, {"Effect": "Deny", "Action": ["admin:CreateServiceAccount", "admin:UpdateServiceAccount"]}]


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of a store."""
    where = f"topology_template.node_templates.{node.name}.properties"
    told = node.properties
    which = minio.driver(node)
    problems = [found for key in ("image", "client_image") if (found := image_problem(node, key))]

    def wrong(key: str, message: str, remedy: str) -> None:
        problems.append(Problem(f"store.{key}", message, remedy, node.where, f"{where}.{key}"))

    if not told["buckets"]:
        wrong("buckets", f"{node.name} has no bucket", "list at least one")
    if which == minio.EXTERNAL and not told["endpoint"]:
        wrong("endpoint", f"{node.name} is outside of the facility, and nothing says where", "set endpoint to its https URL")
    if which != minio.EXTERNAL:
        for key in ("endpoint", "role_arn", "access_key", "secret_key"):
            if told[key]:
                wrong(key, f"{key} counts for a store outside of the facility only", f"set driver: external, or remove {key}")
    if bool(told["access_key"]) != bool(told["secret_key"]):
        wrong("secret_key", f"{node.name} has one of access_key and secret_key", "give both, or none")
    if which == minio.MINIO and told["replicas"] > 1 and told["replicas"] * told["volumes_per_replica"] < 4:
        have = told["replicas"] * told["volumes_per_replica"]
        wrong("replicas", f"{told['replicas']} servers of MinIO need four volumes between them, and have {have}", "use 1 or at least 4")
    if which == minio.MINIO and told["replicas"] == 1 and told["volumes_per_replica"] > 1:
        wrong("volumes_per_replica", "one server of MinIO uses one volume", "set replicas to at least 2, or volumes_per_replica to 1")
    return problems


def _minio(node: Node, context: Context) -> Release:
    """MinIO by its chart 5.4.0, with an image of ours unless the node names another."""
    told, name = node.properties, node.name
    server, client = str(told["image"]) or IMAGE, str(told["client_image"])
    distributed = told["replicas"] > 1
    label = client_label(node)
    security = {"enabled": True, **USER, "fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch", **POD_SECURITY}
    job = {
        "securityContext": {"enabled": True, **USER},
        "containerSecurityContext": dict(CONTAINER_SECURITY),
        "resources": {"requests": {"memory": JOB_MEMORY}, "limits": {"memory": JOB_MEMORY}},
    }
    values = {
        "fullnameOverride": name,
        "nameOverride": name,
        "clusterDomain": context.cluster.cluster_domain,
        "image": image(context, server),
        "mcImage": image(context, client),
        "mode": "distributed" if distributed else "standalone",
        "replicas": told["replicas"],
        "drivesPerNode": told["volumes_per_replica"],
        "existingSecret": name,
        "tls": {"enabled": True, "certSecret": f"{name}-tls", "publicCrt": "tls.crt", "privateKey": "tls.key"},
        "trustedCertsSecret": f"{name}-trust",
        "persistence": {
            "enabled": True,
            "size": quantity(told["size"]),
            "storageClass": context.storage_class(node),
            "accessMode": "ReadWriteOnce",
        },
        "service": {"type": "ClusterIP", "port": str(minio.PORT)},
        "consoleService": {"type": "ClusterIP"},
        "ingress": {"enabled": False},
        "consoleIngress": {"enabled": False},
        "resources": resources("100m", quantity(told["memory"])),
        "securityContext": security,
        "containerSecurityContext": dict(CONTAINER_SECURITY),
        "podLabels": label,
        "serviceAccount": {"create": True, "name": name},
        "users": [],
        "policies": [{"name": POLICY, "statements": [_chart_statement(item) for item in statements(node, context)]}],
        "buckets": [{"name": bucket, "policy": "none", "purge": False} for bucket in told["buckets"]],
        "postJob": {"securityContext": {"enabled": True, **USER, "fsGroup": 1000, **POD_SECURITY}},
        "makePolicyJob": job,
        "makeBucketJob": job,
        "oidc": _oidc(node, context),
        "environment": _environment(node, context),
        "networkPolicy": {
            "enabled": True,
            "flavor": "kubernetes",
            "allowExternal": False,
            "egress": {"enabled": True, "ports": _ways_out(node, context), "to": []},
        },
        "podDisruptionBudget": {"enabled": distributed, "maxUnavailable": 1},
        "metrics": {"serviceMonitor": {"enabled": False, "public": False}},
    }
    administrator = SecretObject(
        name,
        (
            SecretFile(minio.root_user(node), "rootUser"),
            SecretFile(minio.root_password(node), "rootPassword"),
            SecretFile(Secret(f"{name}-openid"), "openid"),
        ),
    )
    return Release(
        name=name,
        namespace=context.namespace,
        chart="minio",
        values=values,
        node=name,
        needs=(*storage.needs(context.facility), *issuers(node)),
        images=own_images(context, server, client),
        secrets=(administrator, tls_secret(f"{name}-tls", certificate(node, context)), trust_secret(f"{name}-trust")),
        pod_security="restricted",
        links=(link(node, context, {"app": name, "release": name}),),
    )


def _chart_statement(statement: dict[str, Any]) -> dict[str, Any]:
    """A statement the way that MinIO's chart wants it: each condition as the text between the braces of a JSON object."""
    found = {"effect": statement["Effect"], "actions": statement["Action"]}
    if "Resource" in statement:
        found["resources"] = statement["Resource"]
    if "Condition" in statement:
        found["conditions"] = [{operator: json.dumps(test)[1:-1]} for operator, test in statement["Condition"].items()]
    return found


def _oidc(node: Node, context: Context) -> dict[str, Any]:
    """The first issuer; MinIO takes tokens signed with the client secret (HS256), which therefore is neither empty nor known."""
    issuer = context.services.issuers(node)[0]
    return {
        "enabled": True,
        "configUrl": f"{issuer}/.well-known/openid-configuration",
        "clientId": minio.audience(node, context.services, issuer),
        "existingClientSecretName": node.name,
        "existingClientSecretKey": "openid",
        "claimName": "policy",
        "scopes": "openid",
        "redirectUri": "",
    }


def _environment(node: Node, context: Context) -> dict[str, str]:
    """Settings without a value of their own in the chart: policies by role, and the issuers after the first."""
    found = {
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "MINIO_STS_DURATION": "1h",
        "MINIO_IDENTITY_OPENID_ENABLE": "on",
        "MINIO_IDENTITY_OPENID_ROLE_POLICY": POLICY,
    }
    for number, issuer in enumerate(context.services.issuers(node)[1:], 2):
        found |= {
            f"MINIO_IDENTITY_OPENID_ENABLE_ISSUER{number}": "on",
            f"MINIO_IDENTITY_OPENID_CONFIG_URL_ISSUER{number}": f"{issuer}/.well-known/openid-configuration",
            f"MINIO_IDENTITY_OPENID_CLIENT_ID_ISSUER{number}": minio.audience(node, context.services, issuer),
            # Kubernetes puts in the value of the variable that the chart sets before these
            f"MINIO_IDENTITY_OPENID_CLIENT_SECRET_ISSUER{number}": "$(MINIO_IDENTITY_OPENID_CLIENT_SECRET)",
            f"MINIO_IDENTITY_OPENID_ROLE_POLICY_ISSUER{number}": POLICY,
        }
    return found


def _ways_out(node: Node, context: Context) -> list[dict[str, Any]]:
    """Ports that servers and the chart's job ask: names, each other, issuers at their own port or behind an ingress controller.

    Without these the chart's policy keeps its own job from DNS.
    """
    at = {urlsplit(issuer).port or 443 for issuer in context.services.issuers(node)}
    names = [{"port": 53, "protocol": kind} for kind in ("UDP", "TCP")]
    return [*names, *({"port": port, "protocol": "TCP"} for port in sorted({minio.PORT, *INGRESS_PORTS, *at}))]


def certificate(node: Node, context: Context) -> Secret:
    """A certificate for the Service, and for the servers behind it that MinIO has talk to each other."""
    full, service = minio.host(node, context.services), f"{node.name}-svc.{context.namespace}.svc"
    short = full.partition(".")[0]
    names = (full, short, f"{short}.{context.namespace}", f"{short}.{context.namespace}.svc")
    return host_secret(node.name, (*names, f"*.{service}", f"*.{service}.{context.cluster.cluster_domain}"))


def issuers(node: Node) -> tuple[str, ...]:
    """Names of the nodes whose tokens the store takes."""
    return tuple(node.requirements.get("issuer", ()))


def link(node: Node, context: Context, target: dict[str, str]) -> Link:
    """The connection of those that use the store to its pods."""
    return Link(client_label(node), target, minio.PORT, "pods use the object store", context.namespace, context.namespace)
