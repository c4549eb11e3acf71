"""Jobs that name a container image: what an execute point has for them. Pure."""

from __future__ import annotations

from cantiere.model import Node

USUAL_IMAGE = "worker"
IMAGE = "worker-apptainer"
"""The usual image of execute points, with Apptainer."""

BINDS = ["/cvmfs", "/etc/grid-security/certificates", "/etc/ssl/certs/ca-certificates.crt"]
"""What a job finds in its image too, where the execute point has it: software, and the certificates that the facility trusts."""

SECCOMP = {"type": "Localhost", "localhostProfile": "cantiere/job-containers.json"}
"""What execute pods may ask of the kernel: a file of the nodes, which allows user namespaces and mounts in them."""


def worker_image(node: Node, image: str = USUAL_IMAGE) -> str:
    """The image of a pool's execute points: the one with Apptainer in place of the usual one, where jobs may name images.

    Parameters
    ----------
    node:
        The pool.
    image:
        The image that the pool asks for; another one than the usual stays what it is.
    """
    return IMAGE if node.properties.get("job_containers") and image == USUAL_IMAGE else image
