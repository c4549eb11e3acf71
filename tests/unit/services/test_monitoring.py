"""Prometheus, its exporters, and what they are told."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cantiere.model import Container, Mount, Port, Probe
from cantiere.services import htcondor, monitoring
from unit.services.samples_pool import facts, monitoring_node, pool_node

IMAGES = Path(__file__).resolve().parents[3] / "images"


def test_containers_as_whole_values() -> None:
    pool, watcher = pool_node(), monitoring_node("pool")
    known = facts(pool, watcher)
    assert monitoring.containers(watcher, known) == (
        Container(
            name="monitoring-exporter",
            service="monitoring",
            image="condor-exporter",
            settings={"collector": "pool-cm.here.internal:9618", "domain": "here.internal", "query_timeout": 4},
            secrets=(htcondor.idtoken(pool, known, "monitoring-exporter", "READ"),),
            needs=("pool-cm",),
            probe=Probe(("condor-exporter-probe",)),
        ),
        Container(
            name="monitoring",
            service="monitoring",
            image="prometheus",
            settings={
                "retention": 604800,
                "scrape_interval": 5,
                "jobs": [
                    {"name": "prometheus", "targets": ["localhost:9090"]},
                    {"name": "htcondor", "targets": ["monitoring-exporter.here.internal:9118"]},
                ],
            },
            mounts=(Mount("monitoring-data", "/srv/prometheus"),),
            ports=(Port(9090, "http://monitoring.here.internal:9090", "Metrics (Prometheus)"),),
            needs=("monitoring-exporter",),
            probe=Probe(("prometheus-probe",)),
        ),
    )


def test_each_pool_has_an_exporter_that_it_lets_read() -> None:
    first, second, watcher = pool_node("pool"), pool_node("tier3"), monitoring_node("pool", "tier3")
    known = facts(first, second, watcher)
    names = [container.name for container in monitoring.containers(watcher, known)]
    assert names == ["monitoring-exporter", "monitoring-exporter-tier3", "monitoring"]
    assert htcondor.settings(first, known, "access-point")["readers"] == ["monitoring-exporter@here.internal"]
    assert htcondor.settings(second, known, "access-point")["readers"] == ["monitoring-exporter-tier3@here.internal"]


def test_workers_change_nothing() -> None:
    watcher = monitoring_node("pool")
    small, large = pool_node(workers=1), pool_node(workers=9)
    assert monitoring.containers(watcher, facts(small, watcher)) == monitoring.containers(watcher, facts(large, watcher))


def test_the_rendered_configuration() -> None:
    pool, watcher = pool_node(), monitoring_node("pool")
    environment = Environment(
        loader=FileSystemLoader(IMAGES / "prometheus" / "templates"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template("etc/prometheus/prometheus.yml.j2").render(**monitoring.settings(watcher, facts(pool, watcher)))
    assert yaml.safe_load(text) == {
        "global": {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "5s"},
        "scrape_configs": [
            {"job_name": "prometheus", "static_configs": [{"targets": ["localhost:9090"]}]},
            {"job_name": "htcondor", "static_configs": [{"targets": ["monitoring-exporter.here.internal:9118"]}]},
        ],
    }


def load_slots() -> Any:
    spec = importlib.util.spec_from_file_location("slots", IMAGES / "condor-exporter" / "slots.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("kind", "activity", "busy"),
    [
        ("Dynamic", "Busy", True),
        ("Dynamic", "Retiring", True),
        ("Dynamic", "Vacating", True),
        ("Dynamic", "Idle", False),
        ("Static", "Busy", True),
        ("Partitionable", "Idle", False),
        ("Partitionable", "Retiring", False),
    ],
)
def test_a_slot_is_busy_while_a_job_is_on_it(kind: str, activity: str, busy: bool) -> None:
    assert load_slots().busy({"SlotType": kind, "Activity": activity}) is busy


def test_labels_of_a_slot() -> None:
    sinful = "<10.141.0.12:9618?addrs=10.141.0.12-9618&alias=w1.here.internal&sock=startd_1>"
    slot = {"Machine": "w1.here.internal", "Name": "slot1_1@w1.here.internal", "MyAddress": sinful}
    assert load_slots().labels(slot) == ["w1.here.internal", "slot1_1@w1.here.internal", "10.141.0.12", ""]
    assert load_slots().address("<[fd00::7]:9618>") == "fd00::7"
