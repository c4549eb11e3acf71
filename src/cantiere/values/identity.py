"""Identity providers in the cluster: Keycloak as an issuer of tokens, Dex for log-in alone. Pure."""

from __future__ import annotations

import json
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.services import iam
from cantiere.services.minio import ANY_AUDIENCE
from cantiere.values import ingress, postgres
from cantiere.values.addons import broken, definitions, enabled, resources
from cantiere.values.model import Context, Link, Release, SecretObject
from cantiere.values.parts import CONTAINER_SECURITY, POD_SECURITY, from_secret, listing, page
from cantiere.values.units import quantity

KEYCLOAK = "cantiere.nodes.Keycloak"
DEX = "cantiere.nodes.Dex"
DATABASE = "keycloak"
REALM_FOLDER = "/opt/keycloak/data/import"
HTTP_PORT = 8080
DEX_PORT = 5556
_DEX_KINDS = (
    "authcodes authrequests connectors devicerequests devicetokens oauth2clients offlinesessionses passwords refreshtokens signingkeies"
).split()
_USER = {"runAsUser": 1000, "runAsGroup": 1000}


def keycloak(node: Node, context: Context) -> tuple[Release, ...]:
    """Keycloak, and its database where that is made here."""
    told, name = node.properties, node.name
    own = told["database"] == "cloudnative-pg"
    outside = page(context, name)
    files = [
        SecretFile(Secret(f"{name}-admin-password"), "admin-password"),
        SecretFile(iam.client_secret(node, told["client_id"]), "client-secret"),
    ]
    if not own:
        files.append(SecretFile(Secret(f"{name}-database-password", str(told["database_password"])), "database-password"))
    realm = str(told["realm_secret"]) or f"{name}-realm"
    environment = [
        {"name": "KC_HOSTNAME", "value": f"https://{outside['host']}"},
        {"name": "KC_HTTP_ENABLED", "value": "true"},
        {"name": "KC_PROXY_HEADERS", "value": "xforwarded"},
        {"name": "KC_BOOTSTRAP_ADMIN_USERNAME", "value": "admin"},
        from_secret("KC_BOOTSTRAP_ADMIN_PASSWORD", name, "admin-password"),
        from_secret("HUB_CLIENT_SECRET", name, "client-secret"),
        from_secret("KC_DB_PASSWORD", *((postgres.secret(node), "password") if own else (name, "database-password"))),
    ]
    values: dict[str, Any] = {
        "fullnameOverride": name,
        "clusterDomain": context.cluster.cluster_domain,
        "replicas": told["replicas"],
        "args": ["start", "--import-realm"],
        "extraEnv": listing(environment),
        "extraVolumes": listing([{"name": "realm", "secret": {"secretName": realm}}]),
        "extraVolumeMounts": listing([{"name": "realm", "mountPath": REALM_FOLDER, "readOnly": True}]),
        "http": {"relativePath": "/"},
        "proxy": {"enabled": False},
        "database": {
            "vendor": "postgres",
            "hostname": postgres.host(node) if own else told["database_host"],
            "port": postgres.PORT,
            "database": DATABASE,
            "username": DATABASE,
        },
        "serviceAccount": {"create": True, "automountServiceAccountToken": False},
        "podSecurityContext": {"fsGroup": 1000, **POD_SECURITY},
        "securityContext": {**_USER, "runAsNonRoot": True, **CONTAINER_SECURITY},
        "resources": resources("250m", quantity(told["memory"])),
        "ingress": {
            "enabled": True,
            "ingressClassName": outside["className"],
            "annotations": outside["annotations"],
            "rules": [{"host": outside["host"], "paths": [{"path": "/", "pathType": "Prefix"}]}],
            "tls": [{"hosts": [outside["host"]], "secretName": outside["secret"]}],
        },
    }
    if told["replicas"] == 1:
        values["affinity"] = ""
    if not told["realm_secret"]:
        values["secrets"] = {"realm": {"stringData": {"realm.json": json.dumps(realm_of(node, context))}}}
    labels = {"app.kubernetes.io/name": "keycloakx", "app.kubernetes.io/instance": name}
    server = Release(
        name=name,
        namespace=context.namespace,
        chart="keycloakx",
        values=values,
        node=name,
        needs=(*((f"{name}-db",) if own else ()), *ingress.needs(context.facility)),
        installed=enabled(node),
        secrets=(SecretObject(name, tuple(files)),),
        pod_security="restricted",
        links=(Link({}, labels, HTTP_PORT, "users log in, services fetch keys", "", context.namespace),),
    )
    if own and enabled(node):
        return (postgres.operator(node), postgres.cluster(node, context, DATABASE), server)
    return (server,)


