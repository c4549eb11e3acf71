"""Ports that pools of the template open: a security group for the machines of each such pool, and nothing of it on others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cantiere.machines.model import Machine, Opening
from cantiere.providers.openstack import OpenStack, options, rules
from cantiere.providers.openstack.rules import MACHINES, Rule
from cantiere.state import State, StateStore
from support.small_cloud import SmallCloud
from unit.providers.test_openstack import CONTROL, KUBERNETES, LINEAGE, OPTIONS, WORKER, cloud, raised
from unit.providers.test_openstack_rules import GIVEN

__all__ = ["cloud"]
WEB = Opening("worker", 80, 80, pool="worker")
DATA = Opening("worker", 9000, 9100, "udp", "192.0.2.0/25", "worker")


def provider(folder: Path, doors: Sequence[Opening] = (), **given: Any) -> OpenStack:
    StateStore(folder / "state").save(State(LINEAGE))
    return OpenStack("cantiere-lab", folder / "state", {**OPTIONS, **given}, KUBERNETES, None, doors)


def groups_of(cloud: SmallCloud, machine: Machine) -> list[str]:
    (port,) = (item for item in cloud.objects["ports"].values() if item["name"] == f"cantiere-lab-{machine.name}")
    return sorted(cloud.objects["security-groups"][group]["name"] for group in port["security_groups"])


def test_a_pool_has_a_group_of_its_own(cloud: SmallCloud, tmp_path: Path) -> None:
    before = cloud.belongings()
    source = provider(tmp_path, [WEB, DATA])
    raised(source, CONTROL, WORKER)
    assert groups_of(cloud, WORKER) == ["cantiere-lab-machines", "cantiere-lab-pool-worker"]
    assert groups_of(cloud, CONTROL) == ["cantiere-lab-control-plane", "cantiere-lab-machines"]
    assert source.prepared() and source.adjustments() == ()
    (group,) = (item["id"] for item in cloud.objects["security-groups"].values() if item["name"] == "cantiere-lab-pool-worker")
    listed = [rule for rule in cloud.objects["security-group-rules"].values() if rule["security_group_id"] == group]
    told = [(rule["protocol"], rule["port_range_min"], rule["port_range_max"], rule["remote_ip_prefix"]) for rule in listed]
    assert sorted(told) == [("tcp", 80, 80, "0.0.0.0/0"), ("udp", 9000, 9100, "192.0.2.0/25")]
    for machine in (CONTROL, WORKER):
        source.delete(machine.name)
    source.release()
    assert cloud.belongings() == before


def test_machines_that_were_there_join_and_what_nobody_asks_for_is_closed(cloud: SmallCloud, tmp_path: Path) -> None:
    raised(provider(tmp_path), CONTROL, WORKER)
    source = provider(tmp_path, [WEB, DATA])
    asked = ", asked for by node worker of the template"
    told = (f"group pool-worker opens tcp 80 to 0.0.0.0/0{asked}", f"group pool-worker opens udp 9000-9100 to 192.0.2.0/25{asked}")
    assert source.adjustments() == (*told, "machine worker-1 joins group pool-worker")
    assert source.whole() and not source.prepared()
    source.prepare(LINEAGE, print)
    assert source.prepared() and groups_of(cloud, WORKER) == ["cantiere-lab-machines", "cantiere-lab-pool-worker"]
    closed = provider(tmp_path, [WEB])
    assert closed.adjustments() == ("group pool-worker closes udp 9000-9100 to 192.0.2.0/25",)
    nothing = provider(tmp_path)
    assert len(nothing.adjustments()) == 2
    nothing.prepare(LINEAGE, print)
    assert nothing.prepared() and nothing.adjustments() == ()


def test_groups_and_rules_are_counted_before(cloud: SmallCloud, tmp_path: Path) -> None:
    raised(provider(tmp_path), CONTROL, WORKER)
    cloud.limits["security_group"] = len(cloud.objects["security-groups"])
    (problem,) = provider(tmp_path, [WEB]).check([CONTROL, WORKER])
    assert problem.code == "openstack.quota" and "1 more security groups" in problem.message


def test_the_same_ports_of_two_are_told_apart() -> None:
    found, _ = options.read(GIVEN, None)
    assert found is not None
    both = found.with_doors([WEB, Opening("door", 80, 80)])
    rule = Rule("tcp", 80, "0.0.0.0/0")
    assert [rules.asks(both)[group, rule].rpartition("node ")[2] for group in ("pool-worker", MACHINES)] == [
        "worker of the template",
        "door of the template",
    ]


def test_no_more_than_the_public_of_the_site() -> None:
    """Where the site narrows who its public is, a template of others cannot widen it."""
    found, _ = options.read({**GIVEN, "public_cidrs": ["192.0.2.0/25", "198.51.100.0/24"]}, None)
    assert found is not None
    sources = [Opening("w", 80, 80, source=source, pool="w") for source in ("0.0.0.0/0", "192.0.2.64/26", "203.0.113.0/24")]
    given = [item.sources for item in found.with_doors(sources).open_ports]
    assert given == [("192.0.2.0/25", "198.51.100.0/24"), ("192.0.2.64/26",), ()]
