"""Issuers of certificates, and the zone that they are for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cantiere.values.model import PLACEHOLDER
from support.addons import LARGE, SMALL, compiled, context, facility, held, wrong

ENTRY = """\
  entry:
    type: cantiere.nodes.Ingress
    properties: {service_type: NodePort}
"""
OWN = "  tls:\n    type: cantiere.nodes.Certificates\n"
STAGING = OWN + "    properties: {kind: letsencrypt-staging, email: ops@example.org}\n" + ENTRY
DNS01 = (
    OWN
    + """\
    properties:
      kind: acme
      server: https://acme.example.org/directory
      email: ops@example.org
      eab_key_id: "12"
      eab_key: vault:eab
      challenge: dns-01
      dns_check_nameservers: ["192.0.2.53:53"]
      dns_solver: {nameserver: "192.0.2.53:53", key_name: facility, secret: "env:TSIG", zones: [example.org]}
"""
)
WEBHOOK = (
    OWN
    + """\
    properties:
      kind: letsencrypt-prod
      email: ops@example.org
      challenge: dns-01
      replicas: 1
      dns_solver:
        provider: webhook
        group: acme.example.org
        name: designate
        secret: env:DNS_KEY
        config: {endpoint: https://dns.example.org, secretRef.name: tls-dns, secretRef.key: key}
"""
)
SELF = OWN + "    properties: {kind: self-signed}\n"


@pytest.mark.parametrize("machines", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("nodes", [OWN, STAGING, DNS01, WEBHOOK, SELF], ids=["own", "staging", "dns", "webhook", "self"])
def test_values_have_a_place(tmp_path: Path, nodes: str, machines: dict[str, int]) -> None:
    assert wrong(tmp_path, nodes, **machines) == []
    held(compiled(tmp_path, nodes, **machines))


def test_issuers_come_after_their_definitions_and_webhook(tmp_path: Path) -> None:
    releases = compiled(tmp_path, STAGING, worker=2)
    assert releases["issuers"].needs == ("cert-manager", "traefik")
    assert releases["cert-manager"].values["startupapicheck"]["enabled"] is True, "its Job ends when the webhook answers"
    assert "CustomResourceDefinition/clusterissuers.cert-manager.io" in releases["cert-manager"].owns
    assert not any(owned.startswith("CustomResourceDefinition") for owned in releases["issuers"].owns)


def test_the_ca_is_a_secret_and_never_a_value(tmp_path: Path) -> None:
    issuers = compiled(tmp_path, OWN, worker=2)["issuers"]
    assert issuers.values["issuers"] == {"facility": {"ca": {"secretName": "facility-ca"}}}
    (secret,) = issuers.secrets
    assert secret.type == "kubernetes.io/tls" and [(file.file, file.part) for file in secret.files] == [
        ("tls.crt", "certificate"),
        ("tls.key", "key"),
    ]


def test_http_01_goes_through_the_ingress(tmp_path: Path) -> None:
    acme = compiled(tmp_path, STAGING, worker=2)["issuers"].values["issuers"]["facility"]["acme"]
    assert acme["http01"] == {"ingressClassName": "traefik"} and "staging" in acme["server"]


def test_dns_01_names_its_secrets(tmp_path: Path) -> None:
    issuers = compiled(tmp_path, DNS01, worker=2)["issuers"]
    acme = issuers.values["issuers"]["facility"]["acme"]
    assert acme["dns01"]["rfc2136"]["existingSecret"] == "tls-dns"
    assert acme["externalAccountBinding"]["existingSecret"] == "tls-eab"
    assert {secret.name: secret.files[0].secret.source for secret in issuers.secrets} == {"tls-dns": "env:TSIG", "tls-eab": "vault:eab"}
    webhook = compiled(tmp_path, WEBHOOK, worker=2)["issuers"].values["issuers"]["facility"]["acme"]["dns01"]["webhook"]
    assert webhook["config"] == {"endpoint": "https://dns.example.org", "secretRef": {"name": "tls-dns", "key": "key"}}
    assert "TSIG" not in yaml.safe_dump(issuers.values)


def test_the_issuer_becomes_a_fact(tmp_path: Path) -> None:
    assert context(facility(tmp_path, OWN + "    properties: {issuer: house}\n")).cluster.issuer == "house"
    off = context(facility(tmp_path, OWN + "    properties: {issuer: house, enabled: false}\n"))
    assert off.cluster.issuer == PLACEHOLDER.issuer


@pytest.mark.parametrize(
    ("properties", "codes"),
    [
        ("kind: letsencrypt-prod, challenge: dns-01, dns_solver: {nameserver: a, key_name: b, secret: 'env:X'}", ["email"]),
        ("kind: letsencrypt-prod, email: a@b.org", ["ingress"]),
        ("kind: letsencrypt-prod, email: a@b.org, challenge: dns-01", ["solver"]),
        ("kind: letsencrypt-prod, email: a@b.org, challenge: dns-01, dns_solver: {provider: webhook}", ["webhook"]),
        ("kind: letsencrypt-prod, email: a@b.org, challenge: dns-01, dns_solver: {nameserver: a}", ["nameserver"]),
        ("kind: acme, email: a@b.org, challenge: dns-01, dns_solver: {nameserver: a, key_name: b, secret: 'env:X'}", ["server"]),
        ("eab_key_id: x", ["key"]),
        ("kind: letsencrypt-prod, enabled: false", []),
    ],
)
def test_what_is_refused(tmp_path: Path, properties: str, codes: list[str]) -> None:
    assert wrong(tmp_path, f"{OWN}    properties: {{{properties}}}\n", worker=2) == [f"certificates.{code} tls" for code in codes]


def test_http_01_cannot_prove_a_whole_zone(tmp_path: Path) -> None:
    gateway = STAGING.replace("service_type: NodePort", "service_type: NodePort, gateway_api: true")
    assert wrong(tmp_path, gateway, worker=2) == ["certificates.wildcard tls"]
    solved = DNS01 + ENTRY.replace("service_type: NodePort", "service_type: NodePort, gateway_api: true")
    assert wrong(tmp_path, solved, worker=2) == []
    releases = compiled(tmp_path, solved, worker=2)
    assert releases["cert-manager"].values["config"]["enableGatewayAPI"] is True
    assert releases["traefik"].values["gateway"]["annotations"] == {"cert-manager.io/cluster-issuer": "facility"}


def test_two_cert_managers_are_refused(tmp_path: Path) -> None:
    assert wrong(tmp_path, OWN + OWN.replace("tls", "more"), worker=2) == ["certificates.several more"]


def test_what_a_cluster_has_is_used(tmp_path: Path) -> None:
    theirs = OWN + "    properties: {kind: existing, issuer: theirs}\n"
    assert compiled(tmp_path, theirs) == {} and wrong(tmp_path, theirs) == []
    assert context(facility(tmp_path, theirs)).cluster.issuer == "theirs"
    releases = compiled(tmp_path, OWN + "    properties: {manager: existing}\n")
    assert {name: release.installed for name, release in releases.items()} == {"cert-manager": False, "issuers": True}
    assert releases["issuers"].needs == ()
