"""Dask on Kubernetes: Dask Gateway behind the hub's log-in, and the operator of dask-kubernetes. Pure."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node, Secret, SecretFile
from cantiere.values import ingress
from cantiere.values.addons import active, broken, definitions, enabled, resources
from cantiere.values.model import Context, Link, Release, SecretObject
from cantiere.values.parts import image, image_problem, own_images
from cantiere.values.units import quantity

GATEWAY = "cantiere.nodes.DaskGateway"
OPERATOR = "cantiere.nodes.DaskOperator"
SERVICE = "dask-gateway"
"""Name by which the hub knows the gateway."""
PREFIX = "/services/dask-gateway"
HUB_PORT = 8081
PROXY_PORT = 8000
_TRAEFIK_KINDS = (
    "ingressroutes ingressroutetcps ingressrouteudps middlewares middlewaretcps serverstransports serverstransporttcps tlsoptions "
    "tlsstores traefikservices"
).split()
_OPERATOR_KINDS = "daskautoscalers daskclusters daskjobs daskworkergroups".split()


def token(node: Node) -> Secret:
    """The token by which the hub knows the gateway; the hub is told it for its service :data:`SERVICE`."""
    return Secret(f"{node.name}-api-token")


def address(node: Node, context: Context) -> str:
    """Where notebooks find the gateway."""
    return f"http://traefik-{node.name}.{context.services.domain}{PREFIX}"


def hub_api(hub: str, context: Context) -> str:
    """The REST interface of the hub with this name, for services in the cluster: the chart's Service of the hub is ``<name>-hub``."""
    return f"http://{context.services.fqdn(f'{hub}-hub')}:{HUB_PORT}/hub/api"


def gateway(node: Node, context: Context) -> tuple[Release, ...]:
    """Dask Gateway by its chart 2026.3.0.

    Where the facility's own Traefik is, that one brings the definitions of IngressRoutes: Helm skips all of this chart's, and the only
    one that is the gateway's own is made by a release before it.
    """
    told, name = node.properties, node.name
    traefik = any(other.properties["driver"] == "traefik" for other in active(context.facility, ingress.TYPE))
    chosen = image(context, str(told["image"]))
    pods = {"name": chosen["repository"], "tag": chosen["tag"]}
    least: dict[str, Any] = {"cores": {"request": 0.1, "limit": 1}, "memory": {"request": "512M", "limit": "2G"}}
    control = resources("50m", "128Mi", "256Mi")
    hub = node.requirements["hub"][0]
    values = {
        "fullnameOverride": name,
        "gateway": {
            "replicas": 1,
            "prefix": PREFIX,
            "loglevel": "INFO",
            "resources": control,
            "auth": {
                "type": "jupyterhub",
                "jupyterhub": {
                    "apiTokenFromSecretName": f"{name}-hub",
                    "apiTokenFromSecretKey": "api-token",
                    "apiUrl": hub_api(hub, context),
                    "jupyterhubServiceName": SERVICE,
                },
            },
            "backend": {
                "image": pods,
                "namespace": context.namespace,
                "scheduler": least,
                "worker": {"cores": {"request": 1, "limit": 1}, "memory": {"request": "2G", "limit": "2G"}, "threads": None},
            },
            "extraConfig": {"limits": limits(node)},
        },
        "controller": {"enabled": True, "loglevel": "INFO", "resources": control, "completedClusterMaxAge": 86400},
        "traefik": {
            "replicas": 1,
            "installTraefik": True,
            "loglevel": "WARN",
            "dashboard": False,
            "resources": control,
            "service": {"type": "ClusterIP", "ports": {"web": {"port": 80}, "tcp": {"port": "web"}}},
        },
        "rbac": {"enabled": True},
    }
    own = definitions("gateway.dask.org", ["daskclusters"])
    ours = {"app.kubernetes.io/name": "dask-gateway", "app.kubernetes.io/instance": name}
    proxy, server = ({**ours, "app.kubernetes.io/component": part} for part in ("traefik", "gateway"))
    notebooks = {"component": "singleuser-server"}
    release = Release(
        name=name,
        namespace=context.namespace,
        chart="dask-gateway",
        values=values,
        node=name,
        needs=(hub, *((f"{name}-crds", "traefik") if traefik else ())),
        installed=enabled(node),
        images=own_images(context, str(told["image"])),
        secrets=(SecretObject(f"{name}-hub", (SecretFile(token(node), "api-token"),)),),
        owns=() if traefik else (*own, *definitions("traefik.io", _TRAEFIK_KINDS)),
        links=(
            Link(notebooks, proxy, PROXY_PORT, "notebooks make and use Dask clusters", context.namespace, context.namespace),
            Link(server, {"component": "hub"}, HUB_PORT, "the gateway asks the hub who a user is", context.namespace, context.namespace),
        ),
        crds="skip" if traefik else "install",
    )
    if not traefik:
        return (release,)
    objects = {"daskclusters": _definition()}
    return (
        Release(f"{name}-crds", context.namespace, "objects", {"objects": objects}, name, installed=enabled(node), owns=own),
        release,
    )


