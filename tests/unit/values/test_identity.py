"""Keycloak as an issuer in the cluster, and Dex for log-in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.services import iam, minio
from cantiere.values import identity
from cantiere.values.model import Release
from support.further import held, one, wrong

LARGE = {"replicas": 3, "memory": "4 GiB", "database_replicas": 3, "database_size": "100 GiB"}
OUTSIDE = {"database": "external", "database_host": "db.example.org", "database_password": "vault:keycloak"}
HUB = {"hub": {"type": iam.HUB_TYPE, "requirements": [{"issuer": "keycloak"}]}}
DEX = {
    "upstream_issuer": "https://login.example.org",
    "upstream_client_secret": "env:DEX",
    "clients": {"grafana": ["https://grafana.example.org/login/generic_oauth"], "status-page": ["https://status.example.org/back"]},
}


@pytest.mark.parametrize("properties", [{}, LARGE, OUTSIDE], ids=["small", "large", "outside database"])
def test_keycloak_values_are_the_charts(tmp_path: Path, properties: dict[str, Any]) -> None:
    node, where, releases = one(tmp_path, identity.KEYCLOAK, properties, "keycloak", beside=HUB)
    assert wrong(node, where) == []
    assert held(releases.values(), where) == []


def password(release: Release) -> dict[str, str]:
    """Where the database's password comes from."""
    (found,) = [item for item in yaml.safe_load(release.values["extraEnv"]) if item["name"] == "KC_DB_PASSWORD"]
    reference: dict[str, str] = found["valueFrom"]["secretKeyRef"]
    return reference


def test_keycloak_keeps_its_state_in_the_database_made_for_it(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, identity.KEYCLOAK, LARGE, "keycloak", beside=HUB)
    assert list(releases) == ["cloudnative-pg", "keycloak-db", "keycloak"]
    cluster = releases["keycloak-db"].values["objects"]["database"]
    assert cluster["spec"]["instances"] == 3
    assert cluster["spec"]["storage"] == {"size": "100Gi", "storageClass": "standard"}
    database = releases["keycloak"].values["database"]
    assert password(releases["keycloak"]) == {"name": f"{cluster['metadata']['name']}-app", "key": "password"}, "as the operator names it"
    assert database["hostname"] == f"{cluster['metadata']['name']}-rw"
    assert database["database"] == database["username"] == cluster["spec"]["bootstrap"]["initdb"]["owner"]
    assert "cloudnative-pg" in releases["keycloak-db"].needs and "keycloak-db" in releases["keycloak"].needs
    assert "CustomResourceDefinition/clusters.postgresql.cnpg.io" in releases["cloudnative-pg"].owns


def test_an_outside_database_needs_no_operator(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, identity.KEYCLOAK, OUTSIDE, "keycloak", beside=HUB)
    (release,) = releases.values()
    database = release.values["database"]
    assert database["hostname"] == "db.example.org"
    (secret,) = release.secrets
    asked = password(release)
    found = next(file for file in secret.files if file.file == asked["key"])
    assert asked["name"] == secret.name and found.secret.source == "vault:keycloak"


def test_realm_has_the_hub_and_the_scopes_of_the_wlcg_profile_and_no_secret(tmp_path: Path) -> None:
    node, where, releases = one(tmp_path, identity.KEYCLOAK, {}, "keycloak", beside=HUB)
    text = releases["keycloak"].values["secrets"]["realm"]["stringData"]["realm.json"]
    assert "{{" not in text, "the chart evaluates it"
    realm = json.loads(text)
    issuer = where.services.issuer_url(node)
    assert issuer == f"https://keycloak.facility.invalid/realms/{realm['realm']}"
    (client,) = realm["clients"]
    assert client["clientId"] == "hub" and client["secret"] == "${HUB_CLIENT_SECRET}"
    assert client["redirectUris"] == ["https://hub.facility.invalid/hub/oauth_callback"]
    scopes = {scope["name"]: scope for scope in realm["clientScopes"]}
    granted = {*client["defaultClientScopes"], *client["optionalClientScopes"]}
    assert granted <= scopes.keys(), "a realm that brings scopes has those alone"
    missing = set(iam.USER_SCOPES) - granted - {"openid", "groups"}
    assert not missing, f"users cannot be granted {missing}"
    claims = [mapper["config"].get("claim.name") for mapper in scopes["wlcg.groups"]["protocolMappers"]]
    assert claims == ["wlcg\\.groups"], "a plain dot would nest it"
    audiences = [mapper["config"].get("included.custom.audience") for mapper in scopes["wlcg"]["protocolMappers"]]
    assert minio.ANY_AUDIENCE in audiences


