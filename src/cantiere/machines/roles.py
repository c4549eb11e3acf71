"""Which Ansible roles converge a machine, and with what variables. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cantiere.machines.model import WORLD, Machine, Opening
from cantiere.machines.registry import PORT, USER, WRITE_PORT, Place
from cantiere.machines.wanted import API_PORT, Network, endpoint, in_cluster

BARE = {"storage": "storage_client", "gpu": "nvidia", "nfs-server": "nfs_server", "squid": "squid", "cvmfs": "cvmfs_client"}
"""What a machine does beside the cluster, and the role that makes it."""
HTCONDOR = "htcondor-"
XROOTD = "xrootd-"
_KUBERNETES = ("src/cantiere/kubernetes/*.py",)
MADE_FROM: Mapping[str, tuple[str, ...]] = {
    "base": ("src/cantiere/accounts.py",),
    "containerd": _KUBERNETES,
    "kubernetes": _KUBERNETES,
    "virtual_address": _KUBERNETES,
    "kube_network": _KUBERNETES,
    "etcd_backup": _KUBERNETES,
    "registry": ("src/cantiere/registry.py",),
    "nvidia": ("src/cantiere/gpu.py", "src/cantiere/package_sources.py"),
    "cvmfs_client": ("src/cantiere/cvmfs_client.py", "src/cantiere/package_sources.py"),
    "htcondor_machine": ("src/cantiere/services/htcondor*.py", "src/cantiere/image_files.py", "images/htcondor/**/*"),
    "xrootd_machine": ("src/cantiere/services/xrootd*.py", "src/cantiere/image_files.py", "images/xrootd/**/*"),
}
"""Role to the files of the repository, beside its own folder, that decide what it makes."""
HIGHEST_PRIORITY = 150
PROGRAMS = "/usr/local/bin"
CNI_PLUGINS = "/opt/cni/bin"


@dataclass(frozen=True, slots=True)
class Context:
    """What the variables of one machine depend on beside the machine itself.

    Parameters
    ----------
    machines:
        All machines of the facility, with addresses.
    network:
        The cluster's part of the site's network.
    version:
        Kubernetes version, ``1.36.3``.
    leader:
        Name of the control-plane machine on which steps for the whole cluster are done.
    placed:
        Artifact name to what role ``cantiere_artifacts`` takes for it.
    registry:
        Where the site's own registry is; None where it has none.
    job_containers:
        Whether pods run jobs that name a container image.
    """

    machines: Sequence[Machine]
    network: Network
    version: str
    leader: str
    placed: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    registry: Place | None = None
    job_containers: bool = False


def roles_of(machine: Machine, context: Context) -> tuple[str, ...]:
    """The roles of a machine, in the order in which they are converged."""
    found = ["base"]
    if in_cluster(machine):
        found += ["containerd", "kubernetes"]
        if machine.controls:
            found += ["virtual_address"] if context.network.virtual_address else []
            found += ["kube_network"] if machine.name == context.leader else []
            found += ["etcd_backup"]
    found += ["registry"] if _serves_images(machine, context) else []
    found += [role for name, role in BARE.items() if name in machine.roles]
    found += ["htcondor_machine"] if any(role.startswith(HTCONDOR) for role in machine.roles) else []
    found += ["xrootd_machine"] if any(role.startswith(XROOTD) for role in machine.roles) else []
    return tuple(found)


def variables(machine: Machine, context: Context) -> dict[str, Any]:
    """All variables of a machine's roles."""
    network, trusted = context.network, _trusted(context)
    pods = [network.pod_subnet] if in_cluster(machine) else []
    found: dict[str, Any] = {
        "base_hostname": machine.name,
        "base_firewall_trusted": [*trusted, *pods],
    }
    open_ports: list[dict[str, Any]] = [_everybody(API_PORT)] if machine.controls else []
    if _serves_images(machine, context) and context.registry:
        found |= _registry(context.registry)
        open_ports.append(_everybody(WRITE_PORT))
    open_ports += [_public(opening) for opening in machine.public]
    if open_ports:
        found["base_firewall_ports"] = open_ports
    if "gpu" in machine.roles:
        found["nvidia_gpus"] = machine.needs.get("num_gpus", 0)
    if in_cluster(machine):
        found |= _cluster(machine, context)
    return found


def _everybody(port: int) -> dict[str, Any]:
    return {"port": port, "protocol": "tcp", "from": []}


