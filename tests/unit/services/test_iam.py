"""The development IAM's container and the secrets that others refer to."""

from __future__ import annotations

import json
import uuid

import pytest

from cantiere.services import iam
from unit.services.samples_identity import facts, iam_node


def test_settings_name_issuer_users_and_clients() -> None:
    node = iam_node()
    told = iam.settings(node, facts(node))
    issuer = "https://iam.here.internal:8443"
    assert told["issuer"] == issuer
    assert told["users"]["alice"] == {
        "sub": iam.subject(issuer, "alice"),
        "email": "alice@here.internal",
        "groups": ["/cms", "/cms/analysis"],
    }
    assert told["token_lifetime"] == 3600
    clients = {client["id"]: client for client in told["clients"]}
    assert list(clients) == ["hub", "verify", "verify-short"]
    assert clients["hub"]["redirect_uris"] == ["https://hub.here.internal:8000/hub/oauth_callback"]
    assert "client_credentials" not in clients["hub"]["grant_types"]
    assert clients["verify-short"]["token_lifetime"] == 5
    assert not any(scope.startswith("storage.modify") for scope in told["user_scopes"])
    assert json.loads(json.dumps(told)) == told


def test_no_secret_is_part_of_the_settings() -> None:
    node = iam_node(client_secret="env:HUB_SECRET")
    assert "HUB_SECRET" not in json.dumps(iam.settings(node, facts(node)))


def test_container_sees_a_secret_file_for_every_user_and_client() -> None:
    node = iam_node()
    (container,) = iam.containers(node, facts(node))
    files = {item.file: item.secret.name for item in container.secrets}
    assert files["user-alice"] == "iam-user-alice" == iam.user_password(node, "alice").name
    assert files["client-hub"] == "iam-client-hub" == iam.client_secret(node, "hub").name
    assert files["signing-key.pem"] == "iam-signing-key"
    assert set(files) == {
        *("ca.pem", "hostcert.pem", "hostkey.pem", "signing-key.pem", "user-alice", "user-bob"),
        *("client-hub", "client-verify", "client-verify-short"),
    }
    assert [mount.source for mount in container.mounts] == ["iam-data"]
    assert container.probe is not None


def test_an_iam_without_a_hub_has_no_client_for_one() -> None:
    first, second = iam_node(), iam_node("iam2")
    assert [client["id"] for client in iam.clients(second, facts(first, second))] == ["verify", "verify-short"]


def test_an_external_iam_is_not_run() -> None:
    node = iam_node(issuer_url="https://iam.example.org/", client_secret="env:HUB_SECRET")
    assert iam.containers(node, facts(node)) == ()
    assert iam.client_secret(node, "hub").source == "env:HUB_SECRET"
    assert iam.client_secret(node, "verify").source == "generate:password"


def test_a_subject_is_a_stable_uuid_per_issuer_and_name() -> None:
    first = iam.subject("https://iam.here.internal:8443", "alice")
    assert str(uuid.UUID(first)) == first == iam.subject("https://iam.here.internal:8443", "alice")
    assert first not in (iam.subject("https://iam.other.internal:8443", "alice"), iam.subject("https://iam.here.internal:8443", "bob"))


@pytest.mark.parametrize(
    ("properties", "code", "path"),
    [
        ({"issuer_url": "https://iam.example.org"}, "iam.client_secret", "client_secret"),
        ({"client_id": "verify"}, "iam.client_id", "client_id"),
        ({"users": {"../alice": []}}, "iam.user", "users.../alice"),
        ({"users": {"Alice": []}}, "iam.user", "users.Alice"),
    ],
)
def test_check_finds(properties: dict[str, object], code: str, path: str) -> None:
    node = iam_node(**properties)
    (problem,) = iam.check(node, facts(node).facility)
    assert (problem.code, problem.path) == (code, f"topology_template.node_templates.iam.properties.{path}")
    assert problem.remedy


def test_check_accepts_a_good_iam() -> None:
    for node in (iam_node(), iam_node(issuer_url="https://iam.example.org", client_secret="vault:hub")):
        assert iam.check(node, facts(node).facility) == []
