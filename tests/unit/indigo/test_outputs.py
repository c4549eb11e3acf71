"""Outputs of the dialect: what only the running facility can answer, and the answers that ours has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cantiere.indigo.outputs import Known, answer
from cantiere.tosca.compile import Loaded, load
from support.indigo import INPUTS, public, written
from support.templates import Loader

KEY = {"user": "root", "key": "/srv/key"}
NODES = (
    "    vm_one: {type: tosca.nodes.indigo.Compute}\n"
    "    front: {type: tosca.nodes.DODAS.FrontEnd.Kubernetes, requirements: [{host: vm_one}]}\n"
    "    space: {type: tosca.nodes.indigo.OnedataServiceSpace}\n"
)


def known(**addresses: list[str]) -> Known:
    return Known(addresses, {address: KEY for found in addresses.values() for address in found}, "/srv/kubeconfig")


def answers(loaded: Loaded, found: Known) -> dict[str, Any]:
    return {name: answer(asked, found) for name, asked in loaded.late.items()}


def test_outputs_of_a_public_template(tmp_path: Path) -> None:
    loaded = load(public(tmp_path) / "k8s_cluster.yaml", INPUTS["k8s_cluster.yaml"])
    found = {"k8s-master-server": ["10.0.0.1"], "k8s-node-server": ["10.0.0.2", "10.0.0.3"]}
    assert answers(loaded, known(**found)) == {
        "k8s_endpoint": "https://10.0.0.1:6443",
        "k8s_master_ip": "10.0.0.1",
        "k8s_master_node_creds": KEY,
        "k8s_wn_ip": ["10.0.0.2", "10.0.0.3"],
        "k8s_wn_node_creds": [KEY, KEY],
    }
    assert loaded.facility.outputs["grafana_username"] == "admin"


def test_public_addresses_are_those_from_outside(tmp_path: Path) -> None:
    loaded = load(public(tmp_path) / "k8s_cluster.yaml", INPUTS["k8s_cluster.yaml"])
    addresses = {"k8s-master-server": ["10.0.0.1"], "k8s-node-server": ["10.0.0.2"]}
    found = answers(loaded, replace(known(**addresses), doors={"10.0.0.1": "192.0.2.1", "10.0.0.2": "192.0.2.2"}))
    assert (found["k8s_endpoint"], found["k8s_wn_ip"]) == ("https://192.0.2.1:6443", ["10.0.0.2"])
    assert found["k8s_master_node_creds"] == KEY


def test_the_kubeconfig_of_a_public_template(tmp_path: Path) -> None:
    loaded = load(public(tmp_path) / "kubernetes.yaml")
    assert answers(loaded, known(front=["10.0.0.1"]))["kubeconfig"] == "/srv/kubeconfig"
    assert answers(loaded, Known({}, {}))["kubeconfig"] is None


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("{get_attribute: [vm_one, public_address, 0]}", "10.0.0.1"),
        ("{get_attribute: [vm_one, private_address, 7]}", None),
        ("{concat: [{get_input: name}, ' ', {get_attribute: [vm_one, private_address, 0]}]}", "at 10.0.0.1"),
        ("{concat: [{get_attribute: [vm_one, public_address, 0]}, ' ', {get_property: [front, kube_version]}]}", "10.0.0.1 1.28.3"),
        ("{concat: [a, {get_attribute: [vm_one, ctxt_log]}]}", None),
        ("{get_attribute: [space, path]}", None),
    ],
)
def test_answers(tmp_path: Path, value: str, wanted: str | None) -> None:
    text = written(NODES, inputs="    name: {type: string, default: at}\n", outputs=f"    out: {{value: {value}}}\n")
    assert answers(Loader(tmp_path)(text), known(**{"vm-one": ["10.0.0.1"]})).get("out") == wanted


def test_what_has_a_value_is_not_asked_for(tmp_path: Path) -> None:
    assert Loader(tmp_path)(written(NODES, outputs="    out: {value: 7}\n")).late == {}
