"""XRootD on a cluster: levels, their certificates, watermarks on volumes, several servers, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cantiere import pki
from cantiere.services import monitoring
from cantiere.services import xrootd as services
from cantiere.values import xrootd
from cantiere.values.model import Context, Release
from support.further import context, nodes
from support.tree import REPOSITORY

DOMAIN = "facility.svc.cluster.local"
LEVELS: dict[str, Any] = {
    "origin": {"type": services.ORIGIN, "requirements": [{"issuer": "iam"}]},
    "national": {"type": services.CACHE, "requirements": [{"issuer": "iam"}, {"source": "origin"}]},
    "site": {"type": services.CACHE, "requirements": [{"issuer": "iam"}, {"source": "national"}, {"fallback": "origin"}]},
}


def compiled(tmp_path: Path, **properties: dict[str, Any]) -> tuple[Context, dict[str, Release]]:
    """The three levels, with further properties of each."""
    levels = {name: {**level, "properties": properties.get(name, {})} for name, level in LEVELS.items()}
    where = context(*nodes(tmp_path, levels))
    return where, {name: xrootd.releases(where.facility.node(name), where)[0] for name in LEVELS}


def problems(tmp_path: Path, **properties: dict[str, Any]) -> set[str]:
    where, _ = compiled(tmp_path, **properties)
    return {found.code for name in LEVELS for found in xrootd.check(where.facility.node(name), where.facility)}


def test_a_level_is_told_what_it_is_told_on_one_machine_and_where_its_exporter_listens(tmp_path: Path) -> None:
    where, found = compiled(tmp_path)
    for name, release in found.items():
        told = release.values["settings"]
        assert told == services.settings(where.facility.node(name), where.services) | {"monitor": xrootd.MONITOR}
        assert release.values["existingSecret"] == name == release.secrets[0].name
        assert release.pod_security == "restricted"
    assert found["site"].values["settings"]["source"] == f"national.{DOMAIN}:1094"
    assert found["site"].values["settings"]["fallbacks"] == [f"origin.{DOMAIN}:1094"]
    assert "fallbacks" not in found["national"].values["settings"]


def test_an_origin_knows_the_caches_that_come_when_their_source_is_gone(tmp_path: Path) -> None:
    _, found = compiled(tmp_path)
    assert found["origin"].values["settings"]["clients"] == [f"/O=cantiere/CN={name}.{DOMAIN}" for name in ("national", "site")]
    assert found["site"].needs[-2:] == ("national", "origin")


def test_a_level_may_ask_the_levels_above_and_issuers_alone(tmp_path: Path) -> None:
    _, found = compiled(tmp_path)
    rules = found["site"].values["networkPolicy"]["egress"]
    asked = [peer["podSelector"] for rule in rules if {"port": 1094, "protocol": "TCP"} in rule["ports"] for peer in rule["to"]]
    assert asked == [{"matchLabels": xrootd.pod_labels(name)} for name in ("national", "origin")]
    assert all(rule.get("to") or rule["ports"] == [{"port": 443, "protocol": "TCP"}] for rule in rules)
    linked = {(link.source.get("app.kubernetes.io/instance", ""), link.port) for link in found["origin"].links + found["site"].links}
    assert ("site", 1094) in linked


def test_volumes_hold_the_high_watermark_with_a_margin(tmp_path: Path) -> None:
    _, found = compiled(tmp_path, site={"high_watermark": "40 GB", "low_watermark": "30 GB"})
    size = int(found["site"].values["storage"]["size"])
    assert size % (1 << 30) == 0 and 40e9 * 1.25 <= size < 40e9 * 1.25 + (1 << 30)
    assert problems(tmp_path, site={"high_watermark": "40 GB", "low_watermark": "30 GB"}) == set()


@pytest.mark.parametrize(("size", "refused"), [("9 GB", False), ("8.8 GB", True)])
def test_a_volume_too_small_for_the_high_watermark_is_refused(tmp_path: Path, size: str, refused: bool) -> None:
    assert problems(tmp_path, national={"high_watermark": "8 GB", "volume_size": size}) == ({"xrootd.volume"} if refused else set())


def test_memory_for_blocks_is_at_most_sixty_percent_of_the_limit(tmp_path: Path) -> None:
    _, found = compiled(tmp_path, site={"memory": "2 GiB"})
    assert int(found["site"].values["resources"]["limits"]["memory"]) * 0.6 >= 2 << 30


def test_several_servers_stand_behind_a_redirector_that_lets_in_those_alone(tmp_path: Path) -> None:
    _, found = compiled(tmp_path, national={"servers": 3})
    values = found["national"].values
    manager = f"national-redirector-0.national-redirector.{DOMAIN}"
    assert values["servers"] == 3 and values["settings"]["manager"] == manager
    assert values["redirector"]["settings"] == values["settings"] | {"members": [f"*.national-servers.{DOMAIN}"]}
    assert found["site"].values["settings"]["source"] == f"national.{DOMAIN}:1094", "the level's name stays"
    watched = {f"national.{DOMAIN}:1094": [f"national-servers.{DOMAIN}:1094"]}
    assert found["site"].values["settings"]["watched"] == watched, "a redirector answers when none of its servers does"
    assert "redirector" not in found["site"].values


def test_the_certificate_is_the_same_however_many_servers_there_are(tmp_path: Path) -> None:
    one, many = (compiled(tmp_path, national={"servers": number})[1]["national"].secrets for number in (1, 3))
    assert one == many
    parameters = one[0].files[1].secret.parameters
    ca, key = pki.authority("test")
    certificate, _ = pki.certificate(ca, key, parameters["common_name"], parameters["names"].split(","))
    assert certificate.startswith("-----BEGIN")
    assert {f"national.{DOMAIN}", f"*.national-servers.{DOMAIN}"} <= set(parameters["names"].split(","))
    assert parameters["common_name"] == f"national.{DOMAIN}", "the name by which the levels above know it"


def test_outside_access_is_for_one_server(tmp_path: Path) -> None:
    where, found = compiled(tmp_path, site={"exposed": True})
    assert found["site"].values["service"] == {"type": "LoadBalancer"}
    assert f"https://{where.outside('site')}" in found["site"].values["settings"]["audiences"]
    assert problems(tmp_path, site={"exposed": True, "servers": 2}) == {"xrootd.exposed"}


def test_sample_data_come_from_their_image(tmp_path: Path) -> None:
    where, found = compiled(tmp_path)
    assert found["origin"].values["samples"] == {"image": where.image_reference("samples")} and "samples" in found["origin"].images
    _, found = compiled(tmp_path, origin={"sample_data": False})
    assert "samples" not in found["origin"].values and found["origin"].images == ("xrootd",)


def test_prometheus_reads_the_metrics_where_there_is_one(tmp_path: Path) -> None:
    _, found = compiled(tmp_path)
    assert "metricsFrom" not in found["site"].values["networkPolicy"]
    where = context(*nodes(tmp_path, LEVELS | {"watch": {"type": monitoring.TYPE}}))
    (release,) = xrootd.releases(where.facility.node("site"), where)
    inside, prometheus = release.values["networkPolicy"]["metricsFrom"]
    assert inside == {"podSelector": {}}
    assert prometheus["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
    assert ("monitoring", xrootd.METRICS_PORT) in {(link.source_namespace, link.port) for link in release.links}


def test_values_are_plain_and_the_image_reads_them(tmp_path: Path) -> None:
    _, found = compiled(tmp_path, national={"servers": 2})
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = REPOSITORY / "images/xrootd/templates/etc/xrootd"
    environment = Environment(loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.get_template("xrootd.cfg.j2")
    for name, release in found.items():
        values = json.loads(json.dumps(release.values))
        text = template.render(**values["settings"], role=values["role"])
        assert f"xrd.report {xrootd.MONITOR} every 15s all" in text.splitlines()
        assert ("xrootd.mongstream pfc" in text) == (name != "origin")
    told = found["national"].values
    text = template.render(**told["redirector"]["settings"], role="redirector")
    assert f"cms.allow host *.national-servers.{DOMAIN}" in text.splitlines()
    assert {"xrd.port 1213", "cms.sched affinity strict"} <= set(text.splitlines()), "each member caches a part of the files"
    (delay,) = (line.split() for line in text.splitlines() if line.startswith("cms.delay"))
    assert int(delay[delay.index("drop") + 1]) <= 10, "nobody waits for minutes for a member that is away"
