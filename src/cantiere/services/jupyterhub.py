"""Notebooks: JupyterHub, and the guard through which alone it reaches the container engine. Pure."""

from __future__ import annotations

import re
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Container, Facility, Mount, Node, Port, Probe, Secret, SecretFile
from cantiere.services import dask, htcondor, iam, lab_extensions, minio, xrootd
from cantiere.services.facts import Facts

TYPE = "cantiere.nodes.JupyterHub"
PORT = 8000

GUARD_FOLDER = "/run/guard"
ENGINE_SOCKET = f"{GUARD_FOLDER}/engine.sock"
"""The narrow door to the engine, as the hub sees it."""
DOCKER_SOCKET = "/run/docker.sock"

HOME = "/home/jovyan"
USER = "1000"
CVMFS = "/cvmfs"
RUNTIME = "/tmp/cantiere"
"""Folder of a notebook's container for what is made new at each start: token, trust."""
BUNDLE = f"{RUNTIME}/ca-bundle.pem"
TOKEN = f"{RUNTIME}/token"

PROCESSES = 4096
IDLE_TIMEOUT = 12 * 3600

SCOPES = (
    *("openid", "profile", "email", "offline_access", "wlcg.groups", "groups"),
    *("compute.read", "compute.create", "compute.modify", "compute.cancel"),
    *("storage.read:/", "storage.create:/"),
)

REGISTRY_IMAGE = (
    r"[a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})"
)
"""What a user may type in: an image of a registry named in full, with a tag or digest. Images that only this machine has are not
for everybody, unless they are on the list."""

LISTED_IMAGE = r"[a-z0-9]+([._-][a-z0-9]+)*"
IMAGE = f"{LISTED_IMAGE}|{REGISTRY_IMAGE}|localhost/[^\\s@]+:[^\\s/]+"
"""What the template may list: a name of ``artifacts.yaml``, or a reference in full."""


def guard(node: Node) -> str:
    """Name of the container that stands between the hub and the engine."""
    return f"{node.name}-guard"


def url(node: Node, facts: Facts) -> str:
    """Where users log in."""
    return facts.page_url(node.name, PORT)


def offer(node: Node) -> dict[str, Any]:
    """What users may choose beside the listed images.

    Returns
    -------
    dict
        ``image_pattern`` (regular expression of what may be typed in, or ``""``), ``max_cpus``, ``max_memory`` in bytes, ``max_gpus``.
    """
    properties = node.properties
    return {
        "image_pattern": REGISTRY_IMAGE if properties["typed_images"] else "",
        "max_cpus": properties["max_cpus"],
        "max_memory": properties["max_memory"],
        "max_gpus": properties["max_gpus"],
    }


def login(node: Node, facts: Facts) -> dict[str, Any]:
    """How users log in; ``titles`` are what they read for each of the listed images, ``stacks`` are software stacks where there are any."""
    properties = node.properties
    stacks = [dict(item) for item in properties.get("software_stacks", ())]
    return {
        "url": url(node, facts),
        "issuer": facts.issuers(node)[0],
        "client_id": issuer(node, facts).properties["client_id"],
        "scopes": list(SCOPES),
        "allowed_groups": list(properties["allowed_groups"]),
        "admin_groups": list(properties["admin_groups"]),
        "titles": [item["title"] for item in properties["images"]],
        **({"stacks": stacks} if stacks else {}),
    }


def idle_timeout(node: Node) -> int:
    """Seconds after which a notebook server that nobody uses is stopped; its home is kept."""
    return int(node.properties.get("idle_timeout", IDLE_TIMEOUT))


def secrets(node: Node, facts: Facts) -> tuple[SecretFile, SecretFile]:
    """The hub's secret at the issuer, and what it encrypts users' tokens with."""
    known = issuer(node, facts)
    return (
        SecretFile(iam.client_secret(known, known.properties["client_id"]), "client-secret"),
        SecretFile(Secret(f"{node.name}-crypt-key"), "crypt-key"),
    )


def issuer(node: Node, facts: Facts) -> Node:
    """The IAM whose users log in."""
    return facts.facility.node(node.requirements["issuer"][0])


def notebooks(node: Node, facts: Facts) -> dict[str, Any]:
    """What notebook servers may be: the hub asks for nothing else, and the guard lets nothing else through.

    Returns
    -------
    dict
        ``images`` (full references), ``image_pattern`` (regular expression of what may be typed in, or ``""``), ``max_cpus``,
        ``max_memory`` in bytes, ``max_gpus``, ``gpu_driver`` (``cdi`` or ``nvidia``), ``processes``, ``prefix`` of all names,
        ``network``, ``user``, ``home``, and ``cvmfs``: the machine's folder of software repositories, or ``""``.
    """
    properties = node.properties
    software = node.target("software")
    enabled = software is not None and bool(facts.facility.node(software).properties["enabled"])
    return {
        "images": [facts.images.get(item["image"], item["image"]) for item in properties["images"]],
        **offer(node),
        "gpu_driver": "nvidia" if facts.engine == "docker" else "cdi",
        "processes": PROCESSES,
        "prefix": facts.prefix,
        "network": facts.network,
        "user": USER,
        "home": HOME,
        "cvmfs": facts.paths["cvmfs"] if enabled else "",
    }


