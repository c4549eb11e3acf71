"""What a container of a project is to the engine: its digest, its labels, its command line. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cantiere.engine_labels import LABEL_DIGEST, LABEL_FACILITY, LABEL_LINEAGE, LABEL_SPEC
from cantiere.model import Container, Project

SECRETS_TARGET = "/run/secrets"


def spec(project: Project, container: Container, image: str) -> dict[str, Any]:
    """Everything that makes this container what it is; no secret is part of it."""
    return {
        "image": image,
        "hostname": f"{container.name}.{project.domain}",
        "address": project.addresses[container.name],
        "role": container.role,
        "settings": container.settings,
        "secrets": sorted(f"{item.secret.name}/{item.part}>{item.file}" for item in container.secrets),
        "mounts": [
            mount_argument(project, container, mount.source, mount.target, mount.read_only, mount.propagation) for mount in container.mounts
        ],
        "ports": [f"{project.bind_address}:{port.number}:{port.number}" for port in container.ports],
        "capabilities": list(container.capabilities),
        "devices": list(container.devices),
        "memory": container.memory,
        "cpus": container.cpus,
        "stop_grace": container.stop_grace,
        "needs": list(container.needs),
    }


def mount_argument(project: Project, container: Container, source: str, target: str, read_only: bool, propagation: str) -> str:
    """A mount as the engine's ``--volume`` takes it."""
    options = ["ro"] if read_only else []
    if not source.startswith("/"):
        source = f"{project.name}-{source}"
    elif propagation != "private":
        options.append(propagation)
    return ":".join([source, target, *([",".join(options)] if options else [])])


def hardware_address(address: str) -> str:
    """A hardware address that stays with a container's address: else others keep the old one for a minute when it is made anew."""
    return ":".join(["02", "42", *(f"{int(part):02x}" for part in address.split("."))])


def digest(specification: Mapping[str, Any]) -> str:
    """A short digest of a specification."""
    return hashlib.sha256(json.dumps(specification, sort_keys=True).encode()).hexdigest()[:16]


def changes(old: Mapping[str, Any], new: Mapping[str, Any], limit: int = 3) -> str:
    """In words, what differs between two specifications."""
    found = [f"{path} {_short(before)} → {_short(after)}" for path, before, after in _differences("", old, new)]
    more = f" (+{len(found) - limit} more)" if len(found) > limit else ""
    return ", ".join(found[:limit]) + more


def create_arguments(
    project: Project, container: Container, specification: Mapping[str, Any], lineage: str, secrets_folder: str
) -> list[str]:
    """Arguments of the engine's ``create`` for one container.

    Parameters
    ----------
    specification:
        What :func:`spec` gives for it.
    lineage:
        The facility's lineage, kept as a label.
    secrets_folder:
        Folder of the machine that holds the container's secret files.
    """
    arguments = ["create", "--name", f"{project.name}-{container.name}", "--hostname", specification["hostname"]]
    arguments += ["--network", project.name, "--ip", specification["address"], "--mac-address", hardware_address(specification["address"])]
    arguments += ["--network-alias", container.name, "--network-alias", specification["hostname"]]
    arguments += ["--restart", "unless-stopped", "--stop-timeout", str(int(container.stop_grace)), "--pull", "never"]
    labels = {
        LABEL_FACILITY: project.name,
        LABEL_LINEAGE: lineage,
        LABEL_DIGEST: digest(specification),
        LABEL_SPEC: json.dumps(specification, sort_keys=True),
        "cantiere.service": container.service,
        "cantiere.container": container.name,
    }
    for key, value in labels.items():
        arguments += ["--label", f"{key}={value}"]
    arguments += [
        "--env",
        f"CANTIERE_SETTINGS={json.dumps(container.settings, sort_keys=True)}",
        "--env",
        f"CANTIERE_ROLE={container.role}",
    ]
    if container.secrets:
        arguments += ["--volume", f"{secrets_folder}:{SECRETS_TARGET}:ro"]
    for mount in specification["mounts"]:
        arguments += ["--volume", mount]
    for port in specification["ports"]:
        arguments += ["--publish", port]
    for capability in container.capabilities:
        arguments += ["--cap-add", capability]
    for device in container.devices:
        arguments += ["--device", device]
    if container.memory is not None:
        arguments += ["--memory", str(container.memory)]
    if container.cpus is not None:
        arguments += ["--cpus", str(container.cpus)]
    return [*arguments, specification["image"]]


def _differences(path: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*old, *(key for key in new if key not in old)]
        return [item for key in keys for item in _differences(f"{path}.{key}" if path else str(key), old.get(key), new.get(key))]
    return [] if old == new else [(path, old, new)]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "…"
