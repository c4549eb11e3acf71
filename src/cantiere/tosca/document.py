"""YAML with a position for every element, and limits that hold against hostile input.

Elements are built from the events of libyaml's parser (the pure Python parser where libyaml is absent). An alias is the very
element that its anchor names: no tree is ever copied. Plain scalars are read by the core schema of YAML 1.2.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

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

from cantiere.tosca.elements import MAX_DEPTH, Element, Map, Point, Scalar, Seq, kind, resolve
from cantiere.tosca.problems import Mark, Problems, quote

EventParser: Any
try:
    from yaml._yaml import CParser
except ImportError:
    EventParser = SafeLoader
else:
    EventParser = CParser

UNIT = 1 << 20
MAX_BYTES = 16 * UNIT
MAX_ELEMENTS = 150_000
MAX_EXPANDED = 300_000
MAX_DIRECTIVES = 16

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
_TAG = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Budget:
    """What all documents of one load may use together: as much for every ``UNIT`` of bytes that they have, and for the first at least."""

    size: int = 0
    elements: int = MAX_ELEMENTS
    expanded: int = MAX_EXPANDED

    def take(self, size: int) -> bool:
        """Count the bytes of a document; whether there is room for them."""
        before = self.share
        self.size += size
        more = self.share - before
        self.elements += int(MAX_ELEMENTS * more)
        self.expanded += int(MAX_EXPANDED * more)
        return self.size <= MAX_BYTES

    @property
    def share(self) -> float:
        """How many times the limits of one ``UNIT`` hold."""
        return max(1.0, self.size / UNIT)


class _Refused(Exception):
    """Reading stops here; the problem is recorded."""


class _Stream(io.BytesIO):
    """Bytes with the name that marks shall show."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


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
    if not budget.take(len(data)):
        message = f"The template and its imports have more than {MAX_BYTES} bytes."
        problems.error("document.size", message, "Write a smaller template.", Point(name))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        head = data[: error.start].decode("utf-8", "replace")
        problems.error("document.encoding", "The document is not UTF-8.", "Save the file as UTF-8.", _after(head, name))
        return None
    problems.texts[name] = text
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
    lines = text.split("\n")
    last = len(text.splitlines()) - 1  # the parser may mean the end, one line below the last
    place = Point(name, mark.line, mark.column) if mark.line <= last else Point(name, max(last, 0), 0)
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
            self._place(element)
        if root is not None:
            self.budget.expanded -= root.size
        return root

    def _count(self, event: Any) -> None:
        self.budget.elements -= 1
        if self.budget.elements < 0:
            message = "The template and its imports have too many elements."
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

    def _place(self, element: Element) -> None:
        """Put a finished element where it belongs."""
        parent = self.open[-1]
        key = self.pending[-1]
        if isinstance(parent, Map) and key is None:
            if not isinstance(element, Scalar):
                message = "A mapping's key is not a single word."
                raise self.refuse("document.key", message, "Use a string as key.", element.mark)
            self.pending[-1] = element
            return
        parent.size += element.size
        if parent.size > self.budget.expanded:
            message = "With its aliases written out the document has too many elements."
            raise self.refuse("document.alias", message, "Use fewer aliases.", element.mark)
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
            self.problems.repeated.append((parent, key, element))

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
