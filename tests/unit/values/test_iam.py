"""The development IAM on a cluster: where users find it, and nothing where there is another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cantiere.services import iam as services
from cantiere.values import iam
from cantiere.values.model import Context, Release
from support.further import context, nodes


def compiled(tmp_path: Path, zone: str = "site.example", ingress_class: str = "traefik", **properties: Any) -> tuple[Context, Release]:
    found = nodes(tmp_path, {"it": {"type": services.TYPE, "properties": properties}})
    where = context(*found, zone=zone, ingress_class=ingress_class)
    (release,) = iam.releases(where.facility.node("it"), where)
    return where, release


def test_an_external_iam_needs_no_release(tmp_path: Path) -> None:
    _, release = compiled(tmp_path, issuer_url="https://iam.example.org/")
    assert not release.installed and not release.secrets


def test_pages_have_the_zone_s_name_and_traefik_checks_the_certificate(tmp_path: Path) -> None:
    where, release = compiled(tmp_path)
    values = release.values
    assert values["settings"]["issuer"] == "https://it.site.example" == where.services.issuer_url(where.facility.node("it"))
    assert values["ingress"] == {
        "enabled": True,
        "host": "it.site.example",
        "className": "traefik",
        "annotations": {"cert-manager.io/cluster-issuer": "facility"},
        "tlsSecret": "it-page-tls",
        "traefikSecret": "it-ca",
    }
    assert {secret.name for secret in release.secrets} == {"it", "it-ca"}


def test_without_a_zone_the_service_s_name_is_the_issuer(tmp_path: Path) -> None:
    _, release = compiled(tmp_path, zone="")
    assert release.values["settings"]["issuer"] == "https://it.facility.svc.cluster.local:8443"
    assert release.values["ingress"] == {"enabled": False} and [secret.name for secret in release.secrets] == ["it"]


def test_nginx_is_told_to_speak_tls(tmp_path: Path) -> None:
    _, release = compiled(tmp_path, ingress_class="nginx")
    assert release.values["ingress"]["annotations"]["nginx.ingress.kubernetes.io/backend-protocol"] == "HTTPS"
    assert "traefikSecret" not in release.values["ingress"]


def test_every_secret_of_the_container_is_a_key_and_none_is_a_value(tmp_path: Path) -> None:
    where, release = compiled(tmp_path, users={"alice": ["/cms"]})
    (container,) = services.containers(where.facility.node("it"), where.services)
    assert release.secrets[0].files == container.secrets and release.values["existingSecret"] == "it"
    assert {"user-alice", "client-verify", "signing-key.pem"} <= {file.file for file in container.secrets}


def test_hubs_come_back_where_their_pages_are(tmp_path: Path) -> None:
    found = nodes(tmp_path, {"it": {"type": services.TYPE}})
    where = context(*found, zone="site.example")
    assert where.services.page_url("hub", 8000) == "https://hub.site.example"
    assert replace(where.services, zone="").page_url("hub", 8000) == "https://hub.facility.svc.cluster.local:8000"
