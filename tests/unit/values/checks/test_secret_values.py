"""Nothing secret and no template text in values."""

from __future__ import annotations

from typing import Any

import pytest

from cantiere.model import Secret, SecretFile
from cantiere.values.model import SecretObject
from support.releases import problems, release

KEY = "-----BEGIN " + "PRIVATE KEY-----\nMC4CAQ"
MADE = SecretObject("hub", (SecretFile(Secret("hub-client"), "client-secret"),))


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"adminPassword": "hunter2"}, "adminPassword"),
        ({"auth": {"client_secret": "abc"}}, "auth.client_secret"),
        ({"proxy": {"secretToken": "0f" * 32}}, "proxy.secretToken"),
        ({"s3": {"secretKey": "abc"}}, "s3.secretKey"),
        ({"accounts": [{"password": "x"}]}, "accounts[0].password"),
        ({"tokens": {"token": ["abc"]}}, "tokens.token[0]"),
        ({"extraEnv": {"AWS_SECRET_ACCESS_KEY": "abc"}}, "extraEnv.AWS_SECRET_ACCESS_KEY"),
        ({"env": [{"name": "DB_PASSWORD", "value": "abc"}]}, "env[0].value"),
        ({"tls": {"content": KEY}}, "tls.content"),
        ({"db": {"url": "postgresql://hub:abc@db/hub"}}, "db.url"),
        ({"x": "eyJhbGciOiJIUzI1.eyJzdWIiOiJhbGljZSJ9.c2ln"}, "x"),
    ],
)
def test_secrets(values: dict[str, Any], path: str) -> None:
    assert problems(release(values=values)) == [f"values.secret one.values.{path}"]


@pytest.mark.parametrize(
    "values",
    [
        {"existingSecret": "hub", "adminPassword": ""},
        {"auth": {"passwordSecret": "other", "passwordKey": "password"}},
        {"token_url": "https://iam.test/token", "tokenPath": "/run/token"},
        {"token": "/run/secrets/token"},
        {"password": "ref+k8s://v1/Secret/facility/reana-own/database-password"},
        {"auth": {"client_secret": "client-secret"}},
        {"env": [{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "client-secret"}}}]},
        {"imagePullSecrets": [{"name": "registry"}], "tlsSecret": "x", "secretName": "y"},
        {"automountServiceAccountToken": False, "keys": ["a"]},
    ],
)
def test_references(values: dict[str, Any]) -> None:
    assert problems(release(values=values, secrets=(MADE,))) == []


def test_a_named_secret_is_made() -> None:
    assert problems(release(values={"existingSecret": "hubb"}, secrets=(MADE,))) == ["secret.missing one.values.existingSecret"]
    elsewhere = release("two", values={"existingSecret": "hub"}, namespace="other")
    assert problems(release(secrets=(MADE,)), elsewhere) == ["secret.missing two.values.existingSecret"]


def test_a_named_secret_may_be_made_by_an_operator() -> None:
    cluster = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "db"}}
    certificate = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "c"}, "spec": {"secretName": "page"}}
    values = {"a": {"existingSecret": "db-app"}, "b": {"existingSecret": "page"}, "c": {"existingSecret": "other"}}
    assert problems(release(values=values), release("two"), two=[cluster, certificate]) == ["secret.missing one.values.c.existingSecret"]


@pytest.mark.parametrize("text", ["{{ .Values.x }}", "a {% if b %}"])
def test_template_text(text: str) -> None:
    assert problems(release(values={"a": [{"b": text}]})) == ["values.template one.values.a[0].b"]


def test_alerts_have_braces_of_their_own() -> None:
    rules = {"additionalPrometheusRulesMap": {"pool": {"annotations": {"summary": "{{ $labels.pod }} is down"}}}}
    assert problems(release(chart="kube-prometheus-stack", values=rules)) == []
    assert problems(release(values=rules)) != []