def environment(node: Node, facts: Facts) -> dict[str, str]:
    """Variables by which a notebook finds the facility's services; nothing secret."""
    found = {
        "BEARER_TOKEN_FILE": TOKEN,
        "X509_CERT_DIR": f"{RUNTIME}/certificates",
        "SSL_CERT_FILE": BUNDLE,
        "REQUESTS_CA_BUNDLE": BUNDLE,
        "AWS_CA_BUNDLE": BUNDLE,
        **htcondor.XROOTD_CLIENT,
    }
    if queue := node.target("queue"):
        pool = facts.facility.node(queue)
        found |= htcondor.client_settings(pool, facts, BUNDLE)
        found["CANTIERE_POOL_COLLECTOR"] = htcondor.collector_address(pool, facts)
        found["CANTIERE_POOL_SCHEDD"] = htcondor.schedd_name(pool, facts)
        found |= dask.environment()
    if cache := node.target("cache"):
        found["CANTIERE_SITE_CACHE"] = xrootd.url(facts.facility.node(cache), facts)
    if name := node.target("store"):
        store = facts.facility.node(name)
        found["S3_ENDPOINT"] = minio.endpoint(store, facts)
        found["S3_ROLE_ARN"] = minio.role(store, facts, facts.issuers(node)[0])
        found["S3_BUCKET"] = store.properties["buckets"][0]
    return found | lab_extensions.environment(lab_extensions.outside(node), TOKEN, BUNDLE)


def settings(node: Node, facts: Facts) -> dict[str, Any]:
    """What the hub is told. ``idle_timeout`` is in seconds."""
    return {
        **login(node, facts),
        "engine_socket": ENGINE_SOCKET,
        "idle_timeout": idle_timeout(node),
        "notebooks": notebooks(node, facts),
        "environment": environment(node, facts),
    }


def containers(node: Node, facts: Facts) -> tuple[Container, ...]:
    """The guard, and the hub behind it."""
    known = issuer(node, facts)
    door = Mount(f"{node.name}-guard", GUARD_FOLDER)
    docker = facts.engine == "docker"
    engine = Mount(DOCKER_SOCKET, "/run/engine/engine.sock") if docker else Mount(facts.paths["engine"], "/run/engine")
    watch = Container(
        name=guard(node),
        service=node.name,
        image="guard",
        settings={"listen": ENGINE_SOCKET, "engine": "/run/engine/engine.sock", "notebooks": notebooks(node, facts)},
        mounts=(engine, door),
        probe=Probe(("/usr/local/bin/guard", "ready"), 20.0),
        stop_grace=5.0,
    )
    hub = Container(
        name=node.name,
        service=node.name,
        image="jupyterhub",
        settings=settings(node, facts),
        secrets=(
            *facts.certificate(node.name),
            *secrets(node, facts),
        ),
        mounts=(Mount(f"{node.name}-data", "/srv/jupyterhub"), door),
        ports=(Port(PORT, url(node, facts), "JupyterHub"),),
        needs=(watch.name, *(() if iam.external(known) else (known.name,))),
        probe=Probe(("/usr/local/bin/ready",), 60.0),
    )
    return (watch, hub)


def check(node: Node, facility: Facility) -> list[Problem]:
    """Images that cannot be found, a hub without any, and groups that no user is ever in."""
    path = f"topology_template.node_templates.{node.name}.properties"
    problems = [
        Problem(
            "hub.group",
            f"group {group!r} of {name} does not start with a slash, so no user is in it",
            f"write the group as the WLCG profile does: '/{group}'",
            node.where,
            f"{path}.{name}",
        )
        for name in ("allowed_groups", "admin_groups")
        for group in node.properties[name]
        if not group.startswith("/")
    ]
    problems += [
        Problem(
            "hub.image",
            f"{item['image']!r} is neither a name of artifacts.yaml nor an image reference in full",
            "write registry/path:tag, for example registry.example.org/notebooks/root:6.36",
            node.where,
            f"{path}.images",
        )
        for item in node.properties["images"]
        if not re.fullmatch(IMAGE, item["image"])
    ]
    problems += [
        Problem(
            "hub.stack",
            f"the software stack {item['script']} lies in CVMFS, which {node.name} does not have",
            "add the requirement 'software' with a node of type cantiere.nodes.CVMFS",
            node.where,
            f"{path}.software_stacks",
        )
        for item in node.properties.get("software_stacks", ())
        if item["script"].startswith(f"{CVMFS}/") and not node.target("software")
    ]
    problems += lab_extensions.check(node)
    if not node.properties["images"]:
        problems.append(Problem("hub.images", "the spawn page has no image", "list at least one", node.where, f"{path}.images"))
    return problems
