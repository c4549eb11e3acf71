"""Notebooks on a cluster: the chart of zero-to-jupyterhub with our images, and what that chart has no value for. Pure.

Everything that differs between facilities reaches the hub as one JSON file; the only Python in the values is the constant :data:`LOAD`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cantiere.model import Node, SecretFile
from cantiere.services import iam, jupyterhub
from cantiere.services.facts import CA
from cantiere.values import computing, cvmfs, dask, notebooks, scraping, storage
from cantiere.values.addons import resources
from cantiere.values.ingress import needs as ingress_needs
from cantiere.values.model import Context, Release, SecretObject
from cantiere.values.parts import host_secret, image, own_images, tls_secret
from cantiere.values.units import quantity

TYPE = jupyterhub.TYPE
CHART = notebooks.CHART
EXTRAS = "hub-extras"

LOAD = "from cantiere_hub import kube\nkube.configure(c)\n"
"""All the Python that goes into the values (``images/jupyterhub/cantiere_hub/kube.py``)."""
SETTINGS_FILE = "/etc/cantiere/hub.json"
HUB_ACCOUNT = 4100
"""Numeric account of the hub in our image."""
NOTEBOOK_ACCOUNT = int(jupyterhub.USER)
PROXY_ACCOUNT = 65534

CULL_EVERY = 600
START_TIMEOUT = 600
METADATA_SERVER = "169.254.169.254"

DNS_ONLY: Mapping[str, bool] = {
    "cloudMetadataServer": False,
    "dnsPortsCloudMetadataServer": False,
    "dnsPortsKubeSystemNamespace": True,
    "dnsPortsPrivateIPs": False,
    "nonPrivateIPs": False,
    "privateIPs": False,
}
RESTRICTED: Mapping[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The hub, and before it what its chart cannot make: its address in the cluster, and the folder that users share.

    Parameters
    ----------
    node:
        A node of :data:`TYPE`.
    context:
        The facility and its cluster.
    """
    known = jupyterhub.issuer(node, context.services)
    extras = _extras(node, context)
    waits = (
        extras.name,
        *(() if iam.external(known) else (known.name,)),
        *_software(node, context),
        *storage.needs(context.facility),
        *(ingress_needs(context.facility) if context.services.zone else ()),
    )
    hub = Release(
        name=node.name,
        namespace=context.namespace,
        chart=CHART,
        values=values(node, context),
        node=node.name,
        needs=waits,
        images=own_images(context, "jupyterhub", *_listed(node, context).values()),
        secrets=_secrets(node, context),
        links=notebooks.links(node, context),
        timeout=900,
    )
    return (extras, hub)


def settings(node: Node, context: Context) -> dict[str, Any]:
    """What the hub is told in :data:`SETTINGS_FILE`.

    Returns
    -------
    dict
        As on one machine, without what only a container engine needs; beside it ``profiles`` with their ``placement``,
        ``gpu_placement`` of servers with GPUs that follow no profile, ``reserved_cpus``, ``service_scopes`` of users where there are
        services behind the hub's log-in, and :func:`cantiere.values.computing.settings`.
    """
    services = context.services
    gateways = notebooks.gateways(node, context)
    return {
        **jupyterhub.login(node, services),
        "titles": list(_listed(node, context)),
        **({"service_scopes": [f"access:services!service={dask.SERVICE}"]} if gateways else {}),
        **computing.settings(node, context),
        "notebooks": {
            "images": [context.image_reference(image) for image in _listed(node, context).values()],
            **jupyterhub.offer(node),
            "home": jupyterhub.HOME,
        },
        "environment": {**jupyterhub.environment(node, services), **notebooks.environment(node, context)},
        "profiles": notebooks.profiles(node, context),
        "gpu_placement": notebooks.placement(node, context, gpus=max(1, node.properties["max_gpus"])),
        "reserved_cpus": node.properties["reserved_cpus"],
    }