def realm_of(node: Node, context: Context) -> dict[str, Any]:
    """The realm that Keycloak imports at its first start; it puts in the client's secret from the environment.

    A realm that brings scopes has those alone, so that the usual ones stand here too.
    """
    told = node.properties
    compute = [scope for scope in iam.USER_SCOPES if scope.startswith(("compute.", "storage."))]
    scopes = [_scope("basic", False, _mapper("sub", "oidc-sub-mapper", {"access.token.claim": "true"}))]
    scopes.append(_scope("profile", True, _attribute("username", "preferred_username")))
    scopes.append(_scope("email", True, _attribute("email", "email")))
    groups = {"full.path": "true", "claim.name": "wlcg\\.groups", "access.token.claim": "true", "id.token.claim": "true"}
    groups["userinfo.token.claim"] = "true"
    scopes.append(_scope("wlcg.groups", True, _mapper("groups", "oidc-group-membership-mapper", groups)))
    version = {"claim.name": "wlcg\\.ver", "claim.value": "1.0", "jsonType.label": "String", "access.token.claim": "true"}
    audience = {"included.custom.audience": ANY_AUDIENCE, "access.token.claim": "true"}
    wlcg = (_mapper("version", "oidc-hardcoded-claim-mapper", version), _mapper("audience", "oidc-audience-mapper", audience))
    scopes.append(_scope("wlcg", True, *wlcg))
    scopes += [_scope(scope, True) for scope in ("offline_access", *compute)]
    callbacks = [f"{context.services.page_url(hub.name, iam.HUB_PORT)}{iam.HUB_CALLBACK}" for hub in iam.hubs(node, context.facility)]
    client = {
        "clientId": told["client_id"],
        "secret": "${HUB_CLIENT_SECRET}",
        "protocol": "openid-connect",
        "publicClient": False,
        "standardFlowEnabled": True,
        "directAccessGrantsEnabled": False,
        "redirectUris": callbacks,
        "defaultClientScopes": ["basic", "profile", "email", "wlcg"],
        "optionalClientScopes": ["wlcg.groups", "offline_access", *compute],
    }
    return {
        "realm": str(told["issuer_path"]).rpartition("/")[2],
        "enabled": True,
        "sslRequired": "external",
        "registrationAllowed": False,
        "bruteForceProtected": True,
        "defaultSignatureAlgorithm": "RS256",
        "accessTokenLifespan": int(told["token_lifetime"]),
        "clientScopes": scopes,
        "clients": [client],
    }


