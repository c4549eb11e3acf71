"""Machines of a template, their cluster, their roles and variables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from cantiere.machines.model import POOL, PREEMPTIBLE, PREEMPTIBLE_TAINT
from cantiere.machines.roles import MADE_FROM, Context, digests, programs, roles_of, variables
from cantiere.machines.wanted import Network, check, endpoint, machines, network_of, vanishing
from cantiere.tosca.compile import load

NETWORK = Network(virtual_address="10.0.0.250", machine_networks=("10.0.0.0/24",))


def facility(repository: Path, **inputs: object):  # type: ignore[no-untyped-def]
    return load(repository / "tosca" / "templates" / "facility.yaml", inputs).facility


def context(repository: Path, **inputs: object) -> Context:
    found = machines(facility(repository, **inputs))
    placed = [replace(machine, address=f"10.0.0.{number}") for number, machine in enumerate(found, start=11)]
    return Context(placed, NETWORK, "1.36.3", "control-1")


def test_pools_become_machines(repository: Path) -> None:
    found = machines(facility(repository, control_machines=3, worker_machines=2))
    assert [machine.name for machine in found] == ["control-1", "control-2", "control-3", "worker-1", "worker-2"]
    assert [machine.controls for machine in found] == [True, True, True, False, False]


def test_checks(repository: Path) -> None:
    def codes(network: Network, **inputs: object) -> list[str]:
        return [problem.code for problem in check(facility(repository, **inputs), network)]

    assert codes(NETWORK, control_machines=3) == []
    assert codes(Network(), control_machines=1) == []
    assert codes(Network(), control_machines=3) == ["cluster.address"]
    assert codes(NETWORK, control_machines=2) == ["cluster.even"]


def test_machines_that_may_vanish_are_marked_and_keep_nothing(repository: Path) -> None:
    given = facility(repository, preemptible_machines=2)
    marked = {machine.name for machine in machines(given) if machine.preemptible}
    assert marked == {"preemptible-1", "preemptible-2"}
    for machine in machines(given):
        assert (PREEMPTIBLE_TAINT in machine.taints) == (machine.node_labels.get(PREEMPTIBLE) == "true") == machine.preemptible
    assert (vanishing(given), vanishing(facility(repository))) == ((PREEMPTIBLE,), ())
    assert check(given, NETWORK) == []
    keeping = [
        replace(node, properties={**node.properties, "roles": ["worker", "storage"]}) if node.name == "preemptible" else node
        for node in given.of_type(POOL)
    ]
    (problem,) = check(replace(given, nodes=tuple(keeping)), NETWORK)
    assert (problem.code, "are to be storage" in problem.message) == ("pool.preemptible", True)
    assert problem.where == given.node("preemptible").where and problem.path.endswith("preemptible.properties.preemptible")


def test_network() -> None:
    given, problems = network_of({"virtual_address": "10.0.0.250", "machine_networks": ["10.0.0.0/24"]})
    assert (given, problems) == (NETWORK, [])
    _, problems = network_of({"virtual": "10.0.0.1", "pod_subnet": "10.244.0.1/16", "virtual_address": "ten"})
    assert [problem.path for problem in problems] == ["kubernetes.virtual", "kubernetes.pod_subnet", "kubernetes"]


def test_endpoint(repository: Path) -> None:
    placed = context(repository).machines
    assert endpoint(placed, NETWORK) == "10.0.0.250:6443"
    assert endpoint(placed, Network()) == "10.0.0.11:6443"
    assert endpoint([], Network()) == ""


def test_roles(repository: Path) -> None:
    given = context(repository, control_machines=3, worker_machines=1)
    found = {machine.name: roles_of(machine, given) for machine in given.machines}
    assert found["control-1"] == ("base", "containerd", "kubernetes", "virtual_address", "kube_network", "etcd_backup")
    assert found["control-2"] == ("base", "containerd", "kubernetes", "virtual_address", "etcd_backup")
    assert found["worker-1"] == ("base", "containerd", "kubernetes")
    bare = replace(given.machines[-1], roles=("storage", "htcondor-execute-point"))
    assert roles_of(bare, given) == ("base", "storage_client", "htcondor_machine")


def test_variables_of_a_control_plane(repository: Path) -> None:
    given = context(repository, control_machines=3)
    found = variables(given.machines[1], given)
    assert found["kubernetes_endpoint"] == "10.0.0.250:6443"
    assert found["kubernetes_control_plane"] is True
    assert found["virtual_address_priority"] == 149
    assert found["virtual_address_peers"] == ["10.0.0.11", "10.0.0.13"]
    assert found["base_firewall_trusted"] == ["10.0.0.0/24", "10.244.0.0/16"]
    assert [rule["port"] for rule in found["base_firewall_ports"]] == [6443]


def test_nodes_get_the_profile_of_job_containers_only_where_jobs_name_images(repository: Path) -> None:
    given = context(repository)
    told = [variables(given.machines[-1], replace(given, job_containers=asked))["kubernetes_job_containers"] for asked in (False, True)]
    assert told == [False, True]
    profile = json.loads((repository / "roles/kubernetes/files/job-containers.json").read_text(encoding="utf-8"))
    (refused,) = profile["syscalls"]
    assert refused["action"] == "SCMP_ACT_ERRNO" and {"bpf", "init_module", "kexec_load", "open_by_handle_at"} <= set(refused["names"])
    assert not {"clone", "clone3", "unshare", "setns", "mount", "umount2", "pivot_root"} & set(refused["names"])


def test_without_networks_machines_trust_each_other_alone(repository: Path) -> None:
    given = replace(context(repository), network=Network())
    found = variables(given.machines[-1], given)
    assert found["base_firewall_trusted"] == ["10.0.0.11/32", "10.0.0.12/32", "10.0.0.13/32", "10.244.0.0/16"]
    assert "base_firewall_ports" not in found  # the site's to say, in group_vars


def test_a_worker_more_changes_no_digest_where_networks_are_given(repository: Path) -> None:
    def of_first(count: int) -> dict[str, str]:
        given = context(repository, control_machines=3, worker_machines=count)
        machine = given.machines[0]
        mine = roles_of(machine, given)
        return digests(mine, variables(machine, given), dict.fromkeys(mine, "folder"))

    assert of_first(2) == of_first(3)


def test_digests_follow_folder_and_variables_of_the_role_alone() -> None:
    before = digests(("base", "kubernetes"), {"base_x": 1, "kubernetes_x": 1}, {"base": "a", "kubernetes": "b"})
    changed = digests(("base", "kubernetes"), {"base_x": 2, "kubernetes_x": 1}, {"base": "a", "kubernetes": "b"})
    folder = digests(("base", "kubernetes"), {"base_x": 1, "kubernetes_x": 1}, {"base": "a", "kubernetes": "c"})
    assert (before["base"] != changed["base"], before["kubernetes"] == changed["kubernetes"]) == (True, True)
    assert (before["base"] == folder["base"], before["kubernetes"] != folder["kubernetes"]) == (True, True)


def test_programs_have_paths_of_the_machine() -> None:
    row = {"name": "kubernetes", "sha256": "00", "mode": "0755", "links": ["kubeadm"], "sources": ["/store/kubernetes"]}
    assert programs([row], "/usr/local/bin") == [
        {
            "dest": "/usr/local/bin/kubernetes",
            "sha256": "00",
            "mode": "0755",
            "links": ["/usr/local/bin/kubeadm"],
            "sources": ["/store/kubernetes"],
        }
    ]


def test_what_roles_are_made_from_exists(repository: Path) -> None:
    missing = [pattern for patterns in MADE_FROM.values() for pattern in patterns if not list(repository.glob(pattern))]
    assert missing == []
