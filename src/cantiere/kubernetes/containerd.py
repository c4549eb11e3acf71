"""The configuration of containerd. Pure.

Source: containerd's ``docs/cri/config.md`` and ``docs/hosts.md`` (configuration version 3, containerd 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cantiere.kubernetes.text import toml

DROP_INS = "/etc/containerd/conf.d/*.toml"
"""What other roles add, for example the runtime of GPU nodes."""
SOCKET = "/run/containerd/containerd.sock"
REGISTRIES = "/etc/containerd/certs.d"
CNI_BINARIES = "/opt/cni/bin"
CNI_CONFIGURATION = "/etc/cni/net.d"


def config(pause_image: str, systemd_cgroup: bool, restrict_oom_score: bool, runc: str) -> dict[str, Any]:
    """The values of ``config.toml``.

    Parameters
    ----------
    pause_image:
        Image that holds the name spaces of a pod; ``""`` leaves containerd's own.
    systemd_cgroup:
        Whether systemd makes the control groups of containers: where they are unified.
    restrict_oom_score:
        Whether a container may not lower its OOM score below containerd's own, because the kernel refuses it here.
    runc:
        Path of runc.
    """
    images: dict[str, Any] = {"snapshotter": "overlayfs"}
    if pause_image:
        images["pinned_images"] = {"sandbox": pause_image}
    images["registry"] = {"config_path": REGISTRIES}
    runtime: dict[str, Any] = {"restrict_oom_score_adj": True} if restrict_oom_score else {}
    runtime["cni"] = {"bin_dirs": [CNI_BINARIES], "conf_dir": CNI_CONFIGURATION}
    options = {"BinaryName": runc, "SystemdCgroup": systemd_cgroup}
    runtime["containerd"] = {"runtimes": {"runc": {"runtime_type": "io.containerd.runc.v2", "options": options}}}
    return {
        "version": 3,
        "imports": [DROP_INS],
        "root": "/var/lib/containerd",
        "state": "/run/containerd",
        "grpc": {"address": SOCKET},
        "plugins": {"io.containerd.cri.v1.images": images, "io.containerd.cri.v1.runtime": runtime},
    }


def hosts(registry: str, mirrors: Sequence[str], authority: str = "") -> dict[str, Any]:
    """The values of a registry's ``hosts.toml``: mirrors asked in turn, then the registry itself.

    Parameters
    ----------
    registry:
        Host of the registry as image names have it.
    mirrors:
        Their URLs, the first one asked first.
    authority:
        File with the authority behind the registry's own certificate; ``""`` leaves the machine's own ones.
    """
    own = f"https://{registry}"
    places: dict[str, dict[str, Any]] = {mirror: {"capabilities": ["pull", "resolve"]} for mirror in mirrors}
    if authority:
        places[own] = {"capabilities": ["pull", "resolve"], "ca": authority}
    return {"server": own, "host": places}


def files(
    config_values: Mapping[str, Any], registries: Mapping[str, Sequence[str]], authorities: Mapping[str, str]
) -> list[dict[str, str]]:
    """The files of containerd's configuration, as the manifest module takes them.

    Parameters
    ----------
    config_values:
        From :func:`config`.
    registries:
        Registry host to its mirrors' URLs.
    authorities:
        Registry host to the authority behind its certificate, PEM.
    """
    found = [{"path": "/etc/containerd/config.toml", "content": toml(config_values)}]
    for registry in sorted({*registries, *authorities}):
        folder = f"{REGISTRIES}/{registry}"
        authority = f"{folder}/ca.crt" if registry in authorities else ""
        if authority:
            found.append({"path": authority, "content": authorities[registry]})
        found.append({"path": f"{folder}/hosts.toml", "content": toml(hosts(registry, registries.get(registry, ()), authority))})
    return found
