"""The templates of ``images/htcondor`` in a pod."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cantiere.services import htcondor
from cantiere.services.htcondor_pod import Pod
from unit.services.samples_pool import facts, pool_node

TEMPLATES = Path(__file__).resolve().parents[3] / "images" / "htcondor" / "templates"
ROLES = ["central-manager", "access-point", "execute-point"]


def lines(role: str, **pod: Any) -> list[str]:
    node = pool_node()
    told = replace(htcondor.pool(node, facts(node)), pod=Pod(f"{role}.here.internal", "pool.here", **pod) if pod else None)
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.get_template("etc/condor/config.d/10-facility.conf.j2")
    return template.render(**htcondor.variables(told, role), role=role).splitlines()


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_is_known_by_its_service(role: str) -> None:
    told = lines(role, worker_class="default")
    assert f"NETWORK_HOSTNAME = {role}.here.internal" in told
    assert "PRIVATE_NETWORK_NAME = pool.here" in told
    assert not [line for line in told if line.startswith("TCP_FORWARDING_HOST")]
    assert "TCP_FORWARDING_HOST = 192.0.2.1" in lines(role, forwarding_host="192.0.2.1")


@pytest.mark.parametrize("role", ROLES)
def test_in_a_pod_something_is_added_and_nothing_else_changes(role: str) -> None:
    plain, pod = lines(role), lines(role, worker_class="default")
    assert [line for line in plain if line not in pod] == []
    assert not [line for line in plain if "NETWORK" in line or "CCB" in line]


@pytest.mark.parametrize("role", ROLES)
def test_no_list_lets_everybody_in(role: str) -> None:
    for line in lines(role, worker_class="default"):
        if "ALLOW_" in line.split(" = ")[0]:
            assert not any(entry.strip().startswith("*") for entry in line.split(" = ")[1].split(",")), line


def test_execute_points_are_reached_from_outside_by_calling_back() -> None:
    assert "CCB_ADDRESS = $(COLLECTOR_HOST)" in lines("execute-point", worker_class="default")
    assert not [line for line in lines("access-point", worker_class="default") if "CCB" in line]


def test_classes_gpus_and_leaving() -> None:
    plain = lines("execute-point", worker_class="default")
    assert 'WorkerClass = "default"' in plain
    assert not [line for line in plain if "GPU" in line or "NOCLAIM" in line]
    real = lines("execute-point", worker_class="gpu", gpus=2, leave_after=120)
    assert "use FEATURE: GPUs" in real
    assert not [line for line in real if "-simulate" in line]
    assert "STARTD_NOCLAIM_SHUTDOWN = 120" in real
    simulated = lines("execute-point", worker_class="gpu", gpus=2, simulated_gpus=True)
    assert [line for line in simulated if line.endswith("-simulate:1,2")]
