"""The template, the files that it imports, and the inputs file. The only module of the front end that reads files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urljoin

from cantiere.errors import CantiereError, Problem
from cantiere.indigo.dialect import ALL, defines, served, speaks
from cantiere.indigo.partial import parents, spoken
from cantiere.indigo.rewriting import without
from cantiere.tosca import csar, grammar, modern
from cantiere.tosca.document import MAX_BYTES, Budget, parse
from cantiere.tosca.elements import Element, Map, Point, Scalar, Seq, kind
from cantiere.tosca.grammar import Grammar
from cantiere.tosca.problems import Place, Problems, listed, quote

TYPES = Path(__file__).resolve().parents[3] / "tosca" / "types"
MAX_FILES = 64
INTERFACE = "tosca.interfaces.Root"
"""A normative type that tosca-parser does not have."""
VERSION = "tosca_simple_yaml_1_3"
MAX_CHAIN = 32
ALLOW = "CANTIERE_IMPORTS"
"""Environment variable with the beginnings of URLs that templates may import from, separated by spaces."""

Fetch = Callable[[str], bytes]
_OURS = re.compile(r"^  (cantiere\.nodes\.\w+):$", re.MULTILINE)  # where a file of ours begins to define a node type
_NAMING = frozenset(("file", "url", "profile"))


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
    """Everything that was read: the template first, then its imports, each before those who import it after it.

    Parameters
    ----------
    documents:
        The files.
    prefixes:
        Namespace prefixes under which types were imported.
    imports:
        File to what it imports: a prefix or ``""``, and the file.
    """

    documents: list[Document] = field(default_factory=list)
    prefixes: set[str] = field(default_factory=set)
    imports: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

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
        if isinstance(root, Map) and isinstance(types := root.get("interface_types"), Map):
            types.keys[INTERFACE], types.entries[INTERFACE] = Scalar(INTERFACE, INTERFACE, types.mark), Map(types.mark)
            return root
    raise CantiereError(Problem("normative.missing", "The normative TOSCA types are not installed.", "Install the package tosca-parser."))


@cache
def homes() -> dict[str, str]:
    """Our own node types, each with the file below the folder of all types that defines it."""
    return {name: path.name for path in sorted(TYPES.glob("*.yaml")) for name in _OURS.findall(path.read_text(encoding="utf-8"))}


def read(path: Path, name: str, problems: Problems, budget: Budget, at: Place | None = None) -> Element | None:
    """Read one YAML file; what cannot be read is recorded.

    Parameters
    ----------
    path, name:
        The file, and what messages call it.
    at:
        The place that names the file, if there is one.
    """
    data = content(path, name, problems, at)
    return None if data is None else parse(data, name, problems, budget)


def content(path: Path, name: str, problems: Problems, at: Place | None = None) -> bytes | None:
    """The bytes of a file; None where it cannot be read, which is recorded."""
    place = at or Point(name)
    try:
        size = path.stat().st_size
        if not path.is_file():
            problems.error("file.kind", f"{quote(name)} is not a regular file.", "Name a YAML file.", place)
            return None
        if size > MAX_BYTES:
            problems.error("document.size", f"{quote(name)} has more than {MAX_BYTES} bytes.", "Write a smaller one.", place)
            return None
        return path.read_bytes()
    except FileNotFoundError:
        problems.error("file.missing", f"There is no file {quote(name)}.", "Correct its name, or create it.", place)
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        problems.error("file.unreadable", f"{quote(name)} cannot be read: {reason}.", "Correct the file's name or its permissions.", place)
    return None


def load(path: Path, problems: Problems, budget: Budget, fetch: Fetch | None = None) -> Sources | None:
    """Read a template, or an archive with one, and everything that it imports.

    Parameters
    ----------
    path:
        The template.
    problems, budget:
        Where errors go, and what is left of the limits.
    fetch:
        Gets the content of a URL, or raises an error of ours; None where nothing may be fetched.

    Returns
    -------
    Sources or None
        None where the template itself cannot be read.
    """
    loader = _Loader(path, problems, budget, fetch)
    loader.file(path, str(path), None, ())
    return loader.sources if loader.main else None


class _Loader:
    """Follows imports, each file once."""

    def __init__(self, path: Path, problems: Problems, budget: Budget, fetch: Fetch | None = None) -> None:
        self.folder = path.resolve().parent
        self.fetch = fetch
        self.held: dict[Path, bytes] = {}
        self.problems, self.budget = problems, budget
        self.grammar = Grammar(problems)
        self.sources = Sources()
        self.seen: dict[Path, str] = {}
        self.main = False

    def file(self, path: Path, name: str, at: Scalar | None, chain: tuple[Path, ...], prefix: str = "") -> None:
        """Read a template, or the first one of an archive."""
        if not csar.is_archive(path) or path in self.held:
            self.document(path, name, at, chain, prefix)
            return
        data = content(path, name, self.problems, at)
        found = csar.read(path, name, data, self.problems, at) if data is not None else None
        if found is not None:
            entry, files = found
            self.held.update(files)
            self.document(entry, (Path(name) / entry.relative_to(path)).as_posix(), at, chain, prefix)

    def document(self, path: Path, name: str, at: Scalar | None, chain: tuple[Path, ...], prefix: str = "") -> None:
        """Read a file, unless it was read before."""
        real = path.resolve()
        if real in chain:
            names = " → ".join(file.name for file in (*chain[chain.index(real) :], real))
            self.problems.error("import.cycle", f"Imports form a cycle: {listed([names], 1)}.", "Remove this import.", at)
            return
        if at is not None:
            self.sources.imports.setdefault(at.mark.name, []).append((prefix, self.seen.get(real, name)))
        if real in self.seen:
            return
        self.seen[real] = name
        if len(self.seen) > MAX_FILES or len(chain) > MAX_CHAIN:
            self.problems.error("import.many", f"The template imports more than {MAX_FILES} files.", "Import fewer files.", at)
            return
        before = len(self.problems.errors)
        held = self.held.get(path)
        root = read(path, name, self.problems, self.budget, at) if held is None else parse(held, name, self.problems, self.budget)
        if root is None:
            if len(self.problems.errors) == before:
                remedy = f"Begin with 'tosca_definitions_version: {VERSION}'."
                self.problems.error("document.empty", f"{quote(name)} is empty.", remedy, at or Point(name))
            return
        if not isinstance(root, Map):
            message = f"A TOSCA template is a mapping, not {kind(root)}."
            self.problems.error("grammar.shape", message, "Begin with 'tosca_definitions_version: tosca_simple_yaml_1_3'.", root)
            return
        root = spoken(root, None if self.main else list(self._parents(root, path, (path.resolve(),))), self.problems)
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
            self._import(entry, path, name, f"imports.{number}", chain, root)

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

    def _import(self, entry: Element, importer: Path, name: str, path: str, chain: tuple[Path, ...], root: Map) -> None:
        """Follow one entry of ``imports``."""
        if isinstance(entry, Map) and "file" not in entry.entries and len(entry.entries) == 1 and not entry.entries.keys() & _NAMING:
            entry = next(iter(entry.entries.values()))
        file, under = entry, ""
        if isinstance(entry, Map):
            self.grammar.keywords(entry, grammar.IMPORT, "import", path)
            for key in ("namespace", "namespace_prefix"):
                word = entry.entries.get(key)
                if isinstance(word, Scalar) and word.text and ":" not in word.text:
                    under = word.text
            if under:
                self.sources.prefixes.add(under)
            file = next((entry.entries[key] for key in ("file", "url", "profile") if key in entry.entries), entry)
        if not isinstance(file, Scalar) or not isinstance(file.value, str):
            self.problems.error("import.shape", f"An import names a file, not {kind(file)}.", "Write '- types.yaml'.", file, path)
            return
        if isinstance(entry, Map) and "profile" in entry.entries:
            self._profile(file, path)
            return
        if isinstance(entry, Map) and "repository" in entry.entries:
            file = self._in_repository(file, entry.entries["repository"], root, path) or file
        if "://" in name and "://" not in file.text:
            file = Scalar(urljoin(name, file.text), urljoin(name, file.text), file.mark)
        target = self._target(file, importer, path)
        if target is not None:
            beside = posixpath.normpath((Path(name).parent / file.text).as_posix())
            shown = beside if target == importer.parent / file.text else file.text if target in self.held else str(target)
            self._follow(target, shown, file, chain, under)

    def _follow(self, target: Path, name: str, at: Scalar, chain: tuple[Path, ...], prefix: str) -> None:
        """Read a file, or all YAML files of a folder."""
        members = [target] if target in self.held or target.is_file() else sorted(target.glob("*.y*ml"))
        if not members:
            self.problems.error("import.missing", f"The folder {quote(at.text)} holds no YAML file.", "Correct the path.", at)
        for member in members:
            self.file(member, name if member == target else f"{name}/{member.name}", at, chain, prefix)

    def _profile(self, file: Scalar, path: str) -> None:
        """A profile: that of TOSCA itself is always there."""
        if not file.text.startswith(("org.oasis-open.", "tosca.", "io.", "simple")):
            remedy = "Import the files that define its types by their path."
            self.problems.error("import.profile", f"The profile {quote(file.text)} is not known here.", remedy, file, path)

    def _in_repository(self, file: Scalar, word: Element, root: Map, path: str) -> Scalar | None:
        """A file of a repository as a path or URL; None where there is no such repository, which is recorded."""
        repositories = self.grammar.mapping(root, "repositories", "")
        found = repositories.entries.get(word.text) if repositories and isinstance(word, Scalar) else None
        url = found.entries.get("url") if isinstance(found, Map) else found
        if not isinstance(url, Scalar) or not isinstance(url.value, str):
            known = list(repositories.entries) if repositories else []
            name = word.text if isinstance(word, Scalar) else ""
            remedy = self.problems.suggest(name, known, "Add it under 'repositories:' with its 'url:'.")
            self.problems.error("import.repository", f"There is no repository {quote(name)}.", remedy, word, f"{path}.repository")
            return None
        text = f"{url.text.rstrip('/')}/{file.text}"
        return Scalar(text, text, file.mark)

    def _fetched(self, fetch: Fetch, file: Scalar, path: str) -> Path | None:
        """The name under which a URL's content is held; None where it cannot be got, which is recorded."""
        target = Path(file.text)
        try:
            if target not in self.held:
                self.held[target] = fetch(file.text)
        except CantiereError as error:
            for problem in error.problems:
                self.problems.error(problem.code, problem.message, problem.remedy, file, path)
            return None
        return target

    def _target(self, file: Scalar, importer: Path, path: str) -> Path | None:
        """The file that an import means, or None where it may not be read."""
        text = file.text
        if "://" in text and self.problems.dialect is not None and (TYPES / served(text)).is_file():
            self.problems.tolerates("import", quote(text), file, path)
            return TYPES / served(text)
        if "://" in text and self.fetch is not None:
            return self._fetched(self.fetch, file, path)
        if "://" in text:
            remedy = f"Import a copy in the template's folder, or allow the URL: {ALLOW}='{text.rpartition('/')[0]}/'."
            self.problems.error("import.url", f"{quote(text)} is a URL; imports come from files.", remedy, file, path)
            return None
        if "\0" in text or len(text) > 4096:
            self.problems.error("import.shape", f"{quote(text)} is not the name of a file.", "Write '- types.yaml'.", file, path)
            return None
        if (held := Path(posixpath.normpath((importer.parent / text).as_posix()))) in self.held:
            return held
        for candidate in (importer.parent / text, TYPES / text):
            try:
                real = candidate.resolve()
                exists = real.is_file() or real.is_dir()
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
