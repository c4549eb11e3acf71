"""The template, the files that it imports, and the inputs file. The only module of the front end that reads files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from cantiere.errors import CantiereError, Problem
from cantiere.indigo.dialect import ALL, Dialect, defines, served, speaks
from cantiere.indigo.partial import merge, parents
from cantiere.indigo.rewriting import rewrite, without
from cantiere.tosca import grammar, modern
from cantiere.tosca.document import MAX_BYTES, Budget, parse
from cantiere.tosca.elements import Element, Map, Point, Scalar, Seq, kind
from cantiere.tosca.grammar import Grammar
from cantiere.tosca.problems import Place, Problems, listed, quote

TYPES = Path(__file__).resolve().parents[3] / "tosca" / "types"
MAX_FILES = 64
VERSION = "tosca_simple_yaml_1_3"
MAX_CHAIN = 32


@dataclass(frozen=True, slots=True)
class Document:
    """A file of the template.

    Parameters
    ----------
    name:
        The file as messages call it.
    root:
        Its content.
    """

    name: str
    root: Map


@dataclass(slots=True)
class Sources:
    """Everything that was read: the template first, then its imports, each before those who import it after it."""

    documents: list[Document] = field(default_factory=list)

    @property
    def template(self) -> Map:
        """The main template's root."""
        return self.documents[0].root


@cache
def normative() -> Map:
    """The normative types that tosca-parser ships, read from its data file without importing it.

    Raises
    ------
    CantiereError
        tosca-parser is not installed.
    """
    spec = find_spec("toscaparser")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / "elements" / "TOSCA_definition.yaml" if folders else None
    problems = Problems()
    if path is not None and path.is_file():
        root = parse(path.read_bytes(), "tosca-parser/TOSCA_definition.yaml", problems, Budget())
        if isinstance(root, Map):
            return root
    raise CantiereError(Problem("normative.missing", "The normative TOSCA types are not installed.", "Install the package tosca-parser."))


def read(path: Path, name: str, problems: Problems, budget: Budget, at: Place | None = None) -> Element | None:
    """Read one YAML file; what cannot be read is recorded.

    Parameters
    ----------
    path, name:
        The file, and what messages call it.
    at:
        The place that names the file, if there is one.
    """
    place = at or Point(name)
    try:
        size = path.stat().st_size
        if not path.is_file():
            problems.error("file.kind", f"{quote(name)} is not a regular file.", "Name a YAML file.", place)
            return None
        if size > MAX_BYTES:
            problems.error("document.size", f"{quote(name)} has more than {MAX_BYTES} bytes.", "Write a smaller one.", place)
            return None
        data = path.read_bytes()
    except FileNotFoundError:
        problems.error("file.missing", f"There is no file {quote(name)}.", "Correct its name, or create it.", place)
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        problems.error("file.unreadable", f"{quote(name)} cannot be read: {reason}.", "Correct the file's name or its permissions.", place)
        return None
    return parse(data, name, problems, budget)


def load(path: Path, problems: Problems, budget: Budget) -> Sources | None:
    """Read a template with everything that it imports.

    Returns
    -------
    Sources or None
        None where the template itself cannot be read.
    """
    loader = _Loader(path, problems, budget)
    loader.document(path, str(path), None, ())
    return loader.sources if loader.main else None


