"""YAML with a position for every element, and limits that hold against hostile input.

Elements are built from the events of libyaml's parser (the pure Python parser where libyaml is absent). An alias is the very
element that its anchor names: no tree is ever copied. Plain scalars are read by the core schema of YAML 1.2.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from yaml import SafeLoader
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from cantiere.tosca.problems import OPTION, Mark, Problems, printable, quote

EventParser: Any
try:
    from yaml._yaml import CParser
except ImportError:
    EventParser = SafeLoader
else:
    EventParser = CParser

MAX_BYTES = 1 << 20
MAX_DEPTH = 48
MAX_ELEMENTS = 150_000
MAX_EXPANDED = 300_000
MAX_DIRECTIVES = 16

_WORDS: dict[str, bool | None] = {"": None, "~": None}
for _value, _names in ((None, ("null",)), (True, ("true",)), (False, ("false",))):
    for _name in _names:
        _WORDS.update({_name: _value, _name.capitalize(): _value, _name.upper(): _value})
_NUMERIC = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?[0-9]{1,64}")
_BASED = re.compile(r"0(?:o[0-7]{1,64}|x[0-9a-fA-F]{1,64})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,64}|[0-9]{1,64}(?:\.[0-9]{0,64})?)(?:[eE][-+]?[0-9]{1,4})?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
_TAG = "tag:yaml.org,2002:"


class Point(NamedTuple):
    """A mark that no parser made."""

    name: str
    line: int = 0
    column: int = 0


class Scalar:
    """A single value: its text as written, and what the core schema of YAML 1.2 makes of it."""

    __slots__ = ("mark", "text", "value")
    size = 1

    def __init__(self, text: str, value: str | int | float | bool | None, mark: Mark) -> None:
        self.text, self.value, self.mark = text, value, mark


class Map:
    """A mapping: its entries in the order written, and the scalars that are its keys."""

    __slots__ = ("entries", "keys", "mark", "size")

    def __init__(self, mark: Mark) -> None:
        self.entries: dict[str, Element] = {}
        self.keys: dict[str, Scalar] = {}
        self.mark = mark
        self.size = 1

    def get(self, key: str) -> Element | None:
        """The value under a key, or None."""
        return self.entries.get(key)

    def items(self) -> Iterator[tuple[Scalar, Element]]:
        """Keys with their values."""
        keys = self.keys
        return ((keys[name], value) for name, value in self.entries.items())


class Seq:
    """A sequence."""

    __slots__ = ("items", "mark", "size")

    def __init__(self, mark: Mark) -> None:
        self.items: list[Element] = []
        self.mark = mark
        self.size = 1


Element = Scalar | Map | Seq


@dataclass(slots=True)
class Budget:
    """What all documents of one load may use together."""

    elements: int = MAX_ELEMENTS
    expanded: int = MAX_EXPANDED


class _Refused(Exception):
    """Reading stops here; the problem is recorded."""


class _Stream(io.BytesIO):
    """Bytes with the name that marks shall show."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def kind(element: Element) -> str:
    """What an element is, in words."""
    if isinstance(element, Map):
        return "a mapping"
    if isinstance(element, Seq):
        return "a list"
    value = element.value
    if value is None:
        return "nothing"
    name = "a boolean" if isinstance(value, bool) else "a number" if isinstance(value, int | float) else "a string"
    return f"{name} ({quote(element.text)})"


def parse(data: bytes, name: str, problems: Problems, budget: Budget) -> Element | None:
    """Read one YAML document.

    Parameters
    ----------
    data:
        The file's content.
    name:
        The file's name as the user gave it.
    problems:
        Where errors go.
    budget:
        What is left of the limits.

    Returns
    -------
    Element or None
        The document's root; None where it is empty or cannot be read.
    """
    if len(data) > MAX_BYTES:
        problems.error("document.size", f"The document has more than {MAX_BYTES} bytes.", "Split it with imports.", Point(name))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        head = data[: error.start].decode("utf-8", "replace")
        problems.error("document.encoding", "The document is not UTF-8.", "Save the file as UTF-8.", _after(head, name))
        return None
    if found := _UNPRINTABLE.search(text):
        what = f"Character U+{ord(found[0]):04X} may not stand in YAML."
        problems.error(
            "document.character", what, "Remove it, or write it as an escape in double quotes.", _after(text[: found.start()], name)
        )
        return None
    if sum(1 for _ in zip(_DIRECTIVE.finditer(text), range(MAX_DIRECTIVES + 1), strict=False)) > MAX_DIRECTIVES:
        problems.error("document.directives", "The document has too many directives.", "Remove the lines that start with %.", Point(name))
        return None
    try:
        return _Builder(text, name, problems, budget).build()
    except _Refused:
        return None
    except (YAMLError, RecursionError) as error:
        _syntax(error, text, name, problems)
        return None


