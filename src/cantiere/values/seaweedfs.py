"""Object storage by SeaweedFS: masters, volume servers, filers and an S3 gateway with roles by issuer. Pure."""

from __future__ import annotations

import json
from typing import Any

from cantiere.model import Node, Secret, SecretFile
from cantiere.services import minio
from cantiere.values import storage
from cantiere.values.addons import resources
from cantiere.values.model import Context, Release, SecretObject
from cantiere.values.parts import CONTAINER_SECURITY, image, listing, own_images, tls_secret, trust_secret
from cantiere.values.s3 import POLICY, certificate, client_label, issuers, link, statements
from cantiere.values.units import quantity

PLAIN_PORT = 8333
MEMORY = "512Mi"
CONFIG, TRUST = "/etc/iam", "/etc/facility"


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """SeaweedFS by its chart 4.44.0: masters, volume servers, filers and an S3 gateway; cert-manager issues its inner certificates."""
    told, name = node.properties, node.name
    many = told["replicas"] > 1
    masters = 3 if told["replicas"] >= 3 else 1
    small = resources("50m", MEMORY)
    kept = {"type": "persistentVolumeClaim", "storageClass": context.storage_class(node)}
    logs = {"type": "emptyDir"}
    key = {"secretKeyRef": {"name": name, "key": "signing-key"}}
    spread: dict[str, Any] = {} if many else {"affinity": ""}
    gateway = {
        "enabled": True,
        "replicas": 2 if many else 1,
        "port": PLAIN_PORT,
        "httpsPort": minio.PORT,
        "tlsSecret": f"{name}-tls",
        "enableAuth": True,
        "credentials": {
            identity: {"existingSecret": name, "accessKeyKey": f"{identity}-access-key", "secretKeyKey": f"{identity}-secret-key"}
            for identity in ("admin", "read")
        },
        "createBuckets": [{"name": bucket, "anonymousRead": False} for bucket in told["buckets"]],
        "extraArgs": [f"-iam.config={CONFIG}/iam.json"],
        "extraEnvironmentVars": {"WEED_JWT_FILER_SIGNING_KEY": key, "SSL_CERT_DIR": f"/etc/ssl/certs:{TRUST}"},
        "initContainers": listing([_writer(node, context)]),
        "extraVolumes": listing(
            [{"name": "iam", "emptyDir": {}}, {"name": "facility-ca", "secret": {"secretName": f"{name}-trust"}}],
        ),
        "extraVolumeMounts": listing(
            [
                {"name": "iam", "mountPath": CONFIG, "readOnly": True},
                {"name": "facility-ca", "mountPath": "/etc/facility", "readOnly": True},
            ]
        ),
        "logs": logs,
        "resources": small,
    }
    values = {
        "global": {
            "seaweedfs": {
                "enableSecurity": True,
                "enableReplication": many,
                "replicationPlacement": "001" if many else "000",
                "serviceAccountName": name,
                "automountServiceAccountToken": False,
                "createClusterRole": False,
            },
        },
        "master": {"replicas": masters, "data": {**kept, "size": "1Gi"}, "logs": logs, "resources": small, **spread},
        "volume": {
            "replicas": told["replicas"],
            "dataDirs": [
                {**kept, "name": f"data{number}", "size": quantity(told["size"]), "maxVolumes": 0}
                for number in range(1, told["volumes_per_replica"] + 1)
            ],
            "logs": logs,
            "resizeHook": {"enabled": False},
            "resources": resources("100m", quantity(told["memory"])),
            **spread,
        },
        "filer": {
            "replicas": 1,
            "data": {**kept, "size": "10Gi"},
            "logs": logs,
            "extraEnvironmentVars": {"WEED_JWT_FILER_SIGNING_KEY": key},
            "resources": small,
            **spread,
        },
        "s3": gateway,
        "networkPolicy": {"enabled": True, "components": {"s3": {"extraIngress": [_clients(node)]}}},
    }
    if told["image"]:
        chosen = image(context, str(told["image"]))
        values["image"] = chosen
    keys = ("admin-access-key", "admin-secret-key", "read-access-key", "read-secret-key")
    secrets = dict(zip(keys, (minio.root_user(node), minio.root_password(node)), strict=False))
    files = [SecretFile(secrets.get(key_, Secret(f"{name}-{key_}")), key_) for key_ in keys]
    files.append(SecretFile(Secret(f"{name}-signing-key"), "signing-key"))
    target = {"app.kubernetes.io/name": "seaweedfs", "app.kubernetes.io/instance": name, "app.kubernetes.io/component": "s3"}
    release = Release(
        name=name,
        namespace=context.namespace,
        chart="seaweedfs",
        values=values,
        node=name,
        needs=("cert-manager", *storage.needs(context.facility), *issuers(node)),
        images=own_images(context, "base", str(told["image"])),
        secrets=(
            SecretObject(name, tuple(files)),
            tls_secret(f"{name}-tls", certificate(node, context)),
            trust_secret(f"{name}-trust"),
        ),
        links=(link(node, context, target),),
    )
    return (release,)


def iam_config(node: Node, context: Context) -> dict[str, Any]:
    """SeaweedFS's own IAM configuration: a provider, a role and a policy for each issuer. Its signing key comes from the environment."""
    providers, roles, policies = [], [], []
    for number, issuer in enumerate(context.services.issuers(node), 1):
        title = f"issuer-{number}"
        mine = [item for item in statements(node, context) if item.get("Condition", {}).get("StringEquals", {}).get("jwt:iss") == issuer]
        audiences = [minio.ANY_AUDIENCE, minio.endpoint(node, context.services)]
        providers.append({"name": title, "type": "oidc", "enabled": True, "config": {"issuer": issuer, "clientIds": audiences}})
        trust = {"Effect": "Allow", "Principal": {"Federated": title}, "Action": ["sts:AssumeRoleWithWebIdentity"]}
        arn = minio.role(node, context.services, issuer)
        roles.append(
            {
                "roleName": arn.rpartition("/")[2],
                "roleArn": arn,
                "trustPolicy": {"Version": "2012-10-17", "Statement": [trust]},
                "attachedPolicies": [f"{POLICY}-{number}"],
            }
        )
        policies.append({"name": f"{POLICY}-{number}", "document": {"Version": "2012-10-17", "Statement": mine}})
    return {
        "sts": {"tokenDuration": "1h", "maxSessionLength": "12h", "issuer": f"{node.name}-sts"},
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "providers": providers,
        "roles": roles,
        "policies": policies,
    }


def _writer(node: Node, context: Context) -> dict[str, Any]:
    """The init container that writes the IAM configuration, which holds nothing secret, where the gateway reads it."""
    return {
        "name": "iam",
        "image": context.image_reference("base"),
        "command": ["/bin/sh", "-c", f'printf %s "$IAM_CONFIG" > {CONFIG}/iam.json'],
        "env": [{"name": "IAM_CONFIG", "value": json.dumps(iam_config(node, context)).replace("$(", "$$(")}],
        "volumeMounts": [{"name": "iam", "mountPath": CONFIG}],
        "resources": resources("10m", "32Mi"),
        "securityContext": dict(CONTAINER_SECURITY),
    }


def _clients(node: Node) -> dict[str, Any]:
    return {"from": [{"podSelector": {"matchLabels": client_label(node)}}], "ports": [{"protocol": "TCP", "port": minio.PORT}]}
