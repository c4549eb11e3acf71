"""Ansible's rim: a request as JSON in, a result as JSON out, in a process of its own.

A module's process holds only Ansible's module library; what the package needs of Ansible (the vault) is not there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError


def ask(verb: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a module is asked for, in a new process.

    Parameters
    ----------
    verb:
        ``preflight``, or a stage of :func:`cantiere.converge.run_stage`.
    parameters:
        The module's parameters.

    Returns
    -------
    dict
        ``steps`` that were done and ``machines`` with the groups of the plays that follow, or ``problems``; ``msg`` where it failed.
    """
    return converse(["cantiere.rim", verb], parameters)


def converse(program: Sequence[str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Start a module of this package as a program of its own, hand it a request, and return what it answers.

    Parameters
    ----------
    program:
        The module's name, and its arguments.
    parameters:
        The request, as JSON can carry it.

    Returns
    -------
    dict
        The answer; where the program gave none, ``msg`` says how it ended.
    """
    done = subprocess.run([sys.executable, "-m", *program], input=json.dumps(parameters), capture_output=True, text=True, check=False)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"msg": f"it ended with {done.returncode}: {done.stderr.strip()[-2000:]}", "problems": []}
    return answer


def answer_to(verb: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`ask` gets back."""
    from cantiere import preflight
    from cantiere.converge import Request, run_stage
    from cantiere.workspace import open_site

    paths = {name: Path(parameters[name]) if parameters.get(name) else None for name in ("template", "inputs_file", "events")}
    try:
        if verb == "preflight":
            preflight.check(open_site(parameters["site"], paths["template"], parameters["inputs"], paths["inputs_file"]))
            return {"steps": [], "machines": []}
        request = Request(
            site=parameters["site"],
            template=paths["template"],
            inputs=parameters["inputs"],
            inputs_file=paths["inputs_file"],
            images=bool(parameters.get("images")),
            replace=tuple(parameters.get("replace") or ()),
            scale=parameters.get("scale") or {},
            removal=tuple(parameters.get("removal") or ()),
            events=paths["events"],
            check=bool(parameters.get("check")),
        )
        done = run_stage(request, verb)
        return {"steps": done.steps, "machines": [{"name": name, "groups": list(groups)} for name, groups in done.groups.items()]}
    except CantiereError as error:
        return {"msg": str(error), "problems": [problem.as_dict() for problem in error.problems]}


if __name__ == "__main__":
    print(json.dumps(answer_to(sys.argv[1], json.load(sys.stdin))))
