"""From elements to typed values: property types, data types, constraints."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from cantiere.indigo.dialect import YES_NO
from cantiere.tosca import scalars
from cantiere.tosca.elements import Call, Element, Map, Scalar, Seq, kind
from cantiere.tosca.grammar import empty, join
from cantiere.tosca.problems import Place, Problems, TooManyError, listed, quote

if TYPE_CHECKING:
    from cantiere.tosca.functions import Functions, Scope, Trail
    from cantiere.tosca.schema import Definitions, Schema

MAX_DEPTH = 64
MAX_STEPS = 250_000

FUNCTIONS = (
    "get_input",
    "get_property",
    "get_attribute",
    "concat",
    "join",
    "token",
    "get_operation_output",
    "get_nodes_of_type",
    "get_artifact",
)
_PLAIN = frozenset(FUNCTIONS)


class Void(Enum):
    """What stands where there is no value."""

    INVALID = "reported as an error"
    UNKNOWN = "known only while the facility runs"
    ABSENT = "optional and not given"


def call(element: Element) -> str | None:
    """The function that an element calls, if it does."""
    if isinstance(element, Map) and len(element.entries) == 1:
        name = next(iter(element.entries))
        if name in _PLAIN:
            return name
        return name if name[:1] == "$" and isinstance(element.keys[name], Call) else None
    return None


def called(path: str) -> str:
    """What a sentence calls the value at a path."""
    parts = path.split(".")
    number = parts.pop() if len(parts) > 1 and parts[-1].isdecimal() else ""
    name = f"the default of {quote(parts[-2])}" if parts[-1] == "default" and len(parts) > 1 else quote(parts[-1])
    return f"Entry {number} of {name}" if number else name[0].upper() + name[1:]


class Values:
    """Converts elements to values and records what does not fit.

    Parameters
    ----------
    problems:
        Where errors go.
    share:
        How many times the usual work may be done.
    """

    definitions: Definitions
    functions: Functions

    def __init__(self, problems: Problems, share: float = 1.0) -> None:
        self.problems = self.all = problems
        self.steps = int(MAX_STEPS * share)

    def spend(self, steps: int = 1) -> None:
        """Count work.

        Raises
        ------
        TooManyError
            The template asks for more than it may.
        """
        self.steps -= steps
        if self.steps < 0:
            message = "The template's values and references expand to too much."
            self.all.error("document.expansion", message, "Write a smaller template.")
            raise TooManyError

    def operand(self, element: Element, schema: Schema, path: str) -> Any:
        """An operand of a constraint: a literal of the constrained type; None where it is not one."""
        value = self.convert(element, schema, None, path, unconstrained=True)
        return None if isinstance(value, Void) else value

    def convert(
        self,
        element: Element,
        schema: Schema,
        scope: Scope | None,
        path: str,
        trail: Trail = (),
        depth: int = 0,
        unconstrained: bool = False,
    ) -> Any:
        """The value of an element.

        Parameters
        ----------
        element:
            What is written.
        schema:
            What it has to be.
        scope:
            Where functions look things up; None for literals, in which nothing is a function.
        path:
            The value's path, for messages.
        trail:
            The function calls that led here.
        depth:
            How deep the value is nested.
        unconstrained:
            Whether constraints are left out.

        Returns
        -------
        Any
            The value, or a :class:`Void`.
        """
        self.spend()
        if scope is not None and self._calls(element, schema):
            found, scope, trail = self.functions.follow(element, scope, path, trail, schema)
            if isinstance(found, Void):
                return self.functions.late.take(element, schema, path, trail) if found is Void.UNKNOWN else found
            element = found
        if depth >= MAX_DEPTH:
            return self.wrong(element, f"The value is nested more than {MAX_DEPTH} deep.", "Nest less.", path)
        if empty(element) and schema.base != "any":
            return self.wrong(element, "There is no value.", f"Write a value of type {schema.title}, or remove the line.", path)
        base = schema.base
        if base in ("list", "map"):
            value = self._collection(element, schema, scope, path, trail, depth)
        elif base == "complex":
            value = self._complex(element, schema, scope, path, trail, depth)
        elif base == "any":
            return self._any(element, scope, path, trail, depth)
        elif base == "range":
            value = self._range(element, path)
        else:
            value = self._primitive(element, schema, path)
        if isinstance(value, Void) or unconstrained or not schema.constraints:
            return value
        return value if self.definitions.constraints.check(value, schema.constraints, element, called(path), path) else Void.INVALID

    def _calls(self, element: Element, schema: Schema) -> bool:
        """Whether an element is a call; a single entry ``token``, ``join`` or ``concat`` of a map or data type is one with a list alone."""
        name = call(element)
        if name is None or not isinstance(element, Map):
            return False
        return name not in ("token", "concat", "join") or schema.base not in ("map", "complex") or isinstance(element.entries[name], Seq)

    def wrong(self, element: Place, message: str, remedy: str, path: str) -> Void:
        """Record that a value has another type."""
        self.problems.error("property.type", message, remedy, element, path)
        return Void.INVALID

    def _primitive(self, element: Element, schema: Schema, path: str) -> Any:
        base = schema.base
        if not isinstance(element, Scalar):
            if isinstance(element, Map) and len(element.entries) == 1 and self._misspelt(next(iter(element.keys.values())), path):
                return Void.INVALID
            return self._mismatch(element, schema, path, "a single value")
        value, text = element.value, element.text
        if base == "string":
            return value if isinstance(value, str) else self._mismatch(element, schema, path, "it in quotes")
        if base == "integer":
            return value if type(value) is int else self._mismatch(element, schema, path, "a whole number")
        if base == "float":
            good = type(value) in (int, float) and value == value
            return value if good else self._mismatch(element, schema, path, "a number")
        if base == "boolean":
            if text.lower() in YES_NO and self.problems.tolerates("boolean", quote(text), element):
                return YES_NO[text.lower()]
            return value if isinstance(value, bool) else self._mismatch(element, schema, path, "true or false")
        if base == "version":
            return text if scalars.version(text) is not None else self._mismatch(element, schema, path, "a version such as 1.2.3")
        if base == "timestamp":
            good = scalars.timestamp(text) is not None
            return text if good else self._mismatch(element, schema, path, "a time such as 2001-12-14T21:59:43Z")
        if schema.scale is not None:
            count = schema.scale.read(text) if isinstance(value, str) else None
            names = listed(sorted(schema.scale.units, key=len), 9)
            hint = f"a {'whole number' if schema.scale.whole else 'number'} with a unit ({names}), such as 5 {schema.scale.canonical}"
            return self._mismatch(element, schema, path, hint) if count is None else count
        number = scalars.scalar(base, text) if isinstance(value, str) else None
        if number is None:
            hint = f"a number with a unit ({', '.join(scalars.units(base)[:9])}), such as {scalars.EXAMPLES[base]}"
            return self._mismatch(element, schema, path, hint)
        return number

    def _misspelt(self, name: Scalar, path: str) -> bool:
        """Whether a single entry where a single value is wanted looks like a call of a function; that is recorded."""
        remedy = self.problems.suggest(name.text, FUNCTIONS, f"The functions are: {', '.join(FUNCTIONS)}.")
        if name.text in FUNCTIONS or not (name.text.startswith("get_") or remedy.startswith("Did you mean")):
            return False
        self.problems.error("function.unknown", f"There is no function {quote(name.text)}.", remedy, name, path)
        return True

    def _mismatch(self, element: Element, schema: Schema, path: str, remedy: str) -> Void:
        return self.wrong(element, f"{called(path)} is of type {schema.title}, not {kind(element)}.", f"Write {remedy}.", path)

    def _range(self, element: Element, path: str) -> Any:
        if isinstance(element, Seq) and len(element.items) == 2:
            low, high = (item.value if isinstance(item, Scalar) else None for item in element.items)
            if type(low) is int and (high == "UNBOUNDED" or (type(high) is int and low <= high)):
                return [low, high]
        return self.wrong(element, "A range is a lower and an upper number.", "Write [1, 4] or [1, UNBOUNDED].", path)

    def _collection(self, element: Element, schema: Schema, scope: Scope | None, path: str, trail: Trail, depth: int) -> Any:
        wanted = Seq if schema.base == "list" else Map
        if not isinstance(element, wanted):
            return self._mismatch(element, schema, path, "'[one, other]'" if wanted is Seq else "'{name: value}'")
        if schema.entry is None and schema.key is None:
            return self._any(element, scope, path, trail, depth)
        good = True
        entries: list[tuple[Any, Element]] = []
        if isinstance(element, Seq):
            entries = list(enumerate(element.items))
        elif isinstance(element, Map):
            for key, item in element.items():
                name = key.text if schema.key is None else self.convert(key, schema.key, None, join(path, key.text), (), depth + 1)
                good = good and not isinstance(name, Void)
                entries.append((key.text if isinstance(name, Void) else name, item))
        found: dict[Any, Any] = {}
        for name, item in entries:
            where = f"{path}.{name}"
            if schema.entry is None:
                value = self._any(item, scope, where, trail, depth + 1)
            else:
                value = self.convert(item, schema.entry, scope, where, trail, depth + 1)
            found[name] = self._inner(value, item, where)
            good = good and not isinstance(found[name], Void)
        if not good:
            return Void.INVALID
        return list(found.values()) if isinstance(element, Seq) else found

    def _inner(self, value: Any, element: Element, path: str) -> Any:
        """A value inside another: what only the running facility knows is None, and nothing may be absent."""
        if value is Void.UNKNOWN:
            return None
        if value is Void.ABSENT:
            self.problems.error("function.absent", "What is referred to has no value.", "Give it a value or a default.", element, path)
            return Void.INVALID
        return value

    def _complex(self, element: Element, schema: Schema, scope: Scope | None, path: str, trail: Trail, depth: int) -> Any:
        assert schema.data is not None
        schemas = self.definitions.properties(schema.data)
        if not isinstance(element, Map):
            return self._mismatch(element, schema, path, f"a mapping with {listed(schemas)}")
        if not schemas:
            return self._any(element, scope, path, trail, depth)
        return self.assign(element, schemas, scope, path, element, f"A {schema.data.name}", trail, depth + 1)

    def assign(
        self,
        written: Map | None,
        schemas: dict[str, Schema],
        scope: Scope | None,
        path: str,
        owner: Place,
        what: str,
        trail: Trail = (),
        depth: int = 0,
    ) -> dict[str, Any] | Void:
        """The values of all properties, defaults applied.

        Parameters
        ----------
        written:
            What the template assigns.
        schemas:
            The properties that there are.
        scope, trail, depth:
            As in :meth:`convert`.
        path:
            The path of the assignments.
        owner:
            The place that a missing property is reported at.
        what:
            What has these properties, at the beginning of a sentence.

        Returns
        -------
        dict or Void
            Property to value; optional properties without a value are left out. ``Void.INVALID`` where any is wrong.
        """
        good = True
        for key in written.keys.values() if written else ():
            if key.text not in schemas:
                remedy = self.problems.suggest(key.text, schemas, f"It has: {listed(schemas, 20)}.")
                self.problems.error("property.unknown", f"{what} has no property {quote(key.text)}.", remedy, key, join(path, key.text))
                good = False
        found: dict[str, Any] = {}
        for name, schema in schemas.items():
            where = join(path, name)
            element = written.entries.get(name) if written else None
            value: Any = Void.ABSENT
            if element is not None:
                value = self.convert(element, schema, scope, where, trail, depth)
            if value is Void.ABSENT and schema.default is not None:
                value = self.convert(schema.default, schema, None, where, (), depth)
            if value is Void.ABSENT:
                if schema.required:
                    good = False
                    message = f"{what} needs the property {quote(name)}."
                    self.problems.error(
                        "property.missing", message, f"Add '{name}:' with a value of type {schema.title}.", element or owner, where
                    )
                continue
            good = good and value is not Void.INVALID
            found[name] = None if value is Void.UNKNOWN else value
        return found if good else Void.INVALID

    def _any(self, element: Element, scope: Scope | None, path: str, trail: Trail, depth: int) -> Any:
        """The value of an element whose type nobody declares."""
        self.spend()
        if scope is not None and call(element) is not None:
            found, scope, trail = self.functions.follow(element, scope, path, trail)
            if isinstance(found, Void):
                return self.functions.late.take(element, None, path, trail) if found is Void.UNKNOWN else found
            element = found
        if depth >= MAX_DEPTH:
            return self.wrong(element, f"The value is nested more than {MAX_DEPTH} deep.", "Nest less.", path)
        if isinstance(element, Scalar):
            return element.value
        if isinstance(element, Map):
            pairs = {name: self._within(item, scope, join(path, name), trail, depth) for name, item in element.entries.items()}
            return Void.INVALID if any(value is Void.INVALID for value in pairs.values()) else pairs
        values = [self._within(item, scope, f"{path}.{number}", trail, depth) for number, item in enumerate(element.items)]
        return Void.INVALID if any(value is Void.INVALID for value in values) else values

    def _within(self, item: Element, scope: Scope | None, path: str, trail: Trail, depth: int) -> Any:
        return self._inner(self._any(item, scope, path, trail, depth + 1), item, path)

    def untyped(self, element: Element, scope: Scope | None, path: str, trail: Trail = (), depth: int = 0) -> Any:
        """The value of an element without a schema, such as an output's; it may be a :class:`Void`."""
        return self._any(element, scope, path, trail, depth)
