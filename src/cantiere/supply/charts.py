"""Helm charts: folders of ours or of a site, packages of their publisher or the mirror checked by their hash, or parts of Go modules."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from cantiere.errors import CantiereError, Location, Problem
from cantiere.site import REPOSITORY
from cantiere.supply import download, gobuild, mirror, store
from cantiere.supply.pins import BUILDS, PINS, Item, Supplied, catalogue
from cantiere.supply.store import CACHE, Log, Made, Stored
from cantiere.values.checks.chart import ChartFiles

ANY = "any"
"""The architecture of a chart: it has none."""
PREFIX = "chart-"
"""Before a chart's name in the store and in bundles: some charts are called like a program."""
UNPACKED = "unpacked"
KIND = re.compile(r"^ *kind: *(\w+) *$", re.MULTILINE)
STAND_IN = "ignored.yaml"
"""What a chart has that stands in for another one: the values that it does not act upon."""


class Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """Reads what Helm reads: a lone ``=`` is a text, as in the definitions of prometheus-operator."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: str(loader.construct_scalar(node)))


def names(site: Supplied) -> tuple[str, ...]:
    """All charts that a site knows: those of ``artifacts.yaml`` and those of its own pins."""
    return tuple(catalogue(site)["charts"])


def folder(name: str, site: Supplied) -> Path | None:
    """The folder of a chart that is one; None for a packaged chart."""
    entry = _entry(name, site)
    return REPOSITORY / str(entry["folder"]) if "folder" in entry else None


def item(name: str, site: Supplied) -> Item:
    """A packaged chart as an artifact of the store.

    Parameters
    ----------
    name:
        Its name in the section ``charts``.
    site:
        Whose pins.
    """
    entry = _entry(name, site)
    version = str(entry["version"])
    sums = BUILDS / entry["build"]["go"] / "go.sum" if "build" in entry else None
    made_from = {"entry": entry, "sources": hashlib.sha256(sums.read_bytes()).hexdigest() if sums else ""}
    pin = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return Item(f"{PREFIX}{name}", "chart", version, version, ANY, entry, (), pin)


def ways(name: str, site: Supplied) -> tuple[str, ...]:
    """The supplies from which a site takes a packaged chart, the one to prefer first; empty where there is none.

    Parameters
    ----------
    name:
        Its name in the section ``charts``.
    site:
        Its ``auto`` prefers its mirror, then upstream where file and hash are pinned, then build where a Go module holds the chart.
    """
    entry = _entry(name, site)
    possible = {"mirror": bool(site.mirror), "upstream": _pinned(entry.get("upstream", {})), "build": "build" in entry}
    if site.artifacts != "auto":
        return (site.artifacts,) if possible[site.artifacts] else ()
    return ("mirror",) if site.mirror else tuple(way for way in ("upstream", "build") if possible[way])


def sourced(name: str, site: Supplied) -> bool:
    """Whether a packaged chart has a source that is pinned: a file with its hash, or a Go module."""
    entry = _entry(name, site)
    return _pinned(entry.get("upstream", {})) or "build" in entry


def obtainable(name: str, site: Supplied, root: Path = CACHE) -> bool:
    """Whether a packaged chart is here already or can be had; of the publishers that ``auto`` names, whether they answer."""
    return bool(_found(name, site, root)) or bool(_way(name, site))


def version(name: str, site: Supplied) -> str:
    """The version of a chart at a site."""
    place = folder(name, site)
    return str(_yaml(place / "Chart.yaml")["version"]) if place else item(name, site).version


def digest(name: str, site: Supplied) -> str:
    """What decides the content of a chart: of a folder all its files, of a packaged chart its pin. Asks no network."""
    place = folder(name, site)
    if place is None:
        return item(name, site).pin
    found = {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def images(name: str, site: Supplied) -> dict[str, str]:
    """Images that a site's pins put into a chart: path of its values (``image``) to a name of ``artifacts.yaml``."""
    return dict(_entry(name, site).get("images", {}))


def node_images(site: Supplied) -> tuple[str, ...]:
    """Those of them that are put into the nodes, since no registry has them."""
    known = catalogue(site)["cluster_images"]
    found = [image for name in names(site) for image in images(name, site).values() if image in known]
    return tuple(dict.fromkeys(found))


