"""The way in, and the addresses behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cantiere.values import ingress
from cantiere.values.model import PLACEHOLDER
from support.addons import LARGE, SMALL, compiled, context, facility, held, wrong

TRAEFIK = """\
  entry:
    type: cantiere.nodes.Ingress
    properties: {gateway_api: %s, nginx_annotations: true}
  addresses:
    type: cantiere.nodes.LoadBalancer
    properties: {addresses: [192.0.2.10-192.0.2.20, 192.0.2.64/28]}
"""
NGINX = """\
  entry:
    type: cantiere.nodes.Ingress
    properties: {driver: nginx, accept_retired: true, service_type: NodePort}
"""
BGP = """\
  addresses:
    type: cantiere.nodes.LoadBalancer
    properties: {addresses: [192.0.2.64/28], mode: bgp, peers: [{address: 192.0.2.1, asn: 64512, local_asn: 64513}]}
"""
OPENSTACK = """\
  entry:
    type: cantiere.nodes.Ingress
    properties: {replicas: 1}
  addresses:
    type: cantiere.nodes.LoadBalancer
    properties: {driver: openstack, cloud_config: "vault:cloud"}
"""


@pytest.mark.parametrize("machines", [SMALL, LARGE, {}], ids=["small", "large", "existing"])
@pytest.mark.parametrize(
    "nodes", [TRAEFIK % "false", TRAEFIK % "true", NGINX, BGP, OPENSTACK], ids=["traefik", "gateway", "nginx", "bgp", "os"]
)
def test_values_have_a_place(tmp_path: Path, nodes: str, machines: dict[str, int]) -> None:
    assert wrong(tmp_path, nodes, **machines) == []
    held(compiled(tmp_path, nodes, **machines))


def test_definitions_and_addresses_come_first(tmp_path: Path) -> None:
    releases = compiled(tmp_path, TRAEFIK % "true", worker=2)
    assert releases["traefik"].needs == ("gateway-api-crds", "address-pools")
    assert releases["address-pools"].needs == ("metallb",)
    without = compiled(tmp_path, TRAEFIK % "false", worker=2)
    assert without["gateway-api-crds"].installed is False and without["traefik"].needs == ("address-pools",)


def test_one_owner_of_the_gateway_api(tmp_path: Path) -> None:
    releases = compiled(tmp_path, TRAEFIK % "true", worker=2)
    owners = [name for name, release in releases.items() if any("gateway.networking.k8s.io" in owned for owned in release.owns)]
    assert owners == ["gateway-api-crds"]


def test_pages_of_the_controllers_are_shut(tmp_path: Path) -> None:
    values = compiled(tmp_path, TRAEFIK % "false", worker=2)["traefik"].values
    assert values["api"]["dashboard"] is False and values["ingressRoute"]["dashboard"]["enabled"] is False
    assert values["global"] == {"checkNewVersion": False, "sendAnonymousUsage": False}
    assert compiled(tmp_path, NGINX, worker=2)["ingress-nginx"].values["controller"]["allowSnippetAnnotations"] is False


def test_the_gateway_serves_the_whole_zone(tmp_path: Path) -> None:
    here = context(facility(tmp_path, TRAEFIK % "true", worker=2))
    assert here.cluster.gateway == "traefik/facility"
    listener = compiled(tmp_path, TRAEFIK % "true", worker=2)["traefik"].values["gateway"]["listeners"]["websecure"]
    assert listener["hostname"] == f"*.{PLACEHOLDER.zone}" and listener["certificateRefs"]


def test_ports_of_machines(tmp_path: Path) -> None:
    ports = compiled(tmp_path, TRAEFIK.replace("gateway_api: %s", "service_type: NodePort, https_node_port: 31443"), worker=2)
    assert ports["traefik"].values["ports"]["websecure"]["nodePort"] == 31443
    assert compiled(tmp_path, NGINX, worker=2)["ingress-nginx"].values["controller"]["service"]["nodePorts"]["https"] == "30443"


@pytest.mark.parametrize(
    ("kind", "properties", "codes"),
    [
        ("Ingress", "driver: nginx, service_type: NodePort", ["ingress.retired"]),
        ("Ingress", "driver: nginx, accept_retired: true, gateway_api: true, service_type: NodePort", ["ingress.gateway"]),
        ("Ingress", "driver: existing, nginx_annotations: true, class_name: x", ["ingress.annotations"]),
        ("Ingress", "driver: existing", ["ingress.class"]),
        ("Ingress", "service_type: NodePort, address: 192.0.2.1", ["ingress.address"]),
        ("Ingress", "driver: traefik", ["ingress.balancer"]),
        ("LoadBalancer", "driver: metallb", ["load-balancer.addresses"]),
        ("LoadBalancer", "addresses: [192.0.2.20-192.0.2.10, nonsense, 192.0.2.0/24]", ["load-balancer.range"]),
        ("LoadBalancer", "addresses: [192.0.2.0/24], mode: bgp", ["load-balancer.peers"]),
        ("LoadBalancer", "driver: openstack", ["load-balancer.cloud"]),
        ("Ingress", "driver: nginx, enabled: false", []),
    ],
)
def test_what_is_refused(tmp_path: Path, kind: str, properties: str, codes: list[str]) -> None:
    node = f"  one:\n    type: cantiere.nodes.{kind}\n    properties: {{{properties}}}\n"
    assert wrong(tmp_path, node, worker=2) == [f"{code} one" for code in codes]


def test_a_cluster_that_has_one_is_left_alone(tmp_path: Path) -> None:
    node = "  one:\n    type: cantiere.nodes.Ingress\n    properties: {driver: existing, class_name: public}\n"
    assert compiled(tmp_path, node) == {}
    assert context(facility(tmp_path, node)).cluster.ingress_class == "public"


def test_definitions_that_are_there_are_used(tmp_path: Path) -> None:
    node = TRAEFIK.replace("gateway_api: %s", "gateway_api: true, gateway_definitions: existing")
    releases = compiled(tmp_path, node, worker=2)
    assert releases["gateway-api-crds"].installed is False
    assert releases["traefik"].values["providers"]["kubernetesGateway"]["enabled"] is True


def test_ports_of_machines_that_lead_to_pages(tmp_path: Path) -> None:
    """Only a controller of ours that has ports of machines asks for them to be open."""
    assert ingress.node_ports(facility(tmp_path, NGINX)) == {30080: "entry", 30443: "entry"}
    own = NGINX.replace("NodePort", "NodePort, http_node_port: 31080, https_node_port: 31443")
    assert ingress.node_ports(facility(tmp_path, own)) == {31080: "entry", 31443: "entry"}
    existing = "  entry:\n    type: cantiere.nodes.Ingress\n    properties: {driver: existing, class_name: x, service_type: NodePort}\n"
    assert [ingress.node_ports(facility(tmp_path, nodes)) for nodes in (existing, TRAEFIK % "false", "")] == [{}, {}, {}]
