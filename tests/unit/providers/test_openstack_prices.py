"""A price list: read and checked, the cheapest flavor by it, and what a plan costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cantiere.machines.model import Cost
from cantiere.plan.definition import Plan
from cantiere.providers.openstack import options, prices
from cantiere.providers.openstack.prices import Holding, Prices
from cantiere.telling import beside
from support.small_cloud import SmallCloud
from unit.providers.test_openstack import CONTROL, WORKER, cloud, provider, raised
from unit.providers.test_openstack_rules import GIVEN

__all__ = ["cloud"]
LIST: dict[str, Any] = {"currency": "EUR", "flavors": {"small": 0.02, "medium": 0.05, "large": 0.04}, "volume": 0.1, "floating_ip": 3}


def test_a_list_in_the_site_or_beside_it(tmp_path: Path) -> None:
    wanted = Prices("EUR", {"small": 0.02, "medium": 0.05, "large": 0.04}, 0.1, 3.0)
    assert prices.read(LIST, None) == (wanted, [])
    site = tmp_path / "cantiere.yml"
    (tmp_path / "prices.yml").write_text("currency: CHF\nflavors: {small: 1}\n", encoding="utf-8")
    assert prices.read("prices.yml", site) == (Prices("CHF", {"small": 1.0}), [])
    assert prices.read(None, site) == (None, [])


@pytest.mark.parametrize(
    ("given", "path", "words"),
    [
        ([], "provider.prices", "is a mapping"),
        ({"flavors": {}}, "provider.prices.currency", "the currency is missing"),
        ({**LIST, "volumes": 1}, "provider.prices.volumes", "has no 'volumes'"),
        ({**LIST, "volume": "dear"}, "provider.prices.volume", "'dear' is no price"),
        ({**LIST, "floating_ip": -1}, "provider.prices.floating_ip", "-1 is no price"),
        ({**LIST, "flavors": {"small": True}}, "provider.prices.flavors.small", "True is no price"),
        ({**LIST, "flavors": [1]}, "provider.prices.flavors", "flavors is no mapping"),
        ("nowhere.yml", "provider.prices", "cannot be read"),
    ],
)
def test_a_wrong_list(given: Any, path: str, words: str) -> None:
    found, problems = options.read({**GIVEN, "prices": given}, None)
    [problem] = [problem for problem in problems if problem.path == path]
    assert found is None and words in problem.message and problem.code == "openstack.prices" and problem.remedy


def test_where_a_list_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "prices.yml").write_text("currency: EUR\nflavors:\n  small: much\n", encoding="utf-8")
    [problem] = prices.read("prices.yml", tmp_path / "cantiere.yml")[1]
    assert str(problem.where) == f"{tmp_path / 'prices.yml'}:3:3"


def test_sums_and_what_has_no_price() -> None:
    known = Prices("EUR", {"small": 0.1}, volume=0.5)
    now = [Holding("a", "small", 10)]
    then = [Holding("a", "small", 20, True), Holding("b", "huge"), Holding("c", "")]
    found = prices.cost(known, now, then)
    assert (found.month, found.now) == (pytest.approx(83.0), pytest.approx(78.0))
    assert found.unpriced == ("floating IPs of a", "flavor huge of b", "a flavor, because none is enough, of c")
    assert str(found) == (
        "cost: 83.00 EUR a month of 730 hours, 5.00 more than now; without a price: floating IPs of a; flavor huge of b; "
        "a flavor, because none is enough, of c"
    )
    many = prices.cost(known, [], [Holding(f"w-{number}", "huge") for number in range(1, 9)])
    assert many.unpriced == ("flavor huge of w-1, w-2, w-3, w-4, w-5, w-6 and 2 more",)


def test_the_cheapest_that_fits(cloud: SmallCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With prices the cheapest is taken, not the smallest; one without a price comes last; and why is told."""
    source = provider(tmp_path, prices=LIST)
    raised(source, CONTROL, WORKER)
    taken = {server["name"]: server["flavor"]["original_name"] for server in cloud.objects["servers"].values()}
    assert taken == {"cantiere-lab-control-1": "small", "cantiere-lab-worker-1": "large"}
    assert "large (8 cores, 16 GiB of memory, 80 GiB of disk, 0.04 an hour): the cheapest with 3 cores" in capsys.readouterr().out
    assert source.changes([CONTROL, WORKER], source.observe()) == {}
    dearer = provider(tmp_path, prices={**LIST, "flavors": {**LIST["flavors"], "large": 9}})
    assert dearer.changes([CONTROL, WORKER], dearer.observe()) == {}, "a new price list moves no server"


def test_what_a_plan_costs(cloud: SmallCloud, tmp_path: Path) -> None:
    """From nothing, with what is there, with a change, and with machines that go."""
    volumes = {"boot_volume": {"size": 20}, "data_volumes": {"worker": {"size": 10}}}
    source = provider(tmp_path, prices=LIST, **volumes)
    control, worker = 0.02 * 730 + 2 + 3, 0.04 * 730 + 3

    def asked(of: Any, *machines: Any, anew: tuple[str, ...] = ()) -> tuple[float, float]:
        found = of.cost(machines, of.observe(), anew)
        return round(found.month, 6), round(found.now, 6)

    assert asked(source, CONTROL, WORKER) == (pytest.approx(control + worker), 0.0)
    raised(source, CONTROL, WORKER)
    assert asked(source, CONTROL, WORKER) == (pytest.approx(control + worker),) * 2
    assert asked(source, CONTROL) == (pytest.approx(control), pytest.approx(control + worker))
    larger = provider(tmp_path, prices=LIST, boot_volume={"size": 20}, data_volumes={"worker": {"size": 30}})
    assert asked(larger, CONTROL, WORKER)[0] == pytest.approx(control + worker + 2)
    dearer = provider(tmp_path, prices={**LIST, "flavors": {"small": 0.02, "medium": 0.03, "large": 0.04}}, **volumes)
    assert asked(dearer, CONTROL, WORKER, anew=("worker-1",))[0] == pytest.approx(control + worker - 7.3)
    [unpriced] = source.cost([replace(WORKER, needs={"num_gpus": 1})], {}, ()).unpriced
    assert unpriced == "flavor gpu of worker-1"
    assert provider(tmp_path).cost([WORKER], {}, ()) is None


def test_a_plan_tells_its_cost(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan("x", (), ("machine a: is as it is",), Cost("EUR", 12.5, 20.0))
    beside(plan)
    assert capsys.readouterr().out.splitlines() == [
        "  ! machine a: is as it is",
        "cost: 12.50 EUR a month of 730 hours, 7.50 less than now",
    ]
    assert plan.as_dict()["cost"] == {"currency": "EUR", "month": 12.5, "now": 20.0, "more": -7.5, "unpriced": ()}
    assert "as now" in str(Cost("EUR", 1.0, 1.001)) and "cost" not in Plan("x", ()).as_dict()
