"""Refuse before anything is touched: everything that is wrong with the machine, all at once."""

from __future__ import annotations

import atexit
import errno
import ipaddress
import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cantiere import artifacts, bridge, supply
from cantiere import observe as look
from cantiere.cluster.preflight import check as cluster_preflight
from cantiere.containers_conf import containers_conf
from cantiere.engine import Engine, detect
from cantiere.errors import PreflightError, Problem
from cantiere.machines.ready import check as machines_preflight
from cantiere.plan.definition import Observation
from cantiere.state import write_atomic
from cantiere.supply import gobuild, pins
from cantiere.workspace import Workspace

GIB = 1024**3
LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)
IMAGES_DISK = 8 * GIB
RUN_DISK = 1 * GIB
SERVICES_MEMORY = 3 * GIB
HTTP_SECONDS = 6.0


def check(workspace: Workspace) -> None:
    """Check the machine for a facility.

    Raises
    ------
    PreflightError
        All that is wrong, each with a remedy; nothing was touched.
    """
    problems = list(rights(workspace))
    if problems:
        raise PreflightError(problems)
    if workspace.fleet:
        machines_preflight(workspace.fleet)
        return
    if workspace.cluster:
        cluster_preflight(workspace.cluster)
        return
    engine = detect(workspace.engine_name, workspace.site.state_dir)
    try:
        seen = look.observe(workspace, engine)
    except Exception as error:
        problem = Problem(
            "engine.broken",
            f"{workspace.engine_name} cannot be asked: {error}",
            "mend the container engine first",
            path=workspace.engine_name,
        )
        raise PreflightError(problem) from error
    problems += _engine(workspace, engine, seen)
    problems += _disk(workspace, seen)
    problems += _memory(workspace)
    problems += _ports(workspace, seen)
    problems += _network(workspace, engine, seen)
    problems += _devices(workspace)
    problems += _compilers(workspace, seen)
    problems += _references(workspace)
    problems += _issuers(workspace)
    if problems:
        raise PreflightError(problems)


def rights(workspace: Workspace) -> Iterable[Problem]:
    """What the user lacks to run containers or machines on this machine; machines and clusters elsewhere need nothing here."""
    if os.geteuid() != 0 and workspace.site.provider.get("type") not in ("hosts", "cluster", "openstack"):
        yield Problem("rights.root", "a facility on this machine needs root", "run `sudo ./cantiere up`", path="root")


def _engine(workspace: Workspace, engine: Engine | None, seen: Observation) -> Iterable[Problem]:
    if engine is None:
        if not shutil.which("apt-get"):
            yield Problem(
                "engine.install",
                "no container engine is here, and this system has no apt to install one",
                "install podman, then run again",
                path="podman",
            )
        return
    base = artifacts.catalogue()["base"].reference
    if base in seen.images:
        engine = _configured(engine)
        tried = engine.run(
            "run", "--rm", "--pull", "never", "--network", "none", "--entrypoint", "/bin/true", base, check=False, timeout=60
        )
        if tried.returncode:
            why = tried.stderr.strip()[-400:]
            yield Problem(
                "engine.run",
                f"{engine.name} cannot run a container: {why}",
                f"try `{engine.name} run --rm {base} true` and mend what it says",
                path=engine.name,
            )


def _configured(engine: Engine) -> Engine:
    """The engine as the run will configure it, where it is not configured yet."""
    if engine.name == "docker" or engine.environment:
        return engine
    conf = Path(tempfile.gettempdir()) / f"cantiere-{os.getuid()}-containers.conf"
    limits = [str(hard) if (hard := resource.getrlimit(kind)[1]) != resource.RLIM_INFINITY else "unlimited" for kind in LIMITS]
    text = containers_conf(limits[0], limits[1], Path("/run/systemd/system").is_dir(), Path("/sys/fs/cgroup/cgroup.controllers").is_file())
    write_atomic(conf, text)
    atexit.register(conf.unlink, missing_ok=True)
    return Engine(engine.name, {"CONTAINERS_CONF": str(conf)})


def _disk(workspace: Workspace, seen: Observation) -> Iterable[Problem]:
    missing = [image for image in workspace.wanted.images if image[2] not in seen.images]
    caches = {node.name: int(node.properties["high_watermark"]) for node in workspace.facility.nodes if "high_watermark" in node.properties}
    needed = (IMAGES_DISK if missing else 0) + RUN_DISK + sum(caches.values())
    folder = Path("/var/lib/containers")
    free = shutil.disk_usage(folder if folder.is_dir() else "/var/lib").free
    if free < needed:
        parts = ", ".join(f"{name} {size / GIB:.1f}" for name, size in caches.items())
        made = f"images {IMAGES_DISK / GIB:.0f}, " if missing else ""
        message = f"{free / GIB:.1f} GiB of disk are free, {needed / GIB:.1f} GiB are needed ({made}caches: {parts})"
        yield Problem(
            "disk.small", message, "free disk space below /var/lib/containers, or lower the caches' high watermarks", path=str(folder)
        )


