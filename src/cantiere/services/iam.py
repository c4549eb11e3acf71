"""Identity: the development IAM's container, and the secrets by which other services know it. Pure."""

from __future__ import annotations

import re
import uuid
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Container, Facility, Mount, Node, Port, Probe, Secret, SecretFile
from cantiere.services.facts import IAM_PORT, Facts

TYPE = "cantiere.nodes.IAM"
HUB_TYPE = "cantiere.nodes.JupyterHub"
HUB_PORT = 8000
HUB_CALLBACK = "/hub/oauth_callback"

VERIFY_CLIENT = "verify"
SHORT_CLIENT = "verify-short"
VERIFY_CALLBACK = "http://localhost/callback"
SHORT_LIFETIME = 5

USER_SCOPES = (
    *("openid", "profile", "email", "offline_access", "wlcg", "wlcg.groups", "groups"),
    *("compute.read", "compute.create", "compute.modify", "compute.cancel"),
    *("storage.read:/", "storage.create:/", "storage.stage:/"),
)
LOGIN_GRANTS = ("authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange")


def external(node: Node) -> bool:
    """Whether no development IAM is run: the template names an external IAM, or another kind of issuer."""
    return bool(node.properties.get("issuer_url")) or node.type != TYPE


def client_secret(node: Node, client_id: str) -> Secret:
    """Where a client's secret is kept.

    Parameters
    ----------
    node:
        The IAM.
    client_id:
        The hub's client (the IAM's ``client_id``), whose secret the template refers to, or a client of the development IAM.
    """
    named: str = node.properties.get("client_secret") or "generate:password"
    return Secret(f"{node.name}-client-{client_id}", named if client_id == node.properties["client_id"] else "generate:password")


def user_password(node: Node, user: str) -> Secret:
    """Where the password of a user of the development IAM is kept."""
    return Secret(f"{node.name}-user-{user}")


def signing_key(node: Node) -> Secret:
    """Where the development IAM's key is kept."""
    return Secret(f"{node.name}-signing-key", "generate:rsa-key")


def subject(issuer: str, user: str) -> str:
    """The ``sub`` of a user of the development IAM: a UUID that stays the same as long as issuer and name do."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{issuer}/{user}"))


def hubs(node: Node, facility: Facility) -> tuple[Node, ...]:
    """The hubs whose users log in at an IAM."""
    return tuple(hub for hub in facility.of_type(HUB_TYPE) if hub.target("issuer") == node.name)


def clients(node: Node, facts: Facts) -> list[dict[str, Any]]:
    """The applications registered with the development IAM: the hubs, and two by which ``verify`` logs in (one with short tokens)."""
    grants, scopes = list(LOGIN_GRANTS), list(USER_SCOPES)
    verify = {"redirect_uris": [VERIFY_CALLBACK], "grant_types": [*grants, "client_credentials"], "scopes": scopes}
    callbacks = [f"{facts.page_url(hub.name, HUB_PORT)}{HUB_CALLBACK}" for hub in hubs(node, facts.facility)]
    registered: list[dict[str, Any]] = [
        {"id": VERIFY_CLIENT, **verify},
        {"id": SHORT_CLIENT, **verify, "token_lifetime": SHORT_LIFETIME},
    ]
    if callbacks:
        registered.insert(0, {"id": node.properties["client_id"], "redirect_uris": callbacks, "grant_types": grants, "scopes": scopes})
    return registered


def settings(node: Node, facts: Facts) -> dict[str, Any]:
    """What the development IAM is told: issuer, users, clients, what users may be granted, and the validity of tokens in seconds."""
    issuer = facts.issuer_url(node)
    return {
        "issuer": issuer,
        "users": {
            name: {"sub": subject(issuer, name), "email": f"{name}@{facts.domain}", "groups": list(groups)}
            for name, groups in sorted(node.properties["users"].items())
        },
        "clients": clients(node, facts),
        "user_scopes": list(USER_SCOPES),
        "token_lifetime": int(node.properties["token_lifetime"]),
    }


def containers(node: Node, facts: Facts) -> tuple[Container, ...]:
    """The development IAM's container; none where the template names an external IAM."""
    if external(node):
        return ()
    told = settings(node, facts)
    return (
        Container(
            name=node.name,
            service=node.name,
            image="iam",
            settings=told,
            secrets=(
                *facts.certificate(node.name),
                SecretFile(signing_key(node), "signing-key.pem"),
                *(SecretFile(client_secret(node, client["id"]), f"client-{client['id']}") for client in told["clients"]),
                *(SecretFile(user_password(node, name), f"user-{name}") for name in told["users"]),
            ),
            mounts=(Mount(f"{node.name}-data", "/var/lib/iam"),),
            ports=(Port(IAM_PORT, told["issuer"], "Development IAM (log-in)"),),
            probe=Probe(("/usr/local/bin/ready",), 30.0),
        ),
    )


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of an IAM, and with the names of its users."""
    where = (node.where, f"topology_template.node_templates.{node.name}.properties")
    problems = []
    if external(node) and client_secret(node, node.properties["client_id"]).source.startswith("generate:") and hubs(node, facility):
        problems.append(
            Problem(
                "iam.client_secret",
                f"the hub's client at {node.properties['issuer_url']} has no secret",
                "set client_secret to env:NAME, file:PATH or vault:NAME of the secret that the IAM gave to that client",
                where[0],
                f"{where[1]}.client_secret",
            )
        )
    if not external(node) and node.properties["client_id"] in (VERIFY_CLIENT, SHORT_CLIENT):
        problems.append(
            Problem(
                "iam.client_id",
                f"the client name {node.properties['client_id']} is taken by the verification",
                "choose another client_id",
                where[0],
                f"{where[1]}.client_id",
            )
        )
    problems.extend(
        Problem(
            "iam.user",
            f"{name!r} cannot be a user name",
            "use up to 32 lower case letters, digits, - and _, beginning with a letter",
            where[0],
            f"{where[1]}.users.{name}",
        )
        for name in node.properties["users"]
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", name)
    )
    return problems
