"""The origin and the caches: their variables, their containers, what is refused, and the files that the templates give."""

from __future__ import annotations

import configparser
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cantiere import pki
from cantiere.errors import Location, Problem
from cantiere.model import Container, Facility, Mount, Node, Probe
from cantiere.services import xrootd
from cantiere.services.facts import Facts

TEMPLATES = Path(__file__).resolve().parents[3] / "images/xrootd/templates"
WHERE = Location("facility.yaml", 7, 5)
MIB = 2**20
SIZES = {"low_watermark": 3 * 10**9, "high_watermark": 4 * 10**9, "block_size": MIB, "prefetch": 0, "memory": 1024 * MIB}


def origin(**properties: Any) -> Node:
    values = {"namespace": "/store", "sample_data": True, "trusted_issuers": []}
    return Node("origin", xrootd.ORIGIN, values | properties, {"issuer": ("iam",)}, WHERE)


def cache(name: str, source: str, **properties: Any) -> Node:
    values = {"namespace": "/store", "trusted_issuers": []} | SIZES
    return Node(name, xrootd.CACHE, values | properties, {"issuer": ("iam",), "source": (source,)}, WHERE)


def facility(*nodes: Node) -> Facility:
    return Facility("facility", "", (Node("iam", "cantiere.nodes.IAM", {"issuer_url": ""}, {}, WHERE), *nodes), {})


def facts(*nodes: Node) -> Facts:
    return Facts(facility(*nodes), "here.internal", {"samples": "/data/samples"}, "podman", "net", "here", {})


ORIGIN, NATIONAL, SITE = origin(), cache("national-cache", "origin"), cache("site-cache", "national-cache")
CHAIN = facts(ORIGIN, NATIONAL, SITE)


def rendered(name: str, node: Node, known: Facts) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    (container,) = xrootd.containers(node, known)
    return environment.get_template(name).render(**container.settings, role=container.role)


def test_the_origin() -> None:
    assert xrootd.containers(ORIGIN, CHAIN) == (
        Container(
            name="origin",
            service="origin",
            image="xrootd",
            settings={
                "namespace": "/store",
                "issuers": ["https://iam.here.internal:8443"],
                "audiences": ["https://origin.here.internal", "https://wlcg.cern.ch/jwt/v1/any"],
                "clients": ["/O=cantiere/CN=national-cache.here.internal"],
                "manager": "",
            },
            role="origin",
            secrets=CHAIN.certificate("origin"),
            mounts=(Mount("origin-data", "/srv/xrootd"), Mount("/data/samples", "/srv/xrootd/data/store/samples", read_only=True)),
            probe=Probe(("xrootd-probe",), timeout=60.0),
        ),
    )


def test_a_cache_between_two_levels() -> None:
    assert xrootd.containers(NATIONAL, CHAIN) == (
        Container(
            name="national-cache",
            service="national-cache",
            image="xrootd",
            settings={
                "namespace": "/store",
                "issuers": ["https://iam.here.internal:8443"],
                "audiences": ["https://national-cache.here.internal", "https://wlcg.cern.ch/jwt/v1/any"],
                "clients": ["/O=cantiere/CN=site-cache.here.internal"],
                "manager": "",
                "source": "origin.here.internal:1094",
            }
            | SIZES,
            role="cache",
            secrets=CHAIN.certificate("national-cache"),
            mounts=(Mount("national-cache-data", "/srv/xrootd"),),
            needs=("origin",),
            probe=Probe(("xrootd-probe",), timeout=60.0),
        ),
    )


def test_only_caches_that_ask_a_server_are_its_clients() -> None:
    other = cache("other-cache", "origin")
    known = facts(ORIGIN, NATIONAL, SITE, other)
    asking = [xrootd.distinguished_name(name, known) for name in ("national-cache", "other-cache")]
    assert xrootd.settings(ORIGIN, known)["clients"] == asking
    assert xrootd.settings(SITE, known)["clients"] == []


def test_trusted_issuers_follow_the_facilitys_own() -> None:
    node = cache("site-cache", "origin", trusted_issuers=["https://wlcg.example.org/"])
    assert xrootd.settings(node, facts(ORIGIN, node))["issuers"] == ["https://iam.here.internal:8443", "https://wlcg.example.org/"]


def test_an_origin_without_samples_mounts_its_volume_only() -> None:
    (container,) = xrootd.containers(origin(sample_data=False), CHAIN)
    assert container.mounts == (Mount("origin-data", "/srv/xrootd"),)


