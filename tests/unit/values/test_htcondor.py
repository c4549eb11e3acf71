"""The pool's release: settings by role, classes of execute pods, secrets, policies."""

from __future__ import annotations

from typing import Any

import pytest

from cantiere.errors import Location
from cantiere.machines.model import POOL, PREEMPTIBLE
from cantiere.model import Facility, Node
from cantiere.services import dask, htcondor, iam
from cantiere.services.facts import Facts
from cantiere.values import htcondor as pools
from cantiere.values import monitoring_pool
from cantiere.values.model import PLACEHOLDER, Context, Release
from unit.services.samples_pool import facts as sample_facts
from unit.services.samples_pool import monitoring_node, pool_node

DOMAIN = "facility.svc.cluster.local"
TAGS = {"htcondor": "1", "worker": "2", "worker-apptainer": "4", "condor-exporter": "3"}
GPU = {"name": "gpu", "cpus": 8, "memory": 64 << 30, "gpus": 2, "scaling": {"style": "keda", "min": 0, "max": 4, "cooldown": 120.0}}


def context(*nodes: Node) -> Context:
    facility = sample_facts(*nodes).facility
    return Context(facility, PLACEHOLDER, Facts(facility, DOMAIN, {"cvmfs": "/cvmfs"}, "", "", "", {}), "facility", TAGS)


def release(pool: Node, *others: Node) -> Release:
    (found,) = pools.releases(pool, context(pool, *others))
    return found


def classes(pool: Node, *others: Node) -> dict[str, Any]:
    return {one["name"]: one for one in release(pool, *others).values["execute"]["classes"]}


def test_the_settings_are_those_of_one_machine_and_what_a_pod_needs() -> None:
    pool = pool_node()
    known = context(pool)
    values = release(pool).values
    alone = htcondor.settings(pool, known.services, "access-point")
    assert {key: value for key, value in values["accessPoint"]["settings"].items() if key != "pod"} == alone
    assert alone["schedd_name"] == f"pool-ap.{DOMAIN}"
    assert values["accessPoint"]["settings"]["pod"] == {
        "hostname": f"pool-ap.{DOMAIN}",
        "private_network": "pool.facility",
        "forwarding_host": "",
    }
    assert values["centralManager"]["settings"]["identities"]["central_manager"] == f"$(LOCAL_ADMINISTRATORS), pool-cm@{DOMAIN}"
    assert values["accessPoint"]["settings"]["identities"]["central_manager"] == f"pool-cm@{DOMAIN}"


def test_workers_that_do_not_scale_are_as_many_as_on_one_machine() -> None:
    (one,) = classes(pool_node(workers=7)).values()
    assert (one["style"], one["autoscaling"]["min"], one["settings"]["cpus"], one["settings"]["memory"]) == ("fixed", 7, 1, 2048)
    assert one["image"] == {"repository": f"{PLACEHOLDER.registry}/worker", "tag": "2"}


def test_jobs_run_on_machines_that_may_vanish_where_there_are_such() -> None:
    given = {"count": 0, "max_count": 3, "roles": ["worker"], "preemptible": True}
    spot = Node("spot", POOL, given, {}, Location("facility.yaml", 1, 1))
    pool = pool_node(worker_classes=[{**GPU, "tolerated_taints": ["dedicated"]}])
    keys = {name: [item["key"] for item in one["tolerations"]] for name, one in classes(pool, spot).items()}
    assert keys == {"default": [PREEMPTIBLE], "gpu": ["dedicated", PREEMPTIBLE]}
    assert classes(pool)["default"]["tolerations"] == []


def test_classes() -> None:
    pool = pool_node(worker_scaling={"style": "hpa", "min": 0, "max": 9, "cooldown": 60.0}, worker_classes=[GPU])
    found = classes(pool, monitoring_node("pool"))
    first, gpu = found["default"], found["gpu"]
    assert first["style"] == "hpa"
    assert {"min": 1, "max": 9, "target": "0.75", "cooldown": 60}.items() <= first["autoscaling"].items()
    assert (gpu["style"], gpu["autoscaling"]["min"]) == ("keda", 0)
    assert gpu["autoscaling"]["prometheus"] == "http://monitoring-prometheus.monitoring.svc.cluster.local:9090"
    assert gpu["settings"]["pod"]["gpus"] == 2
    assert (first["settings"]["pod"]["leave_after"], gpu["settings"]["pod"]["leave_after"]) == (0, 120)
    assert gpu["settings"]["slot_accounts"] == 18
    assert "keda" in release(pool, monitoring_node("pool")).needs
    assert "keda" not in release(pool_node()).needs


def test_execute_pods_may_make_user_namespaces_only_where_jobs_name_images() -> None:
    own = {"name": "own", "cpus": 1, "memory": 1 << 30, "image": "registry.example/own:1"}
    assert all("seccompProfile" not in one and "job_binds" not in one["settings"] for one in classes(pool_node()).values())
    pool = pool_node(job_containers=True, worker_classes=[own])
    found = classes(pool)
    assert found["default"]["image"]["repository"].endswith("/worker-apptainer")
    assert found["own"]["image"] == {"repository": "registry.example/own", "tag": "1"}
    for one in found.values():
        assert one["seccompProfile"] == {"type": "Localhost", "localhostProfile": "cantiere/job-containers.json"}
        assert "/cvmfs" in one["settings"]["job_binds"]
    assert "worker-apptainer" in release(pool).images


