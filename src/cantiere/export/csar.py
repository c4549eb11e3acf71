"""A template with everything that it names, as a CSAR: a zip of TOSCA, byte for byte the same for the same files."""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from cantiere import __version__
from cantiere.declared import Declared, mapping, text
from cantiere.errors import Location, Problem, TemplateError
from cantiere.tosca.elements import Element, Map, Scalar, Seq
from cantiere.tosca.problems import quote
from cantiere.tosca.sources import TYPES

META = "TOSCA-Metadata/TOSCA.meta"
DEFINITIONS = "Definitions"
EPOCH = (1980, 1, 1, 0, 0, 0)
MODE = 0o100644 << 16
CHART = "cantiere.nodes.HelmRelease"
LARGEST = 64 << 20
"""Bytes of all files together."""


def archive(template: Declared) -> tuple[bytes, tuple[Problem, ...]]:
    """The archive of a template.

    Parameters
    ----------
    template:
        A valid template of files.

    Returns
    -------
    tuple
        The zip, and notices of what it does not hold.

    Raises
    ------
    TemplateError
        A file cannot be read, or there is too much.
    """
    if zipfile.is_zipfile(template.path):
        where = Location(str(template.path))
        raise TemplateError(Problem("export.archive", "The template is an archive already.", "Copy it as it is.", where))
    packer = _Packer(template)
    packer.definitions(template.path, f"{DEFINITIONS}/{template.path.name}")
    packer.named()
    entry = packer.placed[template.path.resolve()]
    head = f"TOSCA-Meta-File-Version: 1.1\nCSAR-Version: 1.1\nCreated-By: cantiere {__version__}\nEntry-Definitions: {entry}\n\n"
    return _zip({META: head.encode(), **dict(sorted(packer.files.items()))}), tuple(packer.notices)


class _Packer:
    def __init__(self, template: Declared) -> None:
        self.template = template
        self.files: dict[str, bytes] = {}
        self.placed: dict[Path, str] = {}
        self.notices: list[Problem] = []

    def definitions(self, path: Path, wanted: str) -> str:
        """Put a file of definitions and what it imports into the archive; where it went."""
        real = path.resolve()
        if real in self.placed:
            return self.placed[real]
        place = self.free(wanted)
        self.placed[real] = place
        data = self.read(path)
        self.files[place] = b""
        content = data.decode("utf-8-sig")
        changes: list[tuple[int, int, str]] = []
        for scalar in _imports(yaml.compose(content, yaml.SafeLoader)):
            found = next((one for one in (path.parent / scalar.value, TYPES / scalar.value) if one.is_file()), None)
            if "://" in scalar.value or found is None:
                self.stays(path, scalar)
                continue
            target = self.definitions(found, posixpath.normpath(posixpath.join(posixpath.dirname(place), scalar.value)))
            relative = posixpath.relpath(target, posixpath.dirname(place))
            if relative != posixpath.normpath(scalar.value):
                changes.append((scalar.start_mark.index, scalar.end_mark.index, f'"{relative}"'))
        for start, end, written in sorted(changes, reverse=True):
            content = content[:start] + written + content[end:]
        self.files[place] = content.encode()
        return place

    def free(self, wanted: str) -> str:
        """A place below the entry's folder, where readers look for what it imports: the wanted one, or one like it."""
        steps = [step for step in wanted.removeprefix(f"{DEFINITIONS}/").split("/") if step not in ("", ".", "..")]
        place = posixpath.join(DEFINITIONS, *steps)
        stem, suffix = posixpath.splitext(place)
        number = 1
        while place in self.files:
            number += 1
            place = f"{stem}-{number}{suffix}"
        return place

    def read(self, path: Path) -> bytes:
        try:
            data = path.read_bytes()
        except OSError as error:
            message = f"{quote(str(path))} cannot be read: {error.strerror}."
            raise TemplateError(
                Problem("export.unreadable", message, "Correct its name or its permissions.", Location(str(path)))
            ) from error
        if sum(map(len, self.files.values())) + len(data) > LARGEST:
            message = f"What the template names has more than {LARGEST >> 20} MiB."
            raise TemplateError(Problem("export.size", message, "Name fewer or smaller files.", Location(str(path))))
        return data

    def stays(self, path: Path, scalar: yaml.ScalarNode) -> None:
        """Tell that an import is not in the archive."""
        where = Location(str(path), scalar.start_mark.line + 1, scalar.start_mark.column + 1)
        message = f"The import {quote(scalar.value)} stays what it is: the archive does not hold it."
        self.notices.append(Problem("export.import", message, "Who reads the archive has to reach it.", where))

    def named(self) -> None:
        """Put the files that nodes name beside the definitions that name them: artifacts, operations, folders of charts."""
        for document in self.template.documents:
            path = Path(document.name)
            place = self.placed.get(path.resolve())
            if place is None:
                continue
            for scalar in _files(document.root):
                self.beside(path, posixpath.dirname(place), scalar)

    def beside(self, path: Path, folder: str, scalar: Scalar) -> None:
        source = path.parent / scalar.text
        if not source.exists() or not scalar.text:
            return
        if not source.resolve().is_relative_to(path.resolve().parent):
            where = Location(str(path), scalar.mark.line + 1, scalar.mark.column + 1)
            message = f"{quote(scalar.text)} lies outside the template's folder: the archive does not hold it."
            self.notices.append(Problem("export.outside", message, "Put it into the template's folder.", where))
            return
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if file.is_file() and not file.is_symlink():
                place = posixpath.normpath(posixpath.join(folder, file.relative_to(path.parent).as_posix()))
                if place not in self.files:
                    self.files[place] = self.read(file)


