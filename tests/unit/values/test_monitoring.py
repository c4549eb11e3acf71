"""Monitoring on a cluster, and our dashboards and alerts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from cantiere.tosca.compile import load
from cantiere.values import monitoring
from support.addons import LARGE, SMALL, compiled, context, facility, held, wrong
from support.tree import REPOSITORY

CHART = REPOSITORY / "charts" / "facility-monitoring"
PLAIN = "  monitoring:\n    type: cantiere.nodes.Monitoring\n"
LARGER = PLAIN + (
    "    properties: {storage: 500 GiB, memory: 16 GiB, replicas: 2, retention: 90 d, scrape_interval: 30 s, control_plane_metrics: true,"
    ' alert_config: "file:/etc/alertmanager.yaml"}\n'
)
LEAST = PLAIN + "    properties: {storage: 2 GiB, memory: 512 MiB, alertmanager: false, grafana: false, machine_metrics: false}\n"
AROUND = """\
  disks:
    type: cantiere.nodes.BlockStorage
  tls:
    type: cantiere.nodes.Certificates
  entry:
    type: cantiere.nodes.Ingress
    properties: {service_type: NodePort}
"""
TOPICS = sorted(path.stem for path in (CHART / "dashboards").glob("*.json"))

KNOWN = re.compile(
    r"condor_\w+|xrootd_\w+|xcache_\w+|jupyterhub_\w+|DCGM_\w+|kube_\w+|kubelet_volume_stats_\w+|container_\w+|up|ALERTS|vector|node_\w+"
)
OURS = {
    "condor_": REPOSITORY / "images" / "condor-exporter",
    "xrootd_": REPOSITORY / "images" / "xrootd",
    "xcache_": REPOSITORY / "images" / "xrootd",
}
WORDS = frozenset("sum by avg min max count rate increase histogram_quantile avg_over_time and on or absent unless le".split())


@pytest.mark.parametrize("machines", [SMALL, LARGE, {}], ids=["small", "large", "existing"])
@pytest.mark.parametrize("nodes", [PLAIN, LARGER, LEAST, PLAIN + AROUND], ids=["plain", "larger", "least", "around"])
def test_values_have_a_place(tmp_path: Path, nodes: str, machines: dict[str, int]) -> None:
    assert wrong(tmp_path, nodes, **machines) == []
    held(compiled(tmp_path, nodes, **machines))


def test_definitions_are_a_release_of_their_own(tmp_path: Path) -> None:
    releases = compiled(tmp_path, PLAIN + AROUND, worker=3)
    assert releases["monitoring"].values["crds"] == {"enabled": False}
    assert releases["monitoring"].needs == ("prometheus-operator-crds", "disks-class", "cert-manager", "traefik")
    assert releases["monitoring-facility"].needs == ("prometheus-operator-crds", "monitoring")
    owners = {name for name, release in releases.items() for owned in release.owns if "monitoring.coreos.com" in owned}
    assert owners == {"prometheus-operator-crds"}
    existing = compiled(tmp_path, PLAIN + "    properties: {definitions: existing}\n")
    assert existing["prometheus-operator-crds"].installed is False and existing["monitoring"].needs == ()


def test_everything_that_is_offered_is_found(tmp_path: Path) -> None:
    spec = compiled(tmp_path, PLAIN)["monitoring"].values["prometheus"]["prometheusSpec"]
    kinds = ("serviceMonitor", "podMonitor", "probe", "rule", "scrapeConfig")
    assert [spec[f"{kind}SelectorNilUsesHelmValues"] for kind in kinds] == [False] * 5


def test_samples_fit_their_volume(tmp_path: Path) -> None:
    spec = compiled(tmp_path, LARGER)["monitoring"].values["prometheus"]["prometheusSpec"]
    claim = spec["storageSpec"]["volumeClaimTemplate"]["spec"]
    assert claim["storageClassName"] == "standard" and claim["resources"]["requests"]["storage"] == "500Gi"
    assert spec["retention"] == "90d" and 0.8 * 500 * 1024 < int(spec["retentionSize"].removesuffix("MB")) < 0.9 * 500 * 1024
    assert spec["resources"]["limits"]["memory"] == "16Gi"


def test_what_nobody_can_ask_is_not_asked(tmp_path: Path) -> None:
    """With kubeadm's 127.0.0.1 the control plane would alert for ever."""
    parts = ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy")
    plain, larger = (compiled(tmp_path, nodes)["monitoring"].values for nodes in (PLAIN, LARGER))
    assert [plain[part]["enabled"] for part in parts] == [False] * 4 and [larger[part]["enabled"] for part in parts] == [True] * 4


