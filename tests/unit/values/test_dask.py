"""Dask Gateway behind the hub's log-in, and the operator of dask-kubernetes."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.values import dask
from cantiere.values.catalogue import compile_all
from support.charts import upstream
from support.further import held, one, wrong
from support.tree import REPOSITORY

HUB = {"hub": {"type": "cantiere.nodes.JupyterHub", "requirements": [{"issuer": "iam"}]}}
TRAEFIK = {"way-in": {"type": "cantiere.nodes.Ingress", "properties": {"service_type": "NodePort"}}}
LARGE = {
    "max_worker_cpus": 16,
    "max_worker_memory": "64 GiB",
    "max_workers": 500,
    "max_cluster_cpus": 4000,
    "max_cluster_memory": "16 TiB",
    "idle_timeout": "2 h",
}


def gateway(tmp_path: Path, properties: dict[str, Any] | None = None, traefik: bool = False, **facts: Any) -> Any:
    beside = HUB | (TRAEFIK if traefik else {})
    return one(tmp_path, dask.GATEWAY, properties, "dask", requirements=[{"hub": "hub"}], beside=beside, **facts)


@pytest.mark.parametrize("properties", [{}, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("traefik", [False, True], ids=["alone", "with traefik"])
def test_values_are_the_charts(tmp_path: Path, properties: dict[str, Any], traefik: bool) -> None:
    node, where, releases = gateway(tmp_path, properties, traefik)
    assert wrong(node, where) == []
    assert held(releases.values(), where) == []


def test_alone_it_brings_what_its_folder_of_definitions_has(tmp_path: Path) -> None:
    _, _, releases = gateway(tmp_path)
    (release,) = releases.values()
    assert release.crds == "install"
    brought = {f"CustomResourceDefinition/{name}" for name in upstream("dask-gateway").crds}
    assert set(release.owns) == brought


def test_beside_traefik_it_brings_its_own_definition_alone(tmp_path: Path) -> None:
    _, where, releases = gateway(tmp_path, traefik=True)
    first, release = releases.values()
    assert release.crds == "skip" and release.owns == ()
    assert first.chart == "objects" and first.owns == ("CustomResourceDefinition/daskclusters.gateway.dask.org",)
    assert {first.name, "traefik"} <= set(release.needs)
    owners = [item for found in compile_all(where) for item in found.owns]
    assert len(owners) == len(set(owners)), "two releases bring the same"
    assert "CustomResourceDefinition/ingressroutes.traefik.io" in owners, "Traefik's own release does"


def test_users_are_those_of_the_hub(tmp_path: Path) -> None:
    node, where, releases = gateway(tmp_path)
    release = releases["dask"]
    told = release.values["gateway"]["auth"]["jupyterhub"]
    (secret,) = release.secrets
    assert (told["apiTokenFromSecretName"], told["apiTokenFromSecretKey"]) == (secret.name, secret.files[0].file)
    assert secret.files[0].secret == dask.token(node), "the hub is told the same"
    assert told["jupyterhubServiceName"] == "dask-gateway", "else every token of the hub would do"
    assert "apiToken" not in told and "hub" in release.needs
    assert told["apiUrl"] == "http://hub-hub.facility.svc.cluster.local:8081/hub/api", "the Service of the hub, not of its proxy"
    assert dask.address(node, where) == "http://traefik-dask.facility.svc.cluster.local/services/dask-gateway"


def test_limits_are_a_program_of_the_templates_numbers(tmp_path: Path) -> None:
    node, _, releases = gateway(tmp_path, LARGE)
    text = dask.limits(node)
    assert releases["dask"].values["gateway"]["extraConfig"] == {"limits": text}
    ast.parse(text)
    for line in (
        "c.ClusterConfig.cluster_max_cores = 4000",
        f"c.ClusterConfig.cluster_max_memory = {16 << 40}",
        "c.ClusterConfig.cluster_max_workers = 500",
        "c.ClusterConfig.idle_timeout = 7200.0",
    ):
        assert line in text.splitlines()
    assert "max=16," in text and "max=64.0," in text


def test_schedulers_and_workers_run_an_image_of_ours(tmp_path: Path) -> None:
    _, _, releases = gateway(tmp_path)
    release = releases["dask"]
    assert release.values["gateway"]["backend"]["image"] == {"name": "registry.invalid/cantiere/analysis", "tag": "analysis-tag"}
    assert release.images == ("analysis",)
    assert release.values["traefik"]["service"]["type"] == "ClusterIP", "the chart's own default is a load balancer"


@pytest.mark.parametrize(
    ("properties", "codes"),
    [
        ({"max_worker_cpus": 64}, ["dask.cpus"]),
        ({"max_worker_memory": "80 GiB"}, ["dask.memory"]),
        ({"image": "registry.example.org/dask:latest"}, ["image.tag"]),
        ({"max_worker_cpus": 64, "enabled": False}, []),
    ],
)
def test_gateway_is_checked(tmp_path: Path, properties: dict[str, Any], codes: list[str]) -> None:
    node, where, _ = gateway(tmp_path, properties)
    assert wrong(node, where) == codes


def test_operator_watches_the_facilitys_namespace_alone(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, dask.OPERATOR, {}, "dask-operator", namespace="cms")
    (release,) = releases.values()
    assert release.values["kopfArgs"] == ["--namespace=cms"] and not release.values["rbac"]["cluster"]
    assert release.values["resources"]["limits"]["memory"] == "256Mi"
    assert "CustomResourceDefinition/daskclusters.kubernetes.dask.org" in release.owns
    assert release.chart == "dask-kubernetes-operator"


def test_the_definition_takes_what_the_charts_own_takes() -> None:
    path = REPOSITORY.parent / "shared/data/charts/dask-gateway/crds/daskclusters.yaml"
    if not path.is_file():
        pytest.skip("the shared data has no chart dask-gateway")
    theirs = yaml.safe_load(path.read_text())["spec"]
    assert dask._definition()["spec"] == theirs
