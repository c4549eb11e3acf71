"""The way in from outside: Traefik with Ingress and Gateway API, or ingress-nginx where a site still has it. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node
from cantiere.values import load_balancer
from cantiere.values.addons import OPERATOR_CRDS, active, broken, definitions, enabled, has_operator, resources, spread
from cantiere.values.model import Context, Release

TYPE = "cantiere.nodes.Ingress"
GATEWAY_CRDS = "gateway-api-crds"
GATEWAY = "facility"
_AREA = "ingress"
_TRAEFIK_KINDS = (
    "ingressroutes ingressroutetcps ingressrouteudps middlewares middlewaretcps serverstransports serverstransporttcps tlsoptions "
    "tlsstores traefikservices"
).split()
_HUB_KINDS = (
    "accesscontrolpolicies aiservices apiauths apibundles apicatalogitems apiplans apiportalauths apiportals apiratelimits apis "
    "apiversions contentitems managedapplications managedsubscriptions uplinks"
).split()
_GATEWAY_KINDS = "backendtlspolicies gatewayclasses gateways grpcroutes httproutes listenersets referencegrants tlsroutes".split()


def class_name(node: Node) -> str:
    """Name of the IngressClass: the one that the node names, else the driver's."""
    given = node.properties
    return str(given["class_name"] or {"traefik": "traefik", "nginx": "nginx"}.get(given["driver"], ""))


def gateway(node: Node) -> str:
    """``namespace/name`` of the Gateway that a node makes, or ``""``."""
    given = node.properties
    return f"traefik/{GATEWAY}" if given["driver"] == "traefik" and given["gateway_api"] else ""


def release_name(node: Node) -> str:
    """Name of the controller's release; ``""`` where none is installed."""
    return {"traefik": "traefik", "nginx": "ingress-nginx"}.get(node.properties["driver"], "")