def test_a_site_may_bring_its_own_realm(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, identity.KEYCLOAK, {"realm_secret": "our-realm"}, "keycloak", beside=HUB)
    values = releases["keycloak"].values
    assert "secrets" not in values
    assert yaml.safe_load(values["extraVolumes"])[0]["secret"] == {"secretName": "our-realm"}


def test_every_variable_of_keycloak_comes_from_a_secret_that_is_there(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, identity.KEYCLOAK, {}, "keycloak", beside=HUB)
    release = releases["keycloak"]
    kept = {(secret.name, file.file) for secret in release.secrets for file in secret.files}
    asked = [item["valueFrom"]["secretKeyRef"] for item in yaml.safe_load(release.values["extraEnv"]) if "valueFrom" in item]
    assert {(item["name"], item["key"]) for item in asked} == kept | {("keycloak-db-app", "password")}


@pytest.mark.parametrize(
    ("properties", "codes"),
    [
        ({"database": "external"}, ["keycloak.database"]),
        ({"database_host": "db.example.org"}, ["keycloak.database_host"]),
        ({"replicas": 2}, ["keycloak.database_replicas"]),
        ({"replicas": 2, "enabled": False}, []),
    ],
)
def test_keycloak_is_checked(tmp_path: Path, properties: dict[str, Any], codes: list[str]) -> None:
    node, where, _ = one(tmp_path, identity.KEYCLOAK, properties, "keycloak", beside=HUB)
    assert wrong(node, where) == codes


def test_a_keycloak_that_is_turned_off_takes_its_database_along(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, identity.KEYCLOAK, {"enabled": False}, "keycloak", beside=HUB)
    assert [release.installed for release in releases.values()] == [False]


@pytest.mark.parametrize("properties", [DEX, DEX | {"replicas": 3}], ids=["small", "large"])
def test_dex_values_are_the_charts(tmp_path: Path, properties: dict[str, Any]) -> None:
    node, where, releases = one(tmp_path, identity.DEX, properties, "dex")
    assert wrong(node, where) == []
    assert held(releases.values(), where) == []
    assert releases["dex"].values["podDisruptionBudget"]["enabled"] == (properties.get("replicas", 1) > 1)


def test_dex_names_variables_and_secrets_hold_their_values(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, identity.DEX, DEX, "dex")
    release = releases["dex"]
    variables = {item["name"]: item["valueFrom"]["secretKeyRef"] for item in release.values["envVars"]}
    config = release.values["config"]
    assert {client["secretEnv"] for client in config["staticClients"]} == {"CLIENT_GRAFANA_SECRET", "CLIENT_STATUS_PAGE_SECRET"}
    assert {client["secretEnv"] for client in config["staticClients"]} < variables.keys()
    assert config["connectors"][0]["config"]["clientSecret"] == "$UPSTREAM_CLIENT_SECRET"
    kept = {(secret.name, file.file) for secret in release.secrets for file in secret.files}
    assert {(item["name"], item["key"]) for item in variables.values()} == kept
    assert not any("secret" in client for client in config["staticClients"])


def test_dex_is_no_issuer_of_tokens_for_the_pool(tmp_path: Path) -> None:
    from cantiere.errors import TemplateError

    pool = {"pool": {"type": "cantiere.nodes.HTCondorPool", "requirements": [{"issuer": "dex"}]}}
    with pytest.raises(TemplateError, match="issuer"):
        one(tmp_path, identity.DEX, DEX, "dex", beside=pool)


@pytest.mark.parametrize(
    ("clients", "codes"),
    [({}, ["dex.clients"]), ({"a-b": ["https://x.example.org"], "ab": ["https://y.example.org"]}, [])],
)
def test_dex_is_checked(tmp_path: Path, clients: dict[str, list[str]], codes: list[str]) -> None:
    node, where, _ = one(tmp_path, identity.DEX, DEX | {"clients": clients}, "dex")
    assert wrong(node, where) == codes
