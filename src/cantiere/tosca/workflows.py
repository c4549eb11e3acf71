"""Imperative workflows: every name that they write exists, nothing goes in a circle, and what they mean as data."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cantiere.tosca import grammar
from cantiere.tosca.constraints import OPERATORS
from cantiere.tosca.elements import Element, Map, Scalar, Seq, kind
from cantiere.tosca.grammar import empty
from cantiere.tosca.members import SECTION, words
from cantiere.tosca.operations import Frame, Operations
from cantiere.tosca.problems import listed, locate, quote
from cantiere.tosca.schema import Schema
from cantiere.tosca.topology import Template
from cantiere.tosca.values import Void
from cantiere.workflows.model import Activity, Condition, Kind, Operation, Step, Workflow

if TYPE_CHECKING:
    from cantiere.tosca.check import Checker

DECLARATIVE = ("deploy", "undeploy")
_MAPPINGS = ("map", "complex", "any")
_JOINING = {"and": "and", "assert": "and", "or": "or", "not": "not"}


class Workflows:
    """Checks workflows and makes them data.

    Parameters
    ----------
    checker:
        Whose types, values and topology these are.
    body:
        The topology.
    """

    def __init__(self, checker: Checker, body: Map) -> None:
        self.checker, self.problems, self.grammar, self.body = checker, checker.problems, checker.grammar, body
        self.operations = Operations(checker, posixpath.dirname(body.mark.name))
        self.templates = checker.topology.templates
        groups = body.get("groups")
        self.groups = groups.entries if isinstance(groups, Map) else {}
        self.written = {name.text: (name, entry, path) for name, entry, path in self.grammar.maps(body, "workflows", SECTION, "workflow")}
        self.inputs = {name: self._declared(entry, path) for name, (_, entry, path) in self.written.items()}

    def _declared(self, body: Map, path: str) -> dict[str, tuple[Scalar, Schema]]:
        """Input to its name and schema."""
        found = {}
        for name, entry, where in self.grammar.maps(body, "inputs", path, "input"):
            schema = self.checker.definitions.property(name, entry, where)
            found[name.text] = name, schema
        return found

    def compile(self, chosen: str, given: Mapping[str, Element | None]) -> dict[str, Workflow]:
        """All workflows.

        Parameters
        ----------
        chosen:
            The one that is to be run; its inputs must have values.
        given:
            Values of its inputs.
        """
        topology = self.body.get("inputs")
        for name, (key, _) in ((name, item) for declared in self.inputs.values() for name, item in declared.items()):
            if isinstance(topology, Map) and name in topology.entries:
                message = f"The template has an input {quote(name)} too; nobody could tell which is meant."
                self.problems.error("workflow.input", message, "Give one of them another name.", key)
        found = {name: self._workflow(name, given if name == chosen else None) for name in self.written}
        self._turning(found)
        return found

    def _workflow(self, name: str, given: Mapping[str, Element | None] | None) -> Workflow:
        key, body, path = self.written[name]
        self.grammar.keywords(body, grammar.WORKFLOW, "workflow", path)
        description = self.grammar.text(body, "description", path)
        steps = {step.text: (step, entry, where) for step, entry, where in self.grammar.maps(body, "steps", path, "step")}
        made = tuple(self._step(step, entry, steps, Frame(self.inputs[name]), where) for step, entry, where in steps.values())
        self._circle(key, {step.name: [*step.on_success, *step.on_failure] for step in made}, path)
        return Workflow(
            name,
            description.text.strip() if description else "",
            locate(key.mark),
            self._values(name, given),
            tuple(self._preconditions(body, path)),
            made,
        )

    def _values(self, name: str, given: Mapping[str, Element | None] | None) -> dict[str, Any]:
        """Values of inputs: what is given, else the default."""
        found: dict[str, Any] = {}
        for text, (key, schema) in self.inputs[name].items():
            path = f"{self.written[name][2]}.inputs.{text}"
            element = (given or {}).get(text, schema.default)
            if element is not None:
                value = self.checker.values.convert(element, schema, None, path)
                if not isinstance(value, Void):
                    found[text] = value
            elif given is not None and schema.required and text not in given:
                message = f"The input {quote(text)} of the workflow {quote(name)} has no value."
                self.problems.error("input.missing", message, f"Give it with --input {text}=….", key, path)
        return found

    def _preconditions(self, body: Map, path: str) -> Iterator[Condition]:
        sequence = self.grammar.sequence(body, "preconditions", path)
        for number, entry in enumerate(sequence.items if sequence else ()):
            where = f"{path}.preconditions.{number}"
            if not isinstance(entry, Map):
                self.grammar.wrong(entry, f"A precondition is a mapping, not {kind(entry)}.", "Write 'target:' and 'condition:'.", where)
                continue
            self.grammar.keywords(entry, grammar.PRECONDITION, "precondition", where)
            for frame in self._frames(entry, entry, Frame(), where):
                yield from self._conditions(self.grammar.sequence(entry, "condition", where), frame, f"{where}.condition")

    def _step(self, name: Scalar, body: Map, steps: Mapping[str, Any], frame: Frame, path: str) -> Step:
        self.grammar.keywords(body, grammar.STEP, "step", path)
        frames = list(self._frames(name, body, frame, path))
        nodes = tuple(one.subject.name for one in frames if one.subject is not None)
        activities = self.grammar.sequence(body, "activities", path)
        host = self.grammar.text(body, "operation_host", path)
        done = []
        for number, activity in enumerate(activities.items if activities else ()):
            made = self._activity(activity, frames, nodes, frame, host, f"{path}.activities.{number}")
            if made is not None:
                done.append(made)
        filters = self.grammar.sequence(body, "filter", path)
        conditions = tuple(found for one in frames for found in self._conditions(filters, one, f"{path}.filter"))
        after = {}
        for key in ("on_success", "on_failure"):
            after[key] = tuple(word.text for word in words(body.get(key)))
            for item in words(body.get(key)):
                if item.text not in steps:
                    remedy = self.problems.suggest(item.text, steps, f"The steps are: {listed(steps)}.")
                    self.problems.error("workflow.step", f"There is no step {quote(item.text)}.", remedy, item, f"{path}.{key}")
        return Step(name.text, locate(name.mark), conditions, tuple(done), **after)

    def _frames(self, at: Scalar | Map, body: Map, frame: Frame, path: str) -> Iterator[Frame]:
        """What a step or precondition is about: a node, the members of a group, or a relationship; what is none is recorded."""
        target = self.grammar.text(body, "target", path)
        if target is None:
            what = f"The step {quote(at.text)}" if isinstance(at, Scalar) else "The precondition"
            self.problems.error("workflow.target", f"{what} has no target.", "Add 'target:'.", at, path)
            return
        if target.text not in self.templates and target.text not in self.groups:
            remedy = self.problems.suggest(target.text, [*self.templates, *self.groups], "Name a node template or a group.")
            message = f"There is no node template or group {quote(target.text)}."
            self.problems.error("workflow.target", message, remedy, target, f"{path}.target")
            return
        word = self.grammar.text(body, "target_relationship", path)
        for template in self._members(target.text):
            self.checker.values.spend()
            if template.type is None:
                continue
            related = self.operations.relationship(template, word, self.body, f"{path}.target_relationship") if word else None
            if related is not None:
                yield frame._replace(subject=related[0], ends=related[1])
            elif word is None:
                yield frame._replace(subject=template)

    def _members(self, name: str) -> Iterator[Template]:
        """The node of that name, or all nodes of a group and of the groups in it, each once."""
        todo, seen = [name], {name}
        while todo:
            name = todo.pop()
            if name in self.templates:
                yield self.templates[name]
            members = getattr(self.groups.get(name), "entries", {}).get("members")
            found = dict.fromkeys(word.text for word in words(members) if word.text not in seen)
            seen |= found.keys()
            todo += reversed(found)

    def _activity(
        self, activity: Element, frames: list[Frame], nodes: tuple[str, ...], frame: Frame, host: Scalar | None, path: str
    ) -> Activity | None:
        if not isinstance(activity, Map) or len(activity.entries) != 1:
            self.grammar.wrong(
                activity, f"An activity has one name, not {kind(activity)}.", "Write '- call_operation: Standard.start'.", path
            )
            return None
        name, value = next(activity.items())
        self.grammar.keywords(activity, grammar.ACTIVITIES, "step's activities", path)
        if name.text not in grammar.ACTIVITIES:
            return None
        word = value.get("operation" if name.text == Kind.CALL else "workflow") if isinstance(value, Map) else value
        if not isinstance(word, Scalar) or empty(word):
            self.grammar.wrong(name, f"{quote(name.text)} names one thing.", "Write '- call_operation: Standard.start'.", path)
            return None
        given = value.get("inputs") if isinstance(value, Map) else None
        inputs = given if isinstance(given, Map) else None
        called: list[Operation] = []
        handed: dict[str, Any] = {}
        if name.text == Kind.DELEGATE and word.text not in DECLARATIVE:
            remedy = self.problems.suggest(word.text, DECLARATIVE, f"TOSCA has: {listed(DECLARATIVE)}.")
            self.problems.error("workflow.delegate", f"There is no declarative workflow {quote(word.text)}.", remedy, word, path)
        if name.text == Kind.INLINE:
            handed = self._handed(word, inputs, frame, path)
        if name.text == Kind.CALL:
            interface, _, operation = word.text.rpartition(".")
            for one in frames:
                assert one.subject is not None
                if self.checker.lifecycle.operation(one.subject, interface, operation, word, path):
                    called.append(self.operations.operation(interface, operation, one, inputs, host, word, path))
        return Activity(Kind(name.text), nodes, word.text, locate(name.mark), handed, tuple(called))

    def _handed(self, word: Scalar, inputs: Map | None, frame: Frame, path: str) -> dict[str, Any]:
        """Inputs of a workflow that another inlines."""
        declared = self.inputs.get(word.text)
        if declared is None:
            remedy = self.problems.suggest(word.text, self.written, f"The workflows are: {listed(self.written)}.")
            self.problems.error("workflow.inline", f"There is no workflow {quote(word.text)}.", remedy, word, path)
            return {}
        found = {}
        for key, element in inputs.items() if inputs else ():
            if key.text not in declared:
                remedy = self.problems.suggest(key.text, declared, f"It has: {listed(declared)}.")
                message = f"The workflow {quote(word.text)} has no input {quote(key.text)}."
                self.problems.error("input.unknown", message, remedy, key, path)
            found[key.text] = self.operations.value(element, frame, f"{path}.inputs.{key.text}")
        for name, (_, schema) in declared.items():
            if name not in found and schema.required and schema.default is None:
                message = f"The workflow {quote(word.text)} needs the input {quote(name)}."
                self.problems.error("input.missing", message, "Write 'inline: {workflow: NAME, inputs: {…}}'.", word, path)
        return found

    def _conditions(self, sequence: Seq | None, frame: Frame, path: str) -> Iterator[Condition]:
        """The conditions of a list, about the frame's subject."""
        subject = frame.subject
        assert subject is not None and subject.type is not None
        definitions = self.checker.definitions
        known = {**definitions.properties(subject.type), **definitions.properties(subject.type, "attributes")}
        for number, entry in enumerate(sequence.items if sequence else ()):
            self.checker.values.spend()
            if not isinstance(entry, Map):
                self.grammar.wrong(entry, f"A condition is a mapping, not {kind(entry)}.", "Write '- state: [{equal: started}]'.", path)
                continue
            for key, value in entry.items():
                where = f"{path}.{number}.{key.text}"
                if key.text in _JOINING and isinstance(value, Seq):
                    yield Condition(_JOINING[key.text], locate(key.mark), tuple(self._conditions(value, frame, where)))
                elif key.text not in known:
                    remedy = self.problems.suggest(key.text, known, f"It has: {listed(known)}.")
                    message = f"A {subject.type.name} has no attribute {quote(key.text)}."
                    self.problems.error("attribute.unknown", message, remedy, key, where)
                else:
                    read, schema = definitions.constraints, known[key.text]
                    clauses = [
                        read.clause(item, schema, where)
                        if isinstance(item, Map) and (schema.base not in _MAPPINGS or next(iter(item.entries), "") in OPERATORS)
                        else read.equal(item, schema, where)
                        for item in (value.items if isinstance(value, Seq) else [value])
                    ]
                    asked = tuple(clause for clause in clauses if clause is not None)
                    yield Condition("", locate(key.mark), (), subject.name, key.text, asked)

    def _turning(self, found: Mapping[str, Workflow]) -> None:
        """Record workflows that inline each other."""
        inlined = {
            name: [activity.word for step in flow.steps for activity in step.activities if activity.kind is Kind.INLINE]
            for name, flow in found.items()
        }
        for name in found:
            if self._circle(self.written[name][0], inlined, f"{SECTION}.workflows"):
                return

    def _circle(self, name: Scalar, after: Mapping[str, list[str]], path: str) -> bool:
        """Record steps or workflows that follow themselves."""
        done: set[str] = set()
        for first in after:
            trail: list[str] = []
            todo = [(first, 0)]
            while todo:
                step, depth = todo.pop()
                del trail[depth:]
                if step in trail:
                    circle = " → ".join([*trail[trail.index(step) :], step])
                    message = f"Steps of the workflow {quote(name.text)} follow each other in a circle: {circle}."
                    self.problems.error("workflow.cycle", message, "Remove one 'on_success', 'on_failure' or 'inline'.", name, path)
                    return True
                trail.append(step)
                if step not in done:
                    done.add(step)
                    todo += [(other, len(trail)) for other in after.get(step, ())]
        return False
