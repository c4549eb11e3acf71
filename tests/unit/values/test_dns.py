"""The facility's zone, and who keeps its records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cantiere.values.model import PLACEHOLDER
from support.addons import compiled, context, facility, held, wrong

KEPT = """\
  names:
    type: cantiere.nodes.DNS
    properties:
      mode: external-dns
      zone: facility.example.org
      provider: rfc2136
      arguments: {rfc2136-host: 192.0.2.53, rfc2136-zone: example.org}
      credentials: {EXTERNAL_DNS_RFC2136_TSIG_SECRET: "vault:tsig"}
"""


def node(properties: str) -> str:
    return f"  names:\n    type: cantiere.nodes.DNS\n    properties: {{{properties}}}\n"


@pytest.mark.parametrize(
    ("properties", "address", "zone"),
    [
        ("zone: facility.example.org", "192.0.2.10", "facility.example.org"),
        ("mode: address", "192.0.2.10", "192-0-2-10.sslip.io"),
        ("mode: address, suffix: nip.example", "2001:db8::1", "2001-db8--1.nip.example"),
        ("mode: address", "", PLACEHOLDER.zone),
        ("zone: facility.example.org, enabled: false", "192.0.2.10", PLACEHOLDER.zone),
    ],
)
def test_the_zone(tmp_path: Path, properties: str, address: str, zone: str) -> None:
    found = context(facility(tmp_path, node(properties)), replace(PLACEHOLDER, ingress_address=address))
    assert found.cluster.zone == zone and found.services.zone == zone


def test_records_are_kept(tmp_path: Path) -> None:
    releases = compiled(tmp_path, KEPT)
    held(releases)
    (release,) = releases.values()
    assert release.values["domainFilters"] == ["facility.example.org"] and release.values["policy"] == "upsert-only"
    assert release.values["env"][0]["valueFrom"]["secretKeyRef"] == {
        "name": release.secrets[0].name,
        "key": release.secrets[0].files[0].file,
    }
    assert release.crds == "skip", "no source of records of its own is used"


@pytest.mark.parametrize("properties", ["zone: facility.example.org", "mode: address"])
def test_nothing_to_install(tmp_path: Path, properties: str) -> None:
    assert compiled(tmp_path, node(properties)) == {} and wrong(tmp_path, node(properties)) == []


@pytest.mark.parametrize(
    ("properties", "code"), [("mode: wildcard", "zone"), ("mode: external-dns, zone: facility.example.org", "provider")]
)
def test_what_is_refused(tmp_path: Path, properties: str, code: str) -> None:
    assert wrong(tmp_path, node(properties)) == [f"dns.{code} names"]
