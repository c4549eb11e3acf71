"""``cantiere verify``: the facility of a workspace as a target, and what the user sees."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from cantiere.engine import Engine, detect
from cantiere.errors import CantiereError, Problem
from cantiere.machines import verify as cluster_steps
from cantiere.model import Container, Node
from cantiere.secrets import SecretStore
from cantiere.services import cvmfs, htcondor, iam, jupyterhub, minio, monitoring, xrootd
from cantiere.services.catalogue import SERVICES
from cantiere.services.facts import CA, Facts
from cantiere.site import REPOSITORY
from cantiere.verify import run
from cantiere.verify.result import Result, summary
from cantiere.verify.steps import STEPS, chosen
from cantiere.verify.target import Control, Output, Parts, Target
from cantiere.verify.tokens import TokenClient
from cantiere.workspace import Workspace

EXAMPLE = REPOSITORY / "examples" / "dilepton"
MARKS = {True: "ok", False: "FAILED", None: "-"}


class EngineControl:
    """Power over a facility's containers through the container engine.

    Parameters
    ----------
    engine:
        The engine's command line.
    prefix:
        Prefix of the containers' names.
    containers:
        The facility's containers by short name; their probes tell when one is usable.
    """

    def __init__(self, engine: Engine, prefix: str, containers: dict[str, Container]) -> None:
        self.engine = engine
        self.prefix = prefix
        self.containers = containers

    def exec(self, container: str, command: Sequence[str], timeout: float = 60.0) -> Output:
        """Run a command inside a container as root; a failure is returned, not raised."""
        done = self.engine.exec(f"{self.prefix}-{container}", command, timeout)
        return Output(done.returncode, done.stdout, done.stderr)

    def stop(self, container: str) -> None:
        """Stop a container in good order."""
        self.engine.run("stop", f"{self.prefix}-{container}")

    def kill(self, container: str) -> None:
        """End a container with SIGKILL."""
        self.engine.run("kill", "--signal", "KILL", f"{self.prefix}-{container}")

    def start(self, container: str) -> None:
        """Start a container that was stopped or killed, and wait until its probe passes."""
        self.engine.run("start", f"{self.prefix}-{container}")
        probe = self.containers[container].probe
        if probe is None:
            return
        deadline = time.monotonic() + probe.timeout
        while self.exec(container, probe.command, probe.timeout).code:
            if time.monotonic() > deadline:
                problem = f"{container} was started again and is not usable after {probe.timeout:.0f} s"
                raise CantiereError(Problem("verify.start", problem, f"see `./cantiere logs {container}`", path=container))
            time.sleep(0.5)


def verify(workspace: Workspace, only: Sequence[str], as_json: bool) -> int:
    """Use the facility for real, and say what was seen.

    Parameters
    ----------
    workspace:
        The facility, as it was applied.
    only:
        Names of steps; all where empty.
    as_json:
        One JSON document at the end in place of a line per step.

    Returns
    -------
    int
        0 when no step failed, else 1.

    Raises
    ------
    CantiereError
        A name that no step has, or another run works on the site.
    """
    services = {step.name for step in STEPS} if any(node.type in SERVICES for node in workspace.facility.nodes) else set()
    machines = set(cluster_steps.STEPS) if workspace.fleet else set()
    unknown = sorted(set(only) - services - machines)
    if unknown:
        known = ", ".join([*sorted(machines), *(step.name for step in STEPS if services)])
        raise CantiereError(Problem("verify.step", f"there is no step {', '.join(unknown)}", f"use one of: {known}"))
    begin, report = time.monotonic(), (lambda _: None) if as_json else show
    results: list[Result] = []
    with workspace.store.locked("verify"):  # steps stop and start services: nobody else may work on the site meanwhile
        if workspace.fleet and (not only or machines & set(only)):
            results += cluster_steps.verify(workspace.fleet, sorted(machines & set(only)), report)
        if services if not only else services & set(only):
            used = target(workspace)
            with used.reach():
                results += run(used, report, chosen(sorted(services & set(only))))
    if as_json:
        print(json.dumps(summary(results), indent=2))
    else:
        counts = summary(results)
        skipped = sum(result.ok is None for result in results)
        print(f"{counts['passed']} passed, {counts['failed']} failed, {skipped} not run, {time.monotonic() - begin:.0f} s")
    return 0 if all(result.ok is not False for result in results) else 1


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a facility runs, and how it is held there.

    Parameters
    ----------
    facts:
        Names of its parts.
    control:
        Power over them.
    workers:
        Short names of the pool's execute points.
    prometheus:
        URL of Prometheus for a monitoring node.
    guarded:
        Whether the hub asks a container engine, through a guard.
    reach:
        See :class:`Target`.
    """

    facts: Facts
    control: Control
    workers: Callable[[], tuple[str, ...]]
    prometheus: Callable[[str], str]
    guarded: bool = False
    reach: Callable[[], AbstractContextManager[object]] = nullcontext


