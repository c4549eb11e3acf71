"""Node templates, and what fulfils their requirements."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Protocol

from cantiere.tosca import grammar
from cantiere.tosca.elements import Element, Map, Scalar
from cantiere.tosca.grammar import Grammar
from cantiere.tosca.problems import Mark, Problems, TooManyError, listed, quote
from cantiere.tosca.registry import Registry, Type

MAX_TEMPLATES = 5000
HOSTED_ON = "tosca.relationships.HostedOn"
_SELECTED = "taken from what exists, and cantiere knows of no nodes but those of the template"
_SUBSTITUTED = "replaced by another template, and cantiere compiles one alone"
_CREATED = "Remove the directive, so that the node is created; the site says which machines and clusters exist."
_WRITTEN = "Remove the directive, and write the nodes of the other template here."
_DIRECTIVES = {
    "select": (_SELECTED, _CREATED),
    "selectable": (_SELECTED, _CREATED),
    "substitute": (_SUBSTITUTED, _WRITTEN),
    "substitutable": (_SUBSTITUTED, _WRITTEN),
}


@dataclass(eq=False, slots=True)
class Template:
    """A node template.

    Parameters
    ----------
    name, mark, path:
        Its name, and where that is written.
    body:
        Its definition.
    type:
        Its type, or None where that is not known (and reported).
    index:
        Its number in the order written.
    """

    name: str
    mark: Mark
    path: str
    body: Map
    type: Type | None
    index: int

    @property
    def properties(self) -> Map | None:
        """The properties that it assigns."""
        element = self.body.entries.get("properties")
        return element if isinstance(element, Map) else None

    def capability(self, name: str) -> Map | None:
        """The properties that it assigns to one of its capabilities."""
        element = self.body.entries.get("capabilities")
        for key in (name, "properties"):
            element = element.entries.get(key) if isinstance(element, Map) else None
        return element if isinstance(element, Map) else None


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A requirement that is fulfilled.

    Parameters
    ----------
    requirement:
        Its name.
    target:
        Who fulfils it.
    capability:
        The target's capability that does, or an empty string where that is not known.
    relationship:
        The type of the relationship, where one is known.
    mark, path:
        Where the requirement is assigned, or the node template where it is not.
    """

    requirement: str
    target: Template
    capability: str
    relationship: Type | None
    mark: Mark
    path: str


class Matcher(Protocol):
    """Finds who fulfils the requirements of a template."""

    def match(self, template: Template) -> list[Link]:
        """All requirements of a template that are fulfilled, in the order written; the others are recorded."""


