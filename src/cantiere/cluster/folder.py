"""A folder with a helmfile that works by itself: releases, values, charts, namespaces, and a README."""

from __future__ import annotations

import shutil
from pathlib import Path

from cantiere.cluster import stages, wanted
from cantiere.cluster.client import Api
from cantiere.cluster.platform import Cluster
from cantiere.errors import CantiereError
from cantiere.kubernetes.text import as_yaml
from cantiere.site import FACTS, REPOSITORY
from cantiere.state import write_atomic
from cantiere.supply import charts
from cantiere.values.helmfile import NAMESPACES, Source, document, readme
from cantiere.values.model import Release

MODE = 0o644


def write(cluster: Cluster, folder: Path) -> dict[str, int]:
    """Write the folder; files of an earlier one are replaced, others are left alone.

    Parameters
    ----------
    cluster:
        Whose releases; its API is asked for facts where it answers.
    folder:
        Where.

    Returns
    -------
    dict
        How many of what were written.
    """
    api = _reached(cluster)
    found, _ = stages.look(cluster, api)
    sources = _sources(cluster, found.releases, folder)
    content = document(found.releases, found.digests, sources, cluster.site.prefix, namespaces=True)
    for release in found.releases:
        write_atomic(folder / "values" / f"{release.name}.yaml", as_yaml(release.values), MODE)
    spaces = {"namespaces": wanted.namespaces(found.releases, cluster.site.prefix)}
    write_atomic(folder / "values" / f"{NAMESPACES}.yaml", as_yaml(spaces), MODE)
    write_atomic(folder / "helmfile.yaml", as_yaml(content), MODE)
    context = cluster.compiling(found.facts)
    images = [context.image_reference(name) for name in sorted({image for release in found.installed for image in release.images})]
    write_atomic(folder / "README.md", readme(found.releases, cluster.site.prefix, images, assumed(cluster, api)), MODE)
    secrets = sum(len(release.secrets) for release in found.installed)
    return {"releases": len(found.installed), "turned off": len(found.releases) - len(found.installed), "Secrets": secrets}


def _reached(cluster: Cluster) -> Api | None:
    try:
        api = cluster.api()
        if api:
            api.get("/version")
        return api
    except CantiereError:
        return None


def _sources(cluster: Cluster, releases: tuple[Release, ...], folder: Path) -> dict[str, Source]:
    """Chart to its copy in the folder, or to the repository that has it."""
    found = {}
    _copy(REPOSITORY / "charts" / NAMESPACES, folder / "charts" / NAMESPACES)
    for name in sorted({release.chart for release in releases}):
        origin = charts.origin(name, cluster.site)
        if "folder" in origin:
            _copy(Path(origin["folder"]), folder / "charts" / name)
            found[name] = Source(f"./charts/{name}")
        else:
            found[name] = Source("", origin["repository"], origin["chart"], origin["version"])
    return found


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target)


def assumed(cluster: Cluster, api: Api | None) -> list[str]:
    """Facts of the cluster that nobody told, in words."""
    if api is not None:
        return []
    facts, given = cluster.facts(cluster.known(None)), cluster.given()
    return [f"`{name}` is `{getattr(facts, name)}`" for name in ("kubernetes_version", *FACTS) if name not in given]
