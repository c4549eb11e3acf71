"""The objects with which a cluster is tried, as dicts. Pure."""

from __future__ import annotations

from typing import Any

NAMESPACE = "cantiere-verify"
NAME = "cantiere-verify"
ALLOWED = "allowed"
HOLDER = "holder"
PORT = 8080
SERVE = f"mkdir -p /tmp/www && hostname > /tmp/www/index.html && exec httpd -f -p {PORT} -h /tmp/www"
RESOURCES = {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}


def _list(*items: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


def _container(image: str, command: str, **more: Any) -> dict[str, Any]:
    """A container that runs a shell command; PID 1 ends at once when it is asked to."""
    text = f"trap exit TERM; {command}"
    return {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", text], "resources": RESOURCES} | more


def everywhere(image: str) -> dict[str, Any]:
    """A namespace, a web server on every node, and a service in front of them.

    Parameters
    ----------
    image:
        An image with a shell, ``httpd``, ``wget`` and ``nslookup``.
    """
    labels = {"app": NAME}
    pod = {
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}],
        "containers": [_container(image, SERVE, readinessProbe={"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1})],
    }
    return _list(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {"type": "NodePort", "selector": labels, "ports": [{"port": PORT, "targetPort": PORT}]},
        },
    )


def policy() -> dict[str, Any]:
    """A network policy that lets only pods labelled ``access: granted`` reach the web servers."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchLabels": {"app": NAME}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"access": "granted"}}}]}],
        },
    }


def allowed(image: str) -> dict[str, Any]:
    """A pod that the network policy lets through."""
    return _pod(ALLOWED, {"access": "granted"}, {"containers": [_container(image, "sleep 3600 & wait")]})


def volume(folder: str) -> dict[str, Any]:
    """A volume in a folder of the machines, and the claim that takes it."""
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
        "claimRef": {"namespace": NAMESPACE, "name": NAME},
        "hostPath": {"path": folder, "type": "DirectoryOrCreate"},
    }
    claim = {
        "storageClassName": "",
        "volumeName": NAME,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return _list(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": NAME}, "spec": spec},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": claim},
    )


def holder(image: str, node: str) -> dict[str, Any]:
    """A pod on one node that holds the volume."""
    mounted = _container(image, "sleep 3600 & wait", volumeMounts=[{"name": "data", "mountPath": "/data"}])
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "tolerations": [{"operator": "Exists"}],
        "containers": [mounted],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": NAME}}],
    }
    return _pod(HOLDER, {}, spec)


def _pod(name: str, labels: dict[str, str], spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"terminationGracePeriodSeconds": 1, "restartPolicy": "Never"} | spec,
    }
