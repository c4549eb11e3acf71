"""Machines without a facility, for molecule and by hand: a list of names in, where they are reached out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, PreflightError
from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh
from cantiere.providers.nspawn.provider import Nspawn
from cantiere.rim import converse

POOL = "by-hand"
SUBNETS = "10.142.{}.0/24"
"""Where machines without a subnet of their own go, each prefix to one of these."""


def ask(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the module is asked for, in a new process: :func:`answer_to` with JSON in and out."""
    return converse(["cantiere.providers.nspawn", "answer"], parameters)


def answer_to(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`ask` gets back: ``changes``, ``machines`` and ``instances``, or ``msg`` and ``problems``."""
    names = [machine["name"] for machine in parameters["machines"]]
    try:
        if parameters["state"] == "present":
            changes = present(parameters, names, print_nothing)
        else:
            changes = absent(parameters, names, check=bool(parameters.get("check")))
        machines = [] if parameters.get("check") else reached(parameters)
        return {"changes": changes, "machines": machines, "instances": instances(machines)}
    except CantiereError as error:
        return {"msg": str(error), "problems": [problem.as_dict() for problem in error.problems]}


def print_nothing(line: str) -> None:
    """Take a line of the log where nobody reads it."""


def provider(parameters: Mapping[str, Any]) -> Nspawn:
    """The provider for ``prefix``, ``folder``, ``subnet``, ``image`` and ``shared``."""
    options = {key: parameters[key] for key in ("image", "shared") if parameters.get(key)}
    folder = Path(parameters["folder"])
    prefix = parameters.get("prefix") or folder.name
    return Nspawn(prefix, folder, {**options, "subnet": parameters.get("subnet") or own_subnet(prefix)})


def own_subnet(prefix: str) -> str:
    """A network in CIDR notation that depends on the prefix alone, so that two sets of machines can be there side by side."""
    return SUBNETS.format(hashlib.sha256(prefix.encode()).digest()[0])


def present(parameters: Mapping[str, Any], names: list[str], log: Callable[[str], None]) -> list[str]:
    """Make and start machines, all at the same time; returns what was done, or would be where ``check`` is set.

    Raises
    ------
    PreflightError
        The host cannot have them; nothing was touched.
    CantiereError
        A machine cannot be made.
    """
    source = provider(parameters)
    needs = {machine["name"]: machine.get("needs") or {} for machine in parameters["machines"]}
    placed, problems = source.place([Machine(name, POOL, (), "", needs=needs[name]) for name in names])
    problems += source.check(placed)
    if problems:
        raise PreflightError(problems)
    seen = source.observe()
    missing = [machine for machine in placed if machine.name not in seen or seen[machine.name].state != "running"]
    stopped = {name for name, one in seen.items() if one.state == "stopped"}
    changes = [f"{'start' if machine.name in stopped else 'create'} {machine.name}" for machine in missing]
    if parameters.get("check"):
        return changes
    if not source.prepared():
        source.prepare(source.prefix, log)
    Ssh.each(placed, lambda machine: source.create(machine, source.prefix, log))
    ssh = Ssh(Path(parameters["folder"]) / "ssh")
    everything = _reachable(source)
    ssh.pin(everything)
    ssh.write(everything)
    return changes


def absent(parameters: Mapping[str, Any], names: list[str], *, check: bool) -> list[str]:
    """Remove machines, all of them where no name is given, and with the last one what they share; returns what was done.

    Raises
    ------
    CantiereError
        A machine does not end.
    """
    source = provider(parameters)
    ssh = Ssh(Path(parameters["folder"]) / "ssh")
    there = source.observe()
    going = [name for name in there if name in names or not names]
    changes = [f"delete {name}" for name in going]
    if check:
        return changes
    for name in going:
        ssh.forget(name)
    Ssh.each([Machine(name, POOL, (), "") for name in going], lambda machine: source.delete(machine.name))
    if len(going) == len(there):
        source.release()
        ssh.config.unlink(missing_ok=True)
        ssh.known_hosts.unlink(missing_ok=True)
    else:
        ssh.write(_reachable(source))
    return changes


def reached(parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where every machine of the folder is reached."""
    source = provider(parameters)
    ssh = Ssh(Path(parameters["folder"]) / "ssh")
    return [
        {
            "name": machine.name,
            "address": machine.address,
            "port": machine.port,
            "user": machine.user,
            "identity_file": machine.key,
            "known_hosts": str(ssh.known_hosts),
            "ssh_config": str(ssh.config),
        }
        for machine in _reachable(source)
    ]


def instances(machines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same as molecule keeps it; the address is the name, which the SSH configuration knows with its host key."""
    return [
        {
            "instance": machine["name"],
            "address": machine["name"],
            "port": machine["port"],
            "user": machine["user"],
            "identity_file": machine["identity_file"],
        }
        for machine in machines
    ]


def _reachable(source: Nspawn) -> tuple[Machine, ...]:
    names = [name for name, seen in source.observe().items() if seen.state == "running"]
    return source.place([Machine(name, POOL, (), "") for name in names])[0]
