"""Container images written by hand: an OCI layout in one archive, the same bytes for the same content, nothing held in memory."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from cantiere.errors import CantiereError, Location, Problem
from cantiere.supply.pins import PINS, Item
from cantiere.supply.store import CHUNK, Log, Made, Stored
from cantiere.supply.unpacked import LAYER

ARCHIVE = "image.tar"
EPOCH = "1970-01-01T00:00:00Z"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MEDIA = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True)
class Blob:
    """A piece of an image: its digest, its size, and how to write it."""

    digest: str
    size: int
    write: Callable[[IO[bytes]], None]

    def described(self, kind: str) -> dict[str, Any]:
        """The descriptor by which other pieces name it."""
        return {"mediaType": f"{MEDIA}.{kind}", "digest": f"sha256:{self.digest}", "size": self.size}


class _Counter(io.RawIOBase):
    """Takes bytes, and keeps only their digest and number."""

    def __init__(self) -> None:
        super().__init__()
        self.digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.digest.update(data)
        self.size += len(data)
        return len(data)


def blob(write: Callable[[IO[bytes]], None]) -> Blob:
    """A piece whose writer is run once to know its digest; it writes the same every time."""
    counter = _Counter()
    write(counter)  # type: ignore[arg-type]
    return Blob(counter.digest.hexdigest(), counter.size, write)


def layer_of_programs(files: Sequence[tuple[Path, str, Sequence[str]]], folders: Sequence[str] = ()) -> Blob:
    """A layer that holds programs.

    Parameters
    ----------
    files:
        The program, its path in the image without a leading slash, and its further names in the same folder.
    folders:
        Folders that are there and empty.
    """

    def write(out: IO[bytes]) -> None:
        with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as archive:
            parents = {str(parent) for _, path, _ in files for parent in PurePosixPath(path).parents if str(parent) != "."}
            for name in sorted(parents | set(folders)):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                archive.addfile(folder)
            for source, path, links in files:
                member = tarfile.TarInfo(path)
                member.mode, member.size = 0o755, source.stat().st_size
                with source.open("rb") as content:
                    archive.addfile(member, content)
                for name in links:
                    link = tarfile.TarInfo(str(PurePosixPath(path).with_name(name)))
                    link.type, link.linkname = tarfile.SYMTYPE, PurePosixPath(path).name
                    archive.addfile(link)

    return blob(write)


def layer_of_archive(path: Path) -> Blob:
    """A layer that is there as an archive."""

    def write(out: IO[bytes]) -> None:
        with path.open("rb") as source:
            shutil.copyfileobj(source, out, CHUNK)

    return blob(write)


def _text(data: Mapping[str, Any]) -> Blob:
    content = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()

    def write(out: IO[bytes]) -> None:
        out.write(content)

    return blob(write)


def write_image(target: Path, references: Sequence[str], arch: str, layers: Sequence[Blob], settings: Mapping[str, Any]) -> str:
    """Write an image with all its names into one archive.

    Parameters
    ----------
    target:
        The file to write.
    references:
        The image's names.
    arch:
        Architecture of its programs.
    layers:
        From the lowest to the highest.
    settings:
        ``entrypoint``, ``command`` and ``user``, where the image has them.

    Returns
    -------
    str
        Digest of the image's manifest, ``sha256:...``.
    """
    config = _text(
        {
            "architecture": arch,
            "os": "linux",
            "created": EPOCH,
            "config": {
                "Env": [PATH],
                **{
                    key: settings[name]
                    for key, name in (("Entrypoint", "entrypoint"), ("Cmd", "command"), ("User", "user"))
                    if name in settings
                },
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
            "history": [{"created": EPOCH, "created_by": "cantiere"} for _ in layers],
        }
    )
    manifest = _text(
        {
            "schemaVersion": 2,
            "mediaType": f"{MEDIA}.manifest.v1+json",
            "config": config.described("config.v1+json"),
            "layers": [layer.described("layer.v1.tar") for layer in layers],
        }
    )
    entries = []
    for reference in references:
        annotations = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference.rpartition(":")[2]}
        platform = {"architecture": arch, "os": "linux"}
        entries.append({**manifest.described("manifest.v1+json"), "annotations": annotations, "platform": platform})
    index = _text({"schemaVersion": 2, "mediaType": f"{MEDIA}.index.v1+json", "manifests": entries})
    with target.open("wb") as out:
        _member(out, "oci-layout", _text({"imageLayoutVersion": "1.0.0"}))
        _member(out, "index.json", index)
        for piece in {piece.digest: piece for piece in (manifest, config, *layers)}.values():
            _member(out, f"blobs/sha256/{piece.digest}", piece)
        out.write(b"\0" * 1024)
    return f"sha256:{manifest.digest}"


def _member(out: IO[bytes], name: str, piece: Blob) -> None:
    header = tarfile.TarInfo(name)
    header.size = piece.size
    out.write(header.tobuf(tarfile.GNU_FORMAT))
    piece.write(out)
    out.write(b"\0" * (-piece.size % 512))


def compose(item: Item, made_from: Mapping[str, Stored], folder: Path, log: Log) -> list[Made]:
    """Write the archive of an image from what the store holds.

    Parameters
    ----------
    item:
        Its ``build`` says what goes in, and where.
    made_from:
        The artifacts that it names, by name.
    folder:
        Takes the archive.
    log:
        Takes the progress.
    """
    spec = item.entry["build"]
    layers = []
    if "packages" in spec:
        layers.append(layer_of_archive(made_from[spec["packages"]].folder / LAYER))
    if "binaries" in spec:
        prefix = f"{spec['folder']}/" if spec["folder"] else ""
        programs = [(file.path, f"{prefix}{file.name}", file.links) for file in made_from[spec["binaries"]].files]
        layers.append(layer_of_programs(programs, () if "packages" in spec else ("etc", "tmp")))
    digest = write_image(folder / ARCHIVE, item.references, item.arch, layers, spec)
    log(f"{item.name}: {', '.join(item.references)} as {digest[:19]}")
    return [Made(ARCHIVE, references=item.references, mode="0644")]


def pull(item: Item, folder: Path, log: Log) -> list[Made]:
    """Fetch an image's archives from its registries by skopeo, each by the digest that is pinned.

    Parameters
    ----------
    item:
        Its ``upstream`` holds digests by image (a reference without its tag) and version: of the list that names all architectures.
    folder:
        Takes an archive for each name.
    log:
        Takes the progress.

    Raises
    ------
    CantiereError
        A digest is not pinned, skopeo is missing, or it failed.
    """
    if not pinned(item):
        raise CantiereError(
            Problem(
                "artifact.unpinned",
                f"{item.name} {item.version} for {item.arch}: no digest of its registry's images is pinned, so upstream is refused",
                "pin upstream.digests (by image and version) in the site's artifacts_file, or choose build or mirror",
                Location(str(PINS)),
                item.name,
            )
        )
    if not shutil.which("skopeo"):
        raise CantiereError(
            Problem(
                "artifact.unavailable",
                f"{item.name} could not be had: skopeo is not installed",
                "install the package skopeo",
                path=item.name,
            )
        )
    made = []
    for reference in item.references:
        name = reference.rpartition(":")[0]
        digest = item.entry["upstream"]["digests"][name][item.version]
        archive = f"{name.rpartition('/')[2]}.tar"
        log(f"{item.name}: {reference}")
        command = ["skopeo", "copy", "--override-os", "linux", "--override-arch", item.arch]
        command += [f"docker://{name}@{digest}", f"docker-archive:{folder / archive}:{reference}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CantiereError(
                Problem(
                    "artifact.unavailable",
                    f"{reference} could not be had: {done.stderr.strip()[-500:]}",
                    "check that the registry can be reached, or choose build or mirror",
                    path=item.name,
                )
            )
        made.append(Made(archive, references=(reference,), mode="0644"))
    return made


def pinned(item: Item) -> bool:
    """Whether every name of an image has the digest pinned by which ``upstream`` fetches it."""
    digests = item.entry.get("upstream", {}).get("digests", {})
    return all(digests.get(name.rpartition(":")[0], {}).get(item.version) for name in item.references)
