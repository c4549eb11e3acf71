"""Fill, check and offer a bundle of artifacts for sites without a way out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Location, Problem
from cantiere.supply import charts, ensure
from cantiere.supply.mirror import FORMAT, INDEX, path_of, read_index
from cantiere.supply.pins import ROOTFS, Item, Supplied, catalogue, item, own_architecture
from cantiere.supply.store import Log, Stored, sha256


def offered(site: Supplied) -> tuple[str, ...]:
    """What a bundle holds for each architecture: what is put onto machines or runs on the controller, not what goes only into images."""
    data = catalogue(site)
    wanted = charts.node_images(site)
    binaries = (name for name, entry in data["binaries"].items() if "upstream" in entry or entry.get("controller"))
    return (*binaries, *(name for name, entry in data["cluster_images"].items() if name in wanted or not entry.get("addon")))


def packaged(site: Supplied) -> tuple[str, ...]:
    """The charts that a bundle holds: all that have a pinned source; those that are folders are at the site already."""
    return tuple(name for name in charts.names(site) if charts.folder(name, site) is None and charts.sourced(name, site))


def pull(folder: Path, site: Supplied, architectures: Sequence[str], log: Log) -> dict[str, Any]:
    """Fill a bundle, or go on filling it; what is there and right is left alone.

    Parameters
    ----------
    folder:
        The bundle.
    site:
        Whose pins, and where the artifacts come from.
    architectures:
        ``amd64``, ``arm64`` or both.
    log:
        Takes one line of progress at a time.

    Returns
    -------
    dict
        The bundle's index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(name, arch) for arch in architectures for name in offered(site)]
    left_out = [name for name in packaged(site) if not charts.obtainable(name, site)]
    wanted += [(name, charts.ANY) for name in packaged(site) if name not in left_out]
    for name in left_out:
        log(f"no chart {name}: its publisher does not answer, or is not to be asked")
    if own_architecture() in architectures:  # its packages' own programs run while it is made
        wanted.append((ROOTFS, own_architecture()))
    else:
        log(f"no root file system: it can be made for {own_architecture()} alone on this machine")
    entries: list[dict[str, Any]] = []
    index = {"format": FORMAT, "artifacts": entries, "left_out": left_out}
    for number, (name, arch) in enumerate(wanted, start=1):
        stored = charts.ensure(name, site, log) if arch == charts.ANY else ensure([name], site, arch, log)[name]
        entries.append(_entry(stored))
        size = sum(file.size for file in stored.files) >> 20
        log(f"{number}/{len(wanted)}  {name} {stored.version} ({arch}), {size} MiB, {stored.supply}")
        for file in stored.files:
            _place(file.path, file.sha256, folder / _path(entries[-1], file.name))
    new = folder / f"{INDEX}.new"
    new.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    new.replace(folder / INDEX)
    for left in _unlisted(folder, index):
        log(f"not of this bundle any more, removed: {left.relative_to(folder)}")
        left.unlink()
    return index


def _entry(stored: Stored) -> dict[str, Any]:
    files = [
        {"name": f.name, "sha256": f.sha256, "size": f.size, "mode": f.mode, "links": list(f.links), "references": list(f.references)}
        for f in stored.files
    ]
    origin = {"name": stored.name, "version": stored.version, "arch": stored.arch, "supply": stored.supply, "pin": stored.pin}
    return {**origin, "files": files}


def _path(entry: Mapping[str, Any], file: str) -> str:
    return path_of(entry["name"], entry["version"], entry["arch"], entry["pin"], file)


def _place(source: Path, digest: str, target: Path) -> None:
    """Copy a file of the store into the bundle, in one step, unless it is there."""
    if target.is_file() and sha256(target) == digest:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f"{target.name}.new")
    shutil.copyfile(source, new)
    new.replace(target)


def _unlisted(folder: Path, index: Mapping[str, Any]) -> list[Path]:
    listed = {folder / INDEX} | {folder / _path(entry, file["name"]) for entry in index["artifacts"] for file in entry["files"]}
    return sorted(path for path in folder.rglob("*") if path.is_file() and path not in listed)


