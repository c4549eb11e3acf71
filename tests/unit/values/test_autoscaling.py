"""The metrics APIs: one owner each, and the rule by which a pool's slots scale its workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from cantiere.values import autoscaling
from support.addons import LARGE, SMALL, compiled, facility, held, wrong

SCALING = "  scaling:\n    type: cantiere.nodes.Autoscaling\n"
WATCHED = SCALING + "  monitoring:\n    type: cantiere.nodes.Monitoring\n"
SIGNED = WATCHED + "  tls:\n    type: cantiere.nodes.Certificates\n"
RULE = "{seriesQuery: jupyterhub_running_servers, metricsQuery: sum(<<.Series>>)}"
EXTERNAL = WATCHED.replace("Autoscaling\n", f"Autoscaling\n    properties:\n      keda: false\n      external_rules: [{RULE}]\n")


@pytest.mark.parametrize("machines", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("nodes", [WATCHED, SIGNED, EXTERNAL], ids=["plain", "signed", "external"])
def test_values_have_a_place(tmp_path: Path, nodes: str, machines: dict[str, int]) -> None:
    assert wrong(tmp_path, nodes, **machines) == []
    held(compiled(tmp_path, nodes, **machines))


def test_each_api_has_one_owner(tmp_path: Path) -> None:
    for nodes, external in ((WATCHED, "keda"), (EXTERNAL, "prometheus-adapter")):
        owners = {
            owned.removeprefix("APIService/"): name
            for name, release in compiled(tmp_path, nodes).items()
            if release.installed
            for owned in release.owns
            if owned.startswith("APIService/")
        }
        assert owners == {
            "v1beta1.metrics.k8s.io": "metrics-server",
            "v1beta1.custom.metrics.k8s.io": "prometheus-adapter",
            "v1beta1.external.metrics.k8s.io": external,
        }


def test_the_adapter_has_the_rule_that_works_and_no_other(tmp_path: Path) -> None:
    adapter = compiled(tmp_path, WATCHED)["prometheus-adapter"]
    assert adapter.values["rules"]["default"] is False and "resource" not in adapter.values["rules"]
    (rule,) = adapter.values["rules"]["custom"]
    assert rule["seriesQuery"] == 'condor_slot_activity_busy{namespace!="",job!=""}'
    assert rule["metricsQuery"] == "avg(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
    assert rule["resources"]["overrides"] == {"namespace": {"resource": "namespace"}, "job": {"group": "batch", "resource": "job"}}
    assert adapter.values["rules"]["external"] == []
    assert adapter.values["prometheus"] == {"url": "http://monitoring-prometheus.monitoring.svc.cluster.local", "port": 9090}
    assert adapter.needs == ("monitoring",)


@pytest.mark.parametrize(
    ("url", "split"),
    [
        ("http://prometheus.example.org:9090", {"url": "http://prometheus.example.org", "port": 9090}),
        ("https://prometheus.example.org", {"url": "https://prometheus.example.org", "port": 443}),
        ("http://prometheus.example.org/", {"url": "http://prometheus.example.org", "port": 80}),
    ],
)
def test_another_prometheus(tmp_path: Path, url: str, split: dict[str, object]) -> None:
    nodes = SCALING + f"    properties: {{prometheus_url: '{url}'}}\n"
    assert wrong(tmp_path, nodes) == []
    assert compiled(tmp_path, nodes)["prometheus-adapter"].values["prometheus"] == split


def test_certificates_are_checked_where_there_is_who_makes_them(tmp_path: Path) -> None:
    releases = compiled(tmp_path, SIGNED)
    assert releases["metrics-server"].values["apiService"]["insecureSkipTLSVerify"] is False
    assert releases["prometheus-adapter"].values["certManager"]["enabled"] is True
    assert "cert-manager" in releases["metrics-server"].needs and "cert-manager" in releases["prometheus-adapter"].needs
    assert compiled(tmp_path, WATCHED)["metrics-server"].values["tls"]["type"] == "metrics-server"


def test_kubelets_of_kubeadm(tmp_path: Path) -> None:
    assert compiled(tmp_path, WATCHED)["metrics-server"].values["args"] == ["--kubelet-insecure-tls"]
    signed = SCALING + "    properties: {kubelet_certificates: true, prometheus_adapter: false}\n"
    releases = compiled(tmp_path, signed)
    assert releases["metrics-server"].values["args"] == [] and releases["prometheus-adapter"].installed is False


def test_what_to_wait_for(tmp_path: Path) -> None:
    found = facility(tmp_path, SCALING + "    properties: {keda: false, prometheus_adapter: true}\n")
    assert [autoscaling.needs(found, style) for style in ("hpa", "keda", "resource")] == [("prometheus-adapter",), (), ("metrics-server",)]


def test_what_is_refused(tmp_path: Path) -> None:
    assert wrong(tmp_path, SCALING) == ["autoscaling.prometheus scaling"]
    both = EXTERNAL.replace("keda: false", "keda: true")
    assert wrong(tmp_path, both) == ["autoscaling.external scaling"]
    assert wrong(tmp_path, EXTERNAL.replace("keda: false", "keda: false\n      prometheus_adapter: false")) == ["autoscaling.rules scaling"]
    assert wrong(tmp_path, WATCHED + SCALING.replace("scaling:", "again:")) == ["autoscaling.several again"]
