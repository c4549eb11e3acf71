"""Requirements: by node name, by node type, by capability type and by node filter."""

from __future__ import annotations

from dataclasses import dataclass

from cantiere.model import Condition
from cantiere.tosca import grammar
from cantiere.tosca.elements import Element, Map, Scalar, kind
from cantiere.tosca.filters import Filter, Filters
from cantiere.tosca.grammar import Grammar, empty, join
from cantiere.tosca.problems import Mark, Problems, listed, quote
from cantiere.tosca.registry import Registry, Type
from cantiere.tosca.schema import Definitions, Requirement
from cantiere.tosca.topology import Link, Template, Topology
from cantiere.tosca.values import Values

MAX_REASONS = 6
MAX_TRIED = 500
FILTERED = 4
"""Steps for asking a filter of a candidate."""
OUTSIDE = "cantiere.nodes.Machine"
"""The node type that is not declared in templates: a requirement for it is fulfilled by the site's provider."""


@dataclass(slots=True)
class _Wanted:
    """What one assignment asks for: the definition, narrowed by what is written."""

    definition: Requirement
    node: Type | None
    template: Template | None
    capability: Type | None
    capability_name: str
    relationship: Type | None
    filter: Filter | None
    mark: Mark
    path: str

    @classmethod
    def of(cls, definition: Requirement, mark: Mark, path: str) -> _Wanted:
        """What the definition alone asks for."""
        return cls(definition, definition.node, None, definition.capability, "", definition.relationship, None, mark, path)


