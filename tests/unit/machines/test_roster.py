"""Which machines a pool has: gaps stay, growth fills them, those named to leave go first and alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cantiere.errors import Location
from cantiere.machines.roster import Asked, There, absent, numbers, problems
from cantiere.model import Node

WHERE = Location("facility.yaml", 12, 5)


def pool(count: int, most: int = 0, *removal: str, name: str = "worker") -> Node:
    return Node(name, "cantiere.nodes.MachinePool", {"count": count, "max_count": most, "removal_list": list(removal)}, {}, WHERE)


def there(*given: int, lost: tuple[int, ...] = (), name: str = "worker") -> There:
    seen = frozenset(f"{name}-{number}" for number in given)
    return There(seen, seen | {f"{name}-{number}" for number in lost})


def asked(worker: int = -1, *removal: str) -> Asked:
    return Asked({"worker": worker} if worker >= 0 else {}, frozenset(removal))


def test_from_nothing() -> None:
    assert numbers(pool(3), There(), Asked()) == (1, 2, 3)
    assert numbers(pool(1, 5), There(), Asked()) == (1,)
    assert numbers(pool(1, 5), There(), asked(4)) == (1, 2, 3, 4)


def test_other_names_are_none_of_the_pool() -> None:
    strangers = There(frozenset({"worker-gpu-7", "worker-0", "worker-02", "worker-x", "worker", "control-2"}))
    assert numbers(pool(1, 9), strangers, Asked()) == (1,)


def test_a_gap_stays_and_the_lowest_free_number_is_given_when_the_pool_grows() -> None:
    assert numbers(pool(2), there(2, 3), Asked()) == (2, 3)
    assert numbers(pool(1, 5), there(2, 3), Asked()) == (2, 3)
    assert numbers(pool(1, 5), there(2, 4), asked(4)) == (1, 2, 3, 4)


def test_those_with_the_highest_numbers_leave_where_nobody_is_named() -> None:
    assert numbers(pool(2), there(1, 2, 7), Asked()) == (1, 2)
    assert numbers(pool(1, 5), there(1, 2, 3), asked(2)) == (1, 2)


def test_those_on_the_list_leave_first_and_the_others_keep_their_names() -> None:
    assert numbers(pool(2, 0, "worker-1"), there(1, 2, 3), Asked()) == (2, 3)
    assert numbers(pool(1, 0, "worker-1"), there(1, 2, 3), Asked()) == (2,)
    assert numbers(pool(1, 5), there(1, 2, 3), asked(2, "worker-1")) == (2, 3)
    assert numbers(pool(1, 5, "worker-2"), there(1, 2, 3), Asked()) == (1, 3), "in a pool that may grow to name a machine is enough"


def test_a_name_on_the_list_is_not_given_again() -> None:
    assert numbers(pool(2, 0, "worker-1"), There(), Asked()) == (2, 3)
    assert numbers(pool(1, 5, "worker-1"), there(2, 3), asked(3)) == (2, 3, 4)


def test_who_is_lost_leaves_before_who_runs_and_is_made_again_where_nobody_leaves() -> None:
    assert numbers(pool(1, 5), there(2, 3, lost=(1,)), asked(2)) == (2, 3)
    assert numbers(pool(1, 5), there(1, 3, lost=(2,)), Asked()) == (1, 2, 3)


def test_a_list_that_is_longer_than_what_goes_is_an_error_with_its_place() -> None:
    (problem,) = problems([pool(2, 0, "worker-1", "worker-2")], there(1, 2, 3), Asked())
    assert (problem.code, problem.where) == ("pool.removal", WHERE)
    assert problem.path == "topology_template.node_templates.worker.properties.removal_list"
    assert problem.message.endswith("it has 3 machines and shrinks by 1, named are worker-1, worker-2")
    assert [item.code for item in problems([pool(2, 5)], there(1, 2), asked(-1, "worker-1"))] == ["pool.removal"], "below its least"
    assert [item.code for item in problems([pool(1, 5)], there(1, 2, 3), asked(3, "worker-1"))] == ["pool.removal"]
    assert problems([pool(2, 0, "worker-1")], there(1, 2, 3), Asked()) == []
    assert problems([pool(2, 0, "worker-1")], there(2, 3), Asked()) == [], "it has left already"


def test_who_is_named_and_not_there_is_told() -> None:
    told = absent([pool(2, 0, "worker-1", "node-of-theirs"), pool(1, name="control")], there(1, 2, 3), asked(-1, "worker-2", "worker-9"))
    assert [(item.code, item.where) for item in told] == [("pool.absent", WHERE)] * 2
    assert [item.message.split(" and ")[0] for item in told] == ["'node-of-theirs' is to leave worker", "'worker-9' is to leave worker"]


SETS = st.sets(st.integers(1, 12), max_size=8)


@given(SETS, SETS, st.integers(0, 8), st.sets(st.integers(1, 12), max_size=4))
def test_a_pool_has_as_many_as_are_asked_and_asking_again_changes_nothing(
    here: set[int], lost: set[int], count: int, listed: set[int]
) -> None:
    given_pool = pool(count, 0, *(f"worker-{number}" for number in listed))
    found = numbers(given_pool, there(*here, lost=tuple(lost)), Asked())
    assert len(found) == count == len(set(found))
    if count >= len(here | lost):
        assert here | lost <= set(found)
    else:
        assert set(found) <= here | lost
    after: Any = there(*found)
    assert numbers(given_pool, after, Asked()) == found
