"""Properties that hold for whatever is written: no crash, positions inside the file, an order that does not matter."""

from __future__ import annotations

import json
import random
import re
import warnings
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cantiere.errors import TemplateError
from cantiere.tosca.compile import load
from cantiere.tosca.pattern import MAX_WORK, Pattern, PatternError
from cantiere.tosca.scalars import scalar
from cantiere.tosca.values import FUNCTIONS
from support.templates import HEAD, template

SETTINGS = settings(
    max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
WORDS = (
    "type properties requirements capabilities node_filter get_input get_property concat token null [] {} [SELF,a] 1 -1 1.5 true "
    "tosca.nodes.Root tosca.nodes.Compute cantiere.nodes.IAM 4 GiB host platform iam UNBOUNDED default constraints in_range"
).split()


@pytest.fixture(scope="module")
def source(repository: Path) -> str:
    return (repository / "tosca" / "templates" / "facility.yaml").read_text(encoding="utf-8").replace("../types/", "")


def attempt(path: Path, text: str) -> None:
    """Load a template: it is good, or every problem says where inside the file, and the remedy."""
    path.write_text(text, encoding="utf-8")
    try:
        load(path)
    except TemplateError as error:
        assert error.problems
        lines = text.split("\n")
        for problem in error.problems:
            assert problem.message and problem.remedy and problem.code.count(".") == 1
            if problem.where and problem.where.file == str(path):
                assert 1 <= problem.where.line <= len(lines)
                assert 1 <= problem.where.column <= len(lines[problem.where.line - 1]) + 1


@SETTINGS
@given(seed=st.integers(0, 2**32))
def test_mutated_lines(tmp_path: Path, source: str, seed: int) -> None:
    chance = random.Random(seed)
    lines = source.split("\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        kind = chance.randrange(6)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[chance.randrange(len(lines))])
        elif kind == 2:
            lines[at] = " " * chance.randint(0, 6) + lines[at]
        elif kind == 3:
            lines[at] = lines[at].partition(":")[0] + ": " + chance.choice(WORDS)
        elif kind == 4:
            words = lines[at].split(" ")
            words[chance.randrange(len(words))] = chance.choice(WORDS)
            lines[at] = " ".join(words)
        else:
            lines[at] = lines[at].replace(":", "", 1)
    attempt(tmp_path / "t.yaml", "\n".join(lines))


@SETTINGS
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text(tmp_path: Path, text: str) -> None:
    attempt(tmp_path / "t.yaml", text)
    attempt(tmp_path / "t.yaml", HEAD + "topology_template:\n  node_templates:\n    n:\n      type: " + text)


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(WORDS), st.text(max_size=8)
)
KEYS = st.one_of(
    st.sampled_from(("type", "properties", "requirements", "capabilities", "inputs", "node_templates", "outputs", "value", "default")),
    st.sampled_from(("get_input", "get_property", "concat", "token", "node", "node_filter", "constraints", "entry_schema", "occurrences")),
    st.text(max_size=4),
)
TREES = st.recursive(LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)), max_leaves=20)


@SETTINGS
@given(
    sections=st.dictionaries(
        st.sampled_from(("node_types", "data_types", "capability_types", "imports", "topology_template", "metadata", "description")), TREES
    )
)
def test_any_tree(tmp_path: Path, sections: dict[str, object]) -> None:
    attempt(tmp_path / "t.yaml", json.dumps({"tosca_definitions_version": "tosca_simple_yaml_1_3", **sections}, allow_nan=False))


@SETTINGS
@given(order=st.permutations(range(6)))
def test_the_order_of_nodes_does_not_matter(tmp_path: Path, order: list[int]) -> None:
    lines = [
        "    s: {type: t.Server, properties: {speed: {get_property: [u, speed]}}}\n",
        "    f: {type: t.Fast, capabilities: {socket: {properties: {slots: 8}}}}\n",
        "    u: {type: t.Server, properties: {speed: 4}, requirements: [{dependency: f}]}\n",
        "    a: {type: t.Client, properties: {number: {get_property: [SELF, server, speed]}}, requirements: [{server: s}]}\n",
        "    b: {type: t.Client, requirements: [{server: {capability: t.Big}}, {dependency: a}]}\n",
        "    c: {type: t.Client, requirements: [{server: {node_filter: {properties: [{speed: 1}]}}}]}\n",
    ]
    path = tmp_path / "t.yaml"

    def nodes(chosen: list[str]) -> dict[str, object]:
        path.write_text(template("".join(chosen)), encoding="utf-8")
        facility = load(path).facility
        seen: set[str] = set()
        for node in facility.nodes:
            assert all(target in seen for targets in node.requirements.values() for target in targets)
            seen.add(node.name)
        return {node.name: (node.type, node.properties, node.requirements) for node in facility.nodes}

    assert nodes([lines[index] for index in order]) == nodes(lines)


@SETTINGS
@given(pattern=st.text(alphabet="ab(|)*+?[]^$.{2,}\\d-", max_size=12), subject=st.text(alphabet="ab1-\n", max_size=8))
def test_automata_match_what_re_matches(pattern: str, subject: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = Pattern(pattern, [MAX_WORK])
        except PatternError:
            return
        if "$" not in pattern:
            assert found.matches(subject) == (re.fullmatch(pattern, subject) is not None)


@SETTINGS
@given(number=st.integers(0, 10**15), unit=st.sampled_from((("B", 1), ("kB", 10**3), ("MiB", 1 << 20), ("TB", 10**12))))
def test_sizes_are_exact(number: int, unit: tuple[str, int]) -> None:
    assert scalar("scalar-unit.size", f"{number} {unit[0].lower()}") == number * unit[1]


LETTERS = st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"])
NAMES = st.text(LETTERS, max_size=12).filter(lambda name: name not in FUNCTIONS and name != "<<")
PLAIN = st.text(LETTERS, max_size=20) | st.integers(-(10**12), 10**12) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12)


@SETTINGS
@given(values=st.dictionaries(NAMES, TREES, min_size=2, max_size=5))
def test_values_come_back_as_they_were_written(tmp_path: Path, values: dict[str, object]) -> None:
    node = {"type": "t.N", "properties": {"p": values}}
    written = {
        "tosca_definitions_version": "tosca_simple_yaml_1_3",
        "node_types": {"t.N": {"derived_from": "tosca.nodes.Root", "properties": {"p": {"type": "map"}}}},
        "topology_template": {"node_templates": {"n": node}},
    }
    path = tmp_path / "t.yaml"
    path.write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")
    assert load(path).facility.node("n").properties["p"] == values


def test_facility_written_again_is_the_same(tmp_path: Path, source: str) -> None:
    """What another program makes of the template's YAML, in blocks or in flow, is the same facility."""
    found = []
    for number, text in enumerate((source, yaml.safe_dump(yaml.safe_load(source)), json.dumps(yaml.safe_load(source)))):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text, encoding="utf-8")
        facility = load(path).facility
        nodes = {node.name: (node.type, node.properties, node.requirements) for node in facility.nodes}
        found.append((facility.name, nodes, facility.outputs))
    assert found[0] == found[1] == found[2]