def test_secrets_are_named(tmp_path: Path) -> None:
    release = compiled(tmp_path, LARGER)["monitoring"]
    assert {secret.name: [file.file for file in secret.files] for secret in release.secrets} == {
        "monitoring-alerts": ["alertmanager.yaml"],
        "monitoring-grafana-admin": ["admin-password"],
    }
    spec = release.values["alertmanager"]["alertmanagerSpec"]
    assert spec["configSecret"] == "monitoring-alerts" and spec["useExistingSecret"] is True
    assert release.values["grafana"]["admin"]["existingSecret"] == "monitoring-grafana-admin"


def test_pods_and_the_hub_are_read(tmp_path: Path) -> None:
    nodes = PLAIN + "  iam:\n    type: cantiere.nodes.IAM\n"
    here = context(facility(tmp_path, nodes))
    (pods,) = monitoring.scrape_configs(here.facility.node("monitoring"), here)
    assert pods["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"names": ["facility"]}}]
    port = next(rule for rule in pods["relabel_configs"] if rule.get("target_label") == "__address__")
    found = re.fullmatch(port["regex"], "10.0.0.1:1094;9931")
    assert found and found.expand(port["replacement"].replace("$", "\\")) == "10.0.0.1:9931"


def test_topics_follow_the_facility(tmp_path: Path) -> None:
    nodes = PLAIN + "  gpus:\n    type: cantiere.nodes.GPUs\n"
    values = compiled(tmp_path, nodes)["monitoring-facility"].values
    assert values["topics"] == {"caches": False, "gpu": True, "hub": False, "platform": True, "pool": False}
    assert set(values["topics"]) == set(TOPICS) == {path.stem for path in (CHART / "rules").glob("*.yaml")}


def test_what_is_refused(tmp_path: Path) -> None:
    two = PLAIN + PLAIN.replace("monitoring:", "again:")
    assert wrong(tmp_path, two) == ["monitoring.several again"]
    assert wrong(tmp_path, PLAIN.replace("monitoring:", "monitoring-of-the-whole-facility:")) == [
        "monitoring.name monitoring-of-the-whole-facility"
    ]
    assert wrong(tmp_path, LARGER.replace("storage: 500 GiB", "alertmanager: false")) == ["monitoring.alerts monitoring"]


def test_a_pool_is_watched() -> None:
    """The exporter's series carry the Job's name and namespace by which the adapter finds them."""
    here = context(load(REPOSITORY / "tosca" / "templates" / "facility.yaml").facility)
    jobs = {job["job_name"]: job for job in monitoring.scrape_configs(here.facility.node("monitoring"), here)}
    assert {"jupyterhub", "facility-pods"} < jobs.keys()
    (pool,) = jobs.keys() - {"jupyterhub", "facility-pods"}
    assert jobs[pool]["static_configs"][0]["labels"] == {"namespace": "facility"}
    assert jobs["jupyterhub"]["static_configs"][0]["targets"] == ["hub-hub.facility.svc.cluster.local:8081"]


@pytest.mark.parametrize("topic", TOPICS)
def test_dashboards(topic: str) -> None:
    """Every panel asks our Prometheus, has a place of its own, and asks for metrics that something exports."""
    board = json.loads((CHART / "dashboards" / f"{topic}.json").read_text(encoding="utf-8"))
    assert board["uid"] == f"cantiere-{topic}" and board["panels"]
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == "${source}" and panel["targets"], panel["title"]
        place = panel["gridPos"]
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not own & cells and place["x"] + place["w"] <= 24, panel["title"]
        cells |= own
        for target in panel["targets"]:
            exported(target["expr"])


@pytest.mark.parametrize("topic", TOPICS)
def test_alerts(topic: str) -> None:
    """Every alert says what is wrong and what to do, how bad it is, and asks for metrics that something exports."""
    rules = yaml.safe_load((CHART / "rules" / f"{topic}.yaml").read_text(encoding="utf-8"))
    assert rules and len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning", "info"} and set(rule["annotations"]) == {"summary", "description"}
        exported(rule["expr"])


def exported(expression: str) -> None:
    """Every metric of an expression is known, and one of ours stands in the exporter that makes it."""
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^\]]*\]|\b(by|on)\s*\([^)]*\)", " ", expression)
    for name in set(re.findall(r"[A-Za-z_:][\w:]*", bare)) - WORDS:
        assert KNOWN.fullmatch(name) or re.fullmatch(r"e\d+", name), f"{name} in {expression}"
        home = next((folder for prefix, folder in OURS.items() if name.startswith(prefix)), None)
        if home:
            text = "".join(path.read_text(encoding="utf-8") for path in sorted(home.glob("*")) if path.is_file())
            assert f'"{name}' in text or f'"{name}"' in text, f"no exporter has {name}"
