"""Declared links against network policies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cantiere.values.checks.policies import End, Policy, cut_by, matches
from cantiere.values.model import Link
from support.releases import full, problems, release, workload

SOURCE, TARGET = {"app": "client"}, {"app": "server"}
LINK = Link(SOURCE, TARGET, 9618, "clients ask the server", "facility", "facility")
DNS = {"to": [{"namespaceSelector": {}}], "ports": [{"port": 53, "protocol": "UDP"}]}


def policy(selects: dict[str, Any], namespace: str = "facility", name: str = "p", **rules: Any) -> dict[str, Any]:
    types = [kind for kind, key in (("Ingress", "ingress"), ("Egress", "egress")) if key in rules]
    spec = {"podSelector": selects, "policyTypes": types, **rules}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def only(**labels: str) -> dict[str, Any]:
    return {"matchLabels": labels}


def cut(*policies: dict[str, Any], link: Link = LINK, pods: tuple[dict[str, Any], ...] = ()) -> list[str]:
    return problems(release(links=(link,)), one=[*policies, *pods])


def test_without_policies_everything_passes() -> None:
    assert cut() == []
    assert cut(policy(only(app="other"), ingress=[], egress=[])) == []


def test_policies_of_some_releases_alone_tell_nothing() -> None:
    closed = policy(only(app="server"), ingress=[])
    assert cut(closed) != []
    unknown = release(name="two")
    assert problems(release(links=(LINK,)), unknown, one=[closed]) == []


@pytest.mark.parametrize(
    "rule",
    [
        {"from": [{"podSelector": only(app="client")}]},
        {"from": [{"podSelector": {}}], "ports": [{"port": 9618}]},
        {"from": [{"namespaceSelector": only(**{"kubernetes.io/metadata.name": "facility"}), "podSelector": only(app="client")}]},
        {"from": [{"namespaceSelector": {}}], "ports": [{"port": 9000, "endPort": 9700, "protocol": "TCP"}]},
        {"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["client", "x"]}]}}]},
        {"from": [{"ipBlock": {"cidr": "10.244.0.0/16"}}]},
        {"ports": [{"port": 9618}]},
        {},
    ],
)
def test_ingress_that_lets_through(rule: dict[str, Any]) -> None:
    assert cut(policy(only(app="server"), ingress=[rule])) == []


@pytest.mark.parametrize(
    "rule",
    [
        {"from": [{"podSelector": only(app="other")}]},
        {"from": [{"podSelector": only(app="client")}], "ports": [{"port": 9619}]},
        {"from": [{"podSelector": only(app="client")}], "ports": [{"port": 9618, "protocol": "UDP"}]},
        {"from": [{"namespaceSelector": only(**{"kubernetes.io/metadata.name": "other"})}]},
        {"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["client"]}]}}]},
        {"from": [{"podSelector": {"matchExpressions": [{"key": "member", "operator": "Exists"}]}}]},
        {"from": [{"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.7.0/24"]}}]},
        {"from": [{"ipBlock": {"cidr": "192.168.0.0/16"}}]},
    ],
)
def test_ingress_that_cuts(rule: dict[str, Any]) -> None:
    assert cut(policy(only(app="server"), ingress=[rule])) == ["link.cut one.manifests.NetworkPolicy/p"]


def test_policies_add_up() -> None:
    nothing, lets = policy({}, ingress=[], name="none"), policy(only(app="server"), ingress=[{}], name="all")
    assert cut(nothing) == ["link.cut one.manifests.NetworkPolicy/none"]
    assert cut(nothing, lets) == []


def test_egress_counts_at_the_source() -> None:
    there = {"to": [{"podSelector": only(app="server")}], "ports": [{"port": 9618}]}
    assert cut(policy(only(app="client"), egress=[there, DNS])) == []
    assert cut(policy(only(app="client"), egress=[DNS])) == ["link.cut one.manifests.NetworkPolicy/p"]
    assert cut(policy(only(app="client"), egress=[there])) == ["link.dns one.manifests.NetworkPolicy/p"]


def test_the_problem_names_the_rule_to_add() -> None:
    (found,) = full(release(links=(LINK,)), one=[policy(only(app="server"), ingress=[])])
    assert "clients ask the server" in found.message and "facility/p" in found.message
    assert found.remedy.endswith(
        "{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: facility}}, podSelector: {matchLabels: {app: client}}}], "
        "ports: [{port: 9618}]}"
    )


def test_pods_of_the_manifests_have_all_their_labels_and_ports() -> None:
    target = workload(container={"ports": [{"name": "shared", "containerPort": 9618}]}, labels={"app": "server", "component": "cm"})
    by_name = {"from": [{"podSelector": {}}], "ports": [{"port": "shared"}]}
    assert cut(policy(only(component="cm"), ingress=[by_name]), pods=(target,)) == []
    other = {"from": [{"podSelector": {}}], "ports": [{"port": "metrics"}]}
    assert cut(policy(only(component="cm"), ingress=[other]), pods=(target,)) == ["link.cut one.manifests.NetworkPolicy/p"]


def test_of_pods_with_the_same_labels_those_that_offer_the_port_count() -> None:
    server = workload(container={"ports": [{"containerPort": 9618}]}, labels={"app": "server", "component": "cm"})
    worker = workload(labels={"app": "server", "component": "worker"})
    closed = policy(only(component="worker"), ingress=[], egress=[])
    assert cut(closed, pods=(server, worker)) == []
    assert cut(policy(only(component="cm"), ingress=[]), pods=(server, worker)) == ["link.cut one.manifests.NetworkPolicy/p"]


def test_an_end_without_labels_is_any_pod() -> None:
    any_pod = Link({}, TARGET, 9618, "pods log in", "facility", "facility")
    quiet = workload(labels={"app": "quiet"})
    assert cut(policy(only(app="quiet"), egress=[]), link=any_pod, pods=(quiet,)) == [], "not every pod has to connect"
    assert cut(policy(only(app="server"), ingress=[{"from": [{"podSelector": {}}]}]), link=any_pod) == []
    one_kind = {"from": [{"podSelector": only(app="client")}]}
    assert cut(policy(only(app="server"), ingress=[one_kind]), link=any_pod) == ["link.cut one.manifests.NetworkPolicy/p"]


def test_other_namespaces() -> None:
    link = Link(SOURCE, TARGET, 9618, "x", "jobs", "facility")
    same = {"from": [{"podSelector": only(app="client")}]}
    assert cut(policy(only(app="server"), ingress=[same]), link=link) == ["link.cut one.manifests.NetworkPolicy/p"]


def test_ends_outside_of_the_cluster() -> None:
    world = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}
    out = Link(SOURCE, {}, 443, "tokens", "facility", "")
    assert cut(policy(only(app="client"), egress=[world, DNS]), link=out) == []
    assert cut(policy(only(app="client"), egress=[{"to": [{"podSelector": {}}]}, DNS]), link=out) == [
        "link.cut one.manifests.NetworkPolicy/p"
    ]
    inside = {"to": [{"ipBlock": {"cidr": "10.244.1.0/24"}}]}
    assert cut(policy(only(app="client"), egress=[inside, DNS]), link=out) == ["link.cut one.manifests.NetworkPolicy/p"]
    came = Link({}, TARGET, 9618, "users", "", "facility")
    assert cut(policy(only(app="server"), ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]), link=came) == []
    assert cut(policy(only(app="server"), ingress=[{"from": [{"podSelector": {}}]}]), link=came) == [
        "link.cut one.manifests.NetworkPolicy/p"
    ]


NOTEBOOKS = Link({"component": "singleuser-server"}, {"app": "schedd"}, 9618, "notebooks submit jobs", "facility", "facility")


def hub(network: dict[str, Any], link: Link = NOTEBOOKS) -> list[str]:
    return problems(release("hub", "jupyterhub", {"singleuser": {"networkPolicy": network}}, links=(link,)))


def test_notebooks_reach_what_is_declared_and_no_more() -> None:
    path = "link.cut hub.values.singleuser.networkPolicy.egress"
    assert hub({}) == [path], "by default notebooks reach no private address"
    assert hub({"egressAllowRules": {"privateIPs": True}}) == []
    assert hub({"egress": [{"to": [{"podSelector": only(app="schedd")}], "ports": [{"port": 9618}]}]}) == []
    assert hub({"egress": [{"to": [{"podSelector": only(app="schedd")}], "ports": [{"port": 1094}]}]}) == [path]
    assert hub({"enabled": False}) == []
    new = Link({"app.kubernetes.io/component": "singleuser-server"}, {"app": "schedd"}, 9618, "x", "facility", "facility")
    assert hub({}, new) == [path]
    world = Link({"component": "singleuser-server"}, {}, 443, "software", "facility", "")
    assert hub({}, world) == []
    assert hub({"egressAllowRules": {"nonPrivateIPs": False}}, world) == [path]


LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2)


@given(LABELS, LABELS)
def test_labels_and_terms_agree(selector: dict[str, str], labels: dict[str, str]) -> None:
    terms = [{"key": key, "operator": "In", "values": [value]} for key, value in selector.items()]
    assert (
        matches({"matchLabels": selector}, labels) == matches({"matchExpressions": terms}, labels) == (selector.items() <= labels.items())
    )


@given(LABELS, LABELS, st.integers(1, 100))
def test_more_rules_never_cut(source: dict[str, str], target: dict[str, str], port: int) -> None:
    here, there = End("n", source), End("n", target)
    rules: list[dict[str, Any]] = [{"from": [{"podSelector": {"matchLabels": {"a": "x"}}}], "ports": [{"port": 10, "endPort": 60}]}]
    few = Policy("p", "n", "r", {"podSelector": {}, "ingress": rules})
    more = Policy("p", "n", "r", {"podSelector": {}, "ingress": [*rules, {"from": [{"podSelector": {"matchLabels": {"b": "y"}}}]}]})
    few_cut = cut_by([few], "Ingress", there, here, there, port, "TCP", ())
    assert few_cut or not cut_by([more], "Ingress", there, here, there, port, "TCP", ())
    assert bool(few_cut) == (source.get("a") != "x" or not 10 <= port <= 60)
