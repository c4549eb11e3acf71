"""Pools of servers that grow and shrink: quota is checked before, a refusal leaves nothing behind that the next round does not mend."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere.errors import CantiereError
from cantiere.machines.fleet import Fleet
from cantiere.providers.openstack import OpenStack
from cantiere.state import State, StateStore
from cantiere.tosca.compile import load
from support.small_cloud import SmallCloud
from unit.providers.test_openstack import KUBERNETES, LINEAGE, OPTIONS

INPUTS = {"worker_machines": 1, "most_worker_machines": 4, "preemptible_machines": 1}


class Pools:
    """A facility's fleets on one project: a new one for each run, as the command line makes them."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.repository, self.folder = repository, folder
        StateStore(folder).save(State(LINEAGE))

    def fleet(self, worker: int = 0, removal: tuple[str, ...] = ()) -> Fleet:
        facility = load(self.repository / "tosca" / "templates" / "facility.yaml", INPUTS).facility
        site: Any = SimpleNamespace(state_dir=self.folder, prefix="cantiere-lab", kubernetes=KUBERNETES, file=self.folder / "cantiere.yml")
        made = Fleet(site, facility, scale={"worker": worker} if worker else {}, removal=frozenset(removal))
        options = {**OPTIONS, "flavors": ["small"], "pool_flavors": {"preemptible": ["medium"]}}
        made.__dict__["provider"] = OpenStack("cantiere-lab", self.folder, options, KUBERNETES)
        return made

    def up(self, worker: int = 0, removal: tuple[str, ...] = ()) -> None:
        """Make and remove servers as a run does."""
        fleet, store = self.fleet(worker, removal), StateStore(self.folder)
        leaving = fleet.leaving()
        fleet.provider.prepare(LINEAGE, print)
        for machine in fleet.machines():
            fleet.provider.create(machine, LINEAGE, print)
            store.save((store.load() or State(LINEAGE)).with_object(f"machine/{machine.name}", {"name": machine.name}))
        for machine in leaving:
            fleet.provider.delete(machine.name)
            store.save((store.load() or State(LINEAGE)).with_object(f"machine/{machine.name}", None))


def named(cloud: SmallCloud) -> list[str]:
    return sorted(name.removeprefix("cantiere-lab-") for name in cloud.names("servers"))


def test_quota_is_checked_before_a_pool_grows(cloud: SmallCloud, repository: Path, tmp_path: Path) -> None:
    pools = Pools(repository, tmp_path / "state")
    pools.up()
    assert named(cloud) == ["control-1", "preemptible-1", "worker-1"]
    before = cloud.belongings()
    cloud.limits["maxTotalCores"] = 4
    growing = pools.fleet(worker=4)
    (problem,) = growing.provider.check(growing.asked())
    assert problem.code == "openstack.quota" and "worker-2 2, worker-3 2, worker-4 2" in problem.message
    assert "worker-1" not in problem.message and cloud.belongings() == before


def test_growth_that_found_no_host_is_tried_again(cloud: SmallCloud, repository: Path, tmp_path: Path) -> None:
    pools = Pools(repository, tmp_path / "state")
    pools.up()
    cloud.no_room = {"f-small"}
    with pytest.raises(CantiereError, match=r"openstack\.no_host"):
        pools.up(worker=2)
    assert pools.fleet().lost() == ("worker-2",), "the loop knows what it has to come back to"
    cloud.no_room = set()
    pools.up()
    assert (pools.fleet().lost(), named(cloud)) == ((), ["control-1", "preemptible-1", "worker-1", "worker-2"])


def test_the_server_that_is_named_leaves_and_the_others_keep_name_and_address(cloud: SmallCloud, repository: Path, tmp_path: Path) -> None:
    pools = Pools(repository, tmp_path / "state")
    pools.up(worker=3)
    addresses = {machine.name: machine.address for machine in pools.fleet().machines()}
    pools.up(worker=2, removal=("worker-1",))
    assert named(cloud) == ["control-1", "preemptible-1", "worker-2", "worker-3"]
    assert {machine.name: machine.address for machine in pools.fleet().machines()} == {
        name: address for name, address in addresses.items() if name != "worker-1"
    }
    pools.up(worker=3)
    assert named(cloud) == ["control-1", "preemptible-1", "worker-1", "worker-2", "worker-3"]


def test_a_preemptible_server_that_the_cloud_took_is_lost_and_made_of_its_own_flavor(
    cloud: SmallCloud, repository: Path, tmp_path: Path
) -> None:
    pools = Pools(repository, tmp_path / "state")
    pools.up()

    def flavor() -> str:
        (server,) = (item for item in cloud.objects["servers"].values() if item["name"] == "cantiere-lab-preemptible-1")
        return str(server["asked"]["server"]["flavorRef"])

    assert flavor() == "f-medium"
    for identifier, server in list(cloud.objects["servers"].items()):
        if server["name"] == "cantiere-lab-preemptible-1":
            del cloud.objects["servers"][identifier]
    assert pools.fleet().lost() == ("preemptible-1",)
    pools.up()
    assert (pools.fleet().lost(), flavor()) == ((), "f-medium")