def pods(facility: Facility) -> tuple[tuple[str, dict[str, str]], ...]:
    """Namespace and labels of the controllers' pods, which policies of the services behind them have to let in."""
    name = {
        "traefik": ("traefik", {"app.kubernetes.io/name": "traefik"}),
        "nginx": ("ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
    }
    return tuple(name[node.properties["driver"]] for node in active(facility, TYPE) if node.properties["driver"] in name)


def node_ports(facility: Facility) -> dict[int, str]:
    """Ports of every machine by which the outside reaches the facility's pages, each with the node that asks for it."""
    nodes = [node for node in active(facility, TYPE) if release_name(node) and node.properties["service_type"] == "NodePort"]
    return {int(node.properties[key]): node.name for node in nodes for key in ("http_node_port", "https_node_port")}


def needs(facility: Facility) -> tuple[str, ...]:
    """Releases after which Ingresses, and HTTPRoutes where there is a Gateway, work."""
    return tuple(name for node in active(facility, TYPE) if (name := release_name(node)))


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The definitions of the Gateway API, and the controller.

    Parameters
    ----------
    node:
        A node of :data:`TYPE`.
    context:
        The facility and its cluster.
    """
    driver = node.properties["driver"]
    if driver == "nginx":
        return (_nginx(node, context),)
    if driver != "traefik":
        return ()
    crds = Release(
        GATEWAY_CRDS,
        "gateway-system",
        "gateway-crds-helm",
        {"crds": {"gatewayAPI": {"enabled": True, "channel": "standard"}, "envoyGateway": {"enabled": False}}},
        node.name,
        installed=enabled(node) and bool(node.properties["gateway_api"]) and node.properties["gateway_definitions"] == "install",
        pod_security="restricted",
        owns=definitions("gateway.networking.k8s.io", _GATEWAY_KINDS),
    )
    return (crds, _traefik(node, context))


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of an ingress, and between several of them."""
    given = node.properties
    defaults = [other.name for other in active(facility, TYPE) if other.properties["default_class"] and release_name(other)]
    balancers = [other.properties["driver"] for other in active(facility, load_balancer.TYPE)]
    rules = (
        (
            "retired",
            given["driver"] == "nginx" and not given["accept_retired"],
            "ingress-nginx is retired: it gets no security fixes any more",
            "use driver traefik, which understands its annotations (nginx_annotations: true), or set accept_retired to true",
        ),
        (
            "gateway",
            given["gateway_api"] and given["driver"] == "nginx",
            "ingress-nginx knows no Gateway API",
            "use driver traefik, or set gateway_api to false",
        ),
        (
            "annotations",
            given["nginx_annotations"] and given["driver"] != "traefik",
            "nginx_annotations makes Traefik understand the annotations of ingress-nginx, and the driver is another",
            "use driver traefik, or set nginx_annotations to false",
        ),
        (
            "class",
            given["driver"] == "existing" and not given["class_name"],
            "driver existing uses an IngressClass of the cluster, and none is named",
            "set class_name to one that kubectl get ingressclass shows",
        ),
        (
            "default",
            len(defaults) > 1 and node.name == defaults[1],
            f"{' and '.join(defaults)} both make the default IngressClass",
            "leave default_class true on one of them",
        ),
        (
            "address",
            given["service_type"] != "LoadBalancer" and bool(given["address"]) and bool(release_name(node)),
            f"a fixed address is given, and a Service of type {given['service_type']} takes none",
            "set service_type to LoadBalancer, or leave address out",
        ),
        (
            "balancer",
            bool(release_name(node))
            and given["service_type"] == "LoadBalancer"
            and not balancers
            and bool(facility.of_type("cantiere.nodes.MachinePool")),
            "its Service is of type LoadBalancer, and nothing in the template gives it an address: it would wait for ever",
            "add a node of type cantiere.nodes.LoadBalancer (driver existing where the cloud has one), or set service_type to NodePort",
        ),
    )
    return broken(_AREA, node, rules)


def _traefik(node: Node, context: Context) -> Release:
    given = node.properties
    name = class_name(node)
    watched = has_operator(context.facility)
    spec: dict[str, Any] = {"type": given["service_type"]}
    if given["service_type"] != "ClusterIP":
        spec["externalTrafficPolicy"] = "Local"  # services see who asks
    if given["address"]:
        spec["loadBalancerIP"] = given["address"]
    ports: dict[str, Any] = {
        "web": {"http": {"redirections": {"entryPoint": {"to": "websecure", "scheme": "https", "permanent": True}}}},
        "websecure": {"http": {"tls": {"enabled": True}}, "transport": {"respondingTimeouts": {"readTimeout": "0s"}}},
    }
    if given["service_type"] == "NodePort":
        ports["web"]["nodePort"], ports["websecure"]["nodePort"] = given["http_node_port"], given["https_node_port"]
    values: dict[str, Any] = {
        "deployment": {"replicas": given["replicas"]},
        "podDisruptionBudget": {"enabled": given["replicas"] > 1, "maxUnavailable": 1},
        "ingressClass": {"enabled": True, "isDefaultClass": given["default_class"], "name": name},
        "gateway": {"enabled": given["gateway_api"]},
        "gatewayClass": {"enabled": given["gateway_api"]},
        "providers": {
            "kubernetesIngress": {"enabled": True, "ingressClass": name, "publishedService": {"enabled": True}},
            "kubernetesCRD": {"enabled": True, "ingressClass": name, "allowCrossNamespace": False},
            "kubernetesGateway": {"enabled": given["gateway_api"]},
            "kubernetesIngressNGINX": {"enabled": given["nginx_annotations"]},
        },
        "ingressRoute": {"dashboard": {"enabled": False}},
        "api": {"dashboard": False},
        "ports": ports,
        "service": {"spec": spec},
        "metrics": {
            "prometheus": {"service": {"enabled": watched}, "serviceMonitor": {"enabled": watched}, "disableAPICheck": True},
        },
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "resources": resources("100m", "128Mi", "512Mi"),
        "topologySpreadConstraints": spread({"app.kubernetes.io/name": "traefik"}),
        "priorityClassName": "system-cluster-critical",
    }
    if given["gateway_api"]:
        values["gateway"] |= {
            "name": GATEWAY,
            "annotations": {"cert-manager.io/cluster-issuer": context.cluster.issuer} if context.cluster.issuer else {},
            "listeners": _listeners(context),
        }
    owns = (
        *definitions("traefik.io", _TRAEFIK_KINDS),
        *definitions("hub.traefik.io", _HUB_KINDS),
        f"IngressClass/{name}",
        *(("IngressClass/default",) if given["default_class"] else ()),
        *(("GatewayClass/traefik",) if given["gateway_api"] else ()),
    )
    return Release(
        "traefik",
        "traefik",
        "traefik",
        values,
        node.name,
        needs=(GATEWAY_CRDS, OPERATOR_CRDS, *load_balancer.needs(context.facility)),
        installed=enabled(node),
        pod_security="restricted",
        owns=owns,
    )


def _listeners(context: Context) -> dict[str, Any]:
    """Listeners of the Gateway for all namespaces; the certificate of the whole zone is made by its issuer."""
    zone = f"*.{context.cluster.zone}"
    everywhere = {"from": "All"}
    return {
        "web": {"port": 8000, "protocol": "HTTP", "namespacePolicy": everywhere},
        "websecure": {
            "port": 8443,
            "protocol": "HTTPS",
            "hostname": zone,
            "namespacePolicy": everywhere,
            "mode": "Terminate",
            "certificateRefs": [{"name": "facility-gateway"}],
        },
    }


def _nginx(node: Node, context: Context) -> Release:
    given = node.properties
    name = class_name(node)
    watched = has_operator(context.facility)
    service: dict[str, Any] = {"type": given["service_type"]}
    if given["service_type"] != "ClusterIP":
        service["externalTrafficPolicy"] = "Local"
    if given["address"]:
        service["loadBalancerIP"] = given["address"]
    if given["service_type"] == "NodePort":
        service["nodePorts"] = {"http": str(given["http_node_port"] or ""), "https": str(given["https_node_port"] or "")}
    values = {
        "controller": {
            "ingressClass": name,
            "ingressClassResource": {"name": name, "enabled": True, "default": given["default_class"]},
            "allowSnippetAnnotations": False,
            "replicaCount": given["replicas"],
            "service": service,
            "resources": resources("100m", "128Mi", "512Mi"),
            "config": {"proxy-body-size": "0", "proxy-read-timeout": "3600", "proxy-send-timeout": "3600"},
            "metrics": {"enabled": watched, "serviceMonitor": {"enabled": watched}},
            "topologySpreadConstraints": spread({"app.kubernetes.io/name": "ingress-nginx"}),
            "priorityClassName": "system-cluster-critical",
        }
    }
    return Release(
        "ingress-nginx",
        "ingress-nginx",
        "ingress-nginx",
        values,
        node.name,
        needs=(OPERATOR_CRDS, *load_balancer.needs(context.facility)),
        installed=enabled(node),
        owns=(f"IngressClass/{name}", *(("IngressClass/default",) if given["default_class"] else ())),
    )
