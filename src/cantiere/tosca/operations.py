"""Operations of nodes and relationships: what implements them, and inputs of which a part is known only while a workflow runs."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cantiere.tosca import grammar
from cantiere.tosca.elements import Element, Map, Scalar, Seq
from cantiere.tosca.functions import Scope
from cantiere.tosca.problems import listed, locate, quote
from cantiere.tosca.topology import Template
from cantiere.tosca.values import Void, call
from cantiere.workflows.model import Attribute, Given, Joined, Operation, Output, is_late

if TYPE_CHECKING:
    from cantiere.tosca.check import Checker

ORCHESTRATOR = "ORCHESTRATOR"
WORK = 25
"""What an operation costs of the work that a template may ask for."""
_OF_NODES = ("get_property", "get_attribute", "get_operation_output")


class Frame(NamedTuple):
    """Where an expression of a workflow stands.

    Parameters
    ----------
    inputs:
        Names of the workflow's inputs.
    subject:
        The node, or the relationship in the form of one, that ``SELF`` means.
    ends:
        Of a relationship, ``SOURCE`` and ``TARGET`` with the names of its nodes.
    """

    inputs: Collection[str] = ()
    subject: Template | None = None
    ends: Mapping[str, str] = {}


class Operations:
    """Resolves operations and expressions.

    Parameters
    ----------
    checker:
        Whose types, values and topology these are.
    folder:
        The template's folder, as places in it name it.
    """

    def __init__(self, checker: Checker, folder: str) -> None:
        self.folder = folder
        self.checker, self.problems, self.grammar = checker, checker.problems, checker.grammar
        self.registry, self.topology = checker.registry, checker.topology

    def relationship(self, node: Template, word: Scalar, body: Map, path: str) -> tuple[Template, dict[str, str]] | None:
        """A relationship of a node in the form of a node, with its ends; None where there is none, which is recorded.

        Parameters
        ----------
        node:
            Whose requirement it is.
        word:
            The requirement's name.
        body:
            The topology, which has relationship templates.
        """
        links = self.topology.links(node).get(word.text, [])
        if not links or links[0].relationship is None:
            known = self.topology.links(node)
            remedy = self.problems.suggest(word.text, known, f"It has: {listed(known)}.")
            message = f"{quote(node.name)} has no relationship {quote(word.text)}."
            self.problems.error("workflow.relationship", message, remedy, word, path)
            return None
        written = next(
            (entry for name, entry, _ in self.grammar.listed(node.body, "requirements", node.path) if name.text == word.text), None
        )
        used = written.get("relationship") if isinstance(written, Map) else None
        if isinstance(used, Scalar):
            templates = body.get("relationship_templates")
            used = templates.get(used.text) if isinstance(templates, Map) else None
        own = used if isinstance(used, Map) else Map(word.mark)
        made = Template(f"{node.name}.{word.text}", word.mark, path, own, links[0].relationship, node.index)
        return made, {"SOURCE": node.name, "TARGET": links[0].target.name}

    def operation(
        self, interface: str, name: str, frame: Frame, given: Map | None, host: Scalar | None, at: Scalar, path: str
    ) -> Operation:
        """An operation of the frame's subject as it is called.

        Parameters
        ----------
        interface, name:
            Which.
        given:
            Inputs of the call.
        host:
            Where the step wants it to run.
        at, path:
            Where it is called.
        """
        subject = frame.subject
        assert subject is not None
        self.checker.values.spend(WORK)
        inputs: dict[str, Any] = {}
        outputs: dict[str, tuple[str, str]] = {}
        implementation: Element | None = None
        for written, common in self._written(subject, interface, name):
            inside = written if isinstance(written, Map) else None
            for holder in (common, inside.get("inputs") if inside else None):
                inputs |= self._inputs(holder, frame, path)
            outputs |= self._outputs(inside.get("outputs") if inside else None, frame, path)
            implementation = (inside.get("implementation") if inside else written) or implementation
        inputs |= self._inputs(given, frame, f"{path}.inputs")
        found = implementation if isinstance(implementation, Map) else Map(at.mark)
        primary = found.get("primary") if found.entries else implementation
        wanted = host or found.get("operation_host")
        after = found.get("timeout")
        dependencies = found.get("dependencies")
        return Operation(
            subject.name,
            interface,
            name,
            locate((primary or at).mark),
            self._file(primary, subject),
            tuple(filter(None, (self._file(item, subject) for item in dependencies.items))) if isinstance(dependencies, Seq) else (),
            self._host(wanted if isinstance(wanted, Scalar) else None, frame, at, path),
            after.value if isinstance(after, Scalar) and isinstance(after.value, int) else 0,
            inputs,
            outputs,
        )

    def _written(self, subject: Template, interface: str, operation: str) -> Iterator[tuple[Element, Element | None]]:
        """What is written of an operation, farthest ancestor first, each with the inputs of its interface."""
        holders: list[Element] = []
        own = subject.body.get("interfaces")
        assert subject.type is not None
        for key, element in (
            *((name, element) for _, name, element in self.registry.inherited(subject.type, "interfaces")),
            *(own.items() if isinstance(own, Map) else ()),
        ):
            type_ = element.get("type") if isinstance(element, Map) else None
            named = type_.text if isinstance(type_, Scalar) else key.text
            if interface in (key.text, named):
                known = self.registry.find("interface_types", named)
                holders += [*(owner.body for owner in reversed(known.chain()) if known), element] if known else [element]
        for holder in dict.fromkeys(holders):
            nested = holder.get("operations") if isinstance(holder, Map) else None
            for place in (holder, nested):
                found = place.get(operation) if isinstance(place, Map) and operation not in grammar.INTERFACE else None
                if found is not None and isinstance(holder, Map):
                    yield found, holder.get("inputs")

    def _inputs(self, written: Element | None, frame: Frame, path: str) -> dict[str, Any]:
        found = {}
        for key, element in written.items() if isinstance(written, Map) else ():
            value: Element | None = element
            if isinstance(element, Map) and "type" in element.entries:
                value = element.get("value") or element.get("default")
            if value is not None:
                found[key.text] = self.value(value, frame, f"{path}.{key.text}")
        return found

    def _outputs(self, written: Element | None, frame: Frame, path: str) -> dict[str, tuple[str, str]]:
        found = {}
        for key, element in written.items() if isinstance(written, Map) else ():
            words = [item for item in element.items if isinstance(item, Scalar)] if isinstance(element, Seq) else []
            if len(words) == 2 and (node := self._node(words[0], frame, path)):
                found[key.text] = (node, words[1].text)
        return found

    def _file(self, element: Element | None, subject: Template) -> str:
        """The file that an implementation names, itself or as an artifact, as a path below the template's folder."""
        if isinstance(element, Scalar):
            owners = [subject.body, *(owner.body for owner in subject.type.chain())] if subject.type else [subject.body]
            for body in owners:
                artifacts = body.get("artifacts")
                element = (artifacts.get(element.text) if isinstance(artifacts, Map) else None) or element
                if not isinstance(element, Scalar):
                    break
        named = element.get("file") if isinstance(element, Map) else element
        if not isinstance(named, Scalar) or not named.text:
            return ""
        return posixpath.relpath(posixpath.join(posixpath.dirname(named.mark.name), named.text), self.folder or ".")

    def _host(self, word: Scalar | None, frame: Frame, at: Scalar, path: str) -> str:
        """The node on whose machines an operation runs; empty for this machine."""
        if word is None:
            word = Scalar("SOURCE", "SOURCE", at.mark) if frame.ends else Scalar("SELF", "SELF", at.mark)
        return "" if word.text == ORCHESTRATOR else self._node(word, frame, path)

    def _node(self, word: Scalar, frame: Frame, path: str) -> str:
        """The name of the node that a word means; empty where it means none, which is recorded."""
        subject = frame.subject
        if word.text in frame.ends:
            return frame.ends[word.text]
        if word.text == "SELF" and subject is not None:
            return subject.name
        if word.text == "HOST" and subject is not None and not frame.ends:
            host = self.topology.host(subject)
            return host.name if host else subject.name
        if word.text not in self.topology.templates:
            remedy = self.problems.suggest(word.text, self.topology.templates, f"Name a node template, or {ORCHESTRATOR} as a host.")
            self.problems.error("node.unknown", f"There is no node template {quote(word.text)}.", remedy, word, path)
            return ""
        return word.text

    def value(self, element: Element, frame: Frame, path: str) -> Any:
        """A value with its late parts as they are asked for; None where it has none, or what is wrong was recorded."""
        self.checker.values.spend()
        name = call(element)
        if name is None or not isinstance(element, Map):
            if isinstance(element, Map):
                return {key: self.value(item, frame, f"{path}.{key}") for key, item in element.entries.items()}
            if isinstance(element, Seq):
                return [self.value(item, frame, f"{path}.{number}") for number, item in enumerate(element.items)]
            return element.value
        argument = element.entries[name]
        words = argument.items if isinstance(argument, Seq) else [argument]
        first = words[0] if words else None
        if name == "get_input" and isinstance(first, Scalar) and first.text in frame.inputs:
            return Given(first.text, tuple(key for word in words[1:] if isinstance(key := getattr(word, "value", None), str | int)))
        listing = words if name == "concat" else first.items if name == "join" and isinstance(first, Seq) else None
        if listing is not None:
            parts = tuple(self.value(item, frame, path) for item in listing)
            between = self.value(words[1], frame, path) if name == "join" and len(words) == 2 else ""
            if is_late((*parts, between)):
                return Joined(parts, between)
        if name in _OF_NODES and isinstance(first, Scalar) and first.text in frame.ends:
            element, words = _of(element, name, words, frame.ends[first.text])
        found = self.checker.values.untyped(element, Scope(frame.subject), path)
        if found is Void.INVALID:
            return None
        plain = [word for word in words if isinstance(word, Scalar)]
        if name == "get_attribute" and len(plain) == 2:
            return Attribute(self._node(plain[0], frame, path), plain[1].text)
        if name == "get_operation_output" and len(plain) == 4:
            return Output(self._node(plain[0], frame, path), *(word.text for word in plain[1:]))
        if found is Void.UNKNOWN:
            message = f"What {name} gives is known only later, and a workflow cannot hand it on."
            self.problems.error("workflow.late", message, "Ask with get_operation_output or get_attribute of a node.", element, path)
        return None if isinstance(found, Void) else found


def _of(element: Map, name: str, words: Sequence[Element], node: str) -> tuple[Map, list[Element]]:
    """A call that names a node in place of ``SOURCE`` or ``TARGET``."""
    made, sequence = Map(element.mark), Seq(element.mark)
    sequence.items = [Scalar(node, node, words[0].mark), *words[1:]]
    made.keys, made.entries = dict(element.keys), {name: sequence}
    return made, sequence.items