def origin(name: str, site: Supplied) -> dict[str, str]:
    """Where a chart comes from: ``folder``, or ``repository``, ``chart`` and ``version`` as Helm takes them."""
    place = folder(name, site)
    if place:
        return {"folder": str(place)}
    entry = _entry(name, site)
    published = entry.get("upstream", {})
    return {
        "repository": str(published.get("repository", "")),
        "chart": str(published.get("chart", name)),
        "version": str(entry["version"]),
    }


def missing(wanted: Sequence[str], site: Supplied, root: Path = CACHE) -> tuple[str, ...]:
    """The charts that :func:`chart` would have to fetch; reads only, asks no network."""
    return tuple(name for name in wanted if folder(name, site) is None and _found(name, site, root) is None)


def chart(name: str, site: Supplied, log: Log, root: Path = CACHE) -> Path:
    """The folder of a chart, ready for Helm; a packaged one is fetched where it is not here yet.

    Parameters
    ----------
    name:
        Its name in the section ``charts`` of ``artifacts.yaml`` or of the site's own pins.
    site:
        Says where it comes from.
    log:
        Takes one line of progress at a time.
    root:
        The cache that holds the store.

    Raises
    ------
    CantiereError
        It cannot be had; says what was tried, and the remedy.
    """
    place = folder(name, site)
    if place:
        if not (place / "Chart.yaml").is_file():
            raise _unavailable(name, f"there is no chart in {place}", "name a folder that holds a Chart.yaml")
        return place
    return inside(ensure(name, site, log, root))


def ensure(name: str, site: Supplied, log: Log, root: Path = CACHE) -> Stored:
    """Have a packaged chart in the store.

    Parameters
    ----------
    name, site, log, root:
        As in :func:`chart`.

    Raises
    ------
    CantiereError
        It cannot be had.
    """
    if found := _found(name, site, root):
        return found
    wanted = item(name, site)
    way = _way(name, site)
    if not way:
        raise _refused(name, wanted, site)

    def maker(new: Path) -> Sequence[Made]:
        if way == "mirror":
            made: Sequence[Made] = mirror.take(site.mirror, wanted, new, log)
        else:
            made = [_fetch(name, wanted, new, log) if way == "upstream" else _pack(name, wanted, new, site, root)]
        _unpack(name, new / made[0].name, new / UNPACKED)
        return made

    return store.make(wanted, way, maker, log, root)


def inside(stored: Stored) -> Path:
    """The folder of a packaged chart of the store."""
    return next(path.parent for path in (stored.folder / UNPACKED).glob("*/Chart.yaml"))


def files(name: str, site: Supplied, root: Path = CACHE) -> ChartFiles | None:
    """What a chart's own files say, where they are here already; None where they are not. Asks no network."""
    place = folder(name, site)
    if place is None:
        found = _found(name, site, root)
        place = inside(found) if found else None
    return read(place) if place and (place / "Chart.yaml").is_file() else None


def read(place: Path) -> ChartFiles:
    """What the files of a chart's folder say; a stand-in does not tell which values the chart has that it stands in for.

    Parameters
    ----------
    place:
        The folder that holds its ``Chart.yaml``.
    """
    about = _yaml(place / "Chart.yaml")
    schema = place / "values.schema.json"
    values = place / "values.yaml"
    parts: dict[str, ChartFiles | None] = {}
    for dependency in about.get("dependencies", ()):
        below = place / "charts" / str(dependency["name"])
        parts[str(dependency.get("alias") or dependency["name"])] = read(below) if (below / "Chart.yaml").is_file() else None
    return ChartFiles(
        name=str(about["name"]),
        version=str(about["version"]),
        kube_version=str(about.get("kubeVersion", "")),
        values=None if (place / STAND_IN).is_file() else (_yaml(values) or {}) if values.is_file() else {},
        schema=json.loads(schema.read_text(encoding="utf-8")) if schema.is_file() else None,
        subcharts=parts,
        crds=tuple(_definitions(place / "crds")),
        kinds=frozenset(
            kind for path in place.rglob("templates/**/*.*") for kind in KIND.findall(path.read_text(encoding="utf-8", errors="replace"))
        ),
    )


