"""Add-ons: templates that name the ones they belong to in ``metadata.parents``, and are merged over them."""

from __future__ import annotations

from collections.abc import Sequence

from cantiere.indigo.dialect import Dialect, speaks
from cantiere.indigo.rewriting import rewrite
from cantiere.tosca.elements import Element, Map, Scalar, Seq
from cantiere.tosca.problems import Problems, quote

MERGED = ("inputs", "node_templates", "outputs")


def parents(root: Map) -> list[Scalar]:
    """The files that a template names as its parents, each with its place."""
    metadata = root.get("metadata")
    written = metadata.get("parents") if isinstance(metadata, Map) else None
    entries = written.items if isinstance(written, Seq) else [written]
    return [entry for entry in entries if isinstance(entry, Scalar) and isinstance(entry.value, str)]


def spoken(root: Map, older: Sequence[tuple[Scalar, Map]] | None, problems: Problems) -> Map:
    """A file as the dialect means it, if the template speaks one; an add-on is merged with what it belongs to.

    Parameters
    ----------
    root:
        The file's content.
    older:
        What the template belongs to, each with the place that names it; None for a file that it imports.
    problems:
        Where the dialect is known by everybody, and where notices go.
    """
    family = [*(parent for _, parent in older or ()), root]
    if older is not None and any(speaks(member) for member in family):
        problems.dialect = Dialect(problems)
    if problems.dialect is None:
        return root
    for name, _ in older or ():
        problems.tolerates("parent", quote(name.text), name, "metadata.parents")
    for member in family:
        rewrite(member, problems)
    return merge(family) if older else root


def merge(roots: Sequence[Map]) -> Map:
    """One template of several: entries of inputs, node templates and outputs of a later one replace those of the same name.

    Parameters
    ----------
    roots:
        The parents, then the template itself.
    """
    merged = _over(roots)
    topology = _over([part for root in roots if isinstance(part := root.get("topology_template"), Map)])
    for section in MERGED:
        parts = [part for root in roots if isinstance(part := _section(root, section), Map)]
        if parts:
            topology.entries[section] = _over(parts)
    merged.entries["topology_template"] = topology
    merged.keys.setdefault("topology_template", Scalar("topology_template", "topology_template", merged.mark))
    imports = Seq(merged.mark)
    imports.items = [item for root in roots if isinstance(written := root.get("imports"), Seq) for item in written.items]
    merged.entries["imports"] = imports
    merged.keys.setdefault("imports", Scalar("imports", "imports", merged.mark))
    return merged


def _section(root: Map, name: str) -> Element | None:
    topology = root.get("topology_template")
    return topology.get(name) if isinstance(topology, Map) else None


def _over(maps: Sequence[Map]) -> Map:
    """A mapping with the entries of all, those of later ones in place of those of earlier ones."""
    found = Map(maps[-1].mark)
    for part in maps:
        found.entries.update(part.entries)
        found.keys.update(part.keys)
    return found
