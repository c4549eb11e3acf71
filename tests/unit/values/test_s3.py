"""Object storage on a cluster: MinIO, SeaweedFS, and a store outside."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cantiere.model import Node
from cantiere.services import jupyterhub, minio
from cantiere.tosca.compile import TemplateError
from cantiere.values import s3, seaweedfs
from cantiere.values.model import Context, Release
from support.charts import upstream
from support.further import context, held, nodes
from support.tree import REPOSITORY

HUB = "docker" + ".io"
LARGE = {"replicas": 4, "volumes_per_replica": 2, "size": "2 TiB", "memory": "16 GiB", "buckets": ["analysis", "skims"]}


def compiled(tmp_path: Path, issuers: int = 1, **properties: Any) -> tuple[Node, Context, tuple[Release, ...]]:
    others = [f"iam{number}" for number in range(2, issuers + 1)]
    templates: dict[str, Any] = {
        "store": {
            "type": s3.TYPE,
            "properties": properties,
            "requirements": [{"issuer": "iam"}, *({"issuer": name} for name in others)],
        },
        **{name: {"type": "cantiere.nodes.IAM"} for name in others},
    }
    found = nodes(tmp_path, templates)
    where = context(*found)
    store = next(node for node in found if node.name == "store")
    return store, where, s3.releases(store, where)


def test_small_store_is_one_server_with_its_own_image_and_no_secret_in_values(tmp_path: Path) -> None:
    store, _, (release,) = compiled(tmp_path)
    values = release.values
    assert (values["mode"], values["replicas"], values["drivesPerNode"]) == ("standalone", 1, 1)
    assert values["resources"] == {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    assert values["image"] == {"repository": "registry.invalid/cantiere/minio", "tag": "minio-tag"}
    assert values["mcImage"]["repository"] == "registry.invalid/cantiere/minio-client"
    assert release.images == ("minio", "minio-client")
    assert values["fullnameOverride"] == "store" and values["service"]["port"] == "9000", "as the endpoint names it"
    assert minio.endpoint(store, context(store).services) == "https://store.facility.svc.cluster.local:9000"
    assert not values["users"], "the chart's default makes a user console with a known password"
    assert "rootUser" not in values and "rootPassword" not in values
    assert not set(values["oidc"]) & {"clientSecret"}
    kept = {secret.name: {file.file for file in secret.files} for secret in release.secrets}
    assert kept == {"store": {"rootUser", "rootPassword", "openid"}, "store-tls": {"tls.crt", "tls.key"}, "store-trust": {"ca.crt"}}
    assert values["existingSecret"] == values["oidc"]["existingClientSecretName"] == "store"
    assert values["tls"]["certSecret"] == "store-tls" and values["trustedCertsSecret"] == "store-trust"


def test_large_store_is_distributed_over_its_volumes(tmp_path: Path) -> None:
    _, _, (release,) = compiled(tmp_path, **LARGE)
    values = release.values
    assert (values["mode"], values["replicas"], values["drivesPerNode"]) == ("distributed", 4, 2)
    assert values["persistence"] == {"enabled": True, "size": "2Ti", "storageClass": "standard", "accessMode": "ReadWriteOnce"}
    assert values["resources"]["requests"]["memory"] == "16Gi"
    assert values["podDisruptionBudget"]["enabled"]
    certificate = next(secret for secret in release.secrets if secret.name == "store-tls").files[0].secret
    assert "*.store-svc.facility.svc" in certificate.parameters["names"].split(","), "servers reach each other by these names"
    assert [bucket["name"] for bucket in values["buckets"]] == ["analysis", "skims"]


def test_policy_of_the_chart_is_the_policy_of_the_image(tmp_path: Path) -> None:
    store, where, (release,) = compiled(tmp_path, issuers=2, buckets=["analysis", "skims"])
    loader = FileSystemLoader(REPOSITORY / "images/minio/templates/etc/minio")
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    image = json.loads(environment.get_template("policy.json.j2").render(minio.settings(store, where.services)))["Statement"]

    def key(statement: dict[str, Any]) -> str:
        return json.dumps(statement, sort_keys=True)

    assert sorted(s3.statements(store, where), key=key) == sorted(image, key=key)
    (policy,) = release.values["policies"]
    as_made = [
        {
            "Effect": item["effect"],
            "Action": item["actions"],
            **({"Resource": item["resources"]} if "resources" in item else {}),
            **(
                {"Condition": {op: json.loads("{" + text + "}") for test in item["conditions"] for op, text in test.items()}}
                if "conditions" in item
                else {}
            ),
        }
        for item in policy["statements"]
    ]
    assert sorted(as_made, key=key) == sorted(image, key=key), "the chart puts each condition between braces"


def test_every_issuer_has_role_audience_and_a_secret_that_is_not_empty(tmp_path: Path) -> None:
    store, where, (release,) = compiled(tmp_path, issuers=3)
    environment = release.values["environment"]
    first, second, third = where.services.issuers(store)
    assert release.values["oidc"]["configUrl"].startswith(first)
    assert environment["MINIO_IDENTITY_OPENID_ROLE_POLICY"] == "users"
    for number, issuer in ((2, second), (3, third)):
        assert environment[f"MINIO_IDENTITY_OPENID_CONFIG_URL_ISSUER{number}"] == f"{issuer}/.well-known/openid-configuration"
        assert environment[f"MINIO_IDENTITY_OPENID_CLIENT_SECRET_ISSUER{number}"] == "$(MINIO_IDENTITY_OPENID_CLIENT_SECRET)"
        client = environment[f"MINIO_IDENTITY_OPENID_CLIENT_ID_ISSUER{number}"]
        assert minio.role(store, where.services, issuer) == minio.role_arn(client)
    clients = [value for key, value in environment.items() if "CLIENT_ID" in key] + [release.values["oidc"]["clientId"]]
    assert len(set(clients)) == 3, "MinIO refuses two issuers with one client identifier"


def test_only_pods_with_the_label_reach_the_store(tmp_path: Path) -> None:
    store, _, (release,) = compiled(tmp_path)
    policy = dict(release.values["networkPolicy"])
    out = policy.pop("egress")
    assert policy == {"enabled": True, "flavor": "kubernetes", "allowExternal": False}
    ports = {(item["port"], item["protocol"]) for item in out["ports"]}
    assert {(53, "UDP"), (53, "TCP")} <= ports, "else the chart's own job finds no names"
    assert {(9000, "TCP"), (8443, "TCP"), (443, "TCP")} <= ports and out["enabled"]
    (link,) = release.links
    assert link.source == s3.client_label(store) == {"store-client": "true"}
    assert link.target == {"app": "store", "release": "store"} and link.port == 9000
    assert release.values["nameOverride"] == "store", "the chart makes the label of clients from it"
    assert release.values["podLabels"] == link.source, "servers and the chart's job are clients too"


@pytest.mark.parametrize("properties", [{}, LARGE], ids=["small", "large"])
def test_seaweedfs_values_are_the_charts(tmp_path: Path, properties: dict[str, Any]) -> None:
    _, where, (release,) = compiled(tmp_path, issuers=2, driver="seaweedfs", **properties)
    chart = upstream("seaweedfs")
    assert held([release], where) == []
    wrong = replace(release, values=dict(release.values, volume={"replica": 1}))
    assert held([wrong], where), "a key that the chart does not have is told"
    for component in ("master", "volume", "filer", "s3"):
        unknown = set(release.values[component]) - set((chart.values or {})[component]) - {"credentials", "createBuckets"}
        assert not unknown, f"{component}: {unknown}"


def test_seaweedfs_keeps_nothing_on_nodes_and_its_text_is_no_template(tmp_path: Path) -> None:
    store, where, (release,) = compiled(tmp_path, driver="seaweedfs", **LARGE)
    text = yaml.safe_dump(dict(release.values))
    assert "hostPath" not in text and "{{" not in text
    assert len(release.values["volume"]["dataDirs"]) == 2
    assert release.values["master"]["replicas"] == 3 and release.values["global"]["seaweedfs"]["enableReplication"]
    assert "cert-manager" in release.needs
    for key in ("extraVolumes", "extraVolumeMounts"):
        assert release.values["s3"][key].startswith("- "), "the chart puts it after a block sequence of its own"
    (writer,) = yaml.safe_load(release.values["s3"]["initContainers"])
    config = json.loads(writer["env"][0]["value"])
    assert config == seaweedfs.iam_config(store, where)
    assert "signingKey" not in config["sts"], "it comes from the Secret"
    assert release.values["s3"]["extraEnvironmentVars"]["WEED_JWT_FILER_SIGNING_KEY"] == {
        "secretKeyRef": {"name": "store", "key": "signing-key"}
    }
    assert config["roles"][0]["roleArn"] == minio.role(store, where.services, where.services.issuers(store)[0])
    keys = {file.file for secret in release.secrets if secret.name == "store" for file in secret.files}
    for identity in release.values["s3"]["credentials"].values():
        assert {identity["accessKeyKey"], identity["secretKeyKey"]} <= keys


def test_seaweedfs_roles_are_for_their_own_issuer_alone(tmp_path: Path) -> None:
    store, where, _ = compiled(tmp_path, issuers=2, driver="seaweedfs")
    config = seaweedfs.iam_config(store, where)
    for number, issuer in enumerate(where.services.issuers(store), 1):
        (policy,) = [item for item in config["policies"] if item["name"] == f"users-{number}"]
        asked = {statement["Condition"]["StringEquals"]["jwt:iss"] for statement in policy["document"]["Statement"]}
        assert asked == {issuer}
        (role,) = [item for item in config["roles"] if item["roleName"] == f"users-{number}"]
        (trust,) = role["trustPolicy"]["Statement"]
        (provider,) = [item for item in config["providers"] if item["name"] == trust["Principal"]["Federated"]]
        assert provider["config"]["issuer"] == issuer


def test_outside_store_has_no_release_and_keeps_the_contract(tmp_path: Path) -> None:
    outside = {"driver": "external", "endpoint": "https://s3.example.org/", "role_arn": "arn:aws:iam::1:role/cms"}
    store, where, releases = compiled(tmp_path, **outside, access_key="env:KEY", secret_key="env:SECRET")
    assert releases == ()
    assert minio.endpoint(store, where.services) == "https://s3.example.org"
    assert minio.role(store, where.services, where.services.issuers(store)[0]) == "arn:aws:iam::1:role/cms"
    assert [file.secret.source for file in s3.credentials(store, "backup").files] == ["env:KEY", "env:SECRET"]
    assert minio.containers(store, where.services) == ()
    hub = Node("hub", jupyterhub.TYPE, {}, {"issuer": ("iam",), "store": ("store",)}, store.where)
    assert jupyterhub.environment(hub, context(*where.facility.nodes, hub).services)["S3_ENDPOINT"] == "https://s3.example.org"


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"image": f"{HUB}/minio/minio:RELEASE.2025-09-07"}, "image.forbidden"),
        ({"image": "minio/minio:RELEASE.2025-09-07"}, "image.forbidden"),
        ({"client_image": f"index.{HUB}/minio/mc:1"}, "image.forbidden"),
        ({"image": "registry.example.org/silo"}, "image.tag"),
        ({"image": "registry.example.org/silo:latest"}, "image.tag"),
        ({"replicas": 3}, "store.replicas"),
        ({"volumes_per_replica": 4}, "store.volumes_per_replica"),
        ({"driver": "external"}, "store.endpoint"),
        ({"endpoint": "https://s3.example.org"}, "store.endpoint"),
        ({"driver": "external", "endpoint": "https://s3.example.org", "access_key": "env:A"}, "store.secret_key"),
        ({"buckets": []}, "store.buckets"),
    ],
)
def test_what_cannot_be_is_told_with_a_remedy(tmp_path: Path, properties: dict[str, Any], code: str) -> None:
    store, where, _ = compiled(tmp_path, **properties)
    found = s3.check(store, where.facility)
    assert [problem.code for problem in found] == [code]
    assert found[0].remedy and found[0].where == store.where


@pytest.mark.parametrize(
    "properties", [{}, LARGE, {"replicas": 2, "volumes_per_replica": 2}, {"image": "registry.example.org:5000/silo:1"}]
)
def test_what_can_be_is_not_refused(tmp_path: Path, properties: dict[str, Any]) -> None:
    store, where, _ = compiled(tmp_path, **properties)
    assert s3.check(store, where.facility) == []


def test_one_machine_is_as_before_and_has_no_seaweedfs(tmp_path: Path) -> None:
    store, where, _ = compiled(tmp_path)
    (container,) = minio.containers(store, where.services)
    assert (container.image, container.name) == ("minio", "store")
    other, where, _ = compiled(tmp_path, driver="seaweedfs")
    with pytest.raises(Exception, match="SeaweedFS runs on a cluster only"):
        minio.containers(other, where.services)


def test_an_unknown_driver_is_refused_by_the_type(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="ceph"):
        compiled(tmp_path, driver="ceph")