class _Loader:
    """Follows imports, each file once."""

    def __init__(self, path: Path, problems: Problems, budget: Budget) -> None:
        self.folder = path.resolve().parent
        self.problems, self.budget = problems, budget
        self.grammar = Grammar(problems)
        self.sources = Sources()
        self.seen: set[Path] = set()
        self.main = False

    def document(self, path: Path, name: str, at: Scalar | None, chain: tuple[Path, ...]) -> None:
        """Read a file, unless it was read before."""
        real = path.resolve()
        if real in chain:
            names = " → ".join(file.name for file in (*chain[chain.index(real) :], real))
            self.problems.error("import.cycle", f"Imports form a cycle: {listed([names], 1)}.", "Remove this import.", at)
            return
        if real in self.seen:
            return
        self.seen.add(real)
        if len(self.seen) > MAX_FILES or len(chain) > MAX_CHAIN:
            self.problems.error("import.many", f"The template imports more than {MAX_FILES} files.", "Import fewer files.", at)
            return
        before = len(self.problems.errors)
        root = read(path, name, self.problems, self.budget, at)
        if root is None:
            if len(self.problems.errors) == before:
                remedy = f"Begin with 'tosca_definitions_version: {VERSION}'."
                self.problems.error("document.empty", f"{quote(name)} is empty.", remedy, at or Point(name))
            return
        if not isinstance(root, Map):
            message = f"A TOSCA template is a mapping, not {kind(root)}."
            self.problems.error("grammar.shape", message, "Begin with 'tosca_definitions_version: tosca_simple_yaml_1_3'.", root)
            return
        root = self._spoken(root, path)
        self.sources.documents.append(Document(name, root))
        self.main = True
        if modern.is_modern(root):
            modern.rewrite(root, self.problems)
        self._head(root)
        if self.problems.dialect is not None and defines(root) and not real.is_relative_to(TYPES):
            self.document(TYPES / ALL, str(TYPES / ALL), at, (*chain, real))
            ours = [document.root for document in self.sources.documents if document.name.startswith(f"{TYPES}/")]
            without(root, [normative(), *ours], self.problems)
        self.imports(root, path, name, (*chain, real))

    def imports(self, root: Map, path: Path, name: str, chain: tuple[Path, ...]) -> None:
        """Follow what a file imports."""
        imports = self.grammar.sequence(root, "imports", "")
        for number, entry in enumerate(imports.items if imports else ()):
            self._import(entry, path, name, f"imports.{number}", chain)

    def _spoken(self, root: Map, path: Path) -> Map:
        """A file as the dialect means it, if the template speaks one; add-ons are merged with what they belong to."""
        older = [] if self.main else list(self._parents(root, path, (path.resolve(),)))
        family = [*(parent for _, parent in older), root]
        if not self.main and any(speaks(member) for member in family):
            self.problems.dialect = Dialect(self.problems)
        if self.problems.dialect is None:
            return root
        for name, _ in older:
            self.problems.tolerates("parent", quote(name.text), name, "metadata.parents")
        for member in family:
            rewrite(member, self.problems)
        return merge(family) if older else root

    def _parents(self, root: Map, path: Path, chain: tuple[Path, ...]) -> Iterator[tuple[Scalar, Map]]:
        """The templates that an add-on belongs to, each after its own parents."""
        for name in parents(root):
            target = path.parent / name.text
            real = target.resolve() if "\0" not in name.text else path
            if not real.is_relative_to(self.folder) or real in chain or len(chain) > MAX_CHAIN:
                continue
            if not real.is_file():
                if speaks(root):
                    remedy = "Put it beside the template."
                    self.problems.error("dialect.parent", f"There is no template {quote(name.text)}.", remedy, name, "metadata.parents")
                continue
            beside = posixpath.normpath((Path(root.mark.name).parent / name.text).as_posix())
            parent = read(real, beside, self.problems, self.budget, name)
            if isinstance(parent, Map):
                yield from self._parents(parent, target, (*chain, real))
                if speaks(parent) or speaks(root):
                    yield name, parent

    def _head(self, root: Map) -> None:
        """Check the version and the keywords of a file."""
        self.grammar.keywords(root, grammar.SERVICE_TEMPLATE, "service template", "")
        version = root.get("tosca_definitions_version")
        if version is None:
            remedy = f"Begin with 'tosca_definitions_version: {VERSION}'."
            self.problems.error("version.missing", "The file does not say which version of TOSCA it is written in.", remedy, root)
        elif not isinstance(version, Scalar) or version.text not in grammar.VERSIONS:
            what = quote(version.text) if isinstance(version, Scalar) else kind(version)
            remedy = f"Use one of: {listed(grammar.VERSIONS)}."
            self.problems.error("version.unknown", f"TOSCA version {what} is not known.", remedy, version, "tosca_definitions_version")

    def _import(self, entry: Element, importer: Path, name: str, path: str, chain: tuple[Path, ...]) -> None:
        """Follow one entry of ``imports``."""
        if isinstance(entry, Map) and "file" not in entry.entries and len(entry.entries) == 1:
            entry = next(iter(entry.entries.values()))
        file = entry
        if isinstance(entry, Map):
            self.grammar.keywords(entry, grammar.IMPORT, "import", path)
            for key in ("repository", "namespace_prefix"):
                if key in entry.entries:
                    message = f"Imports with a {key} are not supported."
                    self.problems.error("import.unsupported", message, "Import a local file by its path.", entry.keys[key], f"{path}.{key}")
                    return
            file = entry.entries.get("file", entry)
        if not isinstance(file, Scalar) or not isinstance(file.value, str):
            self.problems.error("import.shape", f"An import names a file, not {kind(file)}.", "Write '- types.yaml'.", file, path)
            return
        target = self._target(file, importer, path)
        if target is not None:
            beside = posixpath.normpath((Path(name).parent / file.text).as_posix())
            self.document(target, beside if target == importer.parent / file.text else str(target), file, chain)

    def _target(self, file: Scalar, importer: Path, path: str) -> Path | None:
        """The file that an import means, or None where it may not be read."""
        text = file.text
        if "://" in text and self.problems.dialect is not None and (TYPES / served(text)).is_file():
            self.problems.tolerates("import", quote(text), file, path)
            return TYPES / served(text)
        if "://" in text:
            remedy = "Download the file into the template's folder and import it from there."
            self.problems.error("import.url", f"{quote(text)} is a URL; imports come from files.", remedy, file, path)
            return None
        if "\0" in text or len(text) > 4096:
            self.problems.error("import.shape", f"{quote(text)} is not the name of a file.", "Write '- types.yaml'.", file, path)
            return None
        for candidate in (importer.parent / text, TYPES / text):
            try:
                real = candidate.resolve()
                exists = real.is_file()
            except OSError:
                continue
            if not real.is_relative_to(self.folder) and not real.is_relative_to(TYPES):
                remedy = "Put the file into the template's folder, or import one of cantiere's types."
                self.problems.error("import.outside", f"{quote(text)} lies outside the template's folder.", remedy, file, path)
                return None
            if exists:
                return candidate
        ours = [found.name for found in sorted(TYPES.glob("*.yaml"))]
        names = sorted({found.name for found in importer.parent.glob("*.yaml")} | set(ours))
        remedy = self.problems.suggest(text, names, f"Correct the path, or import one of: {listed(ours)}.")
        self.problems.error("import.missing", f"There is no file {quote(text)}.", remedy, file, path)
        return None


def with_imports(root: Map, path: Path, problems: Problems, budget: Budget) -> Sources:
    """A template that a program made, with everything that it imports.

    Parameters
    ----------
    root:
        The template.
    path:
        The file that it stands for.
    """
    loader = _Loader(path, problems, budget)
    loader.main = True
    loader.sources.documents.append(Document(str(path), root))
    loader.imports(root, path, str(path), ())
    return loader.sources


def inputs(path: Path, problems: Problems, budget: Budget) -> Map | None:
    """Read an inputs file: a mapping of names to values.

    Returns
    -------
    Map or None
        None where it is empty or cannot be used.
    """
    root = read(path, str(path), problems, budget)
    if root is None or isinstance(root, Map):
        return root
    if isinstance(root, Seq) or root.value is not None:
        problems.error("inputs.shape", f"An inputs file is a mapping, not {kind(root)}.", "Write 'name: value' lines.", root)
    return None
