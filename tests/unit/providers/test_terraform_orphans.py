"""The provider terraform on OpenStack: floating IPs that a run asked for and could not write down are found by their mark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cantiere.errors import CantiereError
from cantiere.providers.terraform import options, orphans
from support.small_cloud import Fault, SmallCloud, serving

LINEAGE = "3f0c"
GIVEN: dict[str, Any] = {
    "module": "openstack",
    "image": "debian-13",
    "network": {"subnet": "10.30.0.0/24"},
    "admin_cidrs": ["192.0.2.0/24"],
    "variables": {"cloud": "small"},
}
OTHERS = (
    "",
    "of somebody",
    "cantiere lab another control-1",
    f"cantiere lab2 {LINEAGE} control-1",
    f"not cantiere lab {LINEAGE} control-1",
)


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallCloud]:
    with serving(tmp_path) as (made, file):
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
        yield made


def site() -> options.Options:
    found, problems = options.read(GIVEN, None)
    assert found is not None and problems == []
    return found


def test_what_carries_the_mark_and_is_not_known_goes(cloud: SmallCloud) -> None:
    """One of another facility, one that a user made, and one that the state has stay."""
    lost, known = (cloud.put("floatingips", {"description": f"cantiere lab {LINEAGE} {name}-1"})["id"] for name in ("control", "worker"))
    others = {cloud.put("floatingips", {"description": text})["id"] for text in OTHERS}
    told: list[str] = []
    orphans.remove(site(), "lab", LINEAGE, {known}, told.append)
    assert set(cloud.objects["floatingips"]) == {known, *others} and lost not in cloud.objects["floatingips"]
    assert len(told) == 1 and "control-1: floating IP" in told[0]


def test_a_refusal_is_told(cloud: SmallCloud) -> None:
    cloud.put("floatingips", {"description": f"cantiere lab {LINEAGE} control-1"})
    cloud.faults.append(Fault("DELETE", "floatingips", 403))
    with pytest.raises(CantiereError, match=r"\[openstack.rights\]"):
        orphans.remove(site(), "lab", LINEAGE, (), print)


def test_other_modules_have_none() -> None:
    """Another module's cloud is not asked: there is none here that would answer."""
    orphans.remove(replace(site(), module=Path("/nowhere")), "lab", LINEAGE, (), print)
