"""Asks the inputs of a template in the terminal, by the rules of the template itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cantiere.declared import Declared, checked, plain
from cantiere.errors import Problem, TemplateError
from cantiere.export.written import Tree, dump, tree
from cantiere.portfolio.fields import Field, fields, tabs
from cantiere.state import write_atomic
from cantiere.tosca.document import Budget, parse
from cantiere.tosca.elements import Map
from cantiere.tosca.problems import OPTION, Problems, printable

REFERENCE = re.compile(r"env:\w+|file:.+|vault:[\w-]+|generate:[\w-]+")
OPEN, CLOSED = 0o644, 0o600
LONGEST = 60

Ask = Callable[[str, bool], str]
"""Shows a prompt and reads a line; the second says whether what is typed is hidden."""
Say = Callable[[str], None]


@dataclass(slots=True)
class Answers:
    """What was answered.

    Parameters
    ----------
    values:
        Input name to its value; secrets are references.
    secrets:
        Input name to the secret that its reference means.
    """

    values: dict[str, Tree] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)


def ask_all(template: Declared, output: Path, ask: Ask, say: Say) -> Answers:
    """Ask every input, tab by tab; an empty answer keeps what is there.

    Parameters
    ----------
    template:
        Whose inputs.
    output:
        The inputs file that is going to be written; values that it holds already are the first choice.
    ask, say:
        The terminal.
    """
    answers = Answers(values=_present(output, template))
    given: dict[str, Any] = {name: plain_tree(value) for name, value in answers.values.items()}
    shown = fields(template)
    for tab in tabs(shown):
        say(f"\n{tab}\n{'-' * len(tab)}")
        for one in (entry for entry in shown if entry.tab == tab):
            if one.description:
                say(one.description)
            _ask(one, template, output, ask, say, answers, given)
    return answers


def _ask(one: Field, template: Declared, output: Path, ask: Ask, say: Say, answers: Answers, given: dict[str, Any]) -> None:
    while True:
        answer = ask(_prompt(one, given), one.secret).strip()
        if not answer:
            if not one.required or one.name in given:
                return
            say("  a value is needed")
            continue
        hidden = one.secret and REFERENCE.fullmatch(answer) is None
        value = f"file:{secret_file(output, one.name)}" if hidden else answer
        problems = wrong(template.path, one.name, value, given)
        if not problems:
            break
        for problem in problems:
            say(f"  {problem.message} {problem.remedy}")
    given[one.name] = value
    answers.values[one.name] = _tree(one, value)
    if hidden:
        answers.secrets[one.name] = answer


def _prompt(one: Field, given: Mapping[str, Any]) -> str:
    """What is asked: the label, what fits, and what an empty answer keeps."""
    rules = [one.schema.title, *(f"{name} {_short(value)}" for clause in one.constraints for name, value in clause.items())]
    present = given.get(one.name, one.default)
    kept = "" if present is None else " [***]" if one.secret and REFERENCE.fullmatch(str(present)) is None else f" [{_short(present)}]"
    return f"{one.label} ({', '.join(rules)}){kept}: "


def _short(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) or value == "" else str(value)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def wrong(path: Path, name: str, value: Any, given: Mapping[str, Any]) -> list[Problem]:
    """What the front end finds wrong with a value of an input, beside those that are given."""
    try:
        checked(path, {**given, name: value})
    except TemplateError as error:
        place = OPTION + printable(name)
        return [problem for problem in error.problems if problem.where is not None and problem.where.file == place]
    return []


def secret_file(output: Path, name: str) -> Path:
    """Where a secret that was typed is kept."""
    return output.resolve().parent / f"{output.stem}.secrets" / name


def write(answers: Answers, output: Path, template: Declared) -> None:
    """Write the inputs file, and each secret that was typed to a file of its own that its owner alone may read."""
    for name, secret in answers.secrets.items():
        write_atomic(secret_file(output, name), secret, CLOSED)
    named = any(name in answers.values for name in (one.name for one in fields(template) if one.secret))
    head = f"# Inputs of {template.path.name}, as `cantiere form` asked for them.\n"
    write_atomic(output, head + (dump(answers.values) if answers.values else ""), CLOSED if named else OPEN)


def _present(output: Path, template: Declared) -> dict[str, Tree]:
    """The values that the inputs file holds already."""
    if not output.is_file():
        return {}
    problems = Problems()
    root = parse(output.read_bytes(), str(output), problems, Budget())
    if problems.errors:
        raise TemplateError(problems.finish())
    return {name: tree(value) for name, value in root.entries.items() if name in template.inputs} if isinstance(root, Map) else {}


def _tree(one: Field, value: str) -> Tree:
    """A valid answer as the inputs file says it."""
    if one.schema.base == "string":
        return value
    element = parse(value.encode(), one.name, Problems(), Budget())
    return value if element is None else tree(element)


def plain_tree(value: Tree) -> Any:
    """A tree as Python knows it."""
    if isinstance(value, dict):
        return {name: plain_tree(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain_tree(item) for item in value]
    return value if isinstance(value, str) else plain(value)
