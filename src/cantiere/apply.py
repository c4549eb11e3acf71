"""The only writer: does the steps of a plan on this machine."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cantiere import artifacts, bind, bridge, engine_api, imagebuild, names
from cantiere.compose import create_arguments
from cantiere.engine import Engine
from cantiere.engine_labels import LABEL_FACILITY, LABEL_LINEAGE
from cantiere.errors import CantiereError, Problem
from cantiere.model import Container
from cantiere.observe import SAMPLES_COMPLETE, mounted, socket_of
from cantiere.plan.definition import Action, Kind, Plan, Step
from cantiere.plan.walk import Report, walk
from cantiere.secrets import SecretStore
from cantiere.state import State
from cantiere.workspace import Workspace

PROBE_PAUSE = 0.4


class Apply:
    """Does steps; keeps the state after each step that makes or removes a provider's object.

    Parameters
    ----------
    workspace:
        The facility.
    engine:
        The container engine.
    state:
        The state as loaded; the caller holds the lock.
    log:
        Takes lines of long work.
    """

    def __init__(self, workspace: Workspace, engine: Engine, state: State, log: Callable[[str], None]) -> None:
        self.workspace = workspace
        self.engine = engine
        self.state = state
        self.log = log
        self.secrets = SecretStore(workspace.site.state_dir)
        self.prefix = workspace.site.prefix
        self._saving = threading.Lock()
        self._handlers: Mapping[tuple[Kind, Action], Callable[[str], dict[str, Any] | None]] = {
            (Kind.IMAGE, Action.CREATE): self._build_image,
            (Kind.IMAGE, Action.DELETE): self._remove_image,
            (Kind.SAMPLES, Action.CREATE): self._copy_samples,
            (Kind.NETWORK, Action.CREATE): self._create_network,
            (Kind.NETWORK, Action.DELETE): self._delete_network,
            (Kind.VOLUME, Action.CREATE): self._create_volume,
            (Kind.VOLUME, Action.DELETE): self._delete_volume,
            (Kind.MOUNT, Action.CREATE): self._create_mount,
            (Kind.MOUNT, Action.DELETE): self._delete_mount,
            (Kind.ENGINE_API, Action.CREATE): self._start_api,
            (Kind.ENGINE_API, Action.DELETE): self._stop_api,
            (Kind.NAMES, Action.CREATE): self._write_names,
            (Kind.NAMES, Action.REPLACE): self._write_names,
            (Kind.NAMES, Action.DELETE): self._delete_names,
            (Kind.CONTAINER, Action.CREATE): self._create_container,
            (Kind.CONTAINER, Action.REPLACE): self._create_container,
            (Kind.CONTAINER, Action.START): self._start_container,
            (Kind.CONTAINER, Action.DELETE): self._delete_container,
        }

    def evaluate(self, step: Step) -> None:
        """Do one step and remember what it made."""
        result = self._handlers[step.kind, step.action](step.name)
        if step.kind in (Kind.NETWORK, Kind.VOLUME, Kind.MOUNT, Kind.ENGINE_API):
            with self._saving:
                self.state = self.workspace.store.save(self.state.with_object(step.id, result))

    def _build_image(self, name: str) -> None:
        imagebuild.build(self.engine, artifacts.catalogue()[name], self.workspace.site, self.log)

    def _remove_image(self, reference: str) -> None:
        self.engine.run("rmi", "--force", reference)

    def _copy_samples(self, name: str) -> None:
        folder = self.workspace.samples_folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = self.engine.run("create", "--pull", "never", artifacts.references()[name]).stdout.strip()
        try:
            self.engine.run("cp", f"{made}:/samples", str(folder))
        finally:
            self.engine.run("rm", "-f", made)
        (folder / SAMPLES_COMPLETE).touch()

    def _create_network(self, name: str) -> dict[str, Any]:
        forwarding = Path("/proc/sys/net/ipv4/ip_forward").read_text(encoding="utf-8").strip()
        subnet = self.workspace.site.subnet
        labels = ("--label", f"{LABEL_FACILITY}={self.prefix}", "--label", f"{LABEL_LINEAGE}={self.state.lineage}")
        self.engine.run("network", "create", *labels, "--subnet", subnet, "--ip-range", bind.notebook_range(subnet), name)
        return {"name": name, "subnet": subnet, "ip_forward_before": forwarding}

    def _delete_network(self, name: str) -> None:
        self.engine.run("network", "rm", "-f", name)
        before = self.state.objects.get(f"{Kind.NETWORK}/{name}", {}).get("ip_forward_before")
        others = self.engine.run("ps", "-q").stdout.split()
        if before == "0" and not others:
            Path("/proc/sys/net/ipv4/ip_forward").write_text("0\n", encoding="utf-8")

    def _create_volume(self, name: str) -> dict[str, Any]:
        self.engine.run(
            "volume", "create", "--label", f"{LABEL_FACILITY}={self.prefix}", "--label", f"{LABEL_LINEAGE}={self.state.lineage}", name
        )
        return {"name": name}

    def _delete_volume(self, name: str) -> None:
        self.engine.run("volume", "rm", "-f", name)

    def _create_mount(self, path: str) -> dict[str, Any]:
        Path(path).mkdir(parents=True, exist_ok=True)
        for command in (["mount", "--bind", path, path], ["mount", "--make-rshared", path]):
            _run(command)
        return {"path": path}

    def _delete_mount(self, path: str) -> None:
        while mounted([path]):
            _run(["umount", "-R", "-l", path])
        for folder in (*Path(path).iterdir(), Path(path)):
            folder.rmdir()  # empty mount points; anything else is not ours to remove

    def _start_api(self, _name: str) -> dict[str, Any]:
        return engine_api.start(self.engine, socket_of(self.workspace, self.engine), self.workspace.site.state_dir)

    def _stop_api(self, _name: str) -> None:
        engine_api.stop(self.engine, socket_of(self.workspace, self.engine))

    def _write_names(self, _name: str) -> None:
        names.write(self.prefix, self.workspace.wanted.names)

    def _delete_names(self, _name: str) -> None:
        names.write(self.prefix, {})

    def _create_container(self, name: str) -> None:
        container = self.workspace.project.container(name)
        self._remove(name, container.stop_grace)
        specification = self.workspace.wanted.specifications[name]
        folder = str(self.secrets.files_of(name))
        self.engine.run(*create_arguments(self.workspace.project, container, specification, self.state.lineage, folder))
        self._start_container(name)

    def _start_container(self, name: str) -> None:
        self.engine.run("start", f"{self.prefix}-{name}")
        bridge.pin(self.workspace.site.subnet)
        self._await(self.workspace.project.container(name))

    def _await(self, container: Container) -> None:
        if container.probe is None:
            return
        full = f"{self.prefix}-{container.name}"
        deadline = time.monotonic() + container.probe.timeout
        last = "no answer"
        while time.monotonic() < deadline:
            done = self.engine.exec(full, container.probe.command, timeout=max(5.0, container.probe.timeout))
            if done.returncode == 0:
                return
            last = (done.stderr or done.stdout).strip()[-300:] or f"exit code {done.returncode}"
            time.sleep(PROBE_PAUSE)
        logs = self.engine.run("logs", "--tail", "15", full, check=False)
        end = (logs.stdout + logs.stderr)[-1200:]
        raise CantiereError(
            Problem(
                "container.not-ready",
                f"{container.name} was not ready within {container.probe.timeout:.0f} s; its probe says: {last}; its log ends: {end}",
                f"see `./cantiere logs {container.name}`; run `./cantiere up` again once the cause is gone",
                path=container.name,
            )
        )

    def _delete_container(self, name: str) -> None:
        known = {c.name: c.stop_grace for c in self.workspace.project.containers}
        self._remove(name, known.get(name))
        self.secrets.forget_files(name)

    def _remove(self, name: str, grace: float | None) -> None:
        full = f"{self.prefix}-{name}"
        flags = ("--time", str(int(grace))) if grace is not None else ()
        stopped = self.engine.run("stop", *flags, full, check=False, timeout=(grace or 60) + 120)
        if stopped.returncode == 0 or "no such container" not in stopped.stderr.lower():
            self.engine.run("rm", "-f", full)


def execute(
    workspace: Workspace, engine: Engine, plan: Plan, log: Callable[[str], None], report: Report | None = None, jobs: int = 4
) -> None:
    """Do a plan; the caller holds the site's lock.

    Parameters
    ----------
    workspace, engine:
        The facility and its engine.
    plan:
        What to do.
    log:
        Takes lines of long work.
    report:
        See :func:`cantiere.plan.walk.walk`.
    jobs:
        Steps at the same time.

    Raises
    ------
    CantiereError
        Steps failed.
    """
    state = workspace.store.load() or workspace.store.save(workspace.store.new(workspace.facility.name))
    doer = Apply(workspace, engine, state, log)
    made = (Action.CREATE, Action.REPLACE, Action.START)
    doer.secrets.materialise(workspace.project.container(s.name) for s in plan.steps if s.kind is Kind.CONTAINER and s.action in made)
    walk(plan, doer, jobs, report)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CantiereError(
            Problem("command.failed", f"{' '.join(command)}: {done.stderr.strip()}", "run it by hand to see more", path=command[0])
        )