def _after(head: str, name: str) -> Point:
    """The place after a text."""
    return Point(name, head.count("\n"), len(head) - head.rfind("\n") - 1)


def _syntax(error: Exception, text: str, name: str, problems: Problems) -> None:
    """Record what the parser could not read."""
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if not isinstance(error, MarkedYAMLError) or mark is None:
        problems.error("document.syntax", "The document is not YAML.", "Correct it.", Point(name))
        return
    place = Point(name, mark.line, mark.column)
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    if line[mark.column : mark.column + 1] == "\t" or line[: len(line) - len(line.lstrip())].count("\t"):
        problems.error("document.tab", "A tab is used for indentation.", "Indent with spaces.", Point(name, mark.line, line.index("\t")))
        return
    what = ": ".join(str(part) for part in (error.context, error.problem) if part)
    problems.error("document.syntax", f"The document is not YAML: {what}.", "Correct the line, or the one before it.", place)


class _Builder:
    """Builds elements from the parser's events, without recursion."""

    def __init__(self, text: str, name: str, problems: Problems, budget: Budget) -> None:
        stream = _Stream(text.encode(), name)
        self.next = EventParser(stream).get_event
        self.name, self.problems, self.budget = name, problems, budget
        self.anchors: dict[str, Element] = {}
        self.open: list[Map | Seq] = []
        self.pending: list[Scalar | None] = []

    def refuse(self, code: str, message: str, remedy: str, mark: Mark) -> _Refused:
        """Record why reading stops."""
        self.problems.error(code, message, remedy, mark)
        return _Refused()

    def build(self) -> Element | None:
        """The root of the only document."""
        root: Element | None = None
        documents = 0
        while (event := self.next()) is not None:
            what = type(event)
            element: Element
            if what is ScalarEvent:
                element = _scalar(event, self.problems)
            elif what is MappingStartEvent or what is SequenceStartEvent:
                self._tag(event, "map" if what is MappingStartEvent else "seq")
                element = Map(event.start_mark) if what is MappingStartEvent else Seq(event.start_mark)
                if len(self.open) >= MAX_DEPTH:
                    message = f"Elements are nested more than {MAX_DEPTH} deep."
                    raise self.refuse("document.depth", message, "Nest less.", event.start_mark)
                self.open.append(element)
                self.pending.append(None)
                self._count(event)
                if event.anchor:
                    self.anchors[event.anchor] = element
                continue
            elif what is MappingEndEvent or what is SequenceEndEvent:
                element = self.open.pop()
                self.pending.pop()
            elif what is AliasEvent:
                element = self._alias(event)
            elif what is DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise self.refuse("document.several", "The file holds several documents.", "Keep one, up to '---'.", event.start_mark)
                continue
            else:
                continue
            if what is ScalarEvent:
                self._count(event)
                if event.anchor:
                    self.anchors[event.anchor] = element
            if not self.open:
                root = element
                continue
            self._place(element, event)
        if root is not None:
            self.budget.expanded -= root.size
        return root

    def _count(self, event: Any) -> None:
        self.budget.elements -= 1
        if self.budget.elements < 0:
            message = f"The template and its imports have more than {MAX_ELEMENTS} elements."
            raise self.refuse("document.elements", message, "Write a smaller template.", event.start_mark)

    def _alias(self, event: Any) -> Element:
        found = self.anchors.get(event.anchor)
        if found is None:
            message = f"There is no anchor {quote(event.anchor)} before this alias."
            raise self.refuse("document.alias", message, "Define the anchor first, or write the value.", event.start_mark)
        if any(found is element for element in self.open):
            message = f"The alias {quote(event.anchor)} stands inside the element that it names."
            raise self.refuse("document.alias", message, "Write the value itself.", event.start_mark)
        return found

    def _place(self, element: Element, event: Any) -> None:
        """Put a finished element where it belongs."""
        parent = self.open[-1]
        key = self.pending[-1]
        if isinstance(parent, Map) and key is None:
            if not isinstance(element, Scalar):
                message = "A mapping's key is not a single word."
                raise self.refuse("document.key", message, "Use a string as key.", event.start_mark)
            self.pending[-1] = element
            return
        parent.size += element.size
        if parent.size > self.budget.expanded:
            message = f"With its aliases written out the document has more than {MAX_EXPANDED} elements."
            raise self.refuse("document.alias", message, "Use fewer aliases.", event.start_mark)
        if isinstance(parent, Seq):
            parent.items.append(element)
            return
        assert key is not None
        self.pending[-1] = None
        if key.text == "<<":
            self._merge(parent, element, key)
        elif (first := parent.keys.get(key.text)) is None or isinstance(first, _Merged):
            parent.entries[key.text] = element
            parent.keys[key.text] = key
        else:
            message = f"The key {quote(key.text)} is already written in line {first.mark.line + 1}."
            self.problems.error("document.duplicate", message, "Remove one of them.", key)

    def _merge(self, parent: Map, element: Element, key: Scalar) -> None:
        """Fill in the entries of ``<<``: what is written in the mapping itself wins, then the first source."""
        for source in element.items if isinstance(element, Seq) else [element]:
            if not isinstance(source, Map):
                raise self.refuse("document.merge", f"'<<' names {kind(source)}.", "Give it a mapping or a list of mappings.", key.mark)
            for name, value in source.entries.items():
                if name not in parent.entries:
                    parent.entries[name] = value
                    parent.keys[name] = _Merged(name, name, key.mark)

    def _tag(self, event: Any, wanted: str) -> None:
        if event.tag is not None and event.tag not in ("!", _TAG + wanted):
            raise self.refuse("document.tag", f"The tag {quote(event.tag)} is not known.", "Remove it.", event.start_mark)


