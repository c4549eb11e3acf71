"""Computations of users in pods: who may make them, where, and what these reach."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from cantiere.values import computing, jupyterhub
from support.charts import rendered
from support.further import held, one, wrong
from support.tree import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "images/jupyterhub"))
from cantiere_hub import form

BESIDE: dict[str, Any] = {
    "origin": {"type": "cantiere.nodes.XRootDOrigin", "requirements": [{"issuer": "iam"}]},
    "cache": {"type": "cantiere.nodes.XRootDCache", "requirements": [{"issuer": "iam"}, {"source": "origin"}]},
    "store": {"type": "cantiere.nodes.ObjectStore", "requirements": [{"issuer": "iam"}]},
    "hub": {"type": "cantiere.nodes.JupyterHub", "requirements": [{"issuer": "iam"}, {"cache": "cache"}, {"store": "store"}]},
}
SMALL = {"max_cpus": 2, "max_memory": "4 GiB", "max_pods": 8, "pod_memory": "768 MiB", "reserved_cpus": 0.1}
HUB = [{"hub": "hub"}]


def compiled(tmp_path: Path, properties: dict[str, Any] | None = None, **more: Any) -> Any:
    return one(tmp_path, computing.TYPE, properties, "compute", requirements=HUB, beside=BESIDE | more)


def objects(tmp_path: Path, properties: dict[str, Any] | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    """Kind and name to what the chart makes."""
    _, where, releases = compiled(tmp_path, properties)
    return {(item["kind"], item["metadata"]["name"]): item for item in rendered(releases["compute"], where)}


@pytest.mark.parametrize("properties", [{}, SMALL], ids=["plain", "small"])
def test_values_are_the_chart_s(tmp_path: Path, properties: dict[str, Any]) -> None:
    node, where, releases = compiled(tmp_path, properties)
    assert wrong(node, where) == []
    assert held(releases.values(), where) == []
    (release,) = releases.values()
    assert (release.namespace, release.pod_security) == ("facility-compute", "restricted")


def test_the_role_is_pods_of_one_namespace_and_no_more(tmp_path: Path) -> None:
    made = objects(tmp_path)
    role = made["Role", "compute"]
    allowed = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert {resource for resource, _ in allowed} == {"pods", "pods/log", "configmaps"}
    assert {verb for resource, verb in allowed if resource == "pods/log"} == {"get"}
    assert ("pods", "create") in allowed and ("pods", "deletecollection") in allowed
    binding = made["RoleBinding", "compute"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "hub-computing", "namespace": "facility"}]
    assert made["ServiceAccount", "hub-computing"]["metadata"]["namespace"] == "facility"
    spaces = {item["metadata"]["namespace"] for kind, item in ((key[0], item) for key, item in made.items()) if kind.startswith("Role")}
    assert spaces == {"facility-compute"}
    assert not {"ClusterRole", "ClusterRoleBinding", "Secret"} & {kind for kind, _ in made}


def test_the_namespace_has_limits(tmp_path: Path) -> None:
    made = objects(tmp_path, SMALL)
    hard = made["ResourceQuota", "compute"]["spec"]["hard"]
    assert {key: hard[key] for key in ("requests.cpu", "limits.memory", "pods", "services.nodeports")} == {
        "requests.cpu": "2",
        "limits.memory": "4Gi",
        "pods": "8",
        "services.nodeports": "0",
    }
    (limit,) = made["LimitRange", "compute"]["spec"]["limits"]
    assert limit["defaultRequest"] == {"cpu": 0.1, "memory": "768Mi"} and limit["default"] == {"memory": "768Mi"}
    assert made["ResourceQuota", "compute-priority"]["spec"]["hard"] == {"pods": "0"}


def test_policies_join_pods_with_the_notebooks_that_may_make_them(tmp_path: Path) -> None:
    made = objects(tmp_path)
    policies = {name: item["spec"] for (kind, name), item in made.items() if kind == "NetworkPolicy"}
    assert set(policies) == {"compute", "compute-notebooks", "compute-cache", "compute-store"}
    notebooks = policies["compute-notebooks"]
    assert notebooks["podSelector"]["matchLabels"] == {"component": "singleuser-server", computing.LABEL: "true"}
    (way_in,) = notebooks["ingress"]
    assert [port["port"] for port in way_in["ports"]] == list(computing.NOTEBOOK_PORTS)
    assert way_in["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "facility-compute"}}}]
    # a policy shuts out whom it does not name
    (store,) = policies["compute-store"]["ingress"]
    assert {"podSelector": {"matchLabels": {"store-client": "true"}}} in store["from"]
    (cache,) = policies["compute-cache"]["ingress"]
    assert {"podSelector": {}} in cache["from"]
    outside = {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(computing.PRIVATE)}}
    assert [outside] in [rule.get("to") for rule in policies["compute"]["egress"]]


@pytest.mark.parametrize(
    ("properties", "codes"),
    [
        ({"images": []}, ["computing.images"]),
        ({"images": [{"title": "Odd", "image": "not/a reference"}]}, ["computing.image"]),
        ({"groups": ["cms"]}, ["computing.groups"]),
        ({"pod_memory": "8 GiB", "max_memory": "4 GiB"}, ["computing.memory"]),
        ({"reserved_cpus": 4, "max_cpus": 2}, ["computing.cpus"]),
        ({"enabled": False, "images": []}, []),
    ],
)
def test_it_is_checked(tmp_path: Path, properties: dict[str, Any], codes: list[str]) -> None:
    node, where, _ = compiled(tmp_path, properties)
    assert wrong(node, where) == codes


def test_there_is_one_for_a_facility(tmp_path: Path) -> None:
    _, where, _ = compiled(tmp_path, {}, other={"type": computing.TYPE, "requirements": HUB})
    found = {node.name: wrong(node, where) for node in where.facility.of_type(computing.TYPE)}
    assert sorted(found.values()) == [[], ["computing.several"]]


def settings(tmp_path: Path, **properties: Any) -> dict[str, Any]:
    _, where, _ = compiled(tmp_path, properties)
    return jupyterhub.settings(where.facility.node("hub"), where)


def test_the_spawn_page_offers_its_images_after_the_hub_s(tmp_path: Path) -> None:
    told = settings(tmp_path)
    assert told["titles"] == ["Analysis (coffea)", "Spark and Dask"]
    assert [image.rpartition("/")[2] for image in told["notebooks"]["images"]] == ["analysis:analysis-tag", "spark:spark-tag"]
    twice = settings(tmp_path, images=[{"title": "The same", "image": "analysis"}])
    assert twice["titles"] == ["Analysis (coffea)"] and len(twice["computing"]["images"]) == 1
    off = settings(tmp_path, enabled=False)
    assert off["titles"] == ["Analysis (coffea)"] and "computing" not in off


def test_only_servers_with_such_an_image_get_the_account(tmp_path: Path) -> None:
    told = settings(tmp_path, groups=["/cms"])
    plain, spark = told["notebooks"]["images"]
    offer = form.Limits({plain: "Analysis", spark: "Spark"}, "", 2, 4 << 30, 0, image_groups=form.image_groups(told))
    member, outsider = offer.of(["/cms"]), offer.of(["/atlas"])
    assert list(member.images) == [plain, spark] and list(outsider.images) == [plain]
    chosen = {image: form.computing(form.choose({"image": image}, member), member, told) for image in (plain, spark)}
    assert chosen[plain] == {"account": None, "labels": {}, "environment": {}}
    assert chosen[spark]["account"] == "hub-computing" and chosen[spark]["labels"] == {computing.LABEL: "true"}
    assert chosen[spark]["environment"]["CANTIERE_COMPUTE_NAMESPACE"] == "facility-compute"
    # who is in no such group may type the image's name in, and has an ordinary notebook of it
    typed = form.Choice(spark, 1, 1 << 30, 0)
    assert form.computing(typed, outsider, told)["account"] is None