def test_an_execute_pod_has_the_least_token_of_its_class_and_no_key() -> None:
    secrets = {secret.name: secret for secret in release(pool_node(worker_classes=[GPU]), monitoring_node("pool")).secrets}
    assert set(secrets) == {"pool-cm", "pool-ap", "pool-worker-default", "pool-worker-gpu"}
    files = {file.file: file.secret for file in secrets["pool-worker-gpu"].files}
    assert set(files) == {"ca.pem", "idtoken"}
    assert files["idtoken"].parameters["identity"] == f"pool-worker-gpu@{DOMAIN}"
    assert files["idtoken"].parameters["scope"] == "condor:/READ condor:/ADVERTISE_STARTD condor:/ADVERTISE_MASTER"


def test_no_secret_stands_in_the_values() -> None:
    text = repr(release(pool_node()).values)
    assert "generate:" not in text and "signing" not in text


def test_issuers_that_the_pool_may_ask() -> None:
    pool = pool_node(trusted_issuers=["https://wlcg.example.org/", "https://iam.example.org:9443"])
    rules = release(pool).values["networkPolicy"]["issuers"]
    assert rules[0]["to"] == [
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "devel-iam", "app.kubernetes.io/instance": "iam"}}}
    ]
    assert [rule["ports"][0]["port"] for rule in rules] == [8443, 443, 9443]


def test_an_external_issuer_needs_no_release_before() -> None:
    outside = Node("iam", iam.TYPE, {"issuer_url": "https://iam.example.org"}, {}, Location("t", 1, 1))
    pool = pool_node()
    others = tuple(node for node in context(pool).facility.nodes if node.name != "iam")
    facility = Facility("facility", "", (outside, *others), {})
    (found,) = pools.releases(pool, Context(facility, PLACEHOLDER, Facts(facility, DOMAIN, {}, "", "", "", {}), "facility", TAGS))
    assert "iam" not in found.needs
    assert found.values["networkPolicy"]["issuers"] == [{"ports": [{"port": 443, "protocol": "TCP"}]}]


def test_jobs_leave_the_cluster_only_where_they_may() -> None:
    def outside(**properties: Any) -> list[Any]:
        return [rule for rule in release(pool_node(**properties)).values["networkPolicy"]["jobs"] if "ipBlock" in rule["to"][0]]

    (rule,) = outside()
    assert rule["to"][0]["ipBlock"]["except"] == [PLACEHOLDER.pod_subnet, PLACEHOLDER.service_subnet]
    assert outside(jobs_reach_outside=False) == []


def test_dask_workers_listen_to_the_notebooks_of_the_pool_and_to_each_other() -> None:
    hub = Node("hub", iam.HUB_TYPE, {}, {"issuer": ("iam",), "queue": ("pool",)}, Location("t", 1, 1))
    found = release(pool_node(), hub)
    (rule,) = found.values["networkPolicy"]["listeners"]
    workers = pools.pod_labels("pool", "execute-point")
    assert [peer["podSelector"]["matchLabels"] for peer in rule["from"]] == [pools.NOTEBOOKS, workers]
    (ports,) = rule["ports"]
    assert (ports["port"], ports["endPort"]) == dask.WORKER_PORTS
    assert ports["endPort"] - ports["port"] + 1 >= 256, "cpus_per_worker may be as many"
    open_to = found.values["networkPolicy"]["jobs"]
    assert {"to": rule["from"][1:], "ports": rule["ports"]} in open_to, "a worker asks another for its results"
    assert {"to": rule["from"][:1], "ports": [{"port": dask.SCHEDULER_PORT, "protocol": "TCP"}]} in open_to
    assert {link.port for link in found.links if link.source == link.target == workers} == set(dask.WORKER_PORTS)
    assert release(pool_node()).values["networkPolicy"]["listeners"] == []


@pytest.mark.parametrize(
    ("properties", "watched", "code"),
    [
        ({}, False, None),
        ({"worker_classes": [{**GPU, "name": "default"}]}, True, "pool.class"),
        ({"worker_scaling": {"style": "hpa", "min": 5, "max": 2}}, True, "pool.scaling"),
        ({"worker_scaling": {"style": "hpa"}}, False, "pool.unwatched"),
        ({"worker_scaling": {"style": "hpa"}}, True, None),
    ],
)
def test_what_is_refused(properties: dict[str, Any], watched: bool, code: str | None) -> None:
    pool = pool_node(**properties)
    others = (monitoring_node("pool"),) if watched else ()
    assert [found.code for found in pools.check(pool, context(pool, *others).facility)] == ([code] if code else [])


def test_the_exporter_knows_the_classes_and_prices_pods_that_an_hpa_takes_away() -> None:
    pool = pool_node(worker_scaling={"style": "hpa"}, worker_classes=[GPU])
    watcher = monitoring_node("pool")
    (found,) = monitoring_pool.releases(watcher, context(pool, watcher))
    assert found.values["settings"]["classes"] == [
        {"name": "default", "cpus": 1, "memory": 2048, "gpus": 0},
        {"name": "gpu", "cpus": 8, "memory": 64 << 10, "gpus": 2},
    ]
    assert found.values["deletionCost"] == {"enabled": True, "selector": pools.pod_labels("pool", "execute-point")}
    assert found.needs == ("pool",)


def test_series_carry_the_described_job() -> None:
    pool, watcher = pool_node(), monitoring_node("pool")
    (scrape,) = monitoring_pool.scrape_configs(watcher, context(pool, watcher))
    assert scrape["job_name"] == pools.described_job("pool") == "pool-workers"
    assert scrape["static_configs"] == [{"targets": [f"monitoring-exporter.{DOMAIN}:9118"], "labels": {"namespace": "facility"}}]
    assert (scrape["scrape_interval"], scrape["scrape_timeout"]) == ("10s", "10s")
    (rule,) = monitoring_pool.adapter_rules()
    assert rule["resources"]["overrides"]["job"] == {"group": "batch", "resource": "job"}
