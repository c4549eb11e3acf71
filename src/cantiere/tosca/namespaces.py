"""Which file's types another file sees: all that are imported without a prefix share a name space, the others stand behind theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

MAX_PREFIXES = 4
MAX_TRIED = 200
"""How many prefixes a remedy writes before a name, and how many ways are tried to find them."""


class Namespaces:
    """Answers for the files of one load.

    Parameters
    ----------
    imports:
        File to what it imports: a prefix or ``""``, and the file.
    """

    def __init__(self, imports: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        self.imports = imports
        self.importers: dict[str, set[str]] = {}
        for file, entries in imports.items():
            for prefix, imported in entries:
                if not prefix:
                    self.importers.setdefault(imported, set()).add(file)
        self._paths: dict[tuple[str, str], tuple[str, ...] | None] = {}
        self._seen: dict[tuple[str, tuple[str, ...]], frozenset[str]] = {}

    def sees(self, file: str, prefixes: tuple[str, ...], other: str) -> bool:
        """Whether names of another file mean something in a file, after the given prefixes."""
        return other in self._visible(file, prefixes)

    def prefixes(self, file: str, other: str) -> tuple[str, ...] | None:
        """The prefixes before names of another file in a file; None where it sees none of them."""
        if (file, other) not in self._paths:
            self._paths[file, other] = self._searched(file, other)
        return self._paths[file, other]

    def _searched(self, file: str, other: str) -> tuple[str, ...] | None:
        todo: list[tuple[str, ...]] = [()]
        for path in todo:
            if self.sees(file, path, other):
                return path
            if len(path) < MAX_PREFIXES and len(todo) < MAX_TRIED:
                todo += [(*path, prefix) for prefix in sorted(self._prefixes(self._visible(file, path)))]
        return None

    def _visible(self, file: str, prefixes: tuple[str, ...]) -> frozenset[str]:
        found = self._seen.get((file, prefixes))
        if found is None:
            if prefixes:
                behind = self._visible(file, prefixes[:-1])
                last = prefixes[-1]
                found = self._below(imported for one in behind for prefix, imported in self.imports.get(one, ()) if prefix == last)
            else:
                found = self._below(self._above(file))
            self._seen[file, prefixes] = found
        return found

    def _prefixes(self, files: Iterable[str]) -> set[str]:
        return {prefix for file in files for prefix, _ in self.imports.get(file, ()) if prefix}

    def _below(self, files: Iterable[str]) -> frozenset[str]:
        """Files with all that they import without a prefix, and those in turn."""
        found: set[str] = set()
        todo = list(files)
        while todo:
            file = todo.pop()
            if file not in found:
                found.add(file)
                todo += [imported for prefix, imported in self.imports.get(file, ()) if not prefix]
        return frozenset(found)

    def _above(self, file: str) -> set[str]:
        """A file with those that import it without a prefix, and those in turn."""
        found: set[str] = set()
        todo = [file]
        while todo:
            at = todo.pop()
            if at not in found:
                found.add(at)
                todo += self.importers.get(at, ())
        return found