class _Merged(Scalar):
    """A key that came with ``<<``."""

    __slots__ = ()


def _scalar(event: Any, problems: Problems) -> Scalar:
    """A scalar with its value."""
    text: str = event.value
    tag = event.tag
    if tag is None and not event.style:
        return Scalar(text, resolve(text), event.start_mark)
    if tag is None or tag == "!" or tag == _TAG + "str":
        return Scalar(text, text, event.start_mark)
    value = resolve(text)
    wanted = {"int": int, "float": float, "bool": bool, "null": type(None)}.get(tag.removeprefix(_TAG))
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is None or type(value) is not wanted:
        problems.error("document.tag", f"The tag {quote(tag)} does not fit or is not known.", "Remove it.", event.start_mark)
    return Scalar(text, value, event.start_mark)


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar by the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def from_python(value: Any, name: str, depth: int = 0) -> Element:
    """An element for a value that a program or the command line gave.

    Parameters
    ----------
    value:
        None, a boolean, number, string, mapping or sequence of these.
    name:
        The input's name; the element is placed at ``--input NAME``.
    depth:
        How deep it stands.

    Raises
    ------
    ValueError
        It is something else, or nested too deep.
    """
    mark = Point(OPTION + printable(name))
    if value is None or isinstance(value, str | bool | int | float):
        return Scalar("" if value is None else str(value), value, mark)
    if depth >= MAX_DEPTH:
        raise ValueError(f"values are nested more than {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        element = Map(mark)
        for key, entry in value.items():
            element.keys[str(key)] = Scalar(str(key), key, mark)
            element.entries[str(key)] = from_python(entry, name, depth + 1)
        return element
    if isinstance(value, Sequence):
        listing = Seq(mark)
        listing.items.extend(from_python(entry, name, depth + 1) for entry in value)
        return listing
    raise ValueError(f"a value of type {type(value).__name__} has no place in a template")
