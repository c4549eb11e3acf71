"""Facility × observation → plan. Pure: it decides, and does nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cantiere.compose import changes, digest
from cantiere.model import Container, Project
from cantiere.plan.definition import Action, Kind, Observation, Plan, Step, waiting_order


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should be there.

    Parameters
    ----------
    project:
        The facility bound to the machine.
    specifications:
        Container name to its specification.
    images:
        ``(name, parent, reference)`` of every image needed, parents first.
    samples:
        Name of the image that carries the sample data, or None where no service shows it.
    engine_api:
        Whether a service needs the engine's API.
    mounts:
        Folders of the machine that are to be shared mount points.
    names:
        Host name to address, for the machine itself.
    """

    project: Project
    specifications: Mapping[str, Mapping[str, Any]]
    images: Sequence[tuple[str, str, str]]
    samples: str | None
    engine_api: bool
    mounts: tuple[str, ...]
    names: Mapping[str, str]


def build(wanted: Wanted, seen: Observation) -> Plan:
    """The plan that makes what is seen into what is wanted.

    Parameters
    ----------
    wanted:
        What should be there.
    seen:
        What is there.
    """
    project = wanted.project
    steps = [*_images(wanted, seen), *_objects(wanted, seen)]
    gone = [
        Step(Kind.CONTAINER, name, Action.DELETE, "the template no longer asks for it")
        for name in seen.containers
        if name not in wanted.specifications
    ]
    containers = [step for container in project.containers if (step := _container(wanted, container, seen))]
    before = tuple(step.id for step in [*gone, *containers])
    unused = [Step(Kind.MOUNT, path, Action.DELETE, "no service uses it", before) for path in sorted(seen.mounts - set(wanted.mounts))]
    return Plan(project.name, waiting_order([*steps, *gone, *containers, *unused]))


def build_removal(project: str, seen: Observation, images: Sequence[str] = ()) -> Plan:
    """The plan that removes all that is seen, in the reverse order of its making.

    Parameters
    ----------
    project:
        The facility's prefix.
    seen:
        What is there.
    images:
        References of built images to remove too, children first.
    """
    why = "the facility is taken down"
    needed_by: dict[str, list[str]] = {}
    for name, found in seen.containers.items():
        for other in found.specification.get("needs", ()):
            needed_by.setdefault(other, []).append(f"{Kind.CONTAINER}/{name}")
    containers = [Step(Kind.CONTAINER, name, Action.DELETE, why) for name in sorted(seen.notebooks)]
    containers += [Step(Kind.CONTAINER, name, Action.DELETE, why, tuple(needed_by.get(name, ()))) for name in seen.containers]
    ids = tuple(step.id for step in containers)
    steps = [*containers]
    if seen.names:
        steps.append(Step(Kind.NAMES, project, Action.DELETE, why))
    if seen.engine_api:
        steps.append(Step(Kind.ENGINE_API, project, Action.DELETE, why, ids))
    steps += [Step(Kind.MOUNT, name, Action.DELETE, why, ids) for name in sorted(seen.mounts)]
    steps += [Step(Kind.VOLUME, name, Action.DELETE, why, ids) for name in sorted(seen.volumes)]
    steps += [Step(Kind.NETWORK, name, Action.DELETE, why, ids) for name in sorted(seen.networks)]
    before = ids
    for reference in images:
        steps.append(Step(Kind.IMAGE, reference, Action.DELETE, "images were asked to go too", before))
        before = (*ids, steps[-1].id)
    return Plan(project, waiting_order(steps))


def _images(wanted: Wanted, seen: Observation) -> list[Step]:
    steps = [
        Step(Kind.IMAGE, name, Action.CREATE, "it is not here in this version", (f"{Kind.IMAGE}/{parent}",) if parent else ())
        for name, parent, reference in wanted.images
        if reference not in seen.images
    ]
    if wanted.samples and not seen.samples:
        steps.append(Step(Kind.SAMPLES, wanted.samples, Action.CREATE, "the sample data is not here", (f"{Kind.IMAGE}/{wanted.samples}",)))
    return steps


def _objects(wanted: Wanted, seen: Observation) -> list[Step]:
    project = wanted.project
    steps = []
    if project.name not in seen.networks:
        steps.append(Step(Kind.NETWORK, project.name, Action.CREATE, f"there is no network {project.subnet} of this facility"))
    steps += [
        Step(Kind.VOLUME, name, Action.CREATE, "there is no such volume")
        for name in (f"{project.name}-{volume}" for volume in project.volumes)
        if name not in seen.volumes
    ]
    steps += [Step(Kind.MOUNT, path, Action.CREATE, "it is no shared mount point") for path in wanted.mounts if path not in seen.mounts]
    if wanted.engine_api and not seen.engine_api:
        steps.append(Step(Kind.ENGINE_API, project.name, Action.CREATE, "the engine's API does not answer"))
    if dict(wanted.names) != dict(seen.names):
        reason = "the machine does not know the services by name" if not seen.names else "the machine knows other names or addresses"
        steps.append(Step(Kind.NAMES, project.name, Action.REPLACE if seen.names else Action.CREATE, reason))
    return steps


def _container(wanted: Wanted, container: Container, seen: Observation) -> Step | None:
    specification = wanted.specifications[container.name]
    found = seen.containers.get(container.name)
    after = (
        f"{Kind.IMAGE}/{container.image}",
        f"{Kind.NETWORK}/{wanted.project.name}",
        f"{Kind.ENGINE_API}/{wanted.project.name}",
        *(f"{Kind.CONTAINER}/{name}" for name in container.needs),
        *(f"{Kind.VOLUME}/{wanted.project.name}-{mount.source}" for mount in container.mounts if not mount.source.startswith("/")),
        *(f"{Kind.MOUNT}/{mount.source}" for mount in container.mounts if mount.source in wanted.mounts),
        *([f"{Kind.SAMPLES}/{wanted.samples}"] if wanted.samples else []),
    )
    if found is None:
        return Step(Kind.CONTAINER, container.name, Action.CREATE, "there is no such container", after)
    if found.digest != digest(specification):
        return Step(Kind.CONTAINER, container.name, Action.REPLACE, changes(found.specification, specification), after)
    if found.state != "running":
        return Step(Kind.CONTAINER, container.name, Action.START, f"it is {found.state}", after)
    return None
