"""What ``up`` does on every platform: settle, preflight, plan and playbook, and how it tells what came of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cantiere import preflight
from cantiere.converge import PATIENCE, plan_of
from cantiere.indigo.outputs import Known, answer
from cantiere.plan.definition import Plan
from cantiere.progress import Progress
from cantiere.runner import Run, playbook, sayer, variables
from cantiere.services import iam
from cantiere.workflows.memory import Memory
from cantiere.workspace import Workspace

DEFAULT_SITE = "here"
"""The site of a command line that names none."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A run of ``up`` that came to its end.

    Parameters
    ----------
    run:
        What it did.
    seconds:
        Wall time from the first look on.
    """

    run: Run
    seconds: float

    def result(self, workspace: Workspace) -> dict[str, Any]:
        """What JSON says of every run."""
        run = self.run
        return {"facility": workspace.facility.name, "changed": run.changed, "steps": run.steps, "seconds": round(self.seconds, 2)}

    def told(self, what: str, spent: Mapping[str, float]) -> str:
        """The run in one line.

        Parameters
        ----------
        what:
            What the template asks for (``the facility``).
        spent:
            Part of the run to its seconds; none where the steps say more.
        """
        if not self.run.steps and not self.run.changed and not self.run.left:
            return f"no changes: {what} what the template asks for ({self.seconds:.1f} s)"
        if not spent:
            return f"up in {self.seconds:.0f} s, {len(self.run.steps)} steps"
        parts = ", ".join(f"{name} {value:.0f} s" for name, value in spent.items())
        return f"up in {self.seconds:.0f} s ({parts}); {self.run.changed} tasks of Ansible changed something"


def raised(workspace: Workspace, as_json: bool, head: Callable[[Plan], Iterable[str]]) -> Raised:
    """Do a run.

    Parameters
    ----------
    head:
        What is told of a plan before it is done, line by line.

    Raises
    ------
    PreflightError
        The site cannot carry it; nothing was touched.
    CantiereError
        The run failed; the same command goes on from there.
    """
    began = time.monotonic()
    say = sayer(as_json)
    workspace.store.settle(PATIENCE)
    preflight.check(workspace)
    plan = plan_of(workspace)
    for line in head(plan):
        say(line)
    say(f"plan: {len(plan.steps)} steps" if plan.steps else "plan: no changes")
    run = playbook(workspace.site, "site", variables(workspace), Progress(as_json), skip_tags="preflight")
    return Raised(run, time.monotonic() - began)


def option(workspace: Workspace) -> str:
    """The option of a command line that names a workspace's site; empty for the one that is meant anyway."""
    name = workspace.site.name
    return "" if name == DEFAULT_SITE else f" --site {name}"


def users(workspace: Workspace) -> list[dict[str, str]]:
    """Users of a development IAM, and how their passwords are shown."""
    return [
        {
            "name": name,
            "groups": " ".join(groups),
            "password": f"./cantiere secrets show {iam.user_password(node, name).name}{option(workspace)}",
        }
        for node in workspace.facility.of_type(iam.TYPE)
        if not iam.external(node)
        for name, groups in node.properties["users"].items()
    ]


def outputs(workspace: Workspace) -> dict[str, Any]:
    """The template's outputs, those that only the running facility can answer among them; without the ones that nobody knows."""
    placed = [machine for machine in workspace.fleet.machines() if machine.address] if workspace.fleet else []
    addresses: dict[str, list[str]] = {}
    for machine in placed:
        addresses.setdefault(machine.pool, []).append(machine.address)
    log_in = {machine.address: {"user": machine.user, "key": machine.key} for machine in placed}
    file = workspace.cluster.kubeconfig if workspace.cluster else None
    doors = {machine.address: machine.door for machine in placed if machine.door}
    known = Known(addresses, log_in, str(file) if file and file.is_file() else "", doors)
    told = Memory(workspace.site.state_dir, workspace.facility).answers()
    found = {**workspace.facility.outputs, **told, **{name: answer(asked, known) for name, asked in workspace.late.items()}}
    return {name: value for name, value in found.items() if value is not None}


def show_outputs(found: Mapping[str, Any]) -> None:
    """Print the template's outputs."""
    if found:
        print("\nOutputs")
    for name, value in found.items():
        print(f"  {name:26} {value if isinstance(value, str) else json.dumps(value)}")


def show_login(workspace: Workspace, urls: Mapping[str, str], where: str) -> None:
    """Print where users log in.

    Parameters
    ----------
    urls:
        Title of each page to its address.
    where:
        From where these names are known.
    """
    if urls:
        print(f"\nURLs ({where}; the facility's CA: ./cantiere secrets show facility-ca{option(workspace)})")
        for title, url in urls.items():
            print(f"  {title:26} {url}")
    if found := users(workspace):
        print("\nDemo users of the development IAM")
        for user in found:
            print(f"  {user['name']:12} {user['groups']:24} password: {user['password']}")
