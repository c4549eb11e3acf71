"""What every ``up`` tells, whatever the platform."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cantiere.indigo.outputs import Asked
from cantiere.model import Facility, Node
from cantiere.runner import Run
from cantiere.services import iam
from cantiere.up import Raised, outputs, show_login, show_outputs, users
from support.releases import WHERE


def workspace(site: str) -> Any:
    properties = {"users": {"alice": ["/cms", "/cms/prod"]}}
    node = Node("identity", iam.TYPE, properties, {}, WHERE)
    return SimpleNamespace(site=SimpleNamespace(name=site), facility=Facility("lab", "", (node,), {}))


def test_users_of_another_site_are_asked_for_there() -> None:
    (here,), (there,) = users(workspace("here")), users(workspace("lab"))
    assert here == {"name": "alice", "groups": "/cms /cms/prod", "password": "./cantiere secrets show identity-user-alice"}
    assert there["password"] == "./cantiere secrets show identity-user-alice --site lab"


def test_outputs_are_the_same_on_every_platform(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kubeconfig = tmp_path / "config"
    facility = Facility("lab", "", (), {"url": "https://hub", "gone": None, "size": 3, "config": None, "ip": None})
    late = {"config": Asked("front", "kubeconfig"), "ip": Asked("front", "address", 0)}
    machine = SimpleNamespace(address="10.0.0.1", pool="front", user="root", key="/srv/key", door="")
    fleet, cluster = SimpleNamespace(machines=lambda: [machine]), SimpleNamespace(kubeconfig=kubeconfig)
    there: list[tuple[Any, Any]] = [(None, None), (None, cluster), (fleet, cluster)]
    site = SimpleNamespace(state_dir=tmp_path)
    compose, alone, machines = (SimpleNamespace(site=site, facility=facility, late=late, fleet=one, cluster=two) for one, two in there)
    always = {"url": "https://hub", "size": 3}
    assert outputs(compose) == outputs(alone) == always  # type: ignore[arg-type]
    kubeconfig.touch()
    assert outputs(compose) == always and outputs(alone) == {**always, "config": str(kubeconfig)}  # type: ignore[arg-type]
    assert outputs(machines) == {**always, "config": str(kubeconfig), "ip": "10.0.0.1"}  # type: ignore[arg-type]
    show_outputs(always)
    assert [line.split() for line in capsys.readouterr().out.split("\n")[2:4]] == [["url", "https://hub"], ["size", "3"]]


def test_login_names_pages_and_users(capsys: pytest.CaptureFixture[str]) -> None:
    show_login(workspace("lab"), {"JupyterHub": "https://hub.example.org"}, "below example.org")
    told = capsys.readouterr().out
    assert "below example.org; the facility's CA: ./cantiere secrets show facility-ca --site lab" in told
    assert "https://hub.example.org" in told and "alice" in told
    show_login(SimpleNamespace(facility=Facility("none", "", (), {})), {}, "nowhere")  # type: ignore[arg-type]
    assert capsys.readouterr().out == ""


def test_a_run_is_told_in_one_line() -> None:
    step = {"step": "release/iam", "title": "create release iam", "seconds": 2.0}
    assert Raised(Run(), 1.24).told("the facility is", {}) == "no changes: the facility is what the template asks for (1.2 s)"
    assert Raised(Run(changed=1, steps=[step]), 31.0).told("the facility is", {}) == "up in 31 s, 1 steps"
    parts = Raised(Run(changed=2, steps=[step]), 31.0).told("the facility is", {"releases": 30.2})
    assert parts == "up in 31 s (releases 30 s); 2 tasks of Ansible changed something"
