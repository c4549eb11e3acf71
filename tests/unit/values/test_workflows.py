"""REANA, Rucio and virtual nodes of interLink."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.values import interlink, jupyterhub, reana, rucio
from cantiere.values.model import Release
from support.charts import upstream
from support.further import held, one, wrong

REANA = {"admin_email": "admin@example.org"}
REANA_LARGE = REANA | {"size": "20 TB", "max_workflows": 300, "job_memory": "16 GiB", "confirm_addresses": True}
FTS = {"transfer_servers": ["https://fts.example.org:8446"]}
RUCIO_LARGE = FTS | {
    "servers": 8,
    "database_replicas": 3,
    "database_size": "1 TiB",
    "image_tag": "release-38.0.0",
    "init_image": "registry.example.org/rucio-init:release-38.0.0",
    "daemons": {"reaper": 10, "conveyorPoller": 4, "conveyorTransferSubmitter": 8, "hermes": 2},
}
REMOTE = {
    "address": "https://edge.example.org",
    "virtual_node_image": "registry.example.org/virtual-kubelet:0.6.0",
    "token_url": "https://iam.example.org/token",
    "client_id": "facility",
    "client_secret": "vault:interlink",
    "audience": "edge",
}
REMOTE_LARGE = REMOTE | {"cpus": 5000, "memory": "20 TiB", "pods": 2000, "gpus": {"nvidia.com/gpu": 64}, "refresh_token": "env:REFRESH"}


@pytest.mark.parametrize("properties", [REANA, REANA_LARGE], ids=["small", "large"])
def test_reana_values_are_the_charts(tmp_path: Path, properties: dict[str, Any]) -> None:
    node, where, releases = one(tmp_path, reana.TYPE, properties, "reana")
    assert wrong(node, where) == []
    assert held(releases.values(), where) == []
    defaults = upstream("reana").values or {}
    unknown = set(releases["reana"].values) - defaults.keys()
    assert unknown == {"fullnameOverride", "kubernetes_jobs_memory_limit"}, "read by its templates, and shown nowhere"
    assert set(releases["reana"].values["components"]["reana_server"]) <= defaults["components"]["reana_server"].keys()
    assert set(releases["reana"].values["shared_storage"]) <= defaults["shared_storage"].keys()


def test_reana_brings_no_ingress_controller_and_shares_its_volume(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, reana.TYPE, REANA_LARGE, "reana")
    values = releases["reana"].values
    assert values["traefik"]["enabled"] is False
    assert values["ingress"]["tls"] == {"self_signed_cert": False, "secret_name": "reana-page-tls", "hosts": ["reana.facility.invalid"]}
    assert values["shared_storage"]["storage_class_name"] == "shared"
    assert values["shared_storage"]["volume_size"] == 20000, "the chart counts in units of 10^9 bytes"
    assert values["shared_storage"]["backend"] != "hostpath"


def test_reana_needs_a_class_for_volumes_of_many_pods(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="ReadWriteMany"):
        one(tmp_path, reana.TYPE, REANA, "reana", shared_storage_class="")


def test_reanas_secrets_are_references_that_are_there(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, reana.TYPE, REANA, "reana")
    release = releases["reana"]
    (secret,) = release.secrets
    kept = {f"ref+k8s://v1/Secret/facility/{secret.name}/{file.file}" for file in secret.files}
    asked = {value for part in release.values["secrets"].values() for value in part.values() if value != reana.USER}
    assert len(asked) == 4 and asked < kept


def test_reanas_first_administrator_is_made_by_a_job_that_may_run_again(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, reana.TYPE, REANA, "reana")
    after = releases["reana-admin"]
    assert after.needs == ("reana",)
    pod = after.values["objects"]["administrator"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {item["name"]: item for item in container["env"]}
    assert variables["ADMIN_EMAIL"]["value"] == "admin@example.org"
    kept = {file.file for secret in releases["reana"].secrets for file in secret.files}
    asked = [item["valueFrom"]["secretKeyRef"]["key"] for item in container["env"] if "valueFrom" in item]
    assert "admin-password" in asked and set(asked) <= kept
    assert '"$ADMIN_PASSWORD"' in container["command"][2] and "user-list" in container["command"][2]
    assert container["image"] == releases["reana"].values["components"]["reana_server"]["image"]
    assert pod["automountServiceAccountToken"] is False


def test_reana_has_room_for_short_names_alone(tmp_path: Path) -> None:
    node, where, _ = one(tmp_path, reana.TYPE, REANA, "reproducible-analyses")
    assert wrong(node, where) == ["reana.name"]


@pytest.mark.parametrize("properties", [FTS, RUCIO_LARGE], ids=["small", "large"])
def test_rucio_values_are_the_charts(tmp_path: Path, properties: dict[str, Any]) -> None:
    node, where, releases = one(tmp_path, rucio.TYPE, properties, "rucio")
    assert wrong(node, where) == []
    assert held(releases.values(), where) == []
    for release in releases.values():
        if release.chart.startswith("rucio-"):
            defaults = upstream(release.chart).values or {}
            assert set(release.values) <= defaults.keys(), release.name


def test_rucios_daemons_are_those_of_the_chart() -> None:
    defaults = upstream("rucio-daemons").values or {}
    assert {f"{daemon}Count" for daemon in rucio.DAEMONS} == {key for key in defaults if key.endswith("Count")}


def connection(release: Release) -> dict[str, Any]:
    (found,) = [item for item in release.values["additionalEnvs"] if item["name"] == "RUCIO_CFG_DATABASE_DEFAULT"]
    reference: dict[str, Any] = found["valueFrom"]["secretKeyRef"]
    return reference


def test_rucio_reads_its_database_from_a_secret_and_waits_for_it(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, rucio.TYPE, FTS, "rucio")
    parts = [release for release in releases.values() if release.chart.startswith("rucio-")]
    assert [release.name for release in parts] == ["rucio-api", "rucio-auth", "rucio-daemons", "rucio-web"]
    assert all(connection(release) == {"name": "rucio-db-app", "key": "uri"} for release in parts)
    assert "rucio-db" in releases["rucio-api"].needs
    assert {"rucio-api", "rucio-auth"} <= set(releases["rucio-daemons"].needs)
    assert releases["rucio-auth"].values["serverType"] == "auth"
    assert not any("default" in release.values["config"]["database"] for release in parts)


def test_rucios_outside_database_is_a_reference(tmp_path: Path) -> None:
    told = FTS | {"database": "external", "database_url": "vault:rucio-database"}
    node, where, releases = one(tmp_path, rucio.TYPE, told, "rucio")
    assert wrong(node, where) == [] and held(releases.values(), where) == []
    assert not any(release.chart == "cloudnative-pg" for release in releases.values())
    reference = connection(releases["rucio-api"])
    files = {file.file: file.secret.source for secret in releases["rucio-api"].secrets for file in secret.files}
    assert files[reference["key"]] == "vault:rucio-database"


def test_rucios_schema_comes_before_its_servers_where_an_image_makes_it(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, rucio.TYPE, RUCIO_LARGE, "rucio")
    assert "rucio-init" in releases["rucio-api"].needs and "rucio-db" in releases["rucio-init"].needs
    assert releases["rucio-daemons"].values["reaperCount"] == 10
    assert releases["rucio-daemons"].values["undertakerCount"] == 0, "what is left out does not run"
    assert releases["rucio-daemons"].values["config"]["conveyor"]["ftshosts"] == "https://fts.example.org:8446"
    assert releases["rucio-api"].values["image"]["tag"] == "release-38.0.0"


def test_rucios_page_finds_its_servers(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, rucio.TYPE, FTS, "rucio")
    proxy = releases["rucio-web"].values["proxy"]
    assert [proxy["rucioProxy"]] == releases["rucio-api"].values["ingress"]["hosts"]
    assert [proxy["rucioAuthProxy"]] == releases["rucio-auth"].values["ingress"]["hosts"]
    service = releases["rucio-web"].values["service"]
    assert not service["allocateLoadBalancerNodePorts"], "the API server refuses it on a Service of type ClusterIP"
    _, _, without = one(tmp_path, rucio.TYPE, FTS | {"web": False}, "rucio")
    assert not without["rucio-web"].installed and without["rucio-api"].installed


def test_rucio_runs_no_image_without_a_version(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, rucio.TYPE, FTS, "rucio")
    for name in ("rucio-api", "rucio-auth", "rucio-web"):
        assert releases[name].values["exposeErrorLogs"] is False, "else the chart runs busybox as it is today"


@pytest.mark.parametrize(
    ("properties", "codes"),
    [
        ({}, ["rucio.transfer_servers"]),
        ({"daemons": {"reaper": 1}}, []),
        ({"daemons": {"repaer": 1}}, ["rucio.daemons"]),
        (FTS | {"database": "external"}, ["rucio.database_url"]),
        (FTS | {"database_url": "env:URL"}, ["rucio.database"]),
        (FTS | {"init_image": "rucio/rucio-init"}, ["image.tag"]),
    ],
)
def test_rucio_is_checked(tmp_path: Path, properties: dict[str, Any], codes: list[str]) -> None:
    node, where, _ = one(tmp_path, rucio.TYPE, properties, "rucio")
    assert wrong(node, where) == codes


@pytest.mark.parametrize("properties", [REMOTE, REMOTE_LARGE], ids=["small", "large"])
def test_interlink_values_are_the_charts(tmp_path: Path, properties: dict[str, Any]) -> None:
    node, where, releases = one(tmp_path, interlink.TYPE, properties, "edge")
    assert wrong(node, where) == []
    assert held(releases.values(), where) == []


def test_interlink_is_secure_and_pinned(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, interlink.TYPE, REMOTE_LARGE, "edge")
    values = releases["edge"].values
    assert values["virtualNode"]["HTTP"]["insecure"] is False and values["virtualNode"]["kubeletHTTP"]["insecure"] is False
    assert not values["virtualNode"]["network"]["enableTunnel"], "else pods fetch a program as they start"
    images = [values["virtualNode"]["image"], values["OAUTH"]["image"]]
    assert all(":" in image and not image.endswith(":latest") for image in images)
    assert images[1] == "registry.invalid/cantiere/interlink-token:interlink-token-tag"
    assert values["virtualNode"]["resources"]["accelerators"] == [{"resourceType": "nvidia.com/gpu", "model": "any", "available": 64}]
    assert values["virtualNode"]["resources"]["memGiB"] == 20480


def test_interlinks_secrets_are_files_of_its_own_secret(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, interlink.TYPE, REMOTE_LARGE, "edge")
    release = releases["edge"]
    (secret,) = release.secrets
    assert {file.file for file in secret.files} == {"client-secret", "refresh-token", "ca.crt"}
    (volume,) = release.values["extraVolumes"]
    assert volume["secret"]["secretName"] == secret.name
    assert release.values["OAUTH"]["extraVolumeMounts"][0]["name"] == volume["name"]
    assert release.values["OAUTH"]["GrantType"] == "authorization_code"
    text = yaml.safe_dump(dict(release.values["OAUTH"]))
    assert "vault:" not in text and "REFRESH" not in text
    _, _, without = one(tmp_path, interlink.TYPE, REMOTE, "edge")
    assert without["edge"].values["OAUTH"]["GrantType"] == "client_credentials"


@pytest.mark.parametrize("image", ["registry.example.org/kubelet:latest", "registry.example.org/kubelet", "kubelet"])
def test_interlink_is_checked(tmp_path: Path, image: str) -> None:
    node, where, _ = one(tmp_path, interlink.TYPE, REMOTE | {"virtual_node_image": image}, "edge")
    assert {code.rpartition(".")[0] for code in wrong(node, where)} <= {"image", "interlink"} and wrong(node, where)


@pytest.mark.parametrize("enabled", [True, False])
def test_notebooks_know_the_servers_of_the_template(tmp_path: Path, enabled: bool) -> None:
    told = {"images": [{"title": "Analysis", "image": "lab-extensions"}], "lab_extensions": {"zenodo": True}}
    beside = {
        "rucio": {"type": rucio.TYPE, "properties": FTS | {"web": False, "enabled": enabled}},
        "reana": {"type": reana.TYPE, "properties": REANA | {"enabled": enabled}},
    }
    requirements = [{"issuer": "iam"}, {"catalogue": "rucio"}, {"workflows": "reana"}]
    node, where, releases = one(tmp_path, jupyterhub.TYPE, told, "hub", requirements=requirements, beside=beside, zone="site.example")
    assert wrong(node, where) == []
    found = jupyterhub.settings(node, where)["environment"]
    names = ("CANTIERE_LAB_EXTENSIONS", "RUCIO_BASE_URL", "RUCIO_AUTH_URL", "RUCIO_WEBUI_URL", "REANA_SERVER_URL")
    known = ("rucio,reana,zenodo", "https://rucio-api.site.example", "https://rucio-auth.site.example", None, "https://reana.site.example")
    assert tuple(map(found.get, names)) == (known if enabled else ("zenodo", None, None, None, None))
    assert "lab-extensions" in releases["hub"].images
