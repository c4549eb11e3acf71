"""REANA: reusable analyses, with its first administrator. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.values import ingress, storage
from cantiere.values.addons import enabled, problem, resources
from cantiere.values.model import Context, Release, SecretObject
from cantiere.values.parts import from_secret, page
from cantiere.values.units import quantity

TYPE = "cantiere.nodes.Reana"
LONGEST = 13
"""Characters of a release's name that REANA's names of objects have room for."""
USER = "reana"
OWN = ("database-password", "secret-key", "cache-password", "broker-password")


def secret(node: Node) -> str:
    """Secret with everything that REANA keeps to itself, and the administrator's password."""
    return f"{node.name}-own"


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """REANA without the ingress controller that its chart brings, and the job that makes the first administrator.

    The chart makes its Secrets from values and takes none by name: these values are references (``ref+k8s://``) that helmfile follows
    when it installs.
    """
    told, name = node.properties, node.name
    outside = page(context, name)

    def own(key: str) -> str:
        return f"ref+k8s://v1/Secret/{context.namespace}/{secret(node)}/{key}"

    environment = {
        "REANA_MAX_CONCURRENT_BATCH_WORKFLOWS": told["max_workflows"],
        "REANA_USER_EMAIL_CONFIRMATION": told["confirm_addresses"],
    }
    values: dict[str, Any] = {
        "fullnameOverride": name,
        "reana_hostname": outside["host"],
        "reana_hostport": 443,
        "traefik": {"enabled": False, "external": True},
        "ingress": {
            "enabled": True,
            "ingress_class_name": outside["className"],
            "annotations": outside["annotations"],
            "tls": {"self_signed_cert": False, "secret_name": outside["secret"], "hosts": [outside["host"]]},
        },
        "shared_storage": {
            "backend": "nfs",
            "volume_size": max(1, int(told["size"]) // 10**9),
            "access_modes": "ReadWriteMany",
            "storage_class_name": context.storage_class(node, shared=True),
        },
        "secrets": {
            "database": {"user": USER, "password": own("database-password")},
            "cache": {"user": USER, "password": own("cache-password")},
            "message_broker": {"user": USER, "password": own("broker-password")},
            "reana": {"REANA_SECRET_KEY": own("secret-key")},
        },
        "components": {
            "reana_server": {
                "image": told["server_image"],
                "environment": environment,
                "rest_api": {"resources": resources("100m", "512Mi", "2Gi")},
                "scheduler": {"resources": resources("50m", "256Mi", "1Gi")},
            },
            "reana_db": {"enabled": True, "resources": resources("100m", "256Mi", "1Gi")},
            "reana_ui": {"enabled": True, "resources": resources("20m", "64Mi", "256Mi")},
        },
        "kubernetes_jobs_memory_limit": quantity(told["job_memory"]),
        "interactive_sessions": {"maximum_inactivity_period": 7},
        "notifications": {"enabled": False},
        "dask": {"enabled": False},
        "kueue": {"enabled": False},
        "opensearch": {"enabled": False},
        "fluent-bit": {"enabled": False},
    }
    passwords = tuple(SecretFile(Secret(f"{name}-{key}"), key) for key in (*OWN, "admin-password"))
    needs = (*storage.needs(context.facility), *ingress.needs(context.facility))
    installed = enabled(node)
    server = Release(
        name=name,
        namespace=context.namespace,
        chart="reana",
        values=values,
        node=name,
        needs=needs,
        installed=installed,
        secrets=(SecretObject(secret(node), passwords),),
        owns=(f"StorageClass/{name}-cvmfs",),
        timeout=1200,
    )
    job = {"objects": {"administrator": administrator(node)}}
    return (server, Release(f"{name}-admin", context.namespace, "objects", job, name, needs=(name,), installed=installed))


def administrator(node: Node) -> dict[str, Any]:
    """The job that makes the tables and the first administrator; where they are there it says so and ends well."""
    name = node.name
    script = './scripts/create-database.sh && (flask reana-admin create-admin-user --email "$ADMIN_EMAIL" --password "$ADMIN_PASSWORD" '
    script += '|| flask reana-admin user-list --email "$ADMIN_EMAIL" | grep -qF "$ADMIN_EMAIL") > /dev/null'
    environment = [
        {"name": "ADMIN_EMAIL", "value": node.properties["admin_email"]},
        from_secret("ADMIN_PASSWORD", secret(node), "admin-password"),
        {"name": "REANA_COMPONENT_PREFIX", "value": name},
        {"name": "REANA_DB_NAME", "value": "reana"},
        {"name": "REANA_DB_PORT", "value": "5432"},
        {"name": "REANA_DB_HOST", "value": f"{name}-db"},
        {"name": "REANA_DB_USERNAME", "value": USER},
        from_secret("REANA_DB_PASSWORD", secret(node), "database-password"),
        from_secret("REANA_SECRET_KEY", secret(node), "secret-key"),
    ]
    container = {
        "name": "administrator",
        "image": node.properties["server_image"],
        "command": ["/bin/sh", "-c", script],
        "env": environment,
        "resources": resources("50m", "256Mi", "512Mi"),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "restartPolicy": "OnFailure",
        "automountServiceAccountToken": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{name}-admin"},
        "spec": {"backoffLimit": 10, "template": {"spec": pod}},
    }


def check(node: Node, facility: Facility) -> list[Problem]:
    """A name that REANA's names of objects have no room for."""
    if len(node.name) <= LONGEST or not enabled(node):
        return []
    message = f"REANA cuts the names of its objects after {LONGEST} letters of {node.name}"
    return [problem("reana", "name", message, "give the node a shorter name", node)]
