"""Body of the inventory plugin: the machines of a site and the variables of the roles that converge them. It never writes."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cantiere.engine import preferred
from cantiere.machines import wanted
from cantiere.site import load
from cantiere.workspace import Workspace, open_site

REQUEST_VARIABLE = "CANTIERE_REQUEST"
"""Template, inputs and inputs file of the run that asks, as JSON."""

COMPOSE_GROUP = "compose_hosts"
CONTROLLER_GROUP = "controllers"
CLUSTER_GROUP = "cluster_controllers"


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as Ansible sees it.

    Parameters
    ----------
    name:
        Inventory host name.
    groups:
        Groups that it is in.
    variables:
        Its host variables.
    """

    name: str
    groups: tuple[str, ...]
    variables: dict[str, Any]


def machines(source: Path, workspace: Workspace | None = None) -> list[Machine]:
    """The machines of a site.

    Parameters
    ----------
    source:
        ``inventories/<site>/cantiere.yml``.
    workspace:
        The facility on it; None takes that of the run that asks, else the site's own template and inputs.

    Raises
    ------
    TemplateError
        The site is invalid.
    """
    site = load(source)
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    if site.platform == "kubernetes":
        named = {"machines_site": str(site.file), "releases_site": str(site.file)}
        controller = Machine("controller", (CONTROLLER_GROUP, CLUSTER_GROUP), local | named)
        return [controller, *_fleet(workspace or asked_for(source))]
    if site.platform == "cluster":
        return [Machine("controller", (CLUSTER_GROUP,), local | {"releases_site": str(site.file)})]
    variables = local | {
        "container_engine_name": preferred(site.engine),
        "container_engine_state_dir": str(site.state_dir),
        "compose_site": str(site.file),
    }
    return [Machine(site.name, (COMPOSE_GROUP,), variables)]


def _fleet(workspace: Workspace) -> list[Machine]:
    fleet = workspace.fleet
    if fleet is None:
        return []
    placed, away = fleet.machines(), fleet.away()
    found = []
    for machine, variables in fleet.variables(placed):
        if machine.name in away:
            continue
        connection = {
            "ansible_host": machine.name,
            "ansible_ssh_args": f"-F {fleet.ssh.config}",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_become": machine.user != "root",
        }
        found.append(Machine(machine.name, wanted.groups_of(machine), connection | variables))
    return found


def asked_for(source: Path) -> Workspace:
    """The workspace of the run that asks, or that of the site as its file says."""
    request = json.loads(os.environ.get(REQUEST_VARIABLE, "{}"))
    paths = {key: Path(request[key]) if request.get(key) else None for key in ("template", "inputs_file")}
    given = request.get("inputs") or {}, paths["inputs_file"]
    return open_site(str(source), paths["template"], *given, scale=request.get("scale"), removal=request.get("removal") or ())
