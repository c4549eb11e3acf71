"""Object storage: a MinIO server whose users exchange a token of an issuer for temporary keys. Pure."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.model import Container, Mount, Node, Port, Probe, Secret, SecretFile
from cantiere.services import iam
from cantiere.services.facts import Facts

TYPE = "cantiere.nodes.ObjectStore"
PORT = 9000
ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"

MINIO, SEAWEEDFS, EXTERNAL = "minio", "seaweedfs", "external"


def driver(node: Node) -> str:
    """What serves the store: ``minio``, ``seaweedfs`` or ``external``."""
    return str(node.properties.get("driver") or MINIO)


def host(node: Node, facts: Facts) -> str:
    """Name of the store's Service; SeaweedFS's chart names it after chart and component."""
    if driver(node) != SEAWEEDFS:
        return facts.fqdn(node.name)
    return facts.fqdn(f"{node.name}-s3" if SEAWEEDFS in node.name else f"{node.name}-{SEAWEEDFS}-s3")


def endpoint(node: Node, facts: Facts) -> str:
    """URL of the store."""
    if driver(node) == EXTERNAL:
        return str(node.properties["endpoint"]).rstrip("/")
    return f"https://{host(node, facts)}:{PORT}"


def role(node: Node, facts: Facts, issuer: str) -> str:
    """The RoleArn that a client names when it exchanges a token of an issuer; ``""`` where the store exchanges none of these."""
    issuers = facts.issuers(node)
    if driver(node) == EXTERNAL:
        return str(node.properties.get("role_arn") or "") if issuer == issuers[0] else ""
    if driver(node) == SEAWEEDFS:
        return f"arn:aws:iam::role/users-{issuers.index(issuer) + 1}"
    return role_arn(audience(node, facts, issuer))


def audience(node: Node, facts: Facts, issuer: str) -> str:
    """The audience by which the store knows the tokens of an issuer: MinIO's client identifier.

    Tokens for any audience are accepted from every issuer. MinIO wants a different identifier for each issuer, so that those after
    the first also get one of their own.

    Parameters
    ----------
    node, facts:
        The store, and the facility it is in.
    issuer:
        URL of the issuer.
    """
    first = facts.issuers(node)[0]
    return ANY_AUDIENCE if issuer == first else f"{endpoint(node, facts)}/{issuer.removeprefix('https://')}"


def role_arn(client_id: str = ANY_AUDIENCE) -> str:
    """The RoleArn that a client names when it exchanges its token: MinIO makes it from the client identifier alone."""
    digest = hashlib.sha1(client_id.encode(), usedforsecurity=False).digest()
    return f"arn:minio:iam:::role/{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def root_user(node: Node) -> Secret:
    """Where the store's administrator's name is kept."""
    return Secret(f"{node.name}-root-user")


def root_password(node: Node) -> Secret:
    """Where the store's administrator's password is kept."""
    return Secret(f"{node.name}-root-password")


def settings(node: Node, facts: Facts) -> dict[str, Any]:
    """The named variables of the store's configuration: endpoint, buckets, and per issuer its URL, MinIO's client identifier and role."""
    issuers = []
    for issuer in facts.issuers(node):
        client_id = audience(node, facts, issuer)
        issuers.append({"url": issuer, "client_id": client_id, "role_arn": role_arn(client_id)})
    return {"endpoint": endpoint(node, facts), "buckets": list(node.properties["buckets"]), "issuers": issuers}


def containers(node: Node, facts: Facts) -> tuple[Container, ...]:
    """The store's container, after the issuers that run here; none for a store outside of the facility.

    Raises
    ------
    CantiereError
        The driver is one that only a cluster has.
    """
    if driver(node) == EXTERNAL:
        return ()
    if driver(node) == SEAWEEDFS:
        raise CantiereError(
            Problem("store.driver", "SeaweedFS runs on a cluster only", "set driver: minio for one machine", node.where, node.name)
        )
    told = settings(node, facts)
    issuers = [facts.facility.node(name) for name in node.requirements.get("issuer", ())]
    return (
        Container(
            name=node.name,
            service=node.name,
            image="minio",
            settings=told,
            secrets=(
                *facts.certificate(node.name),
                SecretFile(root_user(node), "root-user"),
                SecretFile(root_password(node), "root-password"),
                SecretFile(Secret(f"{node.name}-openid"), "openid"),
            ),
            mounts=(Mount(f"{node.name}-data", "/srv/store"),),
            ports=(Port(PORT, told["endpoint"], "Object store (S3)"),),
            needs=tuple(issuer.name for issuer in issuers if not iam.external(issuer)),
            probe=Probe(("/usr/local/bin/store", "ready"), 60.0),
        ),
    )
