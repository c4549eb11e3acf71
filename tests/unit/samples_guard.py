"""A notebook as the hub asks for it, and a policy that allows it, for the tests of the guard."""

from __future__ import annotations

import sys
from typing import Any

from cantiere.services.jupyterhub import REGISTRY_IMAGE
from support.tree import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "images/guard"))
from cantiere_guard.policy import Policy, decide, is_notebook
from cantiere_guard.server import Engine, Guard

__all__ = ["CREATE", "POLICY", "Engine", "Guard", "decide", "is_notebook", "notebook", "policy"]

POLICY = Policy(
    prefix="here",
    network="here",
    images=("localhost/cantiere/analysis:1",),
    image_pattern=REGISTRY_IMAGE,
    max_cpus=2,
    max_memory=4 << 30,
    max_gpus=0,
    gpu_driver="cdi",
    processes=4096,
    user="1000",
    home="/home/jovyan",
    cvmfs="",
)
CREATE = "/v1.41/containers/create?name=here-jupyter-alice"


def policy(**changes: Any) -> Policy:
    return Policy(**{**{name: getattr(POLICY, name) for name in Policy.__slots__}, **changes})


def notebook(top: dict[str, Any] | None = None, **host: Any) -> dict[str, Any]:
    """A notebook as DockerSpawner asks for it."""
    settings = {
        "NetworkMode": "here",
        "Binds": ["here-home-alice:/home/jovyan:rw"],
        "Links": [],
        "Memory": 2 << 30,
        "CpuPeriod": 100_000,
        "CpuQuota": 100_000,
        "PidsLimit": 4096,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
    }
    body = {
        "Hostname": None,
        "ExposedPorts": {"8888/tcp": {}},
        "User": "1000",
        "Env": ["JUPYTERHUB_API_TOKEN=x"],
        "Cmd": ["notebook"],
        "Entrypoint": ["/bin/sh", "-c", "exec x"],
        "Image": "localhost/cantiere/analysis:1",
        "Volumes": {"/home/jovyan": {}},
        "NetworkDisabled": False,
        "NetworkingConfig": None,
        "Labels": {"cantiere.facility": "here", "cantiere.notebook": "alice"},
        "MacAddress": None,
        "HostConfig": settings | host,
    }
    return body | (top or {})
