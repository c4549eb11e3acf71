"""Small parts that Helm values of several services are put together from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from cantiere.errors import Problem
from cantiere.model import Node, Secret, SecretFile
from cantiere.services.facts import CA
from cantiere.values.model import Context, SecretObject

POD_SECURITY: Mapping[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
"""Security context of a pod under the level ``restricted``; the image has to have a numeric user, or the values name one."""

CONTAINER_SECURITY: Mapping[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""Security context of a container under the level ``restricted``."""


def image(context: Context, reference: str) -> dict[str, str]:
    """An image of ``artifacts.yaml`` or a reference in full as ``repository`` and ``tag``."""
    if reference in context.tags:
        return context.image(reference)
    repository, _, tag = reference.rpartition(":")
    return {"repository": repository, "tag": tag}


def own_images(context: Context, *references: str) -> tuple[str, ...]:
    """Which of these have to be in the facility's registry."""
    return tuple(dict.fromkeys(reference for reference in references if reference in context.tags))


def image_problem(node: Node, key: str) -> Problem | None:
    """What is wrong with the image that a property names; an empty one and a name of ``artifacts.yaml`` are fine."""
    reference = str(node.properties.get(key) or "")
    where = f"topology_template.node_templates.{node.name}.properties.{key}"
    if not reference or ("/" not in reference and ":" not in reference):
        return None
    host, _, path = reference.partition("/")
    registry = "docker.io" if "." not in host and ":" not in host and host != "localhost" else host
    below = path if registry == host else reference
    if registry in ("docker.io", "index.docker.io", "registry-1.docker.io") and below.startswith("minio/"):
        return Problem(
            "image.forbidden",
            f"{reference} is an image that its publisher has withdrawn",
            "leave the property empty for the facility's own image, or name one that is kept up, with its registry and tag",
            node.where,
            where,
        )
    tag = reference.rpartition(":")[2] if ":" in reference.rpartition("/")[2] else ""
    if not tag or tag == "latest" or "@" in reference:
        return Problem("image.tag", f"{reference} is not pinned by a tag of one version", "write registry/path:version", node.where, where)
    return None


def host_secret(name: str, names: tuple[str, ...]) -> Secret:
    """A host certificate for several DNS names, the first of which is its common name."""
    return Secret(f"host-{name}", "generate:certificate", {"common_name": names[0], "names": ",".join(names)})


def tls_secret(name: str, secret: Secret) -> SecretObject:
    """A Secret of type ``kubernetes.io/tls`` from a host certificate."""
    files = (SecretFile(secret, "tls.crt", "certificate"), SecretFile(secret, "tls.key", "key"))
    return SecretObject(name, files, "kubernetes.io/tls")


def trust_secret(name: str) -> SecretObject:
    """A Secret with the facility's CA certificate as ``ca.crt``."""
    return SecretObject(name, (SecretFile(CA, "ca.crt", "certificate"),))


def listing(items: Sequence[Mapping[str, Any]]) -> str:
    """A list as the text of a block sequence, for charts that put one of theirs before it and want text.

    Such charts evaluate the text as a template of theirs, so that it must not hold two opening braces.
    """
    text: str = yaml.safe_dump(list(items), sort_keys=False, width=1 << 20)
    return text


def from_secret(variable: str, secret: str, key: str) -> dict[str, Any]:
    """An environment variable whose value comes from a Secret."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def page(context: Context, name: str) -> dict[str, Any]:
    """How an Ingress offers a service's pages outside: ``host``, ``className``, ``annotations`` and ``secret`` of its certificate."""
    issuer = context.cluster.issuer
    return {
        "host": context.outside(name),
        "className": context.cluster.ingress_class,
        "annotations": {"cert-manager.io/cluster-issuer": issuer} if issuer else {},
        "secret": f"{name}-page-tls",
    }