def _imports(root: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """The scalars that name imported files."""
    entries = _value(root, "imports")
    for entry in entries.value if isinstance(entries, yaml.SequenceNode) else ():
        found: yaml.Node | None = entry
        while isinstance(found, yaml.MappingNode):
            found = _value(found, "file") or _value(found, "url") or (found.value[0][1] if len(found.value) == 1 else None)
        if isinstance(found, yaml.ScalarNode):
            yield found


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)


def _files(root: Map) -> Iterator[Scalar]:
    """The scalars of a document that name files beside it."""
    bodies = [body for section in ("node_types", "relationship_types", "artifact_types") for body in _entries(root, section)]
    topology = mapping(root.get("topology_template"))
    bodies += [body for section in ("node_templates", "relationship_templates") for body in _entries(topology, section)]
    for body in bodies:
        for artifact in _entries(body, "artifacts"):
            yield from _scalar(artifact.get("file") if isinstance(artifact, Map) else artifact)
        for interface in _entries(body, "interfaces"):
            yield from _operations(interface)
        if isinstance(body, Map) and text(body.get("type")) == CHART:
            yield from _scalar(mapping(body.get("properties")).get("folder"))


def _operations(interface: Element) -> Iterator[Scalar]:
    operations = [*_entries(interface, "operations"), *(interface.entries.values() if isinstance(interface, Map) else ())]
    for operation in operations:
        implementation = operation.get("implementation") if isinstance(operation, Map) else operation
        if isinstance(implementation, Map):
            dependencies = implementation.get("dependencies")
            primary = implementation.get("primary")
            yield from _scalar(primary.get("file") if isinstance(primary, Map) else primary)
            for item in dependencies.items if isinstance(dependencies, Seq) else ():
                yield from _scalar(item)
        else:
            yield from _scalar(implementation)


def _entries(element: Element, key: str) -> list[Element]:
    return list(mapping(element.get(key)).entries.values()) if isinstance(element, Map) else []


def _scalar(element: Element | None) -> Iterator[Scalar]:
    if isinstance(element, Scalar) and isinstance(element.value, str) and "://" not in element.text:
        yield element


def _zip(files: dict[str, bytes]) -> bytes:
    """A zip without times, owners or compression, whose bytes depend on nothing else than the files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as handle:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system, entry.external_attr = 3, MODE
            handle.writestr(entry, data)
    return stream.getvalue()
