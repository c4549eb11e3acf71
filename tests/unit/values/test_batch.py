"""The Spark operator and Kueue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cantiere.values import kueue, spark
from support.charts import upstream
from support.further import held, one, wrong

MONITORING = {"monitoring": {"type": "cantiere.nodes.Monitoring"}}


@pytest.mark.parametrize("properties", [{}, {"replicas": 3, "namespaces": ["cms", "atlas"]}], ids=["small", "large"])
def test_spark_values_are_the_charts(tmp_path: Path, properties: dict[str, Any]) -> None:
    node, where, releases = one(tmp_path, spark.TYPE, properties, "spark", beside=MONITORING)
    assert wrong(node, where) == []
    assert held(releases.values(), where) == []
    (release,) = releases.values()
    brought = {f"CustomResourceDefinition/{name}" for name in upstream("spark-operator").crds}
    assert set(release.owns) == brought


def test_spark_runs_applications_where_the_template_says(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, spark.TYPE, {}, "spark")
    (release,) = releases.values()
    assert release.values["spark"]["jobNamespaces"] == ["facility"], "the chart's own default is a namespace that is nobody's"
    assert release.namespace == "spark-operator"
    assert not release.values["prometheus"]["podMonitor"]["create"], "nothing here knows PodMonitors"
    assert release.values["controller"]["resources"]["limits"]["memory"] == "300Mi"


def test_spark_is_watched_where_prometheus_is(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, spark.TYPE, {"replicas": 2}, "spark", beside=MONITORING)
    (release,) = releases.values()
    assert release.values["prometheus"]["podMonitor"]["create"]
    assert release.values["webhook"]["podDisruptionBudget"]["enable"]


@pytest.mark.parametrize(
    ("namespaces", "codes"),
    [(["cms", "cms"], ["spark.namespaces"]), (["spark-operator"], ["spark.namespace"]), (["cms", "atlas"], [])],
)
def test_spark_is_checked(tmp_path: Path, namespaces: list[str], codes: list[str]) -> None:
    node, where, _ = one(tmp_path, spark.TYPE, {"namespaces": namespaces}, "spark")
    assert wrong(node, where) == codes


LARGE = {"cpus": 1001, "memory": "4 TiB", "gpus": {"nvidia.com/gpu": 9}, "pools": ["worker", "gpu"]}
POOLS = {"worker": {"type": "cantiere.nodes.MachinePool"}, "gpu": {"type": "cantiere.nodes.MachinePool"}}


def test_kueue_comes_before_its_queue_and_manages_jobs_alone(tmp_path: Path) -> None:
    node, where, releases = one(tmp_path, kueue.TYPE, {}, "kueue")
    assert wrong(node, where) == []
    first, second = releases.values()
    assert (first.chart, second.chart, second.needs) == ("kueue", "objects", ("kueue",))
    configuration = yaml.safe_load(first.values["managerConfig"]["controllerManagerConfigYaml"])
    assert configuration["integrations"]["frameworks"] == ["batch/job"], "pods of the facility's own services stay out of it"
    assert configuration["manageJobsWithoutQueueName"] is False
    assert "APIService/v1beta1.visibility.kueue.x-k8s.io" in first.owns
    assert held(releases.values(), where) == []


def test_queue_has_the_quota(tmp_path: Path) -> None:
    _, _, releases = one(tmp_path, kueue.TYPE, {}, "kueue")
    objects = releases["kueue-queues"].values["objects"]
    (group,) = objects["cluster-queue"]["spec"]["resourceGroups"]
    assert group["coveredResources"] == ["cpu", "memory"]
    (flavour,) = group["flavors"]
    assert flavour["resources"] == [{"name": "cpu", "nominalQuota": "8"}, {"name": "memory", "nominalQuota": "32Gi"}]
    assert objects["flavour-any"]["metadata"]["name"] == flavour["name"]
    assert objects["queue"]["spec"]["clusterQueue"] == objects["cluster-queue"]["metadata"]["name"] == "facility"


def test_pools_share_the_quota_and_lose_nothing(tmp_path: Path) -> None:
    node, where, releases = one(tmp_path, kueue.TYPE, LARGE, "kueue", beside=POOLS)
    assert wrong(node, where) == []
    (group,) = releases["kueue-queues"].values["objects"]["cluster-queue"]["spec"]["resourceGroups"]
    shares: dict[str, list[str]] = {}
    for flavour in group["flavors"]:
        for item in flavour["resources"]:
            shares.setdefault(item["name"], []).append(item["nominalQuota"])
    assert shares == {"cpu": ["501", "500"], "memory": ["2Ti", "2Ti"], "nvidia.com/gpu": ["5", "4"]}
    labels = [item["spec"]["nodeLabels"] for item in kueue.objects(node).values() if item["kind"] == "ResourceFlavor"]
    assert labels == [{"cantiere.io/pool": "worker"}, {"cantiere.io/pool": "gpu"}]


def test_kueue_is_checked(tmp_path: Path) -> None:
    second = {"other": {"type": kueue.TYPE}}
    node, where, _ = one(tmp_path, kueue.TYPE, {"pools": ["worker", "wroker"]}, "kueue", beside=POOLS | second)
    assert "kueue.pools" in wrong(node, where)
    both = [*wrong(node, where), *wrong(where.facility.node("other"), where)]
    assert both.count("kueue.several") == 1
