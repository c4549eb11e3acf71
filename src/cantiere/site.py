"""A site: where a facility goes. Read from ``inventories/<site>/cantiere.yml``."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cantiere.errors import Location, Problem, TemplateError

ENGINES = ("auto", "podman", "docker")
SUPPLIES = ("auto", "upstream", "mirror", "build")
PLATFORMS = ("compose", "kubernetes", "cluster")
PROVIDERS = ("nspawn", "hosts", "openstack", "terraform")
CLUSTER = "cluster"
CLUSTER_KEYS = ("type", "kubeconfig", "context", "namespace", "namespaced")
REGISTRY_KEYS = ("address", "user", "password", "ca")
FACTS = (
    "zone",
    "cluster_domain",
    "ingress_class",
    "ingress_address",
    "gateway",
    "issuer",
    "storage_class",
    "shared_storage_class",
    "pod_subnet",
    "service_subnet",
    "api_address",
    "network_policies",
)
"""What a site may say of its cluster better than a look at it tells."""
NAMESPACE = "facility"
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Site:
    """Where a facility goes.

    Parameters
    ----------
    name:
        The site's name; also the prefix of every object that is made for it.
    file:
        The inventory source that declares it.
    template:
        The service template.
    inputs_file:
        Inputs of the template, or None.
    platform:
        What the platform is bound to: ``compose`` (containers on this machine), ``kubernetes`` (a cluster on machines of a provider) or
        ``cluster`` (a Kubernetes cluster that exists).
    engine:
        ``podman``, ``docker`` or ``auto``.
    subnet:
        Private network of the containers in CIDR notation.
    bind_address:
        Address of the machine on which ports are offered.
    state_dir:
        Folder of the state, the secrets and the run's events.
    artifacts:
        ``upstream``, ``mirror``, ``build`` or ``auto``.
    mirror:
        The site's own copy of artifacts: a folder or URL made by ``cantiere mirror pull``, or a registry with path for base images;
        ``""`` where there is none.
    artifacts_file:
        Pins of the site's own, laid over ``artifacts.yaml``, or None.
    provider:
        Where machines come from: ``type`` and what that provider takes.
    kubernetes:
        What the cluster takes of the site's network; see :class:`cantiere.machines.wanted.Network`.
    releases:
        Release to what the site says of it: ``values_overrides``, ``installed``, ``storage_class``, ``outside``.
    registry:
        ``address`` (host, port and path) from which nodes take the facility's own images; to push ``user``, ``password`` (a reference) and
        ``ca`` (a file).
    facts:
        What the site knows of the cluster better than a look at it tells, by the names of :class:`cantiere.values.model.ClusterFacts`.
    services:
        Python files of the site's folder with services of its own; see :mod:`cantiere.values.site_services`.
    charts:
        Pins of charts that nodes of the template bring, as the section ``charts`` of ``artifacts.yaml`` has them.
    """

    name: str
    file: Path
    template: Path
    inputs_file: Path | None
    platform: str
    engine: str
    subnet: str
    bind_address: str
    state_dir: Path
    artifacts: str
    mirror: str
    artifacts_file: Path | None = None
    provider: Mapping[str, Any] = field(default_factory=dict)
    kubernetes: Mapping[str, Any] = field(default_factory=dict)
    releases: Mapping[str, Any] = field(default_factory=dict)
    registry: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    services: tuple[str, ...] = ()
    charts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """Namespace of the facility's own services on a cluster."""
        return str(self.provider.get("namespace") or NAMESPACE)

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of a cluster that exists: the site's, else what kubectl would take."""
        given = str(self.provider.get("kubeconfig") or os.environ.get("KUBECONFIG", "").partition(":")[0] or "~/.kube/config")
        return (self.file.parent / Path(given).expanduser()).resolve()

    @property
    def prefix(self) -> str:
        """Prefix of the names of everything made for this site."""
        return f"cantiere-{self.name}"


def find(name: str) -> Path:
    """The inventory source of a site, from its name or its path.

    Raises
    ------
    TemplateError
        There is no such site.
    """
    path = Path(name) if name.endswith((".yml", ".yaml")) else REPOSITORY / "inventories" / name / "cantiere.yml"
    if not path.is_file():
        known = sorted(p.parent.name for p in (REPOSITORY / "inventories").glob("*/cantiere.yml"))
        raise TemplateError(Problem("site.unknown", f"there is no site {name!r}", f"use one of: {', '.join(known)}", Location(str(path))))
    return path


