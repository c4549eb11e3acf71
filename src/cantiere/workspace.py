"""Everything a command works with, put together once: the site, the facility, its project and its stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cantiere import artifacts, bind, catalogue, compose
from cantiere import site as sites
from cantiere.errors import CantiereError, Problem, TemplateError
from cantiere.imports import fetcher
from cantiere.indigo.outputs import Late
from cantiere.model import Facility, Project
from cantiere.plan.build import Wanted
from cantiere.services.facts import Facts
from cantiere.site import Site
from cantiere.state import State, StateStore
from cantiere.tosca.compile import load
from cantiere.values import site_services

if TYPE_CHECKING:
    from cantiere.cluster.platform import Cluster
    from cantiere.machines.fleet import Fleet

CACHE = Path("/var/cache/cantiere")


@dataclass(frozen=True)
class Workspace:
    """A facility on a site.

    Parameters
    ----------
    site:
        Where it goes.
    facility:
        What the template declares.
    inputs:
        Inputs given beside the site's file.
    engine_name:
        ``podman`` or ``docker``.
    warnings:
        What the front end warned of.
    notices:
        What it took notice of: see :class:`cantiere.tosca.compile.Loaded`.
    replace:
        Machines that are to be made anew.
    scale:
        Pool to how many machines it gets now.
    removal:
        Machines that leave first, where pools shrink.
    late:
        Outputs that only the running facility can answer, with what they ask for.
    """

    site: Site
    facility: Facility
    inputs: Mapping[str, Any]
    engine_name: str
    warnings: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()
    replace: tuple[str, ...] = ()
    scale: Mapping[str, int] = field(default_factory=dict)
    removal: tuple[str, ...] = ()
    late: Mapping[str, Late] = field(default_factory=dict)

    @cached_property
    def fleet(self) -> Fleet | None:
        """The facility's machines, where the site puts it on machines."""
        if self.site.platform != "kubernetes":
            return None
        from cantiere.machines.fleet import Fleet

        return Fleet(self.site, self.facility, frozenset(self.replace), self.scale, frozenset(self.removal))

    @cached_property
    def cluster(self) -> Cluster | None:
        """The facility's releases, where the site puts it on a cluster: one of ours, or one that exists."""
        if self.site.platform == "compose":
            return None
        from cantiere.cluster.platform import Cluster

        return Cluster(self.site, self.facility, self.fleet)

    @cached_property
    def store(self) -> StateStore:
        """The site's state."""
        return StateStore(self.site.state_dir)

    @cached_property
    def facts(self) -> Facts:
        """Where the facility's parts are found."""
        state = self.site.state_dir
        return Facts(
            facility=self.facility,
            domain=bind.domain(self.facility),
            paths={"samples": str(self.samples_folder), "engine": str(state / "engine-api"), "cvmfs": str(state / "cvmfs")},
            engine=self.engine_name,
            network=self.site.prefix,
            prefix=self.site.prefix,
            images=artifacts.references(),
        )

    @cached_property
    def project(self) -> Project:
        """The facility as containers of this machine."""
        return bind.bind(self.facility, self.facts, self.site.subnet, self.site.bind_address)

    @property
    def samples_folder(self) -> Path:
        """Where the sample data is put; a folder per version of it."""
        return CACHE / "samples" / artifacts.catalogue()[artifacts.SAMPLES].reference.rpartition(":")[2]

    @cached_property
    def wanted(self) -> Wanted:
        """What should be there."""
        project, paths = self.project, self.facts.paths
        sources = {mount.source for c in project.containers for mount in c.mounts}
        samples = artifacts.SAMPLES if paths["samples"] in sources else None
        references = artifacts.references()
        images = artifacts.chain((*self.image_names(), *([samples] if samples else [])))
        return Wanted(
            project=project,
            specifications={c.name: compose.spec(project, c, references[c.image]) for c in project.containers},
            images=[(image.name, image.parent, image.reference) for image in images],
            samples=samples,
            engine_api=paths["engine"] in sources,
            mounts=tuple(path for path in (paths["cvmfs"],) if path in sources),
            names={f"{c.name}.{project.domain}": project.addresses[c.name] for c in project.containers},
        )

    def image_names(self) -> tuple[str, ...]:
        """Images of ``artifacts.yaml`` that containers run or users can choose."""
        chosen = [item["image"] for node in self.facility.nodes for item in node.properties.get("images", ())]
        known = artifacts.catalogue()
        return tuple(dict.fromkeys([*bind.image_names(self.project), *(name for name in chosen if name in known)]))


