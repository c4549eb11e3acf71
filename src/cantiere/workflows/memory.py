"""What workflows keep of a facility: the states and attributes of nodes, and what operations gave back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.model import Facility
from cantiere.state import write_atomic
from cantiere.workflows.model import Attribute, Condition, Given, Joined, Operation, Output

FILE = "workflows.json"
STATE = "state"
INITIAL = "initial"
"""State of a node that nothing was done with."""


class Memory:
    """The file of a site; outputs may be secret, so that its owner alone reads it.

    Parameters
    ----------
    folder:
        The site's state folder.
    facility:
        Whose properties are attributes too.
    """

    def __init__(self, folder: Path, facility: Facility) -> None:
        self.file, self.facility = folder / FILE, facility
        read = json.loads(self.file.read_text(encoding="utf-8")) if self.file.is_file() else {}
        self.attributes: dict[str, dict[str, Any]] = read.get("attributes", {})
        self.outputs: dict[str, dict[str, Any]] = read.get("outputs", {})

    def set(self, node: str, attribute: str, value: Any) -> None:
        """Keep the value of an attribute."""
        self.attributes.setdefault(node, {})[attribute] = value

    def took(self, operation: Operation, outputs: Mapping[str, Any]) -> None:
        """Keep what an operation gave back, and give it to the attributes that it is mapped to."""
        self.outputs[_key(operation.node, operation.interface, operation.name)] = dict(outputs)
        for name, (node, attribute) in operation.outputs.items():
            if name in outputs:
                self.set(node, attribute, outputs[name])

    def save(self) -> None:
        """Write all of it."""
        write_atomic(self.file, json.dumps({"attributes": self.attributes, "outputs": self.outputs}, indent=1))

    def attribute(self, node: str, name: str) -> Any:
        """The value of a node's attribute, else of its property; None where it has none."""
        if name in self.attributes.get(node, {}):
            return self.attributes[node][name]
        properties = next((one.properties for one in self.facility.nodes if one.name == node), {})
        return properties.get(name, INITIAL if name == STATE else None)

    def answers(self) -> dict[str, Any]:
        """The template's outputs that operations gave back, or that attributes have which operations were mapped to."""
        found = {}
        for output, asked in self.facility.late.items():
            if asked.function == "get_operation_output":
                interface, operation, name, *keys = asked.path
                value = self.outputs.get(_key(asked.node, interface, operation), {}).get(name)
            elif asked.function == "get_attribute":
                name, *keys = asked.path
                value = self.attributes.get(asked.node, {}).get(name)
            else:
                continue
            if output in self.facility.outputs and not keys:
                found[output] = value
        return found

    def value(self, expression: Any, inputs: Mapping[str, Any]) -> Any:
        """The value of an expression.

        Parameters
        ----------
        inputs:
            Values of the inputs of the workflow that it stands in.

        Raises
        ------
        CantiereError
            An operation that it asks was not called, or did not give that.
        """
        if isinstance(expression, Given):
            found = inputs.get(expression.name)
            for key in expression.keys:
                found = found.get(key) if isinstance(found, Mapping) else _entry(found, key)
            return found
        if isinstance(expression, Attribute):
            return self.attribute(expression.node, expression.name)
        if isinstance(expression, Output):
            key = _key(expression.node, expression.interface, expression.operation)
            if expression.name not in self.outputs.get(key, {}):
                message = f"{key} has not given {expression.name!r}"
                remedy = "call it in a step before, and let its script write NAME=VALUE into the file that CANTIERE_OUTPUTS names"
                raise CantiereError(Problem("workflow.output", message, remedy, path=key))
            return self.outputs[key][expression.name]
        if isinstance(expression, Joined):
            return _text(self.value(expression.between, inputs)).join(_text(self.value(part, inputs)) for part in expression.parts)
        if isinstance(expression, Mapping):
            return {name: self.value(item, inputs) for name, item in expression.items()}
        return [self.value(item, inputs) for item in expression] if isinstance(expression, list) else expression

    def unmet(self, condition: Condition) -> str:
        """What a condition misses, in words; empty where it holds."""
        if not condition.word:
            value = self.attribute(condition.node, condition.attribute)
            for clause in condition.clauses:
                try:
                    broken = "has no value" if value is None else clause.broken(value)
                except TypeError:
                    broken = "cannot be compared with that"
                if broken:
                    return f"{condition.attribute} of {condition.node} is {value!r}: it {broken}"
            return ""
        missed = [missing for part in condition.parts if (missing := self.unmet(part))]
        if condition.word == "or":
            return "; ".join(missed) if len(missed) == len(condition.parts) else ""
        if condition.word == "not":
            return "" if missed else "what must not hold does hold"
        return missed[0] if missed else ""


def _key(node: str, interface: str, operation: str) -> str:
    return f"{node}.{interface}.{operation}"


def _entry(value: Any, index: str | int) -> Any:
    there = isinstance(value, list) and isinstance(index, int) and 0 <= index < len(value)
    return value[index] if there else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
