"""What a project has already is taken into a facility by its mark; what is another's, in use or of no use is refused."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from cantiere import machine_verbs
from cantiere.errors import CantiereError
from cantiere.state import StateStore
from support.small_cloud import SmallCloud
from support.tree import REPOSITORY
from unit.providers.test_openstack import CONTROL, LINEAGE, OPTIONS, WORKER, cloud, provider, raised

__all__ = ["cloud"]
ADDRESS = "198.51.100.77"
DATA: dict[str, Any] = {"data_volumes": {"worker": {"size": 9}}}


def floating(cloud: SmallCloud, **more: Any) -> dict[str, Any]:
    outside = next(item["id"] for item in cloud.objects["networks"].values() if item["name"] == "public")
    return cloud.put("floatingips", {"floating_ip_address": ADDRESS, "floating_network_id": outside, "port_id": None, **more})


def volume(cloud: SmallCloud, **more: Any) -> dict[str, Any]:
    return cloud.put("volumes", {"name": "results", "size": 5, "status": "available", "attachments": [], "volume_type": "ssd", **more})


def refused(*given: Any, **options: Any) -> str:
    """Why it is refused, with the code that all of them have."""
    tmp_path, machine, what = given
    with pytest.raises(CantiereError) as error:
        provider(tmp_path, **options).adopt(machine, what, LINEAGE)
    [problem] = error.value.problems
    assert problem.code == "openstack.import" and problem.path == machine.name and problem.remedy
    return problem.message


def test_a_floating_ip_that_names_lead_to(cloud: SmallCloud, tmp_path: Path) -> None:
    """Imported before the machine is made, it is the machine's, and goes with it."""
    floating(cloud)
    source = provider(tmp_path)
    assert source.adopt(CONTROL, ADDRESS, LINEAGE) == f"the floating IP {ADDRESS} is now that of control-1"
    assert source.adopt(CONTROL, ADDRESS, LINEAGE).endswith("already")
    raised(source, CONTROL)
    assert source.place([CONTROL])[0][0].door == ADDRESS and len(cloud.objects["floatingips"]) == 1
    source.delete("control-1")
    assert not cloud.objects["floatingips"]


def test_a_volume_with_data(cloud: SmallCloud, tmp_path: Path) -> None:
    """It is attached to the machine when that is made, and grows to the size that is asked for."""
    key = volume(cloud)["id"]
    source = provider(tmp_path, **DATA)
    assert source.adopt(WORKER, key, LINEAGE) == f"the volume {key} is now that of worker-1"
    assert source.adopt(WORKER, key, LINEAGE).endswith("already")
    raised(source, WORKER)
    [made] = cloud.objects["volumes"].values()
    assert (made["id"], made["status"], made["name"]) == (key, "in-use", "cantiere-lab-worker-1-data")
    assert source.changes([WORKER], source.observe())["worker-1"].reasons == ("its data volume grows from 5 to 9 GiB",)


def test_floating_ips_that_are_refused(cloud: SmallCloud, tmp_path: Path) -> None:
    assert "the project has no floating IP 198.51.100.77" in refused(tmp_path, CONTROL, ADDRESS)
    item = floating(cloud)
    assert "worker-1 gets no floating IP" in refused(tmp_path, WORKER, ADDRESS)
    item["port_id"] = "elsewhere"
    assert "in use at the port elsewhere" in refused(tmp_path, CONTROL, ADDRESS)
    item |= {"port_id": None, "description": "cantiere cantiere-lab-2 77aa control-1"}
    assert "it belongs to control-1 of the facility cantiere-lab-2 (77aa)" in refused(tmp_path, CONTROL, ADDRESS)
    item |= {"description": "", "floating_network_id": "another"}
    assert "is not of the network public" in refused(tmp_path, CONTROL, ADDRESS)
    cloud.objects["floatingips"].clear()
    raised(provider(tmp_path), CONTROL)
    floating(cloud)
    assert "control-1 has the floating IP 198.51.100.10" in refused(tmp_path, CONTROL, ADDRESS)
    assert [found["description"] for found in cloud.objects["floatingips"].values() if found["floating_ip_address"] == ADDRESS] == [""]


def test_volumes_that_are_refused(cloud: SmallCloud, tmp_path: Path) -> None:
    assert "the project has no volume nowhere" in refused(tmp_path, WORKER, "nowhere")
    item = volume(cloud)
    assert "machines of worker have no data volume" in refused(tmp_path, WORKER, item["id"])
    small = {"data_volumes": {"worker": {"size": 4}}}
    assert "the volume has 5 GiB of type ssd, 4 GiB are asked" in refused(tmp_path, WORKER, item["id"], **small)
    other = {"data_volumes": {"worker": {"size": 9, "type": "hdd"}}}
    assert "9 GiB of type hdd are asked" in refused(tmp_path, WORKER, item["id"], **other)
    item["status"] = "in-use"
    assert "is in-use" in refused(tmp_path, WORKER, item["id"], **DATA)
    item |= {"status": "available", "description": "cantiere cantiere-lab-2 77aa worker-1"}
    assert "of the facility cantiere-lab-2" in refused(tmp_path, WORKER, item["id"], **DATA)
    item["description"] = ""
    raised(provider(tmp_path, **DATA), WORKER)
    assert "worker-1 is there already" in refused(tmp_path, WORKER, item["id"], **DATA)
    assert item["description"] == ""


def test_the_verb(cloud: SmallCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It needs no machine that is there; the lineage that it marks with is the one that `up` goes on with."""
    template = REPOSITORY / "tosca" / "templates" / "cluster.yaml"
    site = {"plugin": "cantiere", "site": "lab", "template": str(template), "platform": "kubernetes", "provider": OPTIONS}
    file = tmp_path / "cantiere.yml"
    file.write_text(json.dumps({**site, "state_dir": str(tmp_path / "state")}), encoding="utf-8")
    item = floating(cloud)
    assert machine_verbs.import_(Namespace(site=str(file), machine="control-1", resource=ADDRESS, json=True)) == 0
    assert json.loads(capsys.readouterr().out)["imported"] == ADDRESS
    state = StateStore(tmp_path / "state").load()
    assert state is not None and item["description"] == f"cantiere cantiere-lab {state.lineage} control-1"
    with pytest.raises(CantiereError, match="there is no machine 'nobody'"):
        machine_verbs.import_(Namespace(site=str(file), machine="nobody", resource=ADDRESS, json=False))
    with pytest.raises(CantiereError, match="makes nothing in a project of OpenStack"):
        machine_verbs.import_(Namespace(site="nspawn", machine="control-1", resource=ADDRESS, json=False))
