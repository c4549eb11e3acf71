"""Certificates of the names by which the outside finds the facility: cert-manager, and its issuers in a release after it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.services.facts import CA
from cantiere.values import ingress
from cantiere.values.addons import OPERATOR_CRDS, active, broken, enabled, has_operator, resources, several
from cantiere.values.model import Context, Release, SecretObject

TYPE = "cantiere.nodes.Certificates"
NAMESPACE = "cert-manager"
ISSUERS = "issuers"
CA_SECRET = "facility-ca"
_AREA = "certificates"
_SERVERS = {
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
    "letsencrypt-prod": "https://acme-v02.api.letsencrypt.org/directory",
}
_OWNS = (
    "certificaterequests.cert-manager.io",
    "certificates.cert-manager.io",
    "clusterissuers.cert-manager.io",
    "issuers.cert-manager.io",
    "challenges.acme.cert-manager.io",
    "orders.acme.cert-manager.io",
)


def issuer(node: Node) -> str:
    """Name of the ClusterIssuer that signs names of the outside."""
    return str(node.properties["issuer"])


def needs(facility: Facility) -> tuple[str, ...]:
    """Releases after which certificates are signed."""
    return tuple(ISSUERS for node in active(facility, TYPE)[:1] if node.properties["kind"] != "existing")


def manager(facility: Facility) -> tuple[str, ...]:
    """Releases after which charts that bring issuers of their own can be installed."""
    return tuple("cert-manager" for node in active(facility, TYPE)[:1] if installs(node))


def installs(node: Node) -> bool:
    """Whether a node brings cert-manager itself; an issuer that is there has one."""
    return bool(node.properties["manager"] == "install" and node.properties["kind"] != "existing")


def is_acme(node: Node) -> bool:
    """Whether certificates come from a server of the ACME protocol."""
    return node.properties["kind"] in (*_SERVERS, "acme")


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """cert-manager with its definitions, and the issuers once its webhook answers; nothing where the issuer is there.

    Parameters
    ----------
    node:
        A node of :data:`TYPE`.
    context:
        The facility and its cluster.
    """
    if node.properties["kind"] == "existing":
        return ()
    return (_manager(node, context), _issuers(node, context))


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of certificates, and between them and the way in."""
    given = node.properties
    ways = [other for other in active(facility, ingress.TYPE) if other.properties["driver"] != "none"]
    http = is_acme(node) and given["challenge"] == "http-01"
    solver = given.get("dns_solver") or {}
    rules = (
        (
            "email",
            is_acme(node) and not given["email"],
            f"{given['kind']} tells by e-mail when certificates expire, and no address is given",
            "set email to an address that somebody reads",
        ),
        (
            "server",
            given["kind"] == "acme" and not given["server"],
            "kind acme needs the address of its server",
            "set server to the directory's URL, https://…",
        ),
        (
            "key",
            bool(given["eab_key_id"]) != bool(given["eab_key"]),
            "an external account has a key's identifier and a key, and one of them is missing",
            "set both eab_key_id and eab_key (a reference), or neither",
        ),
        (
            "ingress",
            http and not ways,
            "the challenge http-01 is answered through an ingress, and there is none",
            "add a node of type cantiere.nodes.Ingress, or use challenge dns-01",
        ),
        (
            "wildcard",
            http and any(ingress.gateway(way) for way in ways),
            "the Gateway's certificate is for all names of the zone, and http-01 proves none such",
            "use challenge dns-01, or set gateway_api of the ingress to false",
        ),
        (
            "solver",
            is_acme(node) and given["challenge"] == "dns-01" and not solver,
            "the challenge dns-01 writes to a DNS zone, and no solver is given",
            "set dns_solver to a provider and what it needs",
        ),
        (
            "webhook",
            solver.get("provider") == "webhook" and not (solver.get("group") and solver.get("name")),
            "a solver by webhook is found by its API group and its name",
            "set group and name in dns_solver as its documentation says",
        ),
        (
            "nameserver",
            solver.get("provider") == "rfc2136" and not (solver.get("nameserver") and solver.get("key_name") and solver.get("secret")),
            "dynamic updates (rfc2136) need a name server and a key",
            "set nameserver, key_name and secret (a reference) in dns_solver",
        ),
        several(node, facility, "install cert-manager"),
    )
    return broken(_AREA, node, rules)


