"""What the verbs of the command line do for a facility's releases on a cluster."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cantiere.cluster.platform import Cluster
    from cantiere.state import State
    from cantiere.workspace import Workspace


def state_of(workspace: Workspace) -> tuple[list[dict[str, Any]], list[str]]:
    """Each release with its state, and what has drifted, as rows and as steps in words."""
    from cantiere.cluster import raising

    return raising.status(workspace.cluster) if workspace.cluster else ([], [])


def show(rows: list[dict[str, Any]]) -> None:
    """Print releases."""
    from cantiere.cluster import raising

    raising.show(rows)


def status(workspace: Workspace, cluster: Cluster, state: State, as_json: bool) -> int:
    """Show each release, and what has drifted."""
    from cantiere import up

    rows, drift = state_of(workspace)
    answers = up.outputs(workspace)
    if as_json:
        found = {"facility": workspace.facility.name, "lineage": state.lineage, "serial": state.serial, "releases": rows, "drift": drift}
        print(json.dumps(found | {"outputs": answers}, indent=1))
        return 0
    show(rows)
    print("drift: none" if not drift else "drift:")
    for step in drift:
        print(f"  {step}")
    up.show_outputs(answers)
    return 0


def kubectl(cluster: Cluster, arguments: Sequence[str]) -> int:
    """Run kubectl on a cluster that exists, with the site's kubeconfig."""
    from cantiere import supply
    from cantiere.supply.pins import own_architecture

    words = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    program = shutil.which("kubectl")
    if program is None:
        stored = supply.ensure(["kubernetes"], cluster.site, own_architecture(), print)["kubernetes"]
        program = str(next(file.path for file in stored.files if "kubectl" in (file.name, *file.links)))
    named = ["--context", cluster.context] if cluster.context else []
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    return subprocess.run(["kubectl", *named, *words], executable=program, env=environment, check=False).returncode


def helmfile(options: argparse.Namespace) -> int:
    """Write the releases as a helmfile."""
    from cantiere.cluster.folder import write
    from cantiere.errors import CantiereError, Problem
    from cantiere.verbs import workspace_of

    workspace = workspace_of(options)
    if workspace.cluster is None:
        name = workspace.site.name
        remedy = "name a site with platform: cluster or kubernetes, for example --site existing"
        raise CantiereError(Problem("cluster.none", f"site {name!r} has no cluster", remedy, path=name))
    written = write(workspace.cluster, options.folder)
    _tell(written, options)
    return 0


def _tell(written: Mapping[str, int], options: argparse.Namespace) -> None:
    counts = ", ".join(f"{number} {what}" for what, number in written.items())
    print(f"{options.folder}: {counts}; its README.md says what it needs")