def values(node: Node, context: Context) -> dict[str, Any]:
    """Values of the chart, complete under its schema even without the chart's own defaults."""
    return {
        "fullnameOverride": node.name,
        "imagePullSecrets": [],
        "custom": {},
        "debug": {"enabled": False},
        "global": {"safeToShowValues": False},
        "rbac": {"create": True},
        "hub": _hub(node, context),
        "proxy": _proxy(node, context),
        "singleuser": _singleuser(node, context),
        "scheduling": _scheduling(node),
        "prePuller": {
            "hook": {"enabled": False},
            "continuous": {"enabled": node.properties["prepull"]},
            "extraImages": _images(node, context),
        },
        "cull": {"enabled": True, "timeout": jupyterhub.idle_timeout(node), "every": min(CULL_EVERY, jupyterhub.idle_timeout(node))},
        **_entrance(node, context),
    }


def _hub(node: Node, context: Context) -> dict[str, Any]:
    services = context.services
    url = jupyterhub.url(node, services)
    gateways = notebooks.gateways(node, context)
    scraped = scraping.wanted(context)
    public = not all(issuer.startswith(f"https://{name}.{services.domain}") for issuer, name in _issuers(node, context))
    return {
        "baseUrl": "/",
        "image": _split(context, "jupyterhub"),
        "command": ["/usr/bin/tini", "-g", "--", "/usr/local/bin/pod"],
        "existingSecret": node.name,
        "annotations": {"secretDigest": ""},
        "config": {
            "JupyterHub": {
                "authenticator_class": "cantiere_hub.authenticator.FacilityAuthenticator",
                "public_url": f"{url}/",
                **({"authenticate_prometheus": False} if scraped else {}),
            },
            "OAuthenticator": {"oauth_callback_url": f"{url}{iam.HUB_CALLBACK}"},
        },
        "extraFiles": {"settings": {"mountPath": SETTINGS_FILE, "data": settings(node, context)}},
        "extraConfig": {"facility": LOAD},
        "services": {dask.SERVICE: {"display": False}} if gateways else {},
        "db": {
            "type": "sqlite-pvc",
            "pvc": {"storage": "1Gi", "storageClassName": context.storage_class(node), "accessModes": ["ReadWriteOnce"]},
        },
        "podSecurityContext": {"runAsNonRoot": True, "fsGroup": HUB_ACCOUNT, "seccompProfile": {"type": "RuntimeDefault"}},
        "containerSecurityContext": {"runAsUser": HUB_ACCOUNT, "runAsGroup": HUB_ACCOUNT, **RESTRICTED},
        "resources": resources("100m", "256Mi", "1Gi"),
        "pdb": {"enabled": True, "maxUnavailable": 1, "minAvailable": None},
        "networkPolicy": {
            "enabled": True,
            "ingress": [
                *(_from(notebooks.gateway_labels(gateway, "gateway"), dask.HUB_PORT) for gateway in gateways),
                *([{"from": [dict(scraping.SCRAPER)], "ports": [{"protocol": "TCP", "port": dask.HUB_PORT}]}] if scraped else []),
            ],
            "egressAllowRules": {**DNS_ONLY, "nonPrivateIPs": public},
            "egress": [*(way.rule() for way in notebooks.login_ways(node, context)), notebooks.api_rule(context), *_outside(node, context)],
        },
    }


def _from(labels: Mapping[str, str], port: int) -> dict[str, Any]:
    """Lets pods with these labels connect to a port."""
    return {"from": [{"podSelector": {"matchLabels": dict(labels)}}], "ports": [{"protocol": "TCP", "port": port}]}