def verify(folder: Path, site: Supplied) -> list[Problem]:
    """Everything that is wrong with a bundle: files against its index, and its index against a site's pins.

    Parameters
    ----------
    folder:
        The bundle.
    site:
        Whose pins.

    Raises
    ------
    CantiereError
        There is no index.
    """
    index = read_index(str(folder))
    problems = [problem for entry in index["artifacts"] for problem in _wrong_files(folder, entry)]
    held = {(entry["name"], entry["arch"]): entry for entry in index["artifacts"]}
    for arch in sorted({arch for _, arch in held} - {charts.ANY}):
        for name in offered(site):
            problems += _wrong_pin(folder, item(name, site, arch), held.get((name, arch)))
    for wanted in (charts.item(name, site) for name in packaged(site) if name not in index.get("left_out", ())):
        problems += _wrong_pin(folder, wanted, held.get((wanted.name, wanted.arch)))
    for path in _unlisted(folder, index):
        problems.append(_problem("mirror.stranger", path, "is not in the index", "remove it, or run `cantiere mirror pull` again"))
    return problems


def _wrong_files(folder: Path, entry: Mapping[str, Any]) -> Iterator[Problem]:
    again = "run `cantiere mirror pull` again"
    for file in entry["files"]:
        path = folder / _path(entry, file["name"])
        if not path.is_file():
            yield _problem("mirror.missing", path, "is missing", again)
        elif (found := sha256(path)) != file["sha256"]:
            yield _problem("artifact.hash", path, f"is another file: expected sha256 {file['sha256']}, found {found}", again)


def _wrong_pin(folder: Path, wanted: Item, entry: Mapping[str, Any] | None) -> Iterator[Problem]:
    what = f"{wanted.name} {wanted.version} for {wanted.arch}"
    again = "run `cantiere mirror pull` again with the pins of this site"
    if entry is None:
        yield _problem("mirror.lacks", folder / INDEX, f"lacks {what}", again)
    elif entry["pin"] != wanted.pin:
        yield _problem("mirror.pin", folder / INDEX, f"holds {entry['version']} (pin {entry['pin'][:12]}) where {what} is pinned", again)
    elif entry["supply"] == "upstream":
        published = wanted.entry.get("upstream", {})
        for file in entry["files"]:
            by_version = published.get("files", {}).get(file["name"], {}).get("sha256", {})
            expected = published["sha256"] if wanted.arch == charts.ANY else by_version.get(wanted.version, {}).get(wanted.arch)
            if expected and expected != file["sha256"]:
                message = f"names {file['name']} with sha256 {file['sha256']}, its publisher's is {expected}"
                yield _problem("artifact.hash", folder / INDEX, message, again)


def _problem(code: str, path: Path, message: str, remedy: str) -> Problem:
    return Problem(code, f"{path} {message}", remedy, Location(str(path)), path.name)


class Handler(SimpleHTTPRequestHandler):
    """Gives out files, lists no folders, takes nothing."""

    protocol_version = "HTTP/1.1"

    def list_directory(self, path: str | os.PathLike[str]) -> BytesIO | None:
        """Refuse: what there is stands in the index."""
        self.send_error(404, f"ask for {INDEX}")
        return None


def server(folder: Path, address: str, port: int) -> ThreadingHTTPServer:
    """A web server of a bundle; it takes its port at once, and answers when its ``serve_forever`` runs.

    Parameters
    ----------
    folder:
        The bundle.
    address:
        The machine's address on which it is offered; ``""`` for all.
    port:
        TCP port; 0 for any that is free.

    Raises
    ------
    CantiereError
        There is no bundle, or the port is taken.
    """
    read_index(str(folder))
    try:
        return ThreadingHTTPServer((address, port), partial(Handler, directory=str(folder)))
    except OSError as error:
        raise CantiereError(
            Problem("mirror.port", f"port {port} cannot be offered: {error}", "choose another one with --port", path=str(port))
        ) from error