@dataclass(eq=False, slots=True)
class Topology:
    """All node templates of a service template.

    Parameters
    ----------
    registry, problems:
        The types, and where errors go.
    share:
        How many times the usual number of node templates there may be.
    """

    registry: Registry
    problems: Problems
    templates: dict[str, Template] = field(default_factory=dict)
    relationships: dict[str, Type | None] = field(default_factory=dict)
    share: float = 1.0
    matcher: Matcher | None = None
    _links: dict[Template, dict[str, list[Link]]] = field(default_factory=dict)

    def read(self, topology: Map, grammar_: Grammar) -> None:
        """Take the node templates of ``topology_template``."""
        for name, written, path in grammar_.maps(topology, "node_templates", "topology_template", "node template"):
            body = self._copied(written, topology.entries["node_templates"], path)
            grammar_.keywords(body, grammar.NODE_TEMPLATE, "node template", path)
            if "type" not in body.entries:
                self.problems.error("node.untyped", f"{quote(name.text)} has no type.", "Add 'type:' with a node type.", name, path)
            type_ = self.registry.reference("node_types", body, "type", path)
            self._directives(name, body, grammar_, path)
            if len(self.templates) >= MAX_TEMPLATES * self.share:
                message = f"There are more than {len(self.templates)} node templates."
                self.problems.error("node.many", message, "Write a smaller template.", name, path)
                raise TooManyError
            self.templates[name.text] = Template(name.text, name.mark, path, body, type_, len(self.templates))

        for name, body, path in grammar_.maps(topology, "relationship_templates", "topology_template", "relationship template"):
            grammar_.keywords(body, grammar.RELATIONSHIP_TEMPLATE, "relationship template", path)
            if "type" not in body.entries:
                self.problems.error("node.untyped", f"{quote(name.text)} has no type.", "Add 'type:'.", name, path)
            self.relationships[name.text] = self.registry.reference("relationship_types", body, "type", path)

    def _directives(self, name: Scalar, body: Map, grammar_: Grammar, path: str) -> None:
        """Record what a node template asks for beside being created."""
        filtered = "node_filter" in body.entries
        sequence = grammar_.sequence(body, "directives", path)
        for item in sequence.items if sequence else ():
            word = item.text if isinstance(item, Scalar) else ""
            where = f"{path}.directives"
            if word in _DIRECTIVES:
                what, remedy = _DIRECTIVES[word]
                filtered = False
                self.problems.error("node.unsupported", f"{quote(name.text)} is to be {what}.", remedy, item, where)
            elif word != "create":
                known = ("create", *_DIRECTIVES)
                remedy = self.problems.suggest(word, known, f"Use one of: {listed(known)}.")
                self.problems.error("node.directive", f"There is no directive {quote(word)}.", remedy, item, where)
        if filtered:
            message = "A node template that is created has no node filter."
            self.problems.error("node.unsupported", message, "Put it on a requirement.", body.keys["node_filter"], f"{path}.node_filter")

    def _copied(self, body: Map, others: Element, path: str) -> Map:
        """A node template with the keywords of the one that it copies, where it does not write them itself."""
        name = body.entries.get("copy")
        if not isinstance(name, Scalar):
            return body
        source = others.entries.get(name.text) if isinstance(others, Map) else None
        if not isinstance(source, Map) or "copy" in source.entries:
            remedy = "Name a node template that copies none itself."
            self.problems.error("node.copy", f"{quote(name.text)} cannot be copied.", remedy, name, f"{path}.copy")
            return body
        found = Map(body.mark)
        found.entries = {**source.entries, **body.entries}
        found.keys = {**source.keys, **body.keys}
        return found

    def links(self, template: Template) -> dict[str, list[Link]]:
        """Requirement name to what fulfils it."""
        found = self._links.get(template)
        if found is None:
            self._links[template] = found = {}
            for link in self.matcher.match(template) if self.matcher else ():
                found.setdefault(link.requirement, []).append(link)
        return found

    def host(self, template: Template) -> Template | None:
        """The node that a template is hosted on."""
        hosted = self.registry.find("relationship_types", HOSTED_ON)
        for links in self.links(template).values():
            for link in links:
                if hosted and link.relationship and link.relationship.derives(hosted):
                    return link.target
        return None

    def order(self) -> list[Template]:
        """All templates, each after those that it requires, else as written; cycles are recorded."""
        before = {
            template: {link.target for links in self.links(template).values() for link in links} for template in self.templates.values()
        }
        after: dict[Template, list[Template]] = {}
        for template, targets in before.items():
            for target in targets:
                after.setdefault(target, []).append(template)
        waits = {template: len(targets) for template, targets in before.items()}
        by_index = list(self.templates.values())
        ready = [template.index for template, count in waits.items() if count == 0]
        heapify(ready)
        ordered: list[Template] = []
        while ready:
            template = by_index[heappop(ready)]
            ordered.append(template)
            for follower in after.get(template, ()):
                waits[follower] -= 1
                if waits[follower] == 0:
                    heappush(ready, follower.index)
        if len(ordered) < len(by_index):
            self._cycle([template for template in by_index if waits[template]], before)
        return ordered

    def _cycle(self, waiting: list[Template], before: dict[Template, set[Template]]) -> None:
        """Record one cycle among templates that wait for each other."""
        left = set(waiting)
        trail: list[Template] = []
        seen: dict[Template, int] = {}
        at = waiting[0]
        while at not in seen:
            seen[at] = len(trail)
            trail.append(at)
            at = min(before[at] & left, key=lambda template: template.index)
        cycle = trail[seen[at] :]
        shown = cycle if len(cycle) <= 8 else cycle[:8]
        names = " → ".join([*(template.name for template in shown), "…" if len(cycle) > 8 else cycle[0].name])
        link = next(link for links in self.links(cycle[0]).values() for link in links if link.target is (cycle[1:] or cycle)[0])
        message = f"Node templates require each other: {names}."
        self.problems.error("requirement.cycle", message, "Remove one of these requirements.", link.mark, link.path)
