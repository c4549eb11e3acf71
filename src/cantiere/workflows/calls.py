"""How an operation is carried out: by Ansible, on the machines that its node stands on or on this one."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cantiere.progress import Progress
from cantiere.runner import ansible, request, variables
from cantiere.runs import scratch
from cantiere.workflows.files import INTERPRETERS, PLAYBOOKS, Files
from cantiere.workflows.model import Operation
from cantiere.workspace import Workspace


class _Unsafe(str):
    """A text that Ansible must not read as a template."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Unsafe, lambda dumper, value: dumper.represent_scalar("!unsafe", str(value)))


def machines(workspace: Workspace, node: str) -> tuple[str, ...]:
    """Names of the machines that a node stands on, as the site's inventory has them; none where it stands on no machine."""
    at = workspace.facility.node(node.partition(".")[0])
    while below := at.target("host"):
        at = workspace.facility.node(below)
    if workspace.fleet:
        return tuple(machine.name for machine in workspace.fleet.machines() if machine.pool == at.name)
    return () if workspace.cluster else (workspace.site.name,)


def call(workspace: Workspace, operation: Operation, inputs: Mapping[str, Any], files: Files, progress: Progress) -> dict[str, Any]:
    """Run the implementation of an operation.

    Parameters
    ----------
    workspace:
        The facility on its site.
    operation:
        Which; its file is there.
    inputs:
        Their values. They reach a playbook as variables and a script as environment, through files that only their owner reads.
    files:
        Where its files lie.
    progress:
        Shows the events.

    Returns
    -------
    dict
        What it gave back.

    Raises
    ------
    CantiereError
        It failed.
    """
    path = files.path(operation.file)
    assert path is not None
    with scratch() as folder:
        given = folder / "variables.yml"
        where = ["-i", "localhost,", "-c", "local"]
        values: dict[str, Any] = {"ansible_python_interpreter": sys.executable}
        if operation.host:
            where = ["-i", str(workspace.site.file), "--limit", ",".join(machines(workspace, operation.host))]
            values = {}
        playbook = path.suffix in PLAYBOOKS
        if playbook:
            values |= {name: _unsafe(value) for name, value in inputs.items()}
        else:
            asked = folder / "request.json"
            asked.write_text(json.dumps(_request(operation, path, inputs, files)), encoding="utf-8")
            values["operation_request"] = str(asked)
        given.write_text(yaml.dump(values, Dumper=_Dumper), encoding="utf-8")
        environment = request(variables(workspace))
        if operation.timeout:
            environment["ANSIBLE_TASK_TIMEOUT"] = str(operation.timeout)
        if workspace.cluster and not operation.host and workspace.cluster.kubeconfig.is_file():
            environment["KUBECONFIG"] = str(workspace.cluster.kubeconfig)
        words = [*where, "-e", f"@{given}", str(path) if playbook else "playbooks/operation.yml"]
        return ansible(words, folder, environment, progress).stats


def _request(operation: Operation, path: Path, inputs: Mapping[str, Any], files: Files) -> dict[str, Any]:
    """What the module that runs scripts has to know."""
    found = [path, *(there for file in operation.dependencies if (there := files.path(file)))]
    top = Path(os.path.commonpath([file.parent for file in found]))
    return {
        "files": {str(file.relative_to(top)): base64.b64encode(file.read_bytes()).decode() for file in found},
        "script": str(path.relative_to(top)),
        "command": INTERPRETERS[path.suffix],
        "environment": {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in inputs.items() if value is not None
        },
    }


def _unsafe(value: Any) -> Any:
    if isinstance(value, str):
        return _Unsafe(value)
    if isinstance(value, Mapping):
        return {key: _unsafe(item) for key, item in value.items()}
    return [_unsafe(item) for item in value] if isinstance(value, list) else value