def _compilers(workspace: Workspace, seen: Observation) -> Iterable[Problem]:
    """What is lacking to compile the programs that images carry, where these are to be made."""
    made = [artifacts.catalogue()[name] for name, _, reference in workspace.wanted.images if reference not in seen.images]
    names = tuple(dict.fromkeys(name for image in made for name in image.binaries))
    for name in supply.missing(names, workspace.site, pins.own_architecture()):
        if problem := gobuild.lacking(pins.item(name, workspace.site, pins.own_architecture())):
            yield problem


def _memory(workspace: Workspace) -> Iterable[Problem]:
    asked = sum(c.memory or 0 for c in workspace.project.containers)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = asked + SERVICES_MEMORY
    if pages < needed:
        parts = f"workers {asked / GIB:.1f}, services {SERVICES_MEMORY / GIB:.0f}"
        message = f"this machine has {pages / GIB:.1f} GiB of memory, {needed / GIB:.1f} GiB are needed ({parts})"
        yield Problem("memory.small", message, "lower the inputs workers or memory_per_worker", path="workers")


def _ports(workspace: Workspace, seen: Observation) -> Iterable[Problem]:
    address = workspace.site.bind_address
    for container in workspace.project.containers:
        old = seen.containers.get(container.name)
        held = old.specification.get("ports", []) if old and old.state == "running" else []
        for port in container.ports:
            if f"{address}:{port.number}:{port.number}" in held:
                continue
            error = _bind(address, port.number)
            if error == errno.EADDRINUSE:
                yield Problem(
                    "port.taken",
                    f"port {port.number} of {address} is taken, {container.name} needs it",
                    f"stop what listens there (`ss -ltnp 'sport = :{port.number}'`), or set bind_address of the site to another address",
                    path=container.name,
                )
            elif error:
                yield Problem(
                    "port.address",
                    f"port {port.number} of {address} cannot be offered: {os.strerror(error)}",
                    "set bind_address of the site to an address of this machine",
                    path=container.name,
                )


def _bind(address: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno or errno.EINVAL
    return 0


def _network(workspace: Workspace, engine: Engine | None, seen: Observation) -> Iterable[Problem]:
    wanted = ipaddress.IPv4Network(workspace.site.subnet)
    if seen.networks and engine:
        text = engine.run("network", "inspect", workspace.site.prefix, check=False).stdout
        if str(wanted) not in text:
            yield Problem(
                "network.changed",
                f"the facility's network has another subnet than {wanted}",
                "run `./cantiere down` first, then `./cantiere up`",
                path="subnet",
            )
        return
    for device, route in bridge.routes(bridge.ROUTES.read_text(encoding="ascii")):
        if route.prefixlen and route.overlaps(wanted):
            yield Problem(
                "network.taken", f"{wanted} overlaps {route} of {device}", "choose another subnet in the site's file", path="subnet"
            )


def _devices(workspace: Workspace) -> Iterable[Problem]:
    for container in workspace.project.containers:
        for device in container.devices:
            if not Path(device.split(":")[0]).exists():
                yield Problem(
                    "device.missing",
                    f"{container.name} needs {device}, which this machine does not have",
                    "load its kernel module, or turn the service off",
                    path=container.name,
                )


def _references(workspace: Workspace) -> Iterable[Problem]:
    for secret in {item.secret.name: item.secret for c in workspace.project.containers for item in c.secrets}.values():
        kind, _, rest = secret.source.partition(":")
        if (kind == "env" and rest not in os.environ) or (kind == "file" and not os.access(rest, os.R_OK)):
            yield Problem(
                "secret.missing",
                f"secret {secret.name} refers to {secret.source}, which is not there",
                "provide it, or change the reference",
                path=secret.name,
            )


def _issuers(workspace: Workspace) -> Iterable[Problem]:
    import requests

    for node in workspace.facility.nodes:
        url = (node.properties.get("issuer_url") or "").rstrip("/")
        if not url:
            continue
        try:
            answer = requests.get(f"{url}/.well-known/openid-configuration", timeout=HTTP_SECONDS)
            answer.raise_for_status()
            found = str(answer.json()["issuer"]).rstrip("/")
        except (requests.RequestException, ValueError, KeyError) as error:
            yield Problem(
                "iam.unreachable",
                f"the external IAM {url} does not answer as an OpenID Connect provider: {error}",
                "check the input iam_issuer and the network, or leave it empty for the development IAM",
                node.where,
                node.name,
            )
            continue
        if found != url:
            yield Problem("iam.issuer", f"{url} calls itself {found}", f"set the input iam_issuer to {found}", node.where, node.name)
