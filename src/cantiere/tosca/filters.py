"""Node filters: constraints on the properties of a candidate and of its capabilities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cantiere import model
from cantiere.tosca import grammar
from cantiere.tosca.constraints import OPERATORS, ORDERED, Constraint, Constraints, comparable
from cantiere.tosca.elements import Element, Map, Scalar, Seq, kind
from cantiere.tosca.functions import Scope
from cantiere.tosca.grammar import Grammar
from cantiere.tosca.problems import Problems, TooManyError, listed, locate, quote
from cantiere.tosca.registry import Type
from cantiere.tosca.schema import Capability, Definitions, Schema
from cantiere.tosca.topology import Template
from cantiere.tosca.values import Values, Void, call

_INDEXED = ORDERED | {"boolean"}
_UNSURE = Void.UNKNOWN


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
        self._known: dict[tuple[Template, str, str], Any] = {}
        self._tables: dict[tuple[Type, str, str], dict[Any, list[Template]]] = {}
        self._read: dict[tuple[Condition, Schema], tuple[Constraint | None, ...]] = {}

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

    def possible(self, filter_: Filter, type_: Type, templates: list[Template], source: Template) -> list[Template]:
        """Those of a type's templates that a filter may let through: a condition of equality finds them by their value.

        Parameters
        ----------
        filter_:
            The filter.
        type_:
            A node type.
        templates:
            All templates of exactly that type.
        source:
            Whose requirement it is.
        """
        for condition in filter_.conditions:
            schema = self._schemas(type_, condition.capability).get(condition.property.text)
            for clause in self._clauses(condition, schema, source) if schema else ():
                if clause is not None and clause.operator == "equal" and schema and schema.base in _INDEXED:
                    table = self._table(condition, type_, templates)
                    return sorted([*table.get(clause.operand, ()), *table.get(_UNSURE, ())], key=lambda template: template.index)
        return templates

    def _table(self, condition: Condition, type_: Type, templates: list[Template]) -> dict[Any, list[Template]]:
        """The templates of a type by the value of a property."""
        key = (type_, condition.capability, condition.property.text)
        table = self._tables.get(key)
        if table is None:
            self._tables[key] = table = {}
            for template in templates:
                self.values.spend()
                schemas, written = self._holder(template, condition.capability)
                schema = schemas[condition.property.text]
                element = written.entries.get(condition.property.text) if written else None
                value = self._value(condition, schema, template) if _is_settled(element) else _UNSURE
                table.setdefault(value if isinstance(value, Void) else comparable(schema.base, value), []).append(template)
        return table

    def unmet(self, filter_: Filter, target: Template, source: Template) -> list[str]:
        """What a filter misses in a candidate; empty where it lets it through.

        Parameters
        ----------
        filter_:
            The filter.
        target:
            The candidate.
        source:
            Whose requirement it is: functions in the filter are read there.
        """
        assert target.type is not None
        missing = [name.text for name in filter_.capabilities if self._capability(target.type, name.text) is None]
        reasons = [f"it has no capability {name}" for name in missing]
        reasons += [self._unmet(entry, target, source) for entry in filter_.conditions if entry.capability not in missing]
        return [reason for reason in reasons if reason]

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

    def _schemas(self, type_: Type, capability: str) -> dict[str, Schema]:
        """The properties of a node type, or of its capability by name or type."""
        if not capability:
            return self.definitions.properties(type_)
        found = self._capability(type_, capability)
        return found.properties if found else {}

    def _holder(self, target: Template, capability: str) -> tuple[dict[str, Schema], Map | None]:
        """The properties of the target, or of its capability by name or type, and what is assigned to them."""
        assert target.type is not None
        if not capability:
            return self.definitions.properties(target.type), target.properties
        found = self._capability(target.type, capability)
        return (found.properties, target.capability(found.name)) if found else ({}, None)

    def _unmet(self, condition: Condition, target: Template, source: Template) -> str:
        """What one condition misses in a candidate; empty where nothing."""
        assert target.type is not None
        name = condition.property.text
        shown = f"{condition.capability}.{name}" if condition.capability else name
        schema = self._schemas(target.type, condition.capability).get(name)
        if schema is None:
            return f"it has no property {shown}"
        clauses = self._clauses(condition, schema, source)
        if None in clauses:
            return f"the filter on {shown} is not valid"
        value = self._value(condition, schema, target)
        if isinstance(value, Void):
            return f"its {shown} is {value.value}"
        return next((f"its {shown} {broken}" for clause in clauses if clause and (broken := clause.broken(value))), "")

    def _value(self, condition: Condition, schema: Schema, target: Template) -> Any:
        """The value of a candidate's property; one that is written as a single value is remembered."""
        key = (target, condition.capability, condition.property.text)
        if key in self._known:
            return self._known[key]
        name = condition.property.text
        _, written = self._holder(target, condition.capability)
        element = written.entries.get(name) if written else None
        quiet = self.values.problems
        self.values.problems = self.values.functions.problems = Problems()
        try:
            value = self.values.convert(element, schema, Scope(target), name) if element is not None else Void.ABSENT
            if value is Void.ABSENT and schema.default is not None:
                value = self.values.convert(schema.default, schema, None, name)
        except TooManyError:
            if self.values.steps < 0:
                raise
            value = Void.INVALID
        finally:
            self.values.problems = self.values.functions.problems = quiet
        if _is_settled(element):
            self._known[key] = value
        return value

    def _clauses(self, condition: Condition, schema: Schema, source: Template) -> tuple[Constraint | None, ...]:
        """The clauses of a condition for values of a schema; None for one that is not valid, which is recorded."""
        known = self._read.get((condition, schema))
        if known is None:
            clauses = condition.clauses
            reader = Constraints(self.problems, lambda element, wanted, path: self._operand(element, wanted, path, source))
            reader.work = self.definitions.constraints.work
            known = tuple(
                reader.clause(entry, schema, condition.path) if _is_clause(entry) else reader.equal(entry, schema, condition.path)
                for entry in (clauses.items if isinstance(clauses, Seq) else [clauses])
            )
            self._read[condition, schema] = known
        return known

    def _operand(self, element: Element, schema: Schema, path: str, source: Template) -> object:
        value = self.values.convert(element, schema, Scope(source), path, unconstrained=True)
        return None if isinstance(value, Void) else value


def _is_settled(element: Element | None) -> bool:
    """Whether a property's value does not hang on who fulfils a requirement."""
    return not isinstance(element, Map) or call(element) == "get_input"


def _is_clause(entry: Element) -> bool:
    """Whether an entry of a condition is a clause, and no value that stands for equality."""
    return isinstance(entry, Map) and not call(entry) and next(iter(entry.entries), "") in OPERATORS


def _told(clause: Constraint) -> Constraint:
    """A clause that shows the value of its operand where that is written as a function."""
    return replace(clause, shown=str(clause.operand)) if clause.shown == "…" else clause