def _public(opening: Opening) -> dict[str, Any]:
    """Ports for the outside, as the firewall of role ``base`` takes them."""
    port = opening.first if opening.first == opening.last else f"{opening.first}-{opening.last}"
    return {"port": port, "protocol": opening.protocol, "from": [] if opening.source == WORLD else [opening.source]}


def _serves_images(machine: Machine, context: Context) -> bool:
    return context.registry is not None and context.registry.machine == machine.name


def _registry(place: Place) -> dict[str, Any]:
    return {
        "registry_certificate_file": str(place.folder / "certificate.pem"),
        "registry_certificate_key_file": str(place.folder / "key.pem"),
        "registry_password_file": str(place.folder / "password"),
        "registry_port": PORT,
        "registry_write_port": WRITE_PORT,
        "registry_user": USER,
        "registry_secrets": place.digest,
    }


def _cluster(machine: Machine, context: Context) -> dict[str, Any]:
    network = context.network
    images = ["pause-image", "kube-router-image", "coredns-image", "tools-image", "kubernetes-images"]
    images += ["etcd-image"] if machine.controls else []
    known = {*images, "etcd-image"}
    images += [name for name, rows in context.placed.items() if name not in known and any("archive" in row for row in rows)]
    found: dict[str, Any] = {
        "containerd_binaries": programs(context.placed.get("containerd", ()), PROGRAMS),
        "containerd_cni_binaries": programs(context.placed.get("cni-plugins", ()), CNI_PLUGINS),
        "containerd_images": [item for name in images for item in context.placed.get(name, ())],
        "containerd_pause_image": _reference(context, "pause-image"),
        "kubernetes_binaries": programs(context.placed.get("kubernetes", ()), PROGRAMS),
        "kubernetes_version": context.version,
        "kubernetes_endpoint": endpoint(context.machines, network),
        "kubernetes_node_name": machine.name,
        "kubernetes_node_address": machine.address,
        "kubernetes_control_plane": machine.controls,
        "kubernetes_labels": dict(machine.node_labels),
        "kubernetes_taints": list(machine.taints),
        "kubernetes_pod_subnet": network.pod_subnet,
        "kubernetes_service_subnet": network.service_subnet,
        "kubernetes_job_containers": context.job_containers,
        "kube_network_image": _reference(context, "kube-router-image"),
        "kube_network_service_subnet": network.service_subnet,
    }
    if context.registry and context.registry.ca:
        found["containerd_authorities"] = {context.registry.host: context.registry.ca}
    if machine.controls:
        controls = sorted((other for other in context.machines if other.controls), key=lambda other: other.name)
        place = [other.name for other in controls].index(machine.name)
        found |= {"etcd_backup_binaries": programs(context.placed.get("etcd", ()), PROGRAMS)}
        if network.virtual_address:
            found |= {
                "virtual_address_address": network.virtual_address,
                "virtual_address_interface": network.interface,
                "virtual_address_priority": HIGHEST_PRIORITY - place,
                "virtual_address_peers": [other.address for other in controls if other is not machine],
                "virtual_address_router_id": int(network.virtual_address.rpartition(".")[2]) or 1,
            }
    return found


def programs(rows: Sequence[Mapping[str, Any]], folder: str) -> list[dict[str, Any]]:
    """Rows of :func:`cantiere.supply.placed` with the paths of a machine in place of names.

    Parameters
    ----------
    rows:
        One for each program.
    folder:
        Where programs go.
    """
    made = []
    for row in rows:
        paths = {"dest": f"{folder}/{row['name']}", "links": [f"{folder}/{name}" for name in row["links"]]}
        made.append({key: value for key, value in row.items() if key != "name"} | paths)
    return made


def _reference(context: Context, name: str) -> str:
    """The first name of an image, or ``""`` until it is in the store."""
    rows = context.placed.get(name, ())
    return str(rows[0]["references"][0]) if rows else ""


def _trusted(context: Context) -> list[str]:
    """Networks whose machines belong together."""
    given = context.network.machine_networks
    return list(given) or sorted(f"{machine.address}/32" for machine in context.machines if machine.address)


def digests(roles: Sequence[str], given: Mapping[str, Any], folders: Mapping[str, str]) -> dict[str, str]:
    """Role to the digest of all that its result depends on.

    Parameters
    ----------
    roles:
        The machine's roles.
    given:
        The machine's variables; a role reads those that begin with its name.
    folders:
        Role to the digest of its folder.
    """
    found = {}
    for role in roles:
        mine = {key: value for key, value in given.items() if key.startswith(f"{role}_")}
        text = json.dumps([folders[role], mine], sort_keys=True, default=str)
        found[role] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return found