def check_keycloak(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of a Keycloak."""
    told = node.properties
    outside = told["database"] == "external"
    rules = (
        (
            "database",
            outside and not (told["database_host"] and told["database_password"]),
            "its database is outside, and nothing says where, or with which password",
            "set database_host and database_password, or database: cloudnative-pg",
        ),
        (
            "database_host",
            not outside and bool(told["database_host"] or told["database_password"]),
            "database_host and database_password count for an outside database only",
            "set database: external, or remove them",
        ),
        (
            "database_replicas",
            not outside and told["replicas"] > 1 and told["database_replicas"] == 1,
            "several servers depend on one database server",
            "set database_replicas to at least 2, or replicas to 1",
        ),
    )
    return broken("keycloak", node, rules)


def dex(node: Node, context: Context) -> tuple[Release, ...]:
    """Dex by its chart 0.24.0: its configuration names environment variables, and Secrets hold their values."""
    told, name = node.properties, node.name
    outside = page(context, name)
    issuer = f"https://{outside['host']}"
    clients = [
        {"id": client, "name": client, "redirectURIs": list(uris), "secretEnv": _variable(client)}
        for client, uris in sorted(told["clients"].items())
    ]
    connector = {
        "issuer": told["upstream_issuer"],
        "clientID": told["upstream_client_id"],
        "clientSecret": "$UPSTREAM_CLIENT_SECRET",
        "redirectURI": f"{issuer}/callback",
        "scopes": ["openid", "profile", "email"],
        "insecureSkipEmailVerified": False,
    }
    values = {
        "fullnameOverride": name,
        "replicaCount": told["replicas"],
        "config": {
            "issuer": issuer,
            "storage": {"type": "kubernetes", "config": {"inCluster": True}},
            "web": {"http": f"0.0.0.0:{DEX_PORT}"},
            "oauth2": {"skipApprovalScreen": True},
            "connectors": [{"type": "oidc", "id": "upstream", "name": "Facility", "config": connector}],
            "staticClients": clients,
        },
        "envVars": [
            from_secret("UPSTREAM_CLIENT_SECRET", name, "upstream"),
            *(from_secret(_variable(client), name, f"client-{client}") for client in sorted(told["clients"])),
        ],
        "ingress": {
            "enabled": True,
            "className": outside["className"],
            "annotations": outside["annotations"],
            "hosts": [{"host": outside["host"], "paths": [{"path": "/", "pathType": "Prefix"}]}],
            "tls": [{"secretName": outside["secret"], "hosts": [outside["host"]]}],
        },
        "podSecurityContext": {**POD_SECURITY, "runAsUser": 1001},
        "securityContext": {**CONTAINER_SECURITY, "readOnlyRootFilesystem": True},
        "podDisruptionBudget": {"enabled": told["replicas"] > 1, **({"minAvailable": 1} if told["replicas"] > 1 else {})},
        "resources": resources("20m", "64Mi", "128Mi"),
    }
    files = [SecretFile(Secret(f"{name}-upstream", str(told["upstream_client_secret"])), "upstream")]
    files += [SecretFile(Secret(f"{name}-client-{client}"), f"client-{client}") for client in sorted(told["clients"])]
    labels = {"app.kubernetes.io/name": "dex", "app.kubernetes.io/instance": name}
    return (
        Release(
            name=name,
            namespace=context.namespace,
            chart="dex",
            values=values,
            node=name,
            needs=ingress.needs(context.facility),
            installed=enabled(node),
            secrets=(SecretObject(name, tuple(files)),),
            pod_security="restricted",
            owns=definitions("dex.coreos.com", _DEX_KINDS),
            links=(Link({}, labels, DEX_PORT, "users log in", "", context.namespace),),
        ),
    )


def check_dex(node: Node, facility: Facility) -> list[Problem]:
    """A Dex that nobody uses, and two clients whose secrets would be in one variable."""
    names = [_variable(client) for client in node.properties["clients"]]
    rules = (
        ("clients", not names, "no application logs users in with it", "list clients, or set enabled to false"),
        ("client", len(set(names)) < len(names), "two clients differ by - and _ alone", "rename one of them"),
    )
    return broken("dex", node, rules)


def _variable(client: str) -> str:
    return f"CLIENT_{client.upper().replace('-', '_')}_SECRET"


def _mapper(name: str, kind: str, config: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": config}


def _attribute(attribute: str, claim: str) -> dict[str, Any]:
    told = {"user.attribute": attribute, "claim.name": claim, "jsonType.label": "String"}
    return _mapper(claim, "oidc-usermodel-attribute-mapper", told | dict.fromkeys(_CLAIMS, "true"))


_CLAIMS = ("access.token.claim", "id.token.claim", "userinfo.token.claim")


def _scope(name: str, named: bool, *mappers: dict[str, Any]) -> dict[str, Any]:
    """A scope of the realm; ``named`` where tokens list it in their claim ``scope``."""
    return {
        "name": name,
        "protocol": "openid-connect",
        "attributes": {"include.in.token.scope": "true" if named else "false"},
        "protocolMappers": list(mappers),
    }
