"""GPUs: one of operator and device plugin, how GPUs are cut, and how they are shared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cantiere.values import gpu
from support.addons import LARGE, SMALL, compiled, facility, held, wrong

OPERATOR = """\
  gpus:
    type: cantiere.nodes.GPUs
    properties:
      mig_strategy: mixed
      mig_layouts: [{name: halves, instances: {3g.20gb: 2}}, {name: smallest, instances: {1g.5gb: 7}}]
      time_slices: 4
      tolerated_taints: [dedicated]
"""
PLUGIN = "  gpus:\n    type: cantiere.nodes.GPUs\n    properties: {driver: device-plugin, runtime_class: nvidia, time_slices: 2}\n"
BARE = "  gpus:\n    type: cantiere.nodes.GPUs\n    properties: {driver: device-plugin, feature_discovery: false, metrics: false}\n"
PLAIN = "  gpus:\n    type: cantiere.nodes.GPUs\n"
WATCHED = "  monitoring:\n    type: cantiere.nodes.Monitoring\n"


@pytest.mark.parametrize("machines", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    "nodes", [OPERATOR, PLUGIN, BARE, PLAIN, OPERATOR + WATCHED], ids=["operator", "plugin", "bare", "plain", "watched"]
)
def test_values_have_a_place(tmp_path: Path, nodes: str, machines: dict[str, int]) -> None:
    assert wrong(tmp_path, nodes, **machines) == []
    held(compiled(tmp_path, nodes, **machines))


def test_never_both(tmp_path: Path) -> None:
    assert list(compiled(tmp_path, OPERATOR)) == ["gpu-operator"]
    assert list(compiled(tmp_path, PLUGIN)) == ["gpu-runtime", "nvidia-device-plugin", "dcgm-exporter"]
    two = PLUGIN + PLAIN.replace("gpus", "more")
    assert wrong(tmp_path, two) == ["gpu.several more"]


def test_discovery_has_one_owner(tmp_path: Path) -> None:
    nfd = "CustomResourceDefinition/nodefeatures.nfd.k8s-sigs.io"
    assert [nfd in release.owns for release in compiled(tmp_path, PLUGIN).values()] == [False, True, False]
    (operator,) = compiled(tmp_path, PLAIN + "    properties: {feature_discovery: false}\n").values()
    assert nfd not in operator.owns and operator.values["nfd"] == {"enabled": False}


def test_the_runtime_comes_before_who_names_it(tmp_path: Path) -> None:
    releases = compiled(tmp_path, PLUGIN)
    (made,) = releases["gpu-runtime"].values["objects"].values()
    assert made["kind"] == "RuntimeClass" and made["metadata"]["name"] == made["handler"] == "nvidia"
    assert releases["nvidia-device-plugin"].needs == ("gpu-runtime",)
    assert releases["nvidia-device-plugin"].values["runtimeClassName"] == "nvidia"
    theirs = compiled(tmp_path, PLUGIN.replace("time_slices: 2", "make_runtime_class: false"))
    assert theirs["gpu-runtime"].installed is False
    assert compiled(tmp_path, BARE)["gpu-runtime"].installed is False


def test_the_machines_bring_the_driver_unless_asked(tmp_path: Path) -> None:
    plain = compiled(tmp_path, PLAIN)["gpu-operator"].values
    assert (plain["driver"]["enabled"], plain["toolkit"]["enabled"]) == (False, True)
    asked = compiled(tmp_path, PLAIN + "    properties: {install_driver: true, install_toolkit: false}\n")["gpu-operator"].values
    assert (asked["driver"]["enabled"], asked["toolkit"]["enabled"]) == (True, True), "its driver needs its toolkit"


def test_layouts_and_sharing_are_configurations(tmp_path: Path) -> None:
    values = compiled(tmp_path, OPERATOR)["gpu-operator"].values
    layouts = json.loads(values["migManager"]["config"]["data"]["config.yaml"])["mig-configs"]
    assert layouts["halves"] == [{"devices": "all", "mig-enabled": True, "mig-devices": {"3g.20gb": 2}}]
    assert layouts["all-disabled"] == [{"devices": "all", "mig-enabled": False}] and set(layouts) == {"halves", "smallest", "all-disabled"}
    assert values["migManager"]["config"]["default"] == "all-disabled", "the operator takes no other: machines' labels say which"
    plugin = values["devicePlugin"]["config"]
    sharing = json.loads(plugin["data"][plugin["default"]])["sharing"]["timeSlicing"]
    assert sharing["resources"] == [{"name": "nvidia.com/gpu", "replicas": 4}]
    assert "config" not in compiled(tmp_path, PLAIN)["gpu-operator"].values["devicePlugin"]
    assert set(compiled(tmp_path, PLUGIN)["nvidia-device-plugin"].values["config"]["map"]) == {"sharing"}


@pytest.mark.parametrize(
    ("properties", "label", "codes"),
    [
        ("driver: device-plugin, install_driver: true", "", ["driver"]),
        ("driver: device-plugin, mig_strategy: single", "all-1g.5gb", ["layout"]),
        ("mig_strategy: none", "all-balanced", ["strategy"]),
        ("mig_strategy: mixed, mig_layouts: [{name: halves, instances: {3g.20gb: 2}}]", "thirds", ["layouts"]),
        ("driver: device-plugin, mig_strategy: single, feature_discovery: false", "", ["discovery"]),
        ("driver: device-plugin, install_driver: true, enabled: false", "all-balanced", []),
        ("mig_strategy: mixed, mig_layouts: [{name: halves, instances: {3g.20gb: 2}}]", "halves", []),
        ("mig_strategy: single", "all-balanced", []),
        ("mig_strategy: none", "all-disabled", []),
    ],
)
def test_what_is_refused(tmp_path: Path, properties: str, label: str, codes: list[str]) -> None:
    found = facility(tmp_path, f"{PLAIN}    properties: {{{properties}}}\n", gpu=2)
    labels = {"nvidia.com/mig.config": label} if label else {}
    nodes = [replace(node, properties={**node.properties, "labels": labels}) if node.name == "gpu" else node for node in found.nodes]
    problems = gpu.check(found.node("gpus"), replace(found, nodes=tuple(nodes)))
    assert [problem.code for problem in problems] == [f"gpu.{code}" for code in codes]
    assert all(problem.remedy for problem in problems)


def test_a_cluster_that_has_them_is_left_alone(tmp_path: Path) -> None:
    assert compiled(tmp_path, PLAIN + "    properties: {driver: existing}\n") == {}


def test_which_runtime_pods_name(tmp_path: Path) -> None:
    assert [gpu.runtime_class(facility(tmp_path, nodes)) for nodes in (PLUGIN, BARE, OPERATOR, WATCHED)] == ["nvidia", "", "", ""]