def _manager(node: Node, context: Context) -> Release:
    replicas = node.properties["replicas"]
    watched = has_operator(context.facility)
    gateways = any(ingress.gateway(way) for way in active(context.facility, ingress.TYPE))
    budget = {"enabled": replicas > 1, "maxUnavailable": 1} if replicas > 1 else {"enabled": False}
    config: dict[str, Any] = {
        "apiVersion": "controller.config.cert-manager.io/v1alpha1",
        "kind": "ControllerConfiguration",
        "enableGatewayAPI": gateways,
    }
    values: dict[str, Any] = {
        "crds": {"enabled": True, "keep": True},
        "replicaCount": replicas,
        "podDisruptionBudget": budget,
        "config": config,
        "resources": resources("20m", "96Mi", "384Mi"),
        "webhook": {
            "replicaCount": replicas,
            "podDisruptionBudget": budget,
            "resources": resources("10m", "48Mi", "192Mi"),
        },
        "cainjector": {"replicaCount": replicas, "resources": resources("10m", "96Mi", "384Mi")},
        "startupapicheck": {"enabled": True, "timeout": "5m", "resources": resources("10m", "48Mi", "128Mi")},
        "prometheus": {"enabled": True, "servicemonitor": {"enabled": watched}},
        "enableCertificateOwnerRef": False,
    }
    nameservers = node.properties["dns_check_nameservers"]
    if nameservers:
        values |= {"dns01RecursiveNameservers": ",".join(nameservers), "dns01RecursiveNameserversOnly": True}
    return Release(
        "cert-manager",
        NAMESPACE,
        "cert-manager",
        values,
        node.name,
        needs=(OPERATOR_CRDS, *((ingress.GATEWAY_CRDS,) if gateways else ())),
        installed=enabled(node) and installs(node),
        pod_security="restricted",
        owns=tuple(f"CustomResourceDefinition/{name}" for name in _OWNS),
    )


def _issuers(node: Node, context: Context) -> Release:
    kind = node.properties["kind"]
    secrets: list[SecretObject] = []
    if kind == "facility-ca":
        spec: dict[str, Any] = {"ca": {"secretName": CA_SECRET}}
        files = (SecretFile(CA, "tls.crt", "certificate"), SecretFile(CA, "tls.key", "key"))
        secrets.append(SecretObject(CA_SECRET, files, "kubernetes.io/tls"))
    elif kind == "self-signed":
        spec = {"selfSigned": True}
    else:
        spec = {"acme": _acme(node, context, secrets)}
    return Release(
        ISSUERS,
        NAMESPACE,
        ISSUERS,
        {"issuers": {issuer(node): spec}},
        node.name,
        needs=("cert-manager", *ingress.needs(context.facility)),
        installed=enabled(node),
        secrets=tuple(secrets),
        pod_security="restricted",
        owns=(f"ClusterIssuer/{issuer(node)}",),
    )


def _acme(node: Node, context: Context, secrets: list[SecretObject]) -> dict[str, Any]:
    """An account at an ACME server and how names are proved; the Secrets that it names are added to ``secrets``."""
    given = node.properties
    account: dict[str, Any] = {"server": _SERVERS.get(given["kind"]) or given["server"], "email": given["email"]}
    if given["eab_key_id"]:
        name = f"{node.name}-eab"
        secrets.append(SecretObject(name, (SecretFile(Secret(name, given["eab_key"]), "key"),)))
        account["externalAccountBinding"] = {"keyID": given["eab_key_id"], "existingSecret": name, "key": "key"}
    if given["challenge"] == "http-01":
        if context.cluster.gateway:
            namespace, _, name = context.cluster.gateway.partition("/")
            return account | {"http01": {"gateway": {"namespace": namespace, "name": name}}}
        return account | {"http01": {"ingressClassName": context.cluster.ingress_class}}
    solver = given["dns_solver"]
    reference = f"{node.name}-dns"
    if solver.get("secret"):
        secrets.append(SecretObject(reference, (SecretFile(Secret(reference, solver["secret"]), solver.get("secret_key") or "key"),)))
    zones = list(solver.get("zones") or ())
    if solver["provider"] == "webhook":
        made = {"webhook": {"groupName": solver["group"], "solverName": solver["name"], "config": _nested(solver.get("config") or {})}}
    else:
        made = {
            "rfc2136": {
                "nameserver": solver["nameserver"],
                "tsigKeyName": solver["key_name"],
                "tsigAlgorithm": solver.get("key_algorithm") or "HMACSHA512",
                "existingSecret": reference,
                "key": solver.get("secret_key") or "key",
            }
        }
    return account | {"dns01": made | {"zones": zones}}


def _nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """``{"a.b": 1}`` as ``{"a": {"b": 1}}``: a map of the template is flat, a webhook's configuration is not."""
    found: dict[str, Any] = {}
    for dotted, value in flat.items():
        *path, last = dotted.split(".")
        place = found
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return found
