"""Files of distribution packages as one layer of an image: unpacked by mmdebstrap, never installed, the same bytes every time."""

from __future__ import annotations

import fnmatch
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from cantiere.errors import CantiereError, Location, Problem
from cantiere.supply.pins import PINS, Item
from cantiere.supply.store import Log, Made

LAYER = "layer.tar"


def unpack(item: Item, folder: Path, log: Log) -> list[Made]:
    """Make the layer of an item's packages.

    Parameters
    ----------
    item:
        Its entry names the packages, what is dropped of them, and further names of programs.
    folder:
        Takes the layer.
    log:
        Takes the progress.

    Raises
    ------
    CantiereError
        mmdebstrap is missing or failed.
    """
    include = ",".join(item.entry["include"])
    log(f"{item.name}: packages {include} of {item.version}")
    with tempfile.TemporaryDirectory(prefix="cantiere-packages-") as scratch:
        archive = Path(scratch) / "all.tar"
        debootstrap(item.name, item.version, archive, ["--variant=extract", f"--include={include}", f"--architectures={item.arch}"])
        with tarfile.open(archive) as source, tarfile.open(folder / LAYER, "w", format=tarfile.GNU_FORMAT) as target:
            rewrite(source, target, item.entry.get("drop", ()), item.entry.get("links", {}))
    return [Made(LAYER, mode="0644")]


def rewrite(source: tarfile.TarFile, target: tarfile.TarFile, drop: Sequence[str], links: Mapping[str, Sequence[str]]) -> None:
    """Copy an archive in the order of its names, without what is dropped, times or owners, with links added.

    Parameters
    ----------
    source, target:
        The archives.
    drop:
        Patterns of paths; what lies below them goes too.
    links:
        A program's path to its further names in the same folder.
    """
    members = {member.name.removeprefix("./").strip("/"): member for member in source}
    added: dict[str, str] = {}
    for program, names in links.items():
        path = PurePosixPath(program)
        added |= {str(path.with_name(name)): path.name for name in names}
    for name in sorted({*members, *added}):
        if not name or name == "." or _dropped(name, drop):
            continue
        if name in added:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, added[name]
            target.addfile(member)
            continue
        member = members[name]
        content = source.extractfile(member) if member.isfile() or member.islnk() else None
        if content and member.islnk():  # what it links to may come after it: a copy
            member.type, member.linkname, member.size = tarfile.REGTYPE, "", content.seek(0, io.SEEK_END)
            content.seek(0)
        member.name, member.mtime, member.uid, member.gid, member.uname, member.gname = name, 0, 0, 0, "", ""
        target.addfile(member, content)


def _dropped(name: str, drop: Sequence[str]) -> bool:
    path = PurePosixPath(name)
    return any(fnmatch.fnmatch(str(part), pattern) for pattern in drop for part in (path, *path.parents))


def debootstrap(what: str, release: str, archive: Path, options: Sequence[str]) -> None:
    """Have mmdebstrap write an archive of Debian packages.

    Parameters
    ----------
    what:
        The artifact, for errors.
    release:
        Code name of the Debian release.
    archive:
        The file to write.
    options:
        Variant, packages and what else mmdebstrap is to know.

    Raises
    ------
    CantiereError
        It is not installed, or it failed.
    """
    if not shutil.which("mmdebstrap"):
        raise _unavailable(what, "mmdebstrap is not installed", "install the package mmdebstrap, or choose another supply")
    command = ["mmdebstrap", "--mode=root", *options, "--aptopt=APT::Install-Recommends false", release, str(archive), *debian_mirror()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = f"mmdebstrap failed: {done.stderr.strip()[-500:]}"
        raise _unavailable(what, why, "check that the package mirror of this machine can be reached")


def debian_mirror() -> list[str]:
    """The machine's own Debian mirror, where it is a Debian; elsewhere mmdebstrap's default for the release."""
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    if "ID=debian" not in release.splitlines():
        return []
    for file in sorted(Path("/etc/apt").glob("sources.list.d/*.sources")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("URIs:") and "/debian" in line and "security" not in line:
                return [line.split()[1]]
    return []


def _unavailable(what: str, why: str, remedy: str) -> CantiereError:
    return CantiereError(Problem("artifact.unavailable", f"{what} could not be made: {why}", remedy, Location(str(PINS)), what))


def root_filesystem(pin: Mapping[str, Any], release: str, archive: Path) -> None:
    """Write the archive of a root file system, from which base images are made.

    Parameters
    ----------
    pin:
        ``variant`` and ``packages``, as in ``artifacts.yaml``.
    release:
        Code name of the Debian release.
    archive:
        The file to write.

    Raises
    ------
    CantiereError
        mmdebstrap is missing or failed.
    """
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "locale", "doc")]
    debootstrap("rootfs", release, archive, [f"--variant={pin['variant']}", f"--include={','.join(pin['packages'])}", *excluded])
