"""Look at what is there. Nothing here writes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from pathlib import Path

from cantiere import names
from cantiere.engine import Engine
from cantiere.engine_labels import LABEL_DIGEST, LABEL_SPEC
from cantiere.plan.definition import Observation, Seen
from cantiere.workspace import Workspace

SAMPLES_COMPLETE = ".complete"
CONTAINER_LABEL = "cantiere.container"


def observe(workspace: Workspace, engine: Engine | None) -> Observation:
    """What is there of a facility on this machine.

    Parameters
    ----------
    workspace:
        Which facility.
    engine:
        The container engine, or None where none is installed yet.
    """
    hosts = names.read(workspace.site.prefix)
    samples = (workspace.samples_folder / SAMPLES_COMPLETE).is_file()
    if engine is None:
        return Observation(samples=samples, names=hosts)
    prefix = workspace.site.prefix
    containers: dict[str, Seen] = {}
    notebooks = set()
    for found in engine.containers(prefix):
        labels = found["Config"]["Labels"] or {}
        short = labels.get(CONTAINER_LABEL)
        if short:
            containers[short] = Seen(labels.get(LABEL_DIGEST, ""), json.loads(labels.get(LABEL_SPEC, "{}")), found["State"]["Status"])
        else:
            notebooks.add(str(found["Name"]).lstrip("/").removeprefix(f"{prefix}-"))
    return Observation(
        images=frozenset(engine.images()),
        networks=frozenset(engine.networks(prefix)),
        volumes=frozenset(engine.volumes(prefix)),
        containers=containers,
        notebooks=frozenset(notebooks),
        samples=samples,
        engine_api=api_answers(workspace, engine),
        mounts=mounted([workspace.facts.paths["cvmfs"]]),
        names=hosts,
    )


def api_answers(workspace: Workspace, engine: Engine) -> bool:
    """Whether the engine's API answers on the facility's socket."""
    return answers(socket_of(workspace, engine))


def socket_of(workspace: Workspace, engine: Engine) -> Path:
    """The socket of the engine's API that the facility uses."""
    return Path("/run/docker.sock") if engine.name == "docker" else Path(workspace.facts.paths["engine"]) / "engine.sock"


def answers(path: Path) -> bool:
    """Whether somebody accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def mounted(paths: Iterable[str]) -> frozenset[str]:
    """Which of these folders are mount points."""
    points = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()}
    return frozenset(path for path in paths if path in points)
