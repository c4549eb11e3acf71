"""InterLink: a virtual node by which pods run at a remote site. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.services.facts import CA
from cantiere.values.addons import enabled, problem
from cantiere.values.model import Context, Release, SecretObject
from cantiere.values.parts import image_problem, own_images

TYPE = "cantiere.nodes.InterLink"
SECRETS = "/run/secrets"
NEVER = "in-the-mounted-secret"
"""What stands in the chart's values in place of secrets: our image reads those from files."""


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The virtual kubelet with the container that keeps its token fresh; the API and its plug-in are at the remote site."""
    told, name = node.properties, node.name
    least = {"CPU": {"request": "50m", "limit": "200m"}, "memory": {"request": "64Mi", "limit": "128Mi"}}
    virtual = {"CPUs": told["cpus"], "memGiB": int(told["memory"]) >> 30, "pods": told["pods"]}
    if told["gpus"]:
        virtual["accelerators"] = [
            {"resourceType": kind, "model": "any", "available": number} for kind, number in sorted(told["gpus"].items())
        ]
    values: dict[str, Any] = {
        "nodeName": name,
        "interlink": {"enabled": False, "socket": "", "address": told["address"], "port": told["port"]},
        "virtualNode": {
            "image": told["virtual_node_image"],
            "resources": virtual,
            "HTTP": {"insecure": False},
            "kubeletHTTP": {"insecure": False},
            "nodeTaints": [{"key": "virtual-node.interlink/no-schedule", "value": "true", "effect": "NoSchedule"}],
            "containerResources": {
                "CPU": {"request": "100m", "limit": "500m"},
                "memory": {"request": "128Mi", "limit": "512Mi"},
            },
            "network": {"enableTunnel": False},
        },
        "plugin": {"enabled": False},
        "sshBastion": {"enabled": False},
        "OAUTH": {
            "enabled": True,
            "image": context.image_reference(str(told["token_image"])),
            "TokenURL": told["token_url"],
            "ClientID": told["client_id"],
            "ClientSecret": NEVER,
            "RefreshToken": NEVER,
            "GrantType": "authorization_code" if told["refresh_token"] else "client_credentials",
            "Audience": told["audience"],
            "resources": least,
            "extraVolumeMounts": [{"name": "token-secrets", "mountPath": SECRETS, "readOnly": True}],
        },
        "extraVolumes": [{"name": "token-secrets", "secret": {"secretName": f"{name}-token"}}],
    }
    files = [
        SecretFile(Secret(f"{name}-client-secret", str(told["client_secret"])), "client-secret"),
        SecretFile(CA, "ca.crt", "certificate"),
    ]
    if told["refresh_token"]:
        files.append(SecretFile(Secret(f"{name}-refresh-token", str(told["refresh_token"])), "refresh-token"))
    return (
        Release(
            name=name,
            namespace=f"interlink-{name}",
            chart="interlink",
            values=values,
            node=name,
            installed=enabled(node),
            images=own_images(context, str(told["token_image"])),
            secrets=(SecretObject(f"{name}-token", tuple(files)),),
            owns=(f"Node/{name}", f"ClusterRole/{name}-role", f"ClusterRoleBinding/{name}-rolebinding"),
        ),
    )


def check(node: Node, facility: Facility) -> list[Problem]:
    """Images without a version, and a name that a machine may have too."""
    if not enabled(node):
        return []
    found = [picture for key in ("virtual_node_image", "token_image") if (picture := image_problem(node, key))]
    if ":" not in str(node.properties["virtual_node_image"]):
        message = f"{node.properties['virtual_node_image']} is not pinned by a tag of one version"
        found.append(problem("interlink", "image", message, "write registry/path:version", node))
    return found
