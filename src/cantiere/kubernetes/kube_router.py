"""The objects of kube-router: network of pods, routes between machines, NetworkPolicy. Pure.

kube-proxy carries the Services. Source: kube-router's ``docs/user-guide.md`` and ``daemonset/``.
"""

from __future__ import annotations

import json
from typing import Any

NAME = "kube-router"
NAMESPACE = "kube-system"
CNI_FOLDER = "/etc/cni/net.d"
CNI_FILE = f"{CNI_FOLDER}/10-kuberouter.conflist"
HEALTH_PORT = 20244
RULES: list[dict[str, list[str]]] = [
    {"apiGroups": [""], "resources": ["namespaces", "pods", "services", "nodes", "endpoints"], "verbs": ["list", "get", "watch"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "get", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "get", "watch"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
]
INSTALL = f"test -f {CNI_FILE} || {{ cp /configuration/cni.json {CNI_FOLDER}/.new && mv {CNI_FOLDER}/.new {CNI_FILE}; }}"


def cni(mtu: int) -> dict[str, Any]:
    """The list of CNI plugins; kube-router adds the machine's own subnet.

    Parameters
    ----------
    mtu:
        Of pods' interfaces; 0 leaves it to kube-router, which takes that of the machine's interface.
    """
    bridge: dict[str, Any] = {
        "name": "kubernetes",
        "type": "bridge",
        "bridge": "kube-bridge",
        "isDefaultGateway": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local"},
    }
    if mtu:
        bridge["mtu"] = mtu
    ports = {"type": "portmap", "capabilities": {"snat": True, "portMappings": True}}
    return {"cniVersion": "0.3.1", "name": "kuberouter", "plugins": [bridge, ports]}


def arguments(service_subnet: str, overlay: str, mtu: int) -> list[str]:
    """The arguments of kube-router.

    Parameters
    ----------
    service_subnet:
        Network of Services.
    overlay:
        ``subnet`` (tunnels only to machines of other subnets), ``full`` (tunnels between all) or ``none``.
    mtu:
        See :func:`cni`.
    """
    tunnels = [f"--enable-overlay={'false' if overlay == 'none' else 'true'}"]
    if overlay != "none":
        tunnels.append(f"--overlay-type={overlay}")
    return [
        "--run-router=true",
        "--run-firewall=true",
        "--run-service-proxy=false",
        "--enable-cni=true",
        f"--auto-mtu={'false' if mtu else 'true'}",
        *tunnels,
        f"--service-cluster-ip-range={service_subnet}",
        # a node that has joined counts as one of the cluster's only from the next round: until then pods there are reached under the
        # address of the sender's machine, which no policy knows
        "--routes-sync-period=10s",
        f"--health-port={HEALTH_PORT}",
        "--v=1",
    ]


def _meta(name: str, namespaced: bool = True) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name}
    if namespaced:
        meta["namespace"] = NAMESPACE
    return meta | {"labels": {"app.kubernetes.io/name": NAME, "app.kubernetes.io/managed-by": "cantiere"}}


def manifests(image: str, service_subnet: str, overlay: str, mtu: int) -> list[dict[str, Any]]:
    """The objects of kube-router.

    Parameters
    ----------
    image:
        Of kube-router, with its tag.
    service_subnet, overlay, mtu:
        See :func:`arguments`.
    """
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(NAME)},
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": _meta(NAME, namespaced=False), "rules": RULES},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": _meta(NAME, namespaced=False),
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(NAME), "data": {"cni.json": json.dumps(cni(mtu))}},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": _meta(NAME), "spec": _daemons(image, service_subnet, overlay, mtu)},
    ]


def _daemons(image: str, service_subnet: str, overlay: str, mtu: int) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": NAME}
    folder = {"name": "cni", "mountPath": CNI_FOLDER}
    install = {
        "name": "install-cni",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", INSTALL],
        "volumeMounts": [folder, {"name": "configuration", "mountPath": "/configuration"}],
    }
    router = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/usr/local/bin/kube-router"],
        "args": arguments(service_subnet, overlay, mtu),
        "env": [
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "KUBE_ROUTER_CNI_CONF_FILE", "value": CNI_FILE},
        ],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": HEALTH_PORT}, "initialDelaySeconds": 10, "periodSeconds": 10},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "securityContext": {"privileged": True},
        "volumeMounts": [
            {"name": "modules", "mountPath": "/lib/modules", "readOnly": True},
            {"name": "xtables-lock", "mountPath": "/run/xtables.lock"},
            folder,
        ],
    }
    pod = {
        "priorityClassName": "system-node-critical",
        "serviceAccountName": NAME,
        "hostNetwork": True,
        "hostPID": True,
        "tolerations": [{"operator": "Exists"}],
        "initContainers": [install],
        "containers": [router],
        "volumes": [
            {"name": "modules", "hostPath": {"path": "/lib/modules", "type": "DirectoryOrCreate"}},
            {"name": "xtables-lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
            {"name": "cni", "hostPath": {"path": CNI_FOLDER, "type": "DirectoryOrCreate"}},
            {"name": "configuration", "configMap": {"name": NAME}},
        ],
    }
    update = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
    return {"selector": {"matchLabels": labels}, "updateStrategy": update, "template": {"metadata": {"labels": labels}, "spec": pod}}
