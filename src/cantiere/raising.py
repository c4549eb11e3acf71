"""``up`` and ``down``: preflight, the run, and what the user reads at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from cantiere import artifacts, preflight
from cantiere import site as sites
from cantiere.cluster import raising as clusters
from cantiere.converge import PATIENCE, removal_of
from cantiere.errors import CantiereError, PreflightError, Problem
from cantiere.machines import raising as fleets
from cantiere.plan.definition import Kind, Plan
from cantiere.progress import Progress
from cantiere.providers.choose import provider_of
from cantiere.runner import Run, playbook, remember, variables
from cantiere.site import Site
from cantiere.state import State, StateStore
from cantiere.up import outputs, raised, show_login, show_outputs, users
from cantiere.workspace import Workspace, open_applied, open_site


def up(workspace: Workspace, as_json: bool) -> int:
    """Raise a facility, or make it again what the template asks for.

    Raises
    ------
    PreflightError
        The machine cannot carry it; nothing was touched.
    CantiereError
        The run failed; the same command goes on from there.
    """
    if workspace.fleet:
        return fleets.up(workspace, workspace.fleet, as_json)
    if workspace.cluster:
        return clusters.up(workspace, workspace.cluster, as_json)
    found = raised(workspace, as_json, lambda plan: _head(workspace, plan))
    parts = _parts(found.run, found.seconds)
    remember(_kind_of(found.run), {"seconds": round(found.seconds, 1), "steps": len(found.run.steps), "parts": parts})
    urls = {port.title: port.url for c in workspace.project.containers for port in c.ports if port.url}
    if as_json:
        result = {**found.result(workspace), "parts": parts, "urls": urls, "users": users(workspace)}
        print(json.dumps(result | {"outputs": outputs(workspace)}, indent=1))
        return 0
    print(found.told("the facility is", parts))
    show_login(workspace, urls, "this machine knows the names")
    show_outputs(outputs(workspace))
    print("\nNext")
    print("  ./cantiere verify                 use every service as a physicist does")
    print("  ./cantiere status                 what is up, and what has drifted")
    print("  ./cantiere up --input workers=4   change an input, and just that")
    return 0


def _head(workspace: Workspace, plan: Plan) -> Iterator[str]:
    size = len(workspace.project.containers)
    yield f"site {workspace.site.name}: {workspace.facility.name} with {workspace.engine_name}, {size} containers"
    builds = [step.name for step in plan.steps if step.kind is Kind.IMAGE]
    if builds:
        supply = artifacts.supply(workspace.site)
        origins = {
            "upstream": artifacts.pins()[artifacts.ROOTFS]["upstream"],
            "mirror": workspace.site.mirror,
            "build": "distribution packages",
        }
        why = {"upstream": "its registry answers", "mirror": "the site has a mirror", "build": "no registry answers"}
        chosen = why[supply] if workspace.site.artifacts == "auto" else "as the site says"
        yield f"artifacts: {len(builds)} images to make; base images come from {origins[supply]} ({supply}: {chosen})"


def down(site: str, images: bool, as_json: bool, from_tags: bool = False) -> int:
    """Take what is up on a site down.

    Parameters
    ----------
    images:
        Whether built images and the sample data go too.
    from_tags:
        Whether a lost state is found again first, see :func:`adopt`.
    """
    began = time.monotonic()
    if from_tags:
        adopt(sites.load(sites.find(site)))
    try:
        workspace, _ = open_applied(site)
    except CantiereError:
        workspace = open_site(site, None, {}, None)
    run = take_down(workspace, images, as_json)
    seconds = time.monotonic() - began
    if as_json:
        print(json.dumps({"steps": run.steps if run else [], "seconds": round(seconds, 2)}, indent=1))
    elif run:
        print(f"down: {len(run.steps)} objects removed in {seconds:.0f} s")
    else:
        print(f"nothing is up on site {workspace.site.name}")
    return 0


def adopt(site: Site) -> None:
    """Where a site's state is lost, find the lineage of its facility by the marks of its objects, and write it down as the site's.

    Parameters
    ----------
    site:
        Nothing is done where it has a state, or no machines of its own.

    Raises
    ------
    CantiereError
        There are several facilities with the site's prefix.
    """
    store = StateStore(site.state_dir)
    if store.load() is not None or site.platform != "kubernetes":
        return
    found = provider_of(site, {}).lineages()
    if len(found) > 1:
        message = f"there are {len(found)} facilities with the prefix {site.prefix}, of the lineages {', '.join(found)}"
        remedy = "see which of them is yours by the marks of their objects, and write its `lineage:` into the site's provider"
        raise CantiereError(Problem("down.lineages", message, remedy, path=site.name))
    if found:
        with store.locked("down, from tags", PATIENCE):
            store.save(State(found[0]))


def take_down(workspace: Workspace, images: bool, as_json: bool) -> Run | None:
    """Take a facility down; None where there was nothing.

    Parameters
    ----------
    images:
        Whether built images and the sample data go too.
    as_json:
        Whether a machine reads the result.
    """
    if problems := list(preflight.rights(workspace)):
        raise PreflightError(problems)
    workspace.store.settle(PATIENCE)
    plan = removal_of(workspace, images)
    if not plan.steps and not workspace.site.state_dir.exists():
        return None
    return playbook(workspace.site, "remove", variables(workspace) | {"compose_remove_images": images}, Progress(as_json))


def _kind_of(run: Run) -> str:
    """What a run of ``up`` was, for the benchmark: its times are comparable only with those of its own kind."""
    made = [step["title"] for step in run.steps]
    if any(title.startswith("create image analysis") for title in made):
        return "up from nothing"
    if any(title.startswith("create network") for title in made):
        return "up with artifacts at hand"
    return "up that changed something" if made else "up without changes"


def _parts(run: Run, seconds: float) -> dict[str, float]:
    """Where the time went, in seconds; steps that ran side by side are added up, so parts can exceed the whole."""
    parts: dict[str, float] = {}
    for step in run.steps:
        kind = f"{step['step'].split('/')[0].removesuffix('s')}s"
        parts[kind] = round(parts.get(kind, 0.0) + step["seconds"], 1)
    parts["whole"] = round(seconds, 1)
    return parts