def limits(node: Node) -> str:
    """The gateway's configuration of what users may ask for; made of numbers alone."""
    told = node.properties
    worker, cluster = int(told["max_worker_memory"]), int(told["max_cluster_memory"])
    return "\n".join(
        (
            f"c.ClusterConfig.cluster_max_cores = {int(told['max_cluster_cpus'])}",
            f"c.ClusterConfig.cluster_max_memory = {cluster}",
            f"c.ClusterConfig.cluster_max_workers = {int(told['max_workers'])}",
            f"c.ClusterConfig.idle_timeout = {float(told['idle_timeout'])}",
            "from dask_gateway_server.options import Float, Integer, Options",
            "c.Backend.cluster_options = Options(",
            f"    Integer('worker_cores', default=1, min=1, max={int(told['max_worker_cpus'])}, label='Cores of each worker'),",
            f"    Float('worker_memory', default=2, min=0.5, max={worker / (1 << 30)}, label='Memory of each worker in GiB'),",
            "    handler=lambda asked: {",
            "        'worker_cores': asked.worker_cores,",
            "        'worker_cores_limit': asked.worker_cores,",
            "        'worker_memory': int(asked.worker_memory * 2**30),",
            "        'worker_memory_limit': int(asked.worker_memory * 2**30),",
            "    },",
            ")",
        )
    )


def check_gateway(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the limits of a gateway."""
    told = node.properties
    rules = (
        (
            "cpus",
            told["max_worker_cpus"] >= told["max_cluster_cpus"],
            "one worker with its scheduler would be more than a cluster may have",
            "raise max_cluster_cpus above max_worker_cpus",
        ),
        (
            "memory",
            told["max_worker_memory"] >= told["max_cluster_memory"],
            "one worker with its scheduler would be more than a cluster may have",
            "raise max_cluster_memory above max_worker_memory",
        ),
    )
    found = broken("dask", node, rules)
    picture = image_problem(node, "image")
    return [*found, *([picture] if picture else [])] if enabled(node) else []


def operator(node: Node, context: Context) -> tuple[Release, ...]:
    """The operator, which watches the facility's namespace alone."""
    values = {
        "fullnameOverride": node.name,
        "rbac": {"create": True, "cluster": False},
        "kopfArgs": [f"--namespace={context.namespace}"],
        "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "resources": resources("50m", quantity(node.properties["memory"])),
    }
    return (
        Release(
            name=node.name,
            namespace=context.namespace,
            chart="dask-kubernetes-operator",
            values=values,
            node=node.name,
            installed=enabled(node),
            pod_security="restricted",
            owns=definitions("kubernetes.dask.org", _OPERATOR_KINDS),
        ),
    )


def _definition() -> dict[str, Any]:
    """The definition of the gateway's own kind, whose schema takes anything."""
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    names = {"kind": "DaskCluster", "listKind": "DaskClusterList", "plural": "daskclusters", "singular": "daskcluster"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "daskclusters.gateway.dask.org"},
        "spec": {"group": "gateway.dask.org", "names": names, "scope": "Namespaced", "versions": [version]},
    }
