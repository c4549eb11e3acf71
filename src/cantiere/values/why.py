"""Which fact each of a release's values comes from. Pure.

Compilers do not help with this. They are pure functions, so a release is compiled again with one fact different: what differs in
its values comes from that fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cantiere.values.checks.subject import Path, leaves
from cantiere.values.model import Context, Release
from cantiere.values.perturb import facts

CONSTANT = "chart compiler"
"""Origin of a value that no fact changes."""
UNKNOWN = "unknown"
"""Origin of a value that no fact changes, where some fact of its own node or of the cluster could not be changed."""

Compile = Callable[[Context], Iterable[Release]]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a release's values come from.

    Parameters
    ----------
    origins:
        Path of a value to the names of the facts that it comes from; :data:`CONSTANT` where it comes from none, :data:`UNKNOWN` where
        that cannot be said.
    unjudged:
        Facts whose part could not be found out: no other value of them compiles.
    """

    origins: Mapping[Path, tuple[str, ...]]
    unjudged: tuple[str, ...] = ()


def why(
    context: Context,
    release: str,
    compiler: Compile,
    samples: Mapping[tuple[str, str], Any] | None = None,
    beside: Mapping[str, Compile] | None = None,
) -> Provenance:
    """Where every value of a release comes from.

    Parameters
    ----------
    context:
        What it was compiled from.
    release:
        Its name.
    compiler:
        Compiles releases, among them this one.
    samples:
        Node type and property to a value with an entry, for lists and maps that have none (:mod:`cantiere.values.samples`).
    beside:
        Name of a fact that is not of the context (what a site says of the release) to a compile without it; a value that differs then
        comes from there alone.

    Raises
    ------
    KeyError
        There is no such release.
    """
    found = _find(compiler(context), release)
    if found is None:
        raise KeyError(release)
    base = dict(leaves(found.values))
    origins: dict[Path, list[str]] = {path: [] for path in base}
    unjudged = []
    for fact in facts(context, samples or {}):
        name = release.replace(*fact.renamed) if fact.renamed and fact.renamed[0] == found.node else release
        others = [_first(group, name, compiler, found.installed) for group in fact.others]
        if fact.others and all(other is None for other in others):
            unjudged.append(fact.origin)
        for path in {path for other in others if other for path in _differing(base, other)}:
            origins[path].append(fact.origin)
    said: dict[Path, list[str]] = {}
    for origin, without in (beside or {}).items():
        for path in _differing(base, _first((lambda: context,), release, without, False) or {}):
            said.setdefault(path, []).append(origin)
    origins |= said
    near = [origin for origin in unjudged if origin.partition(".")[0] in ("cluster", found.node)]
    plain = (UNKNOWN if near else CONSTANT,)
    final = {path: tuple(dict.fromkeys(names)) or plain for path, names in origins.items()}
    return Provenance(final, tuple(unjudged))


def _find(releases: Iterable[Release], name: str) -> Release | None:
    return next((release for release in releases if release.name == name), None)


def _first(group: Iterable[Callable[[], Context]], name: str, compiler: Compile, installed: bool) -> dict[Path, Any] | None:
    """A release's values in the first context of a group that compiles; None where none does.

    Empty where the release is not there, or (``installed``) would not be installed: that tells nothing of single values.
    """
    for other in group:
        try:
            found = _find(compiler(other()), name)
        except Exception:  # a value that cannot be: whatever a compiler says of it, the next one is tried
            continue
        return dict(leaves(found.values)) if found and (found.installed or not installed) else {}
    return None


def _differing(base: Mapping[Path, Any], other: Mapping[Path, Any]) -> Iterable[Path]:
    """Paths of the one compile whose values are others, or not there, in the other."""
    return [path for path, value in base.items() if path not in other or other[path] != value or type(other[path]) is not type(value)]