def test_addresses_for_users() -> None:
    assert xrootd.url(SITE, CHAIN) == "roots://site-cache.here.internal:1094"
    assert xrootd.audience(SITE, CHAIN) == "https://site-cache.here.internal"


def test_the_certificates_subject_is_what_the_grid_mapfile_says() -> None:
    ca_certificate, ca_key = pki.authority("test CA")
    secret = next(file.secret for file in CHAIN.certificate("site-cache") if file.file == "hostcert.pem")
    certificate, _ = pki.certificate(ca_certificate, ca_key, secret.parameters["common_name"], secret.parameters["names"].split(","))
    subject = x509.load_pem_x509_certificate(certificate.encode()).subject
    assert "".join(f"/{part.rfc4514_string()}" for part in subject.rdns) == xrootd.distinguished_name("site-cache", CHAIN)


@pytest.mark.parametrize(
    ("properties", "code", "text"),
    [
        ({"low_watermark": 4 * 10**9}, "xrootd.watermarks", "is not below high_watermark"),
        ({"low_watermark": 5 * 10**9}, "xrootd.watermarks", "is not below high_watermark"),
        ({"block_size": 64 * MIB, "low_watermark": 3 * 10**9 + 1}, "xrootd.watermarks", "fewer than 16 blocks"),
        ({"namespace": "/data"}, "xrootd.namespace", "its source origin exports /store"),
    ],
)
def test_refused(properties: dict[str, Any], code: str, text: str) -> None:
    node = cache("site-cache", "origin", **properties)
    (problem,) = xrootd.check(node, facility(ORIGIN, node))
    assert isinstance(problem, Problem)
    assert (problem.code, problem.path, problem.where) == (code, "site-cache", WHERE)
    assert text in problem.message


def test_accepted() -> None:
    assert [xrootd.check(node, CHAIN.facility) for node in (ORIGIN, NATIONAL, SITE)] == [[], [], []]


def test_token_rules_of_a_server_that_caches_ask() -> None:
    parser = configparser.ConfigParser()
    node = replace(NATIONAL, properties={**NATIONAL.properties, "trusted_issuers": ["https://b"]})
    parser.read_string(rendered("etc/xrootd/scitokens.cfg.j2", node, CHAIN))
    assert {name: dict(parser[name]) for name in parser.sections()} == {
        "Global": {
            "audience": "https://national-cache.here.internal, https://wlcg.cern.ch/jwt/v1/any",
            "onmissing": "passthrough",
        },
        "Issuer 1": {"issuer": "https://iam.here.internal:8443", "base_path": "/store", "authorization_strategy": "capability"},
        "Issuer 2": {"issuer": "https://b", "base_path": "/store", "authorization_strategy": "capability"},
    }
    assert rendered("etc/xrootd/authdb.j2", NATIONAL, CHAIN) == "u @SERVICE@ /store rl\n"
    assert rendered("etc/grid-security/grid-mapfile.j2", NATIONAL, CHAIN) == '"/O=cantiere/CN=site-cache.here.internal" @SERVICE@\n'


def test_a_server_that_no_cache_asks_takes_tokens_only() -> None:
    configuration = rendered("etc/xrootd/xrootd.cfg.j2", SITE, CHAIN).splitlines()
    assert [line for line in configuration if line.startswith(("sec.protocol", "ofs.authlib", "acc."))] == [
        "sec.protocol ztn",
        "ofs.authlib libXrdAccSciTokens.so config=/etc/xrootd/scitokens.cfg",
    ]
    assert "onmissing = deny" in rendered("etc/xrootd/scitokens.cfg.j2", SITE, CHAIN)


def test_sizes_of_a_cache() -> None:
    configuration = rendered("etc/xrootd/xrootd.cfg.j2", SITE, CHAIN).splitlines()
    assert [line for line in configuration if line.startswith("pfc.")] == [
        "pfc.ram 1024m",
        "pfc.blocksize 1024k",
        "pfc.prefetch 0",
        "pfc.diskusage 0.98 0.99 files 2929687k 3417968k 3906250k purgeinterval 60",
        "pfc.purgelib /usr/lib/cantiere/purge_watermark.so 3000000000",
        "pfc.diskusage 0.98 0.99",
        "pfc.trace info",
    ]
    assert not [line for line in rendered("etc/xrootd/xrootd.cfg.j2", ORIGIN, CHAIN).splitlines() if line.startswith(("pfc.", "pss."))]
