"""Node filters: constraints on the properties of a candidate and of its capabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cantiere import model
from cantiere.tosca import grammar
from cantiere.tosca.constraints import OPERATORS, Constraint, Constraints
from cantiere.tosca.elements import Element, Map, Scalar, Seq, kind
from cantiere.tosca.functions import Scope
from cantiere.tosca.grammar import Grammar
from cantiere.tosca.problems import Problems, TooManyError, listed, locate, quote
from cantiere.tosca.registry import Type
from cantiere.tosca.schema import Capability, Definitions, Schema
from cantiere.tosca.topology import Template
from cantiere.tosca.values import Values, Void, call


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """What one property has to fulfil."""

    capability: str
    property: Scalar
    clauses: Element
    path: str


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    """A node filter: conditions, and capabilities that a candidate must have."""

    conditions: tuple[Condition, ...]
    capabilities: tuple[Scalar, ...]


class Filters:
    """Reads node filters and asks them of candidates."""

    def __init__(self, definitions: Definitions, values: Values, problems: Problems) -> None:
        self.definitions, self.values, self.problems = definitions, values, problems
        self.grammar = Grammar(problems)

    def read(self, body: Map, path: str) -> Filter | None:
        """A node filter; None where it is none, which is recorded."""
        before = len(self.problems.errors)
        self.grammar.keywords(body, grammar.NODE_FILTER, "node filter", path)
        conditions = self._conditions(body, "", path)
        capabilities: list[Scalar] = []
        for name, element, where in self.grammar.listed(body, "capabilities", path):
            capabilities.append(name)
            if not isinstance(element, Map):
                self.grammar.wrong(element, f"A capability filter is a mapping, not {kind(element)}.", "Write 'properties:' in it.", where)
                continue
            self.grammar.keywords(element, ("properties",), "capability filter", where)
            conditions += self._conditions(element, name.text, where)
        return None if len(self.problems.errors) > before else Filter(tuple(conditions), tuple(capabilities))

    def _conditions(self, body: Map, capability: str, path: str) -> list[Condition]:
        return [Condition(capability, name, clauses, where) for name, clauses, where in self.grammar.listed(body, "properties", path)]

    def reason(self, filter_: Filter, target: Template, source: Template) -> str:
        """Why a candidate is left out; empty where it is not.

        Parameters
        ----------
        filter_:
            The filter.
        target:
            The candidate.
        source:
            Whose requirement it is: functions in the filter are read there.
        """
        for name in filter_.capabilities:
            if self._holder(target, name.text) is None:
                return f"it has no capability {name.text}"
        for condition in filter_.conditions:
            if reason := self._unmet(condition, target, source):
                return reason
        return ""

    def conditions(self, filter_: Filter, type_: Type, source: Template) -> tuple[model.Condition, ...] | None:
        """What a filter asks of a candidate that is not in the template; None where it cannot be asked, which is recorded.

        Parameters
        ----------
        filter_:
            The filter.
        type_:
            The candidate's node type.
        source:
            Whose requirement it is.
        """
        before = len(self.problems.errors)
        for name in filter_.capabilities:
            if self._capability(type_, name.text) is None:
                remedy = self.problems.suggest(name.text, known := self.definitions.capabilities(type_), f"It has: {listed(known)}.")
                self.problems.error("filter.capability", f"A {type_.name} has no capability {quote(name.text)}.", remedy, name)
        found = []
        for condition in filter_.conditions:
            capability = self._capability(type_, condition.capability) if condition.capability else None
            if condition.capability and capability is None:
                continue
            known_here = capability.properties if capability else self.definitions.properties(type_)
            name, what = condition.property, capability.name if capability else ""
            schema = known_here.get(name.text)
            if schema is None:
                remedy = self.problems.suggest(name.text, known_here, f"It has: {listed(known_here)}.")
                message = f"A {type_.name} has no property {quote(f'{what}.{name.text}' if what else name.text)}."
                self.problems.error("filter.property", message, remedy, name, condition.path)
                continue
            clauses = tuple(_told(clause) for clause in self._clauses(condition, schema, source) if clause is not None)
            found.append(model.Condition(what, name.text, clauses, locate(name.mark)))
        return tuple(found) if len(self.problems.errors) == before else None

    def _capability(self, type_: Type, name: str) -> Capability | None:
        """The capability of a node type by its name, or by the name of its type."""
        capabilities = self.definitions.capabilities(type_)
        found = capabilities.get(name)
        asked = None if found else self.definitions.registry.find("capability_types", name)
        for entry in capabilities.values():
            if found is None and asked is not None and entry.type is not None and entry.type.derives(asked):
                found = entry
        return found

    def _holder(self, target: Template, capability: str) -> tuple[dict[str, Schema], Map | None] | None:
        """The properties of the target, or of its capability by name or type, and what is assigned to them."""
        assert target.type is not None
        if not capability:
            return self.definitions.properties(target.type), target.properties
        found = self._capability(target.type, capability)
        return (found.properties, target.capability(found.name)) if found else None

    def _unmet(self, condition: Condition, target: Template, source: Template) -> str:
        holder = self._holder(target, condition.capability)
        assert holder is not None
        schemas, written = holder
        name = condition.property.text
        shown = f"{condition.capability}.{name}" if condition.capability else name
        schema = schemas.get(name)
        if schema is None:
            return f"it has no property {shown}"
        quiet = self.values.problems
        scratch = Problems()
        self.values.problems = self.values.functions.problems = scratch
        try:
            element = written.entries.get(name) if written else None
            value = self.values.convert(element, schema, Scope(target), name) if element is not None else Void.ABSENT
            if value is Void.ABSENT and schema.default is not None:
                value = self.values.convert(schema.default, schema, None, name)
        except TooManyError:
            if self.values.steps < 0:
                raise
            value = Void.INVALID
        finally:
            self.values.problems = self.values.functions.problems = quiet
        if isinstance(value, Void):
            return f"its {shown} is {value.value}"
        return self._compare(condition, schema, value, shown, source)

    def _compare(self, condition: Condition, schema: Schema, value: object, shown: str, source: Template) -> str:
        for constraint in self._clauses(condition, schema, source):
            if constraint is None:
                return f"the filter on {shown} is not valid"
            if broken := constraint.broken(value):
                return f"its {shown} {broken}"
        return ""

    def _clauses(self, condition: Condition, schema: Schema, source: Template) -> Iterator[Constraint | None]:
        """The clauses of a condition one by one, each read when it is its turn; None for one that is not valid, which is recorded."""
        clauses = condition.clauses
        entries = clauses.items if isinstance(clauses, Seq) else [clauses]
        reader = Constraints(self.problems, lambda element, wanted, path: self._operand(element, wanted, path, source))
        reader.work = self.definitions.constraints.work
        for entry in entries:
            if not isinstance(entry, Map) or call(entry) or next(iter(entry.entries), "") not in OPERATORS:
                yield reader.equal(entry, schema, condition.path)
            else:
                yield reader.clause(entry, schema, condition.path)

    def _operand(self, element: Element, schema: Schema, path: str, source: Template) -> object:
        value = self.values.convert(element, schema, Scope(source), path, unconstrained=True)
        return None if isinstance(value, Void) else value


def _told(clause: Constraint) -> Constraint:
    """A clause that shows the value of its operand where that is written as a function."""
    return replace(clause, shown=str(clause.operand)) if clause.shown == "…" else clause
