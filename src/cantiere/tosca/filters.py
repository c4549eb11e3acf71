"""Node filters: constraints on the properties of a candidate and of its capabilities."""

from __future__ import annotations

from dataclasses import dataclass

from cantiere.tosca import grammar
from cantiere.tosca.constraints import OPERATORS, Constraints
from cantiere.tosca.elements import Element, Map, Scalar, Seq, kind
from cantiere.tosca.functions import Scope
from cantiere.tosca.grammar import Grammar
from cantiere.tosca.problems import Problems, TooManyError
from cantiere.tosca.schema import Definitions, Schema
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
    capabilities: tuple[str, ...]


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
        capabilities: list[str] = []
        for name, element, where in self.grammar.listed(body, "capabilities", path):
            capabilities.append(name.text)
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
            if self._holder(target, name) is None:
                return f"it has no capability {name}"
        for condition in filter_.conditions:
            if reason := self._unmet(condition, target, source):
                return reason
        return ""

    def _holder(self, target: Template, capability: str) -> tuple[dict[str, Schema], Map | None] | None:
        """The properties of the target, or of its capability by name or type, and what is assigned to them."""
        assert target.type is not None
        if not capability:
            return self.definitions.properties(target.type), target.properties
        capabilities = self.definitions.capabilities(target.type)
        found = capabilities.get(capability)
        asked = None if found else self.definitions.registry.find("capability_types", capability)
        for entry in capabilities.values():
            if found is None and asked is not None and entry.type is not None and entry.type.derives(asked):
                found = entry
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
        clauses = condition.clauses
        entries = clauses.items if isinstance(clauses, Seq) else [clauses]
        reader = Constraints(self.problems, lambda element, wanted, path: self._operand(element, wanted, path, source))
        reader.work = self.definitions.constraints.work
        for entry in entries:
            if not isinstance(entry, Map) or call(entry) or next(iter(entry.entries), "") not in OPERATORS:
                constraint = reader.equal(entry, schema, condition.path)
            else:
                constraint = reader.clause(entry, schema, condition.path)
            if constraint is None:
                return f"the filter on {shown} is not valid"
            if broken := constraint.broken(value):
                return f"its {shown} {broken}"
        return ""

    def _operand(self, element: Element, schema: Schema, path: str, source: Template) -> object:
        value = self.values.convert(element, schema, Scope(source), path, unconstrained=True)
        return None if isinstance(value, Void) else value
