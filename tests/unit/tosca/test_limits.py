"""Hostile input: each kind is refused by a limit, not by patience."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from cantiere.tosca.document import UNIT
from cantiere.tosca.pattern import MAX_WORK, Pattern, PatternError, WorkError
from support.templates import HEAD, TYPES, Loader, template


def many(line: Callable[[int], str], count: int = 1 << 20, size: int = UNIT - 4096) -> str:
    """Numbered lines, until they are as many or as long as asked for."""
    lines: list[str] = []
    for number in itertools.islice(itertools.count(), count):
        size -= len(text := line(number))
        if size < 0:
            break
        lines.append(text)
    return "".join(lines)


def codes(tosca: Loader, text: str) -> set[str]:
    assert len(text) <= UNIT
    return {problem.code for problem in tosca.problems(text)}


def test_node_templates(tosca: Loader) -> None:
    assert codes(tosca, template(many(lambda n: f"    n{n}: {{type: Root}}\n", 6000))) == {"node.many"}


def test_types(tosca: Loader) -> None:
    assert codes(tosca, HEAD + "node_types:\n" + many(lambda n: f"  n{n}: {{derived_from: Root}}\n", 5000)) == {"type.many"}


def test_elements(tosca: Loader) -> None:
    assert codes(tosca, template(many(lambda n: f"    n{n}: {{type: x}}\n"))) == {"document.elements"}


def test_errors(tosca: Loader) -> None:
    problems = tosca.problems(template(many(lambda n: f"    n{n}: {{type: x}}\n", 1000)))
    assert len(problems) == 201 and problems[-1].code == "document.errors"


def test_many_files(tosca: Loader) -> None:
    for number in range(80):
        tosca.write(f"f{number}.yaml", HEAD)
    assert codes(tosca, HEAD + "imports:\n" + "".join(f"  - f{n}.yaml\n" for n in range(80)) + "topology_template: {}\n") == {"import.many"}


def test_chain_of_imports(tosca: Loader) -> None:
    for number in range(60):
        tosca.write(f"f{number}.yaml", f"{HEAD}imports: [f{number + 1}.yaml]\n")
    assert codes(tosca, HEAD + "imports: [f0.yaml]\ntopology_template: {}\n") == {"import.many"}


def test_defaults_of_a_wide_type(tosca: Loader) -> None:
    wide = "node_types:\n  w:\n    derived_from: Root\n    properties:\n" + many(
        lambda n: f"      p{n}: {{type: string, default: x}}\n", 3000
    )
    assert codes(tosca, template(many(lambda n: f"    n{n}: {{type: w}}\n", 3000), types=wide)) == {"document.expansion"}


def test_an_input_that_is_used_everywhere(tosca: Loader) -> None:
    inputs = f"    x: {{type: list, default: [{'a,' * 20000}]}}\n"
    outputs = many(lambda n: f"    o{n}: {{value: {{get_input: x}}}}\n", 2000)
    assert codes(tosca, template("    n: {type: Root}\n", inputs, outputs)) == {"document.expansion"}


def test_lists_that_double(tosca: Loader) -> None:
    def node(n: int) -> str:
        value = "[1]" if n == 0 else f"[{{get_property: [n{n - 1}, p]}}, {{get_property: [n{n - 1}, p]}}]"
        return f"    n{n}: {{type: t.L, properties: {{p: {value}}}}}\n"

    types = "node_types:\n  t.L: {derived_from: Root, properties: {p: {type: list}}}\n"
    assert "document.expansion" in codes(tosca, template(many(node, 60), types=types))


def test_long_texts(tosca: Loader) -> None:
    expression = f"{{concat: [{'aa,' * 40000}]}}"
    assert codes(tosca, template("    n: {type: Root}\n", outputs=f"    o: {{value: {expression}}}\n")) == {"function.size"}


def test_who_fulfils_what_is_looked_for_only_so_often(tosca: Loader) -> None:
    types = TYPES + many(lambda n: f"  x{n}: {{derived_from: t.Client}}\n", 2000)
    text = template(many(lambda n: f"    n{n}: {{type: x{n}}}\n", 2000), types=types)
    assert "document.expansion" in codes(tosca, text)


@pytest.mark.parametrize(
    ("pattern", "subject"), [("(a+)+b", "a" * 5000), ("(a|a)*b", "a" * 5000), ("(x+x+)+y", "x" * 5000), ("(a?){200}a{200}", "a" * 200)]
)
def test_patterns_that_explode_elsewhere(pattern: str, subject: str) -> None:
    assert Pattern(pattern, [MAX_WORK]).matches(subject) is pattern.startswith("(a?)")


def test_cost_of_patterns(tosca: Loader) -> None:
    with pytest.raises(PatternError):
        Pattern("(" * 400 + ")" * 400, [MAX_WORK])
    with pytest.raises(PatternError):
        Pattern("((a{50}){50}){50}", [MAX_WORK])
    with pytest.raises(WorkError):
        Pattern("a*", [MAX_WORK]).matches("a" * 20000)
    text = "".join(random.Random(1).choices("ab", k=16000))
    with pytest.raises(WorkError):
        Pattern("(a|b)*a(a|b){200}b", [MAX_WORK]).matches(text)
    inputs = many(lambda n: f"    i{n}: {{type: string, default: ab, constraints: [{{pattern: '(a|b|{n}){{300}}'}}]}}\n", 1000)
    assert "constraint.value" in codes(tosca, template("    n: {type: Root}\n", inputs))


def test_integers_without_end(tosca: Loader) -> None:
    assert codes(tosca, template("    n: {type: Root}\n", f"    i: {{type: integer, default: {'9' * 900_000}}}\n")) == {"property.type"}
