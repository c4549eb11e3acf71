"""What the verbs of the command line do for a facility on machines."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cantiere import cluster_verbs
from cantiere.errors import CantiereError, Problem

if TYPE_CHECKING:
    from cantiere.machines.fleet import Fleet
    from cantiere.state import State
    from cantiere.workspace import Workspace


def applied(source: Path) -> Workspace | None:
    """The workspace of what was applied last on a site, or None where nothing was."""
    from cantiere.workspace import open_applied

    try:
        return open_applied(str(source))[0]
    except CantiereError:
        return None


def status(workspace: Workspace, fleet: Fleet, state: State, as_json: bool) -> int:
    """Show each machine with its node, and what has drifted."""
    from cantiere import up
    from cantiere.machines import raising

    rows, drift = raising.status(fleet)
    answers = up.outputs(workspace)
    releases, differing = cluster_verbs.state_of(workspace)
    drift = [*drift, *differing]
    if as_json:
        found = {"facility": workspace.facility.name, "lineage": state.lineage, "serial": state.serial, "machines": rows, "drift": drift}
        found |= {"releases": releases, "outputs": answers}
        print(json.dumps(found, indent=1))
        return 0
    print(f"{'machine':20} {'address':16} {'state':9} {'node':9} {'version':9} roles")
    for row in rows:
        cordoned = "" if row["schedulable"] or not row["node"] else ", no new pods"
        state_ = row["state"] if row["reachable"] or row["state"] != "running" else "silent"
        print(f"{row['machine']:20} {row['address']:16} {state_:9} {row['node']:9} {row['version']:9} {', '.join(row['roles'])}{cordoned}")
    for row in rows:
        if row["specification"] == "another":
            print(f"{row['machine']} was made from another specification; `up --replace {row['machine']}` makes it anew")
    cluster_verbs.show(releases)
    print("drift: none" if not drift else "drift:")
    for step in drift:
        print(f"  {step}")
    up.show_outputs(answers)
    return 0


def ssh(fleet: Fleet, machine: str, command: Sequence[str]) -> int:
    """Open a shell on a machine, or run a command there."""
    words = [word for word in command if word != "--"] if command[:1] == ["--"] else list(command)
    return subprocess.run(["ssh", "-F", str(fleet.ssh.config), machine, *words], check=False).returncode


def import_(options: argparse.Namespace) -> int:
    """Take what a project has already into a facility, for one of its machines."""
    from cantiere.providers.openstack import OpenStack
    from cantiere.workspace import open_site

    workspace = open_site(options.site, None, {}, None)
    provider = workspace.fleet.provider if workspace.fleet else None
    if workspace.fleet is None or not isinstance(provider, OpenStack):
        name = workspace.site.name
        message = f"site {name!r} makes nothing in a project of OpenStack"
        raise CantiereError(Problem("import.provider", message, "name a site with provider openstack", path=name))
    asked = {machine.name: machine for machine in workspace.fleet.asked()}
    if options.machine not in asked:
        remedy = f"use one of: {', '.join(asked)}"
        raise CantiereError(Problem("machine.unknown", f"there is no machine {options.machine!r}", remedy, path=options.machine))
    with workspace.store.locked("import"):
        state = workspace.store.load() or workspace.store.save(workspace.store.new(workspace.facility.name))
        told = provider.adopt(asked[options.machine], options.resource, state.lineage)
    print(json.dumps({"machine": options.machine, "imported": options.resource, "told": told}, indent=1) if options.json else told)
    return 0


def kubectl(workspace: Workspace, arguments: Sequence[str]) -> int:
    """Run kubectl on a control-plane machine that answers."""
    from cantiere.machines.nodes import ADMIN, KUBECTL

    fleet = workspace.fleet
    if fleet is None and workspace.cluster:
        return cluster_verbs.kubectl(workspace.cluster, arguments)
    if fleet is None:
        name = workspace.site.name
        raise CantiereError(Problem("cluster.none", f"site {name!r} has no cluster", "name a site with platform: kubernetes", path=name))
    words = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    for machine in fleet.machines():
        if machine.controls and fleet.ssh.run(machine.name, f"test -f {ADMIN}", timeout=15).returncode == 0:
            command = f"{KUBECTL} {shlex.join(words)}"
            return subprocess.run(["ssh", "-F", str(fleet.ssh.config), *terminal, machine.name, command], check=False).returncode
    raise CantiereError(Problem("cluster.silent", "no control-plane machine can be reached", "see `./cantiere status`", path="kubectl"))
