"""Machines of the template find machines of the site: as many as can be, never one twice, never below what is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cantiere.errors import Location, TemplateError
from cantiere.machines.matching import Candidate, match, misfits
from cantiere.machines.model import Machine
from cantiere.model import Condition
from cantiere.tosca.compile import load
from support.templates import HEAD
from unit.machines.samples_hosts import GIB, machine

TYPES = Path(__file__).resolve().parents[3] / "tosca" / "types"


def candidate(name: str, *roles: str, labels: dict[str, str] | None = None, used_by: str = "", **facts: object) -> Candidate:
    own = {"cpus": 4, "memory": 16 * GIB, "disk": 100 * GIB, "gpus": 0, "os_id": "debian", "os_version": "13", "arch": "amd64"}
    return Candidate(name, roles, labels or {}, {**own, **facts}, used_by)


def pool(tmp_path: Path, node_filter: str) -> tuple[Condition, ...]:
    """The conditions of a pool's node filter, as the front end reads them."""
    text = f"""{HEAD}imports: [common.yaml]
topology_template:
  inputs:
    least: {{type: integer, default: 8}}
  node_templates:
    w:
      type: cantiere.nodes.MachinePool
      requirements:
        - machine: {{node_filter: {node_filter}}}
"""
    path = tmp_path / "pool.yaml"
    path.write_text(text)
    return load(path).facility.node("w").filters["machine"]


def test_the_smallest_that_is_enough_is_taken() -> None:
    sites = [candidate("big", memory=64 * GIB), candidate("small"), candidate("tiny", memory=GIB)]
    assert match([machine("w-1", mem_size=8 * GIB)], sites, {}) == ({"w-1": "small"}, [])


def test_the_own_name_wins_then_the_listed_role_then_labels() -> None:
    sites = [candidate("a"), candidate("b", "worker"), candidate("c", labels={"disk": "ssd"}), candidate("w-4", memory=64 * GIB)]
    wanted = [machine("w-4"), machine("w-1"), machine("w-2", labels={"disk": "ssd"}), machine("w-3")]
    assert match(wanted, sites, {})[0] == {"w-4": "w-4", "w-1": "b", "w-2": "c", "w-3": "a"}


def test_one_that_was_placed_moves_where_another_can_only_be_there() -> None:
    sites = [candidate("a"), candidate("b", gpus=2)]
    assert match([machine("a-1"), machine("g-1", num_gpus=1)], sites, {})[0] == {"a-1": "a", "g-1": "b"}


def test_what_does_not_fit_is_explained_for_each_machine_nearest_first() -> None:
    sites = [
        candidate("node1", "control-plane"),
        candidate("node2", cpus=2, memory=GIB, labels={"zone": "b"}),
        candidate("node3", used_by="cp-1"),
        candidate("node4", cpus=4),
    ]
    placed, problems = match([machine("w-1", labels={"zone": "a"}, num_cpus=8, mem_size=8 * GIB)], sites, {})
    assert placed == {} and [problem.code for problem in problems] == ["machine.unplaced"]
    assert problems[0].message == (
        "no machine of the site can be w-1: "
        "node4 has 4 cores, 8 are asked; "
        "node3 is cp-1; "
        "node1 is listed for control-plane, not for worker, has 4 cores, 8 are asked; "
        "node2 has the label zone=b, a is asked, has 2 cores, 8 are asked, has 1.0 GiB of memory, 8.0 GiB are asked"
    )
    assert "pool w" in problems[0].remedy


def test_each_pool_that_lacks_machines_is_one_problem() -> None:
    wanted = [machine("w-1"), machine("w-2"), machine("w-3"), machine("g-1", num_gpus=1)]
    placed, problems = match(wanted, [candidate("a"), candidate("b")], {})
    assert len(placed) == 2 and [problem.path for problem in problems] == ["w", "g"]
    assert "a is w-" in problems[0].message or "b is w-" in problems[0].message


@pytest.mark.parametrize(
    ("node_filter", "part"),
    [
        ("{capabilities: [{host: {properties: [{num_cpus: {greater_or_equal: 4}}, {mem_size: {less_than: 17 GiB}}]}}]}", ""),
        ("{capabilities: [{os: {properties: [{distribution: debian}, {version: {in_range: [12.0, 13.0]}}]}}]}", ""),
        ("{properties: [{name: {pattern: 'node[0-9]'}}, {labels: {min_length: 1}}]}", ""),
        (
            "{capabilities: [{host: {properties: [{num_cpus: {greater_or_equal: {get_input: least}}}]}}]}",
            "its host.num_cpus is 4 and must be at least 8",
        ),
        (
            "{capabilities: [{cantiere.capabilities.System: {properties: [{version: {less_than: 13.0}}]}}]}",
            "its os.version is 13.0 and must be less",
        ),
        (
            "{capabilities: [{os: {properties: [{architecture: {valid_values: [arm64]}}]}}]}",
            "its os.architecture is amd64 and must be one of",
        ),
        ("{properties: [{name: {equal: node2}}]}", "its name is node1 and must be node2"),
    ],
)
def test_node_filters(tmp_path: Path, node_filter: str, part: str) -> None:
    found = misfits(machine("w-1"), candidate("node1", labels={"a": "b"}), pool(tmp_path, node_filter))
    assert (not found) if not part else (len(found) == 1 and part in found[0] and "pool.yaml:10:" in found[0])