def open_site(
    name: str,
    template: Path | None,
    inputs: Mapping[str, Any],
    inputs_file: Path | None,
    replace: Sequence[str] = (),
    scale: Mapping[str, int] | None = None,
    removal: Sequence[str] = (),
    workflow: str = "",
) -> Workspace:
    """The workspace that a command line asks for.

    Parameters
    ----------
    name:
        The site's name, or the path of its inventory source.
    template, inputs, inputs_file:
        Given in place of, or on top of, the site's own.
    replace:
        Machines that are to be made anew.
    scale:
        Pool to how many machines it gets now, for pools that may grow.
    removal:
        Machines that leave first, where pools shrink.
    workflow:
        The workflow that is to be run, whose inputs may be among those given.

    Raises
    ------
    TemplateError
        The site, the template or an input is invalid; all problems at once.
    """
    path = sites.find(name)
    site = sites.load(path, template, inputs_file)
    loaded = load(site.template, inputs=inputs, inputs_file=site.inputs_file, fetch=fetcher(site.template), workflow=workflow)
    if not loaded.facility.nodes:
        raise TemplateError(
            Problem("template.empty", f"{site.template} holds no node templates", "name a template that declares a facility")
        )
    own = site_services.load(site.file.parent, site.services)
    problems = catalogue.check(loaded.facility, site.platform, own)
    from cantiere.engine import preferred

    engine = preferred(site.engine)
    told = loaded.warnings, (*loaded.notices, *catalogue.by_workflow(loaded.facility))
    flow = loaded.facility.workflows.get(workflow)
    given = {name: value for name, value in inputs.items() if flow is None or name not in flow.inputs}
    workspace = Workspace(site, loaded.facility, given, engine, *told, tuple(replace), scale or {}, tuple(removal), loaded.late)
    if workspace.fleet:
        problems = [*problems, *workspace.fleet.check()]
    if problems:
        raise TemplateError(problems)
    return workspace


def open_applied(name: str) -> tuple[Workspace, State]:
    """The workspace of what was applied last on a site, with the template and inputs it was applied with.

    Raises
    ------
    CantiereError
        Nothing was applied there.
    """
    path = sites.find(name)
    state = StateStore(sites.load(path).state_dir).load()
    if state is None or not state.applied:
        raise CantiereError(
            Problem("state.none", f"nothing is up on site {path.parent.name!r}", "run `./cantiere up` first", path=path.parent.name)
        )
    return _again(path, state), state


def open_workflow(name: str, template: Path | None, inputs: Mapping[str, Any], inputs_file: Path | None, workflow: str) -> Workspace:
    """The workspace in which a workflow runs: with what was applied last on the site, where no template is named and anything was.

    Parameters
    ----------
    name, template, inputs, inputs_file:
        As :func:`open_site` has them.
    workflow:
        The workflow.

    Raises
    ------
    TemplateError
        The site, the template or an input is invalid; all problems at once.
    """
    path = sites.find(name)
    state = StateStore(sites.load(path).state_dir).load()
    if template is None and inputs_file is None and state is not None and state.applied:
        return _again(path, state, inputs, workflow)
    return open_site(name, template, inputs, inputs_file, workflow=workflow)


def _again(path: Path, state: State, inputs: Mapping[str, Any] | None = None, workflow: str = "") -> Workspace:
    applied = state.applied
    inputs_file = Path(applied["inputs_file"]) if applied.get("inputs_file") else None
    given = {**applied["inputs"], **(inputs or {})}
    return open_site(str(path), Path(applied["template"]), given, inputs_file, workflow=workflow)
