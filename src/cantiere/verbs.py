"""What each verb of the command line does."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from cantiere import (
    cluster_verbs,
    export_verbs,
    machine_verbs,
    mirror_verbs,
    portfolio_verbs,
    scale_verbs,
    types_verbs,
    values_verbs,
    workflow_verbs,
)
from cantiere.errors import CantiereError, Problem, TemplateError
from cantiere.telling import beside, summary, warn

if TYPE_CHECKING:
    from cantiere.workspace import Workspace

CHANGES = 5
ENVIRONMENT = "CANTIERE_INPUT_"
"""Beginning of the names of environment variables that give inputs; ``--input`` wins over them, they over the inputs file."""


def _inputs(options: argparse.Namespace) -> dict[str, Any]:
    values: dict[str, Any] = {}
    environment = [f"{name.removeprefix(ENVIRONMENT)}={text}" for name, text in os.environ.items() if name.startswith(ENVIRONMENT)]
    for given in [*environment, *options.input]:
        name, equals, text = given.partition("=")
        if not equals:
            raise TemplateError(Problem("input.shape", f"--input {given!r} has no value", "write --input NAME=VALUE", path=given))
        try:
            values[name] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise TemplateError(Problem("input.yaml", f"--input {name}: the value is no YAML", "quote it", path=name)) from error
    return values


def workspace_of(options: argparse.Namespace) -> Workspace:
    """The workspace that a command line asks for; what the front end warns of is shown."""
    from cantiere.workspace import open_site

    replace = getattr(options, "replace", ())
    workspace = open_site(options.site, options.template, _inputs(options), options.inputs, replace)
    _tell(workspace.warnings, workspace.notices)
    return workspace


def _tell(warnings: Sequence[Problem], notices: Sequence[Problem]) -> None:
    """Show what the front end warned of, and what it took notice of."""
    for notice in notices:
        print("notice:", " ".join(filter(None, (f"{notice.where}:", notice.message, notice.remedy, f"[{notice.code}]"))), file=sys.stderr)
    warn(warnings)


def _print(data: object) -> None:
    print(json.dumps(data, indent=1))


def validate(options: argparse.Namespace) -> int:
    """Check a template and its inputs."""
    from cantiere import catalogue
    from cantiere.imports import fetcher
    from cantiere.tosca.compile import load

    loaded = load(options.template, inputs=_inputs(options), inputs_file=options.inputs, fetch=fetcher(options.template))
    problems = catalogue.check(loaded.facility)
    if problems:
        raise TemplateError(problems)
    notices = (*loaded.notices, *catalogue.by_workflow(loaded.facility))
    if options.json:
        told = {"warnings": loaded.warnings, "notices": notices}
        _print(
            {"errors": [], **{key: [item.as_dict() for item in items] for key, items in told.items()}, "nodes": len(loaded.facility.nodes)}
        )
        return 0
    _tell(loaded.warnings, notices)
    print(f"{options.template}: valid, {len(loaded.facility.nodes)} nodes")
    return 0


def plan(options: argparse.Namespace) -> int:
    """Show what ``up`` would do."""
    from cantiere.converge import plan_of
    from cantiere.plan.walk import explain as tell

    made = plan_of(workspace_of(options))
    if options.json:
        _print(made.as_dict())
    else:
        tell(made, print)
        beside(made)
        print(summary(made))
    return CHANGES if made.steps and options.exit_code else 0


def explain(options: argparse.Namespace) -> int:
    """Tell every step with what it waits for."""
    from cantiere.converge import plan_of

    workspace = workspace_of(options)
    made = plan_of(workspace)
    if options.json:
        _print(made.as_dict())
        return 0
    for number, step in enumerate(made.steps, start=1):
        print(f"{number:3d}. {step}")
        if step.after:
            print(f"       after {', '.join(step.after)}")
    for place, expression in workspace.facility.expressions():
        print(f"  known once it runs: {place} = {expression}")
    beside(made)
    print(summary(made))
    return 0


def values(options: argparse.Namespace) -> int:
    """Show the values of a release, or list the releases."""
    values_verbs.words(options)
    return values_verbs.values(workspace_of(options), options)


def graph(options: argparse.Namespace) -> int:
    """Draw the topology or the plan."""
    from cantiere import graph as drawing

    workspace = workspace_of(options)
    if options.plan:
        from cantiere.converge import plan_of

        text = drawing.plan_svg(plan_of(workspace))
    else:
        text = drawing.topology_svg(workspace.facility)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


def up(options: argparse.Namespace) -> int:
    """Raise the facility."""
    from cantiere import raising

    return raising.up(workspace_of(options), options.json)


def down(options: argparse.Namespace) -> int:
    """Take the facility down."""
    from cantiere import raising

    return raising.down(options.site, options.images, options.json, options.from_tags)


def status(options: argparse.Namespace) -> int:
    """Show what is up, and what has drifted."""
    from cantiere.converge import plan_of
    from cantiere.engine import detect
    from cantiere.observe import observe
    from cantiere.up import outputs, show_outputs
    from cantiere.workspace import open_applied

    workspace, state = open_applied(options.site)
    if workspace.fleet:
        return machine_verbs.status(workspace, workspace.fleet, state, options.json)
    if workspace.cluster:
        return cluster_verbs.status(workspace, workspace.cluster, state, options.json)
    seen = observe(workspace, detect(workspace.engine_name, workspace.site.state_dir))
    drift = plan_of(workspace)
    rows = [
        {
            "container": c.name,
            "service": c.service,
            "state": seen.containers[c.name].state if c.name in seen.containers else "absent",
            "address": workspace.project.addresses[c.name],
        }
        for c in workspace.project.containers
    ]
    if options.json:
        _print(
            {
                "facility": workspace.facility.name,
                "lineage": state.lineage,
                "serial": state.serial,
                "containers": rows,
                "notebooks": sorted(seen.notebooks),
                "drift": drift.as_dict()["steps"],
                "outputs": outputs(workspace),
            }
        )
        return 0
    for row in rows:
        print(f"{row['container']:24} {row['service']:16} {row['state']:10} {row['address']}")
    for name in sorted(seen.notebooks):
        print(f"{name:24} {'(notebook)':16} running")
    print("drift: none" if not drift.steps else "drift:")
    for step in drift.steps:
        print(f"  {step}")
    show_outputs(outputs(workspace))
    return 0


def verify(options: argparse.Namespace) -> int:
    """Use the facility for real."""
    from cantiere.verify.command import verify as use
    from cantiere.workspace import open_applied

    workspace, _ = open_applied(options.site)
    return use(workspace, options.only, options.json)


def inventory(options: argparse.Namespace) -> int:
    """Show the machines of a site."""
    from cantiere import site as sites
    from cantiere.inventory import machines

    path = sites.find(options.site)
    found = machines(path, machine_verbs.applied(path))
    if options.json:
        _print({machine.name: {"groups": machine.groups, "variables": machine.variables} for machine in found})
        return 0
    for machine in found:
        print(f"{machine.name:20} {', '.join(machine.groups)}")
    return 0


def _containers_of(options: argparse.Namespace) -> tuple[Workspace, list[str]]:
    from cantiere.workspace import open_applied

    workspace, _ = open_applied(options.site)
    if workspace.fleet:
        name = workspace.site.name
        remedy = f"use `./cantiere kubectl --site {name}` for pods, `./cantiere ssh --site {name}` for machines"
        raise CantiereError(Problem("service.cluster", f"site {name!r} has no containers on this machine", remedy, path=options.service))
    containers = workspace.project.containers
    names = [c.name for c in containers if c.name == options.service] or [c.name for c in containers if c.service == options.service]
    if not names:
        known = ", ".join(sorted({c.service for c in containers} | {c.name for c in containers}))
        raise CantiereError(
            Problem("service.unknown", f"there is no service {options.service!r}", f"use one of: {known}", path=options.service)
        )
    return workspace, names


def _engine_environment(workspace: Workspace) -> tuple[str, Mapping[str, str]]:
    from cantiere.engine import detect

    engine = detect(workspace.engine_name, workspace.site.state_dir)
    if engine is None:
        raise CantiereError(
            Problem("engine.missing", f"{workspace.engine_name} is not installed", "run `./cantiere up`", path=workspace.engine_name)
        )
    return engine.name, {**os.environ, **engine.environment}


def logs(options: argparse.Namespace) -> int:
    """Show logs."""
    workspace, names = _containers_of(options)
    engine, environment = _engine_environment(workspace)
    follow = ["--follow"] if options.follow else []
    running = []
    for name in names:
        if len(names) > 1:
            print(f"==> {name} <==", flush=True)
        command = [engine, "logs", "--tail", str(options.tail), *follow, f"{workspace.site.prefix}-{name}"]
        process = subprocess.Popen(command, env=environment)
        running.append(process)
        if not options.follow:
            process.wait()
    return 1 if any(process.wait() for process in running) else 0


def exec_(options: argparse.Namespace) -> int:
    """Run a command inside a service."""
    workspace, names = _containers_of(options)
    if len(names) > 1:
        raise CantiereError(
            Problem(
                "service.several", f"{options.service} has several containers", f"name one of: {', '.join(names)}", path=options.service
            )
        )
    engine, environment = _engine_environment(workspace)
    command = [word for word in options.command if word != "--"] if options.command[:1] == ["--"] else options.command
    flags = ["-i", *(["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else [])]
    return subprocess.run(
        [engine, "exec", *flags, f"{workspace.site.prefix}-{names[0]}", *(command or ["/bin/bash"])], env=environment, check=False
    ).returncode


def ssh(options: argparse.Namespace) -> int:
    """Open a shell on a machine of the site."""
    from cantiere import site as sites
    from cantiere.inventory import machines

    path = sites.find(options.site)
    workspace = machine_verbs.applied(path)
    found = {machine.name: machine for machine in machines(path, workspace)}
    if options.machine not in found:
        raise CantiereError(
            Problem("machine.unknown", f"there is no machine {options.machine!r}", f"use one of: {', '.join(found)}", path=options.machine)
        )
    if workspace and workspace.fleet and found[options.machine].variables.get("ansible_host"):
        return machine_verbs.ssh(workspace.fleet, options.machine, options.command)
    # the machines of a compose site are this machine: a shell is all there is to open
    return subprocess.run([os.environ.get("SHELL", "/bin/sh")], check=False).returncode


def kubectl(options: argparse.Namespace) -> int:
    """Ask the cluster."""
    from cantiere.workspace import open_applied

    workspace, _ = open_applied(options.site)
    return machine_verbs.kubectl(workspace, options.arguments)


def secrets(options: argparse.Namespace) -> int:
    """Show or list generated secrets."""
    from cantiere import site as sites
    from cantiere.secrets import SecretStore

    path = sites.find(options.site)
    store = SecretStore(sites.load(path).state_dir)
    if options.action == "list":
        names = store.names()
        _print(names) if options.json else print("\n".join(names))
        return 0
    if not options.name:
        raise CantiereError(Problem("secret.name", "which secret?", f"use one of: {', '.join(store.names())}", path="secrets show"))
    parts = store.show(options.name)
    if options.json:
        _print(parts)
    else:
        part = options.part or ("value" if "value" in parts else "certificate")
        if part not in parts:
            raise CantiereError(
                Problem("secret.part", f"{options.name} has no part {part!r}", f"use one of: {', '.join(parts)}", path=options.name)
            )
        print(parts[part])
    return 0


def completion(options: argparse.Namespace) -> int:
    """Print a completion script."""
    import shtab

    from cantiere.cli import parser

    print(shtab.complete(parser(), shell=options.shell))
    return 0


VERBS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "validate": validate,
    "plan": plan,
    "explain": explain,
    "graph": graph,
    "values": values,
    "up": up,
    "run": lambda options: workflow_verbs.run(options, _inputs(options)),
    "scale": scale_verbs.scale,
    "status": status,
    "verify": verify,
    "down": down,
    "inventory": inventory,
    "logs": logs,
    "exec": exec_,
    "ssh": ssh,
    "import": machine_verbs.import_,
    "kubectl": kubectl,
    "helmfile": cluster_verbs.helmfile,
    "secrets": secrets,
    "mirror": mirror_verbs.mirror,
    "portfolio": portfolio_verbs.portfolio,
    "form": portfolio_verbs.form,
    "export": lambda options: export_verbs.export(options, _inputs(options)),
    "types": types_verbs.types,
    "completion": completion,
}