def test_what_a_machine_does_not_tell_does_not_pass(tmp_path: Path) -> None:
    conditions = pool(tmp_path, "{capabilities: [{os: {properties: [{version: {greater_than: 1.0}}]}}]}")
    assert "does not tell its os.version" in misfits(machine("w-1"), candidate("a", os_version=""), conditions)[0]
    assert "does not tell its os.version" in misfits(machine("w-1"), candidate("a", os_version="testing/sid"), conditions)[0]


@pytest.mark.parametrize(
    ("node_filter", "code", "part"),
    [
        ("{capabilities: [{host: {properties: [{num_cpu: {equal: 1}}]}}]}", "filter.property", "host.num_cpu"),
        ("{capabilities: [{hots: {properties: [{num_cpus: {equal: 1}}]}}]}", "filter.capability", "hots"),
        ("{properties: [{nam: a}]}", "filter.property", "nam"),
        ("{capabilities: [{host: {properties: [{num_cpus: {equal: many}}]}}]}", "property.type", "integer"),
        ("{capabilities: [{host: {properties: [{mem_size: {in_range: [4 GiB]}}]}}]}", "constraint.value", "lower and an upper"),
    ],
)
def test_a_filter_that_cannot_be_asked_is_refused_with_its_place(tmp_path: Path, node_filter: str, code: str, part: str) -> None:
    with pytest.raises(TemplateError) as refused:
        pool(tmp_path, node_filter)
    problems = [problem for problem in refused.value.problems if problem.code == code]
    assert len(problems) == 1 and part in problems[0].message
    assert problems[0].where == Location(str(tmp_path / "pool.yaml"), 10, problems[0].where.column) and problems[0].where.column > 9


def test_a_machine_is_not_declared_in_a_template(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(f"{HEAD}imports: [common.yaml]\ntopology_template:\n  node_templates:\n    box: {{type: cantiere.nodes.Machine}}\n")
    with pytest.raises(TemplateError) as refused:
        load(path)
    assert [problem.code for problem in refused.value.problems] == ["node.outside"]


def test_many_machines_that_are_alike() -> None:
    wanted = [machine(f"w-{number}") for number in range(300)]
    placed, problems = match(wanted, [candidate(f"n{number}") for number in range(299)], {})
    assert len(set(placed.values())) == 299 and len(problems) == 1


SIZES = st.integers(1, 4)
WANTED = st.lists(st.tuples(SIZES, SIZES, st.sampled_from(["worker", "gpu"])), max_size=6)
LISTED = st.lists(st.tuples(SIZES, SIZES, st.sampled_from([(), ("worker",), ("gpu",), ("gpu", "worker")])), max_size=6)


def most(options: list[list[str]], taken: frozenset[str] = frozenset()) -> int:
    """How many can be placed at best, by trying all."""
    if not options:
        return 0
    placed = [1 + most(options[1:], taken | {name}) for name in options[0] if name not in taken]
    return max([most(options[1:], taken), *placed])


@given(WANTED, LISTED)
def test_as_many_as_can_be_each_once_and_none_below_what_is_asked(
    asked: list[tuple[int, int, str]], listed: list[tuple[int, int, tuple[str, ...]]]
) -> None:
    wanted = [machine(f"{role}{number}-1", role, num_cpus=cpus, mem_size=mem) for number, (cpus, mem, role) in enumerate(asked)]
    sites = [candidate(f"n{number}", *roles, cpus=cpus, memory=mem) for number, (cpus, mem, roles) in enumerate(listed)]
    placed, problems = match(wanted, sites, {})
    by_name = {site.name: site for site in sites}
    needs: dict[str, Machine] = {one.name: one for one in wanted}
    assert len(set(placed.values())) == len(placed)
    assert all(not misfits(needs[name], by_name[site], ()) for name, site in placed.items())
    assert len(placed) == most([[site.name for site in sites if not misfits(one, site, ())] for one in wanted])
    assert {problem.path for problem in problems} == {one.pool for one in wanted if one.name not in placed}
    assert match(wanted, list(reversed(sites)), {})[0] == placed