def load(path: Path, template: Path | None = None, inputs_file: Path | None = None) -> Site:
    """Read a site.

    Parameters
    ----------
    path:
        The inventory source.
    template, inputs_file:
        Given by the user in place of the site's own.

    Raises
    ------
    TemplateError
        The file lacks a key, has an unknown one, or a value that cannot be.
    """
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    problems: list[Problem] = []

    def wrong(key: str, message: str, remedy: str) -> None:
        problems.append(Problem("site.value", message, remedy, Location(str(path)), key))

    if not isinstance(data, dict):
        raise TemplateError(Problem("site.shape", "a site is a mapping", "start from inventories/here/cantiere.yml", Location(str(path))))
    known = {"plugin", "site", "template", "inputs", "platform", "state_dir", "artifacts", "mirror", "artifacts_file", "services"}
    known |= {
        "kubernetes": {"provider", "kubernetes", "engine", "releases", "registry", "facts"},
        "cluster": {"provider", "engine", "releases", "registry", "facts"},
    }.get(str(data.get("platform")), {"engine", "subnet", "bind_address"})
    for key in sorted(set(map(str, data)) - known):
        wrong(key, f"unknown key {key!r}", f"use one of: {', '.join(sorted(known))}")

    def choice(key: str, allowed: tuple[str, ...]) -> str:
        value = str(data.get(key, allowed[0]))
        if value not in allowed:
            wrong(key, f"{key} cannot be {value!r}", f"use one of: {', '.join(allowed)}")
        return value

    def address(key: str, default: str, parse: Any) -> str:
        value = str(data.get(key, default))
        try:
            parse(value)
        except ValueError as error:
            wrong(key, f"{key}: {error}", f"for example {default}")
        return value

    for key in ("site", "template"):
        if not isinstance(data.get(key), str):
            wrong(key, f"{key} is missing", f"name the {key}")
    subnet = address("subnet", "10.137.0.0/20", _subnet)
    own_template = (path.parent / str(data.get("template"))).resolve()
    chosen = template.resolve() if template else own_template
    if inputs_file is None and "inputs" in data and chosen == own_template:
        inputs_file = path.parent / str(data["inputs"])
    site = Site(
        name=str(data.get("site")),
        file=path.resolve(),
        template=chosen,
        inputs_file=inputs_file.resolve() if inputs_file else None,
        platform=choice("platform", PLATFORMS),
        engine=choice("engine", ENGINES),
        subnet=subnet,
        bind_address=address("bind_address", "127.0.0.1", ipaddress.ip_address),
        state_dir=Path(str(data.get("state_dir", f"/var/lib/cantiere/{data.get('site')}"))),
        artifacts=choice("artifacts", SUPPLIES),
        mirror=str(data.get("mirror", "")),
        artifacts_file=(path.parent / str(data["artifacts_file"])).resolve() if "artifacts_file" in data else None,
        provider=_mapping(data, "provider"),
        kubernetes=_mapping(data, "kubernetes"),
        releases=_mapping(data, "releases"),
        registry={"address": data["registry"]} if isinstance(data.get("registry"), str) else _mapping(data, "registry"),
        facts=_mapping(data, "facts"),
        services=tuple(map(str, data["services"])) if isinstance(data.get("services"), list) else (),
    )
    if "services" in data and not isinstance(data["services"], list):
        wrong("services", "services is a list of files", "for example [services/mine.py]")
    for key, allowed in (
        ("registry", REGISTRY_KEYS),
        ("facts", FACTS),
        *([("provider", CLUSTER_KEYS)] if site.platform == CLUSTER else []),
    ):
        for name in sorted(set(map(str, getattr(site, key))) - set(allowed)):
            wrong(f"{key}.{name}", f"unknown key {key}.{name}", f"use one of: {', '.join(allowed)}")
    if site.platform == CLUSTER and site.provider.get("type") != CLUSTER:
        wrong("provider", "platform cluster needs provider cluster", "set provider.type to cluster, with kubeconfig and context")
    if site.platform == "kubernetes" and site.provider.get("type") not in PROVIDERS:
        wrong("provider", "platform kubernetes needs machines from somewhere", f"set provider.type to one of: {', '.join(PROVIDERS)}")
    if site.artifacts == "mirror" and not site.mirror:
        wrong("mirror", "artifacts: mirror needs to know where the mirror is", "set mirror to a registry with path, or to a folder")
    if problems:
        raise TemplateError(problems)
    return site


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _subnet(value: str) -> ipaddress.IPv4Network:
    network = ipaddress.IPv4Network(value)
    if network.prefixlen > 20:
        raise ValueError(f"{value} is too small, a /20 or larger is needed")
    return network