def _proxy(node: Node, context: Context) -> dict[str, Any]:
    inside = not context.services.zone
    https = {"enabled": inside, "type": "secret", "secret": {"name": f"{node.name}-tls", "key": "tls.key", "crt": "tls.crt"}}
    return {
        "service": {"type": "ClusterIP", "disableHttpPort": inside},
        "https": https if inside else {"enabled": False},
        "annotations": {"secretDigest": ""},
        "chp": {
            "image": _split(context, "jupyterhub"),
            "resources": resources("50m", "128Mi", "512Mi"),
            "containerSecurityContext": {
                "runAsNonRoot": True,
                "runAsUser": PROXY_ACCOUNT,
                "runAsGroup": PROXY_ACCOUNT,
                **RESTRICTED,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "extraPodSpec": {"automountServiceAccountToken": False},
            "pdb": {"enabled": True, "maxUnavailable": 1, "minAvailable": None},
            "networkPolicy": {"enabled": True, "egressAllowRules": dict(DNS_ONLY), "allowedIngressPorts": ["http", "https"]},
        },
    }


def _singleuser(node: Node, context: Context) -> dict[str, Any]:
    properties = node.properties
    networks = [{"to": [{"ipBlock": {"cidr": network}}]} for network in properties["allowed_networks"]]
    return {
        "image": _split(context, properties["images"][0]["image"]),
        "uid": NOTEBOOK_ACCOUNT,
        "fsGid": NOTEBOOK_ACCOUNT,
        "allowPrivilegeEscalation": False,
        "defaultUrl": "/lab",
        "startTimeout": START_TIMEOUT,
        "extraLabels": {"hub.jupyter.org/network-access-hub": "true", **notebooks.client_labels(node, context)},
        "extraAnnotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        "extraPodConfig": {"enableServiceLinks": False},
        "cloudMetadata": {"blockWithIptables": False, "ip": METADATA_SERVER},
        "storage": {
            "type": "dynamic",
            "homeMountPath": jupyterhub.HOME,
            "capacity": quantity(properties["home_size"]),
            "dynamic": {"storageClass": context.storage_class(node), "storageAccessModes": ["ReadWriteOnce"]},
            **_volumes(node, context),
        },
        "networkPolicy": {
            "enabled": True,
            "ingress": [_from(link.source, link.port) for link in notebooks.dask_link(node, context)],
            "egressAllowRules": {**DNS_ONLY, "nonPrivateIPs": properties["internet"]},
            "egress": [*(way.rule() for way in notebooks.ways(node, context)), *networks, *_outside(node, context)],
        },
    }


def _scheduling(node: Node) -> dict[str, Any]:
    most = {"scoringStrategy": {"type": "MostAllocated", "resources": [{"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1}]}}
    return {
        "userScheduler": {
            "enabled": node.properties["pack"],
            "logLevel": 4,
            "plugins": {},
            "pluginConfig": [{"name": "NodeResourcesFit", "args": most}],
        },
        "userPlaceholder": {"enabled": False},
    }


def _entrance(node: Node, context: Context) -> dict[str, Any]:
    """The way in from outside, by a Gateway where the cluster has one, else by an Ingress; neither without a zone."""
    zone, cluster = context.services.zone, context.cluster
    if not zone:
        return {"ingress": {"enabled": False}}
    host = f"{node.name}.{zone}"
    if cluster.gateway:
        namespace, _, name = cluster.gateway.rpartition("/")
        route = {"enabled": True, "hostnames": [host], "gateway": {"name": name, "namespace": namespace or context.namespace}}
        return {"ingress": {"enabled": False}, "httpRoute": route}
    ingress = {
        "enabled": True,
        "annotations": {"cert-manager.io/cluster-issuer": cluster.issuer} if cluster.issuer else {},
        "ingressClassName": cluster.ingress_class,
        "hosts": [host],
        "tls": [{"hosts": [host], "secretName": f"{node.name}-page-tls"}],
    }
    return {"ingress": ingress}


def _extras(node: Node, context: Context) -> Release:
    """What the chart has no value for: a Service of the hub's own name and port, and the claim of the shared folder."""
    inside, shared = not context.services.zone, bool(node.properties["shared_folder"])
    own = replace(node, properties={**node.properties, "storage_class": node.properties["shared_storage_class"]})
    told: dict[str, Any] = {
        "address": {
            "enabled": inside,
            "name": node.name,
            "port": jupyterhub.PORT,
            "targetPort": "https",
            "selector": {"app.kubernetes.io/instance": node.name, "app.kubernetes.io/component": "proxy"},
        },
        "shared": {"enabled": shared},
    }
    if shared:
        told["shared"] |= {
            "claim": f"{node.name}-shared",
            "size": quantity(node.properties["shared_size"]),
            "storageClassName": context.storage_class(own, shared=True),
            "image": context.image("base"),
        }
    return Release(
        name=f"{node.name}-extras",
        namespace=context.namespace,
        chart=EXTRAS,
        values=told,
        node=node.name,
        needs=storage.needs(context.facility) if shared else (),
        installed=inside or shared,
        images=own_images(context, "base") if shared else (),
    )


def _secrets(node: Node, context: Context) -> tuple[SecretObject, ...]:
    services, cluster = context.services, context.cluster
    tokens = [SecretFile(dask.token(gateway), f"hub.services.{dask.SERVICE}.apiToken") for gateway in notebooks.gateways(node, context)]
    found = [SecretObject(node.name, (SecretFile(CA, "ca.pem", "certificate"), *jupyterhub.secrets(node, services), *tokens))]
    if not services.zone:
        found.append(tls_secret(f"{node.name}-tls", services.certificate(node.name)[1].secret))
    elif not cluster.gateway and not cluster.issuer:
        found.append(tls_secret(f"{node.name}-page-tls", host_secret(f"{node.name}-page", (f"{node.name}.{services.zone}",))))
    return tuple(found)


def _volumes(node: Node, context: Context) -> dict[str, Any]:
    claims = []
    if _software(node, context):
        claims.append(("cvmfs", cvmfs.HUB_CLAIM, {"mountPath": jupyterhub.CVMFS, "mountPropagation": "HostToContainer", "readOnly": True}))
    if folder := node.properties["shared_folder"]:
        claims.append(("shared", f"{node.name}-shared", {"mountPath": folder}))
    if not claims:
        return {}
    return {
        "extraVolumes": {name: {"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim, _ in claims},
        "extraVolumeMounts": {name: {"name": name, **mount} for name, _, mount in claims},
    }


def _software(node: Node, context: Context) -> tuple[str, ...]:
    """Whose repositories notebooks see, where they are enabled; the release with their claims is called the same."""
    return tuple(name for name in node.requirements.get("software", ()) if context.facility.node(name).properties["enabled"])


def _images(node: Node, context: Context) -> dict[str, Any]:
    """The listed images after the first one, which the chart pulls by itself."""
    return {f"image-{number}": _split(context, image) for number, image in enumerate(_listed(node, context).values()) if number}


def _listed(node: Node, context: Context) -> dict[str, str]:
    """Title to image of the spawn page's list: the hub's own, then those whose notebooks may compute in pods of their own."""
    known = {item["title"]: str(item["image"]) for item in node.properties["images"]}
    more = {title: image for title, image in computing.images(node, context).items() if image not in known.values()}
    return known | more


def _outside(node: Node, context: Context) -> list[dict[str, Any]]:
    """To the way in, where the facility's own pages and issuer have names of the zone."""
    if not context.services.zone:
        return []
    targets: list[dict[str, Any]] = [
        {
            "namespaceSelector": {},
            "podSelector": {
                "matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "In", "values": ["traefik", "ingress-nginx"]}]
            },
        }
    ]
    if context.cluster.ingress_address:
        targets.append({"ipBlock": {"cidr": f"{context.cluster.ingress_address}/32"}})
    return [{"to": targets, "ports": [{"protocol": "TCP", "port": port} for port in (443, 8443)]}]


def _issuers(node: Node, context: Context) -> list[tuple[str, str]]:
    names = node.requirements["issuer"]
    return [(context.services.issuer_url(context.facility.node(name)), name) for name in names]


def _split(context: Context, reference: str) -> dict[str, str]:
    """An image as this chart wants it: ``name`` and ``tag``."""
    found = image(context, reference)
    return {"name": found["repository"], "tag": found["tag"]}
