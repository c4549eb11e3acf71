"""The object store's container, its role names and its policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cantiere.services import minio
from unit.services.samples_identity import facts, iam_node


def test_role_arn_is_what_the_server_makes_of_its_client_identifier() -> None:
    # as the server's log gives it for this client identifier
    assert minio.role_arn() == "arn:minio:iam:::role/qyWD2bXtyJ_8G9-lMtHHslUo5Y4"


def test_settings_name_endpoint_buckets_and_issuers() -> None:
    first, second = iam_node(), iam_node("other", issuer_url="https://iam.example.org/cms")
    where = facts(first, second)
    told = minio.settings(where.facility.node("store"), where)
    assert told["endpoint"] == "https://store.here.internal:9000"
    assert told["buckets"] == ["analysis", "results"]
    assert [issuer["client_id"] for issuer in told["issuers"]] == [
        "https://wlcg.cern.ch/jwt/v1/any",
        "https://store.here.internal:9000/iam.example.org/cms",
    ]
    assert told["issuers"][0]["role_arn"] == minio.role_arn()
    assert json.loads(json.dumps(told)) == told


def test_container_waits_for_issuers_that_run_here() -> None:
    first, second = iam_node(), iam_node("other", issuer_url="https://iam.example.org/cms")
    where = facts(first, second)
    (container,) = minio.containers(where.facility.node("store"), where)
    assert container.needs == ("iam",)
    assert {item.file: item.secret.name for item in container.secrets} == {
        "ca.pem": "facility-ca",
        "hostcert.pem": "host-store",
        "hostkey.pem": "host-store",
        "root-user": "store-root-user",
        "root-password": "store-root-password",
        "openid": "store-openid",
    }
    assert [mount.source for mount in container.mounts] == ["store-data"]


def rendered(repository: Path, file: str, *iams: Any) -> str:
    where = facts(*iams)
    loader = FileSystemLoader(repository / "images/minio/templates/etc/minio")
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(file).render(minio.settings(where.facility.node("store"), where))


def test_policy_confines_each_issuers_users_to_their_own_prefix(repository: Path) -> None:
    policy = json.loads(rendered(repository, "policy.json.j2", iam_node(), iam_node("iam2")))
    *allowed, denied = policy["Statement"]
    assert denied["Effect"] == "Deny"
    issuers = {"https://iam.here.internal:8443": "", "https://iam2.here.internal:8443": "issuer2/"}
    for statement in allowed:
        prefix = issuers[statement["Condition"]["StringEquals"]["jwt:iss"]]
        (resource,) = statement["Resource"]
        if "s3:GetObject" in statement["Action"]:
            assert resource.endswith(f"/{prefix}${{jwt:sub}}/*")
        else:
            assert resource.removeprefix("arn:aws:s3:::") in ("analysis", "results")
        if "s3:ListBucket" in statement["Action"]:
            assert statement["Condition"]["StringLike"] == {"s3:prefix": f"{prefix}${{jwt:sub}}/*"}


def test_environment_gives_every_issuer_a_client_secret(repository: Path) -> None:
    lines = rendered(repository, "environment.j2", iam_node(), iam_node("iam2")).splitlines()
    for suffix in ("", "_ISSUER2"):
        assert f"MINIO_IDENTITY_OPENID_CLIENT_SECRET{suffix}=$(cat /run/minio/openid)" in lines
        assert f"MINIO_IDENTITY_OPENID_ROLE_POLICY{suffix}=users" in lines
