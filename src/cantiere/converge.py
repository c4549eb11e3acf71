"""One stage of a run, from the request to the steps done: what the Ansible modules call."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cantiere import apply, artifacts
from cantiere import observe as look
from cantiere.cluster import stages as releases
from cantiere.engine import Engine, detect
from cantiere.errors import CantiereError, Problem
from cantiere.events import EventLog
from cantiere.machines import stages
from cantiere.plan.build import build, build_removal
from cantiere.plan.definition import Done, Plan, Stage, Step
from cantiere.plan.walk import Report
from cantiere.runs import asker_gone
from cantiere.workspace import Workspace, open_applied, open_site

PATIENCE = 600.0
"""Seconds to wait for another run on the site: as long as its longest step may take."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is asked for; the parameters of the Ansible modules."""

    site: str
    template: Path | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    inputs_file: Path | None = None
    images: bool = False
    replace: tuple[str, ...] = ()
    scale: Mapping[str, int] = field(default_factory=dict)
    removal: tuple[str, ...] = ()
    events: Path | None = None
    check: bool = False


def plan_of(workspace: Workspace) -> Plan:
    """The plan of a workspace, from what is seen now."""
    if workspace.cluster:
        machines = stages.plan_of(workspace.fleet) if workspace.fleet else Plan(workspace.site.prefix, ())
        return replace(machines, steps=(*machines.steps, *releases.plan_of(workspace.cluster).steps))
    engine = detect(workspace.engine_name, workspace.site.state_dir)
    return build(workspace.wanted, look.observe(workspace, engine))


def removal_of(workspace: Workspace, images: bool) -> Plan:
    """The plan that takes a workspace's facility down.

    Parameters
    ----------
    images:
        Whether built images go too.
    """
    if workspace.fleet:
        return stages.removal_of(workspace.fleet)
    if workspace.cluster:
        return releases.removal_of(workspace.cluster)
    engine = detect(workspace.engine_name, workspace.site.state_dir)
    seen = look.observe(workspace, engine)
    ours = [image.reference for image in reversed(list(artifacts.catalogue().values()))] if images else []
    return build_removal(workspace.site.prefix, seen, [reference for reference in ours if reference in seen.images])


def run_stage(request: Request, stage: str) -> Done:
    """Do one stage.

    Parameters
    ----------
    request:
        Site, template and inputs.
    stage:
        ``provider``, ``converge``, ``releases`` (brings those of a cluster to what the template asks for), ``leave`` (tells what is to be
        taken off machines that stay) or ``remove``.

    Returns
    -------
    Done
        The steps, and for machines what the plays that follow are to do.

    Raises
    ------
    CantiereError
        The template is invalid, no engine is there, or steps failed.
    """
    if stage in ("leave", "remove"):
        return _remove(request, stage)
    given = request.template, request.inputs, request.inputs_file
    workspace = open_site(request.site, *given, request.replace, request.scale, request.removal)
    if stage == Stage.RELEASES:
        return _releases(workspace, request)
    if request.check and not workspace.fleet:
        return _told(plan_of(workspace).part(Stage(stage)))
    # the plan is made under the lock: what a killed run's last step still does is waited for, and seen
    with workspace.store.locked(f"up, {stage}", PATIENCE):
        if workspace.fleet:
            done = _machines(workspace, request, stages.provide if stage == "provider" else stages.conclude)
        else:
            plan = plan_of(workspace).part(Stage(stage))
            _do(workspace, plan, request)
            done = _told(plan)
        if stage == "converge" and not request.check:
            _remember(workspace)
    return done


def _releases(workspace: Workspace, request: Request) -> Done:
    if workspace.cluster is None:
        return Done()
    events = EventLog(request.events)
    with workspace.store.locked("up, releases", PATIENCE):
        done = releases.release(workspace.cluster, events.log, _reporter(events), request.check)
        if not request.check:
            _remember(workspace)
    return done


def _told(plan: Plan) -> Done:
    return Done(tuple(str(step) for step in plan.steps))


def _machines(workspace: Workspace, request: Request, stage: Callable[..., Done]) -> Done:
    """One stage over the machines of a workspace; the caller holds the lock."""
    events = EventLog(request.events)
    if workspace.fleet:
        workspace.fleet.provider.tell = events.log
    done = stage(workspace.fleet, workspace.store, events.log, _reporter(events), request.check)
    for step, problems in done.left.items():
        events.write("left", step=step, problems=[problem.as_dict() for problem in problems])
    return done


def _remove(request: Request, stage: str) -> Done:
    try:
        workspace, _ = open_applied(request.site)
    except CantiereError:
        workspace = open_site(request.site, request.template, request.inputs, request.inputs_file)
    if stage == "leave":
        return _machines(workspace, request, stages.leave) if workspace.fleet else Done()
    if request.check:
        return _told(removal_of(workspace, request.images))
    with workspace.store.locked("down", PATIENCE):
        if workspace.fleet:
            done = _machines(workspace, request, stages.remove)
        elif workspace.cluster:
            events = EventLog(request.events)
            done = releases.remove(workspace.cluster, events.log, _reporter(events), request.check)
        else:
            plan = removal_of(workspace, request.images)
            _do(workspace, plan, request)
            done = _told(plan)
        _forget(workspace, request.images)
    return done


def _do(workspace: Workspace, plan: Plan, request: Request) -> None:
    if plan.steps:
        events = EventLog(request.events)
        apply.execute(workspace, _engine(workspace), plan, events.log, _reporter(events))


def _reporter(events: EventLog) -> Report:
    """Writes steps as events; once the process that asked for the run is gone, no further step is begun."""

    def report(event: str, step: Step, number: int, of: int, seconds: float) -> None:
        if event == "start" and asker_gone():
            raise CantiereError(Problem("run.gone", "the run that asked for this was killed", "run the same command again", path=step.id))
        events.step(event, step, number, of, seconds)

    return report


def _engine(workspace: Workspace) -> Engine:
    engine = detect(workspace.engine_name, workspace.site.state_dir)
    if engine is None:
        name = workspace.engine_name
        raise CantiereError(Problem("engine.missing", f"{name} is not installed", "run `./cantiere up`, which installs it", path=name))
    return engine


def _remember(workspace: Workspace) -> None:
    """Keep template and inputs of a finished apply; nothing is written where they are the same."""
    site = workspace.site
    applied = {
        "template": str(site.template),
        "inputs": dict(workspace.inputs),
        "inputs_file": str(site.inputs_file) if site.inputs_file else None,
    }
    state = workspace.store.load() or workspace.store.new(workspace.facility.name)
    if state.applied != applied:
        workspace.store.save(replace(state, applied=applied))


def _forget(workspace: Workspace, images: bool) -> None:
    """Remove the site's state folder, and the sample data where images go too."""
    if images:
        shutil.rmtree(workspace.samples_folder.parent, ignore_errors=True)
    if workspace.fleet:
        workspace.fleet.ssh.close()
    shutil.rmtree(workspace.site.state_dir, ignore_errors=True)