class Requirements:
    """Finds who fulfils the requirements of a template."""

    def __init__(self, topology: Topology, definitions: Definitions, values: Values, problems: Problems) -> None:
        self.topology, self.definitions = topology, definitions
        self.registry: Registry = topology.registry
        self.values, self.problems = values, problems
        self.grammar = Grammar(problems)
        self.filters = Filters(definitions, values, problems)
        self.by_type: dict[Type | None, list[Template]] = {}
        self.outside: dict[Template, dict[str, tuple[Condition, ...]]] = {}

    def match(self, template: Template) -> list[Link]:
        """All requirements of a template that are fulfilled, in the order written; the others are recorded."""
        if template.type is None:
            return []
        if not self.by_type:
            for other in self.topology.templates.values():
                self.by_type.setdefault(other.type, []).append(other)
        if self._is_outside(template.type):
            message = f"{quote(template.name)} is a {template.type.name}: such a node comes from the site, not from the template."
            remedy = "Remove it, and ask for it with a requirement of a cantiere.nodes.MachinePool."
            self.problems.error("node.outside", message, remedy, template.mark, template.path)
        definitions = self.definitions.requirements(template.type)
        links: list[Link] = []
        counts: dict[str, int] = {}
        for name, element, path in self.grammar.listed(template.body, "requirements", template.path):
            definition = definitions.get(name.text)
            if definition is None:
                remedy = self.problems.suggest(name.text, definitions, f"It has: {listed(definitions)}.")
                message = f"A {template.type.name} has no requirement {quote(name.text)}."
                self.problems.error("requirement.unknown", message, remedy, name, path)
                continue
            counts[name.text] = counts.get(name.text, 0) + 1
            if definition.most is not None and counts[name.text] == definition.most + 1:
                message = f"{quote(name.text)} may be fulfilled at most {definition.most} times."
                self.problems.error("requirement.occurrences", message, "Remove one of them.", name, path)
            wanted = self._wanted(definition, name, element, path)
            if wanted is not None:
                self._narrow(wanted)
            if wanted is not None and wanted.template is None and self._is_outside(wanted.node):
                self._leave(template, wanted)
                continue
            link = self._fulfil(template, wanted) if wanted else None
            if link is not None:
                links.append(link)
        for definition in definitions.values():
            self._implicit(template, definition, counts.get(definition.name, 0), links)
        return links

    def _is_outside(self, type_: Type | None) -> bool:
        asked = self.registry.find("node_types", OUTSIDE)
        return type_ is not None and asked is not None and type_.derives(asked)

    def _leave(self, template: Template, wanted: _Wanted) -> None:
        """Leave a requirement to the site's provider, with what its filter asks for."""
        assert wanted.node is not None
        asked = self.filters.conditions(wanted.filter, wanted.node, template) if wanted.filter else ()
        if asked is not None:
            self.outside.setdefault(template, {})[wanted.definition.name] = asked

    def _narrow(self, wanted: _Wanted) -> None:
        """Add the node filter of the requirement's definition to that of its assignment."""
        body = wanted.definition.filter
        defined = self.filters.read(body, f"{wanted.path}.node_filter") if body else None
        if defined is not None:
            own = wanted.filter or Filter((), ())
            wanted.filter = Filter((*defined.conditions, *own.conditions), (*defined.capabilities, *own.capabilities))

    def _implicit(self, template: Template, definition: Requirement, count: int, links: list[Link]) -> None:
        """Fulfil a requirement that is needed and not assigned, where there is only one who can."""
        if count >= definition.least:
            return
        path = join(template.path, f"requirements.{definition.name}")
        if count or definition.least > 1:
            message = (
                f"{quote(template.name)} needs the requirement {quote(definition.name)} at least {definition.least} times, not {count}."
            )
            self.problems.error("requirement.occurrences", message, f"Add '- {definition.name}: …' lines.", template.mark, path)
            return
        wanted = _Wanted.of(definition, template.mark, path)
        self._narrow(wanted)
        link = self._fulfil(template, wanted)
        if link is not None:
            links.append(link)

    def _wanted(self, definition: Requirement, name: Scalar, element: Element, path: str) -> _Wanted | None:
        """What an assignment asks for; None where it cannot be read, which is recorded."""
        wanted = _Wanted.of(definition, name.mark, path)
        if isinstance(element, Scalar) and not empty(element):
            wanted.mark = element.mark
            return wanted if self._target(wanted, element, path) else None
        if not isinstance(element, Map):
            message = f"A requirement names a node template, not {kind(element)}."
            self.grammar.wrong(name if empty(element) else element, message, "Write '- name: node'.", path)
            return None
        self.grammar.keywords(element, grammar.REQUIREMENT_ASSIGNMENT, "requirement", path)
        self.grammar.occurrences(element, path, (1, 1))
        node = self.grammar.text(element, "node", path)
        good = node is None or self._target(wanted, node, f"{path}.node")
        good = self._capability(wanted, element, path) and good
        good = self._relationship(wanted, element, path) and good
        if "node_filter" in element.entries:
            body = self.grammar.mapping(element, "node_filter", path)
            wanted.filter = self.filters.read(body, f"{path}.node_filter") if body else None
            good = good and wanted.filter is not None
        return wanted if good else None

    def _target(self, wanted: _Wanted, node: Scalar, path: str) -> bool:
        """Read the name of a node template or node type."""
        wanted.mark = node.mark
        wanted.template = self.topology.templates.get(node.text)
        if wanted.template is not None:
            return True
        wanted.node = self.registry.find("node_types", node)
        if wanted.node is not None:
            return True
        candidates = [*self.topology.templates, *self.registry.types["node_types"]]
        otherwise = f"Name one of: {listed(self.topology.templates)}."
        remedy = self.registry.hidden("node_types", node) or self.problems.suggest(node.text, candidates, otherwise)
        self.problems.error("requirement.node", f"There is no node template or node type {quote(node.text)}.", remedy, node, path)
        return False

    def _capability(self, wanted: _Wanted, element: Map, path: str) -> bool:
        written = self.grammar.text(element, "capability", path)
        if written is None:
            return "capability" not in element.entries
        found = self.registry.find("capability_types", written)
        if found is not None:
            wanted.capability = found
            return True
        types = [wanted.template.type] if wanted.template and wanted.template.type else [wanted.node] if wanted.node else []
        names = [name for type_ in types for name in self.definitions.capabilities(type_)]
        if written.text in names or (not types and "." not in written.text):
            wanted.capability_name = written.text
            return True
        candidates = [*names, *self.registry.types["capability_types"]]
        otherwise = "Name a capability type, or a capability of the target."
        remedy = self.registry.hidden("capability_types", written) or self.problems.suggest(written.text, candidates, otherwise)
        self.problems.error(
            "requirement.capability", f"There is no capability {quote(written.text)}.", remedy, written, f"{path}.capability"
        )
        return False

    def _relationship(self, wanted: _Wanted, element: Map, path: str) -> bool:
        written = element.get("relationship")
        where = f"{path}.relationship"
        if isinstance(written, Map):
            self.grammar.keywords(written, grammar.RELATIONSHIP_ASSIGNMENT, "relationship", where)
            found = self.registry.reference("relationship_types", written, "type", where)
            wanted.relationship = found or wanted.relationship
            return found is not None or "type" not in written.entries
        word = self.grammar.text(element, "relationship", path)
        if word is None:
            return written is None
        found = self.registry.find("relationship_types", word) or self.topology.relationships.get(word.text)
        if found is None:
            self.registry.unknown("relationship_types", word, where)
        wanted.relationship = found or wanted.relationship
        return found is not None

    def _fulfil(self, template: Template, wanted: _Wanted) -> Link | None:
        """The one who fulfils a requirement; none or several are recorded."""
        name = wanted.definition.name
        if wanted.template is not None:
            target = wanted.template
            if target.type is None:
                return None
            capability, reason = self._suits(template, target.type, wanted)
            reason = reason or self._filtered(template, target, wanted)
            refused = f"{quote(target.name)} cannot be the {quote(name)} of {quote(template.name)}: {reason}"
            if reason and not self.problems.tolerates("mismatch", refused, wanted.mark, wanted.path):
                message = f"{refused}."
                remedy = self._remedy(template, wanted)
                self.problems.error("requirement.mismatch", message, remedy, wanted.mark, wanted.path)
                return None
            return Link(name, target, capability, wanted.relationship, wanted.mark, wanted.path)
        suitable = self._candidates(template, wanted)
        if len(suitable) == 1:
            target, capability = suitable[0]
            return Link(name, target, capability, wanted.relationship, wanted.mark, wanted.path)
        if None in self.by_type:
            return None
        if suitable:
            names = listed([target.name for target, _ in suitable])
            message = f"Several node templates can be the {quote(name)} of {quote(template.name)}: {names}."
            self.problems.error("requirement.ambiguous", message, f"Name one: '- {name}: {suitable[0][0].name}'.", wanted.mark, wanted.path)
            return None
        tried = "; ".join(self._nearest(template, wanted)) or "there is no other node template"
        message = f"No node template can be the {quote(name)} of {quote(template.name)}: {tried}."
        what = wanted.capability.name if wanted.capability else wanted.node.name if wanted.node else "node"
        self.problems.error("requirement.unfulfilled", message, f"Add a node template that offers {what}.", wanted.mark, wanted.path)
        return None

    def _remedy(self, template: Template, wanted: _Wanted) -> str:
        """Who could be named in place of one that does not fit."""
        suitable = self._candidates(template, wanted)
        if suitable:
            return f"Name one of: {listed([target.name for target, _ in suitable])}."
        return "Add a node template that fulfils it."

    def _candidates(self, template: Template, wanted: _Wanted) -> list[tuple[Template, str]]:
        """Who fulfils a requirement, with the capability."""
        suitable: list[tuple[Template, str]] = []
        for type_, templates in self.by_type.items():
            self.values.spend()
            capability, reason = self._suits(template, type_, wanted) if type_ else ("", "its type is not known")
            if type_ is None or reason:
                continue
            possible = self.filters.possible(wanted.filter, type_, templates, template) if wanted.filter else templates
            for target in possible:
                self.values.spend(FILTERED if wanted.filter else 1)
                if target is not template and not self._unmet(template, target, wanted):
                    suitable.append((target, capability))
        suitable.sort(key=lambda pair: pair[0].index)
        return suitable

    def _nearest(self, template: Template, wanted: _Wanted) -> list[str]:
        """Why nobody fulfils a requirement: those first of whom least is missing."""
        unmet: list[tuple[int, int, str]] = []
        others: list[str] = []
        for type_, templates in self.by_type.items():
            _, reason = self._suits(template, type_, wanted) if type_ else ("", "")
            if type_ is None or (reason and len(others) >= MAX_REASONS):
                continue
            if reason:
                more = f" and {len(templates) - 3} more" if len(templates) > 3 else ""
                others.append(f"{listed([entry.name for entry in templates[:3]])}{more}: {reason}")
                continue
            for target in templates[: MAX_TRIED - len(unmet)]:
                self.values.spend(FILTERED)
                missing = self._unmet(template, target, wanted) if target is not template else ()
                if missing:
                    unmet.append((len(missing), target.index, f"{target.name}: {' and '.join(missing)}"))
        return [*(text for _, _, text in sorted(unmet)), *others][:MAX_REASONS]

    def _suits(self, template: Template, type_: Type, wanted: _Wanted) -> tuple[str, str]:
        """The capability of a node type that fulfils a requirement, and else why none does."""
        assert template.type is not None
        for asked in (wanted.definition.node, wanted.node):
            if asked is not None and not type_.derives(asked):
                return "", f"its type {type_.name} does not derive from {asked.name}"
        capabilities = self.definitions.capabilities(type_)
        asked = wanted.capability
        found = [
            capability
            for capability in capabilities.values()
            if (not wanted.capability_name or capability.name == wanted.capability_name)
            and (asked is None or (capability.type is not None and capability.type.derives(asked)))
        ]
        if not found:
            return "", f"it has no capability {wanted.capability_name or (asked.name if asked else '')}"
        open_to = [entry for entry in found if not entry.sources or any(template.type.derives(source) for source in entry.sources)]
        if not open_to:
            sources = listed([source.name for source in found[0].sources])
            return "", f"its capability {found[0].name} is only for {sources}"
        targets = self.definitions.targets(wanted.relationship) if wanted.relationship else []
        for entry in open_to:
            if not targets or any(type_.derives(target) or (entry.type and entry.type.derives(target)) for target in targets):
                return entry.name, ""
        assert wanted.relationship is not None
        return "", f"a {wanted.relationship.name} points at {listed([target.name for target in targets])} only"

    def _filtered(self, template: Template, target: Template, wanted: _Wanted) -> str:
        """Why a node filter leaves a template out; empty where it does not."""
        return " and ".join(self._unmet(template, target, wanted))

    def _unmet(self, template: Template, target: Template, wanted: _Wanted) -> list[str]:
        """What a node filter misses in a template."""
        return self.filters.unmet(wanted.filter, target, template) if wanted.filter else []
