"""CSAR archives: a template with its imports in one zip file, read in memory and never unpacked."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from pathlib import Path

from cantiere.tosca.document import MAX_BYTES
from cantiere.tosca.problems import Place, Problems, listed, quote

SUFFIXES = (".csar", ".zip")
META = "TOSCA-Metadata/TOSCA.meta"
MAX_ENTRIES = 2000
_YAML = (".yaml", ".yml")


def is_archive(path: Path) -> bool:
    """Whether a file's name says that it is an archive."""
    return path.suffix.lower() in SUFFIXES


def read(path: Path, name: str, data: bytes, problems: Problems, at: Place | None = None) -> tuple[Path, dict[Path, bytes]] | None:
    """The entry template of an archive, and its YAML files by the paths that they would have if the archive were a folder.

    Parameters
    ----------
    path, name:
        The archive, and what messages call it.
    data:
        Its content.
    problems:
        Where errors go.
    at:
        The place that names it, if there is one.

    Returns
    -------
    tuple or None
        None where it cannot be used, which is recorded.
    """

    def refuse(message: str, remedy: str) -> None:
        problems.error("csar.unusable", f"The archive {quote(name)} {message}.", remedy, at)

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename == META or entry.filename.lower().endswith(_YAML)]
            if len(archive.infolist()) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_BYTES:
                refuse(f"has more than {MAX_ENTRIES} files or {MAX_BYTES} bytes of YAML", "Make a smaller one.")
                return None
            files = {
                entry.filename: archive.read(entry) for entry in entries if _is_inside(entry.filename)
            }  # never more of each than the directory says
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        refuse(f"cannot be read: {error}", "Make it again with zip.")
        return None
    entry = _entry(files)
    if entry is None:
        roots = [file for file in files if "/" not in file and file.endswith(_YAML)]
        refuse(f"does not say which template is its first: {listed(roots)}", f"Add {META} with a line 'Entry-Definitions: FILE'.")
        return None
    if entry not in files:
        refuse(f"has no file {quote(entry)}, which its metadata name", "Correct Entry-Definitions.")
        return None
    return path / entry, {path / file: content for file, content in files.items()}


def _is_inside(file: str) -> bool:
    """Whether a name stays in the archive."""
    return not file.startswith("/") and ".." not in file.split("/") and posixpath.normpath(file) == file


def _entry(files: dict[str, bytes]) -> str | None:
    """The first template: what the metadata name, else the only YAML file of the top folder."""
    if META in files:
        for line in files[META].decode("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "Entry-Definitions" and value.strip():
                return value.strip()
    roots = [file for file in files if "/" not in file and file.endswith(_YAML)]
    return roots[0] if len(roots) == 1 else None