def bound(workspace: Workspace) -> Bound:
    """A facility on this machine, or on the cluster of its site.

    Raises
    ------
    CantiereError
        There is no engine, or the cluster does not answer.
    """
    pool = _first(workspace, htcondor.TYPE)
    if workspace.cluster:
        from cantiere.verify.cluster import bound as on_cluster

        facts, control, workers, prometheus, reach = on_cluster(workspace.cluster, pool.name if pool else "")
        return Bound(facts, control, workers, prometheus, reach=reach)
    site = workspace.site
    engine = detect(workspace.engine_name, site.state_dir)
    if engine is None:
        raise CantiereError(
            Problem("engine.missing", f"{workspace.engine_name} is not installed", "run `./cantiere up`", path=workspace.engine_name)
        )
    containers = workspace.project.containers
    names = tuple(c.name for c in containers if pool and c.service == pool.name and c.role == "execute-point")
    held = EngineControl(engine, site.prefix, {c.name: c for c in containers})
    return Bound(workspace.facts, held, lambda: names, lambda name: monitoring.url(name, workspace.facts), guarded=True)


def target(workspace: Workspace) -> Target:
    """The facility of a workspace, as the steps know it."""
    facility, site = workspace.facility, workspace.site
    place = bound(workspace)
    facts, store = place.facts, SecretStore(site.state_dir)
    hub = _first(workspace, jupyterhub.TYPE)
    identity = _first(workspace, iam.TYPE)
    objects = _first(workspace, minio.TYPE)
    software = next((node for node in facility.of_type(cvmfs.TYPE) if node.properties.get("enabled")), None)

    def client(name: str) -> TokenClient:
        secret = store.value(iam.client_secret(identity, name)) if identity and not iam.external(identity) else ""
        return TokenClient(facts.issuer_url(identity) if identity else "", name, secret, iam.VERIFY_CALLBACK, _ca_file(workspace, store))

    return Target(
        prefix=site.prefix,
        domain=facts.domain,
        parts=parts(workspace, place),
        ca=_ca_file(workspace, store),
        control=place.control,
        password=lambda user: store.value(iam.user_password(identity, user)) if identity else "",
        users=identity.properties["users"] if identity else {},
        allowed_groups=hub.properties["allowed_groups"] if hub else [],
        token_client=client(iam.VERIFY_CLIENT),
        short_client=client(iam.SHORT_CLIENT),
        namespace=_origin_namespace(workspace),
        storage=f"{xrootd.STORAGE}/data{_origin_namespace(workspace)}",
        bucket=objects.properties["buckets"][0] if objects else "",
        role_arn=minio.role_arn(),
        prometheus_url=place.prometheus(watch.name) if (watch := _first(workspace, monitoring.TYPE)) else "",
        hub_socket=jupyterhub.ENGINE_SOCKET,
        repository=software.properties["repository"] if software else "",
        examples=EXAMPLE,
        workers=place.workers,
        reach=place.reach,
    )


def parts(workspace: Workspace, place: Bound) -> Parts:
    """Which container is which part of the facility: what the hub uses where there are several of a kind."""
    hub, identity, watch = _first(workspace, jupyterhub.TYPE), _first(workspace, iam.TYPE), _first(workspace, monitoring.TYPE)
    objects, pool = _first(workspace, minio.TYPE), _first(workspace, htcondor.TYPE)
    caches, origin = _caches(workspace, hub)
    return Parts(
        iam=identity.name if identity and not iam.external(identity) else "",
        hub=hub.name if hub else "",
        store=objects.name if objects else "",
        monitoring=watch.name if watch else "",
        origin=origin,
        caches=caches,
        servers=_servers(workspace, caches),
        access_point=htcondor.access_point(pool) if pool else "",
        workers=place.workers(),
        guard=jupyterhub.guard(hub) if hub and place.guarded else "",
    )


def _caches(workspace: Workspace, hub: Node | None) -> tuple[tuple[str, ...], str]:
    """Names of the caches from the hub's to the innermost, and of the origin behind them."""
    names: list[str] = []
    name = hub.target("cache") if hub else None
    while name is not None:
        names.append(name)
        name = workspace.facility.node(name).target("source")
    return tuple(names[:-1]), names[-1] if names else ""


def _servers(workspace: Workspace, caches: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Pods of the caches that have several servers, which only a cluster runs."""
    counts = {name: workspace.facility.node(name).properties["servers"] for name in caches if workspace.cluster}
    return {name: tuple(f"{name}-{number}" for number in range(count)) for name, count in counts.items() if count > 1}


def _origin_namespace(workspace: Workspace) -> str:
    origin = _first(workspace, xrootd.ORIGIN)
    return str(origin.properties["namespace"]) if origin else ""


def _first(workspace: Workspace, type_name: str) -> Node | None:
    found = workspace.facility.of_type(type_name)
    return found[0] if found else None


def _ca_file(workspace: Workspace, store: SecretStore) -> Path:
    """The CA's certificate in a file of the state folder; written where it is not there or is another one."""
    path = workspace.site.state_dir / "ca.pem"
    certificate = store.value(CA, "certificate")
    if not path.is_file() or path.read_text(encoding="utf-8") != certificate:
        path.write_text(certificate, encoding="utf-8")
    return path


def show(result: Result) -> None:
    """Write what a step came to."""
    print(f"{MARKS[result.ok]:>6}  {result.name:<20} {result.seconds:6.1f} s  {result.title}", flush=True)
    print(f"{'':>6}  {result.evidence}", flush=True)
    if result.ok is False:
        print(f"{'':>6}  remedy: {result.remedy}", flush=True)