def _definitions(place: Path) -> list[str]:
    found = []
    for path in sorted(place.rglob("*.yaml")):
        with path.open(encoding="utf-8") as file:
            found += [part["metadata"]["name"] for part in yaml.load_all(file, Loader) if part]
    return found


def _entry(name: str, site: Supplied) -> Mapping[str, Any]:
    known = catalogue(site)["charts"]
    if name not in known:
        raise CantiereError(
            Problem(
                "chart.unknown",
                f"there is no chart {name!r}",
                "name it in the section `charts` of the site's artifacts_file, with a folder or with version and upstream",
                Location(str(site.artifacts_file or PINS)),
                name,
            )
        )
    entry: Mapping[str, Any] = known[name]
    return entry


def _pinned(published: Mapping[str, Any]) -> bool:
    return bool(published.get("file") and published.get("sha256"))


def _way(name: str, site: Supplied) -> str:
    """The supply to try; ``""`` where there is none, or none that answers."""
    for way in ways(name, site):
        source = item(name, site).fill(str(_entry(name, site).get("upstream", {}).get("file", "")))
        if way != "upstream" or site.artifacts != "auto" or not download.is_address(source) or download.answers(source):
            return way
    return ""


def _found(name: str, site: Supplied, root: Path) -> Stored | None:
    wanted = item(name, site)
    return next((found for way in ways(name, site) if (found := store.find(wanted, way, root))), None)


def _refused(name: str, wanted: Item, site: Supplied) -> CantiereError:
    """Why a chart cannot be had at a site: what would have been tried, and what there is to do."""
    published = wanted.entry.get("upstream", {})
    code, why = "artifact.unavailable", "its publisher does not answer"
    if site.artifacts == "build":
        why = "artifacts: build makes everything on the spot, and no Go module holds this chart"
    elif not _pinned(published):
        code, why = "artifact.unpinned", "no file and hash of its publisher are pinned, so upstream is refused"
    known = f" ({published['repository']})" if published.get("repository") else ""
    remedy = (
        f"in the site's artifacts_file name a folder (charts: {{{name}: {{folder: ...}}}}), or pin upstream.file (an address or a path) "
        "and upstream.sha256 of the packaged chart; or take it from a mirror"
    )
    return CantiereError(
        Problem(
            code, f"chart {name} {wanted.version}{known} could not be had: {why}", remedy, Location(str(site.artifacts_file or PINS)), name
        )
    )


def _fetch(name: str, wanted: Item, new: Path, log: Log) -> Made:
    published = wanted.entry["upstream"]
    target = f"{name}-{wanted.version}.tgz"
    source = wanted.fill(str(published["file"]))
    log(f"chart {name}: {source}")
    download.fetch(source, str(published["sha256"]), new / target, f"chart {name} {wanted.version}", log)
    return Made(target, mode="0644")


def _pack(name: str, wanted: Item, new: Path, site: Supplied, root: Path) -> Made:
    """A package of the chart that a Go module holds, the same bytes every time."""
    spec = wanted.entry["build"]
    sources = gobuild.module_folder(f"chart {name}", spec["go"], spec["module"], catalogue(site)["toolchain"], root) / spec["folder"]
    found = str(_yaml(sources / "Chart.yaml")["version"])
    if found != wanted.version:
        raise _unavailable(name, f"module {spec['module']} holds version {found}, not {wanted.version}", f"pin version {found}")
    target = f"{name}-{wanted.version}.tgz"
    with (
        (new / target).open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for path in sorted(sources.rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                member = tarfile.TarInfo(f"{name}/{path.relative_to(sources)}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return Made(target, mode="0644")


def _unpack(name: str, archive: Path, place: Path) -> None:
    try:
        with tarfile.open(archive) as content:
            content.extractall(place, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise _unavailable(name, f"{archive.name} cannot be unpacked: {error}", "pin the file of a packaged chart") from error
    if not any(place.glob("*/Chart.yaml")):
        raise _unavailable(name, f"{archive.name} holds no chart", "pin the file of a packaged chart")


def _unavailable(name: str, why: str, remedy: str) -> CantiereError:
    return CantiereError(Problem("artifact.unavailable", f"chart {name} could not be had: {why}", remedy, Location(str(PINS)), name))


def _yaml(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader)
