"""YAML: positions, and what is refused whatever it costs."""

from __future__ import annotations

import pytest
import yaml

from cantiere.tosca import document
from cantiere.tosca.document import Budget, parse
from cantiere.tosca.elements import Element, Map, Scalar, Seq
from cantiere.tosca.problems import Problems


def read(text: str | bytes) -> tuple[Element | None, list[str]]:
    problems = Problems()
    root = parse(text if isinstance(text, bytes) else text.encode(), "f.yaml", problems, Budget())
    return root, [f"{problem.code} {problem.where}" for problem in problems.finish()]


def plain(element: Element | None) -> object:
    if isinstance(element, Map):
        return {key: plain(value) for key, value in element.entries.items()}
    if isinstance(element, Seq):
        return [plain(item) for item in element.items]
    return element.value if element else None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: {c: 2, c: 3}\n", "document.duplicate f.yaml:2:11"),
        ("a: 1\nb: 2\na: 2\n", "document.duplicate f.yaml:3:1"),
        ("a:\n\tb: 1\n", "document.tab f.yaml:2:1"),
        ("a: &x [1]\nc: *y\n", "document.alias f.yaml:2:4"),
        ("a: &x [*x]\n", "document.alias f.yaml:1:8"),
        ("a: 1\n---\nb: 2\n", "document.several f.yaml:2:1"),
        ("a: b\x00\n", "document.character f.yaml:1:5"),
        (b"a: 1\nb: \xff\n", "document.encoding f.yaml:2:4"),
        ("a: !!python/object/apply:os.system [x]\n", "document.tag f.yaml:1:4"),
        ("a: !include x\n", "document.tag f.yaml:1:4"),
        ("a: [1\nb: 2\n", "document.syntax f.yaml:2:2"),
        ("? [a]\n: 1\n", "document.key f.yaml:1:3"),
        ("a: 1\n<<: 3\n", "document.merge f.yaml:2:1"),
        ("[" * 60 + "]" * 60, "document.depth f.yaml:1:49"),
        ("%A b\n" * 20 + "---\na: 1\n", "document.directives f.yaml:1:1"),
    ],
)
def test_refused(text: str | bytes, problem: str) -> None:
    assert read(text)[1] == [problem]


def test_all_duplicates_are_told_at_once() -> None:
    assert len(read("a: 1\na: 2\nb: {c: 1, c: 2}\nb: 1\n")[1]) == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2001-12-14", "2001-12-14"),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".inf", float("inf")),
        ("-", None),
        ('"5"', "5"),
        ("!!str 5", "5"),
        ("!!float 5", 5.0),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    root, _ = read(f"a: {text}\n" if text != "-" else "a:\n")
    assert plain(root) == {"a": value}


def test_text_of_a_number_is_kept() -> None:
    root, _ = read("version: 1.10\n")
    assert isinstance(root, Map)
    scalar = root.entries["version"]
    assert isinstance(scalar, Scalar) and scalar.text == "1.10"


def test_columns_count_characters() -> None:
    assert read("é: 1\nàé: {ü: 1, ü: 2}\n")[1] == ["document.duplicate f.yaml:2:12"]


def test_merge() -> None:
    root, problems = read("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {x: 4, <<: [*a, {z: 5}]}\n")
    assert not problems
    assert plain(root) == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 4, "y": 2, "z": 5}}


def test_an_alias_is_no_copy() -> None:
    root, _ = read("a: &a {x: 1}\nb: *a\n")
    assert isinstance(root, Map) and root.entries["a"] is root.entries["b"]


def test_an_alias_bomb_is_refused_before_it_is_expanded() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    _, problems = read("\n".join(lines))
    assert [problem.split()[0] for problem in problems] == ["document.alias"]


def test_a_merge_bomb_is_refused() -> None:
    wide = ", ".join(f"k{n}: 1" for n in range(2000))
    text = f"a: &a {{{wide}}}\n" + "".join(f"b{n}: {{<<: *a}}\n" for n in range(1000))
    assert read(text)[1][0].startswith("document.alias")


def test_size_and_number_of_elements_are_bounded() -> None:
    assert read("#" * (document.MAX_BYTES + 1))[1] == ["document.size f.yaml:1:1"]
    assert read("#" * document.MAX_BYTES)[1] == []
    assert read("- a\n" * (document.MAX_ELEMENTS + 1))[1][0].startswith("document.elements")


def test_the_budget_is_shared_by_documents() -> None:
    problems, budget = Problems(), Budget(elements=10)
    parse(b"[a, a, a, a, a, a]", "one", problems, budget)
    parse(b"[a, a, a, a, a, a]", "two", problems, budget)
    assert [str(problem.where) for problem in problems.finish()] == ["two:1:8"]


def test_the_pure_parser_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &x {b: [1, 'two', 3.0], c: ~}\nd: *x\ne: |\n  text\nf: !!str 5\n"
    native = plain(read(text)[0])
    monkeypatch.setattr(document, "EventParser", yaml.SafeLoader)
    root, problems = read(text)
    assert plain(root) == native and not problems
    assert read("a: 1\na: 2\n")[1] == ["document.duplicate f.yaml:2:1"]
    assert read("a:\n\tb: 1\n")[1] == ["document.tab f.yaml:2:1"]
