"""XRootD on machines: the same configuration as in containers, and a redirector over several servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cantiere import image_files, pki
from cantiere.services import xrootd_machine

REPOSITORY = Path(__file__).resolve().parents[3]
SECRETS = {"ca": "authority", "certificate": "certificate", "certificate_key": "private"}
CONFIGURATION = "/etc/xrootd/xrootd.cfg"


def given(role: str = "origin", **changed: Any) -> dict[str, Any]:
    """The role's variables as its defaults have them, for a machine named east."""
    variables = {
        "role": role,
        "name": "east",
        "domain": "storage.internal",
        "namespace": "/store",
        "issuers": ["https://iam.example.org/"],
        "clients": [],
        "manager": "",
        "members": [],
        "source": "",
        "low_watermark": "6 GB",
        "high_watermark": "8 GB",
        "block_size": "1 MiB",
        "prefetch": 0,
        "memory": "1 GiB",
    }
    return variables | changed


CACHE = given("cache", name="cache", source="redirector")
REDIRECTOR = given("redirector", name="redirector", members=["east", "west.example.org"], clients=["cache"])
MEMBER = given(manager="redirector", clients=["cache", "/DC=org/CN=other"])


def rendered(variables: dict[str, Any]) -> dict[str, str]:
    told, role = xrootd_machine.settings(variables), variables["role"]
    own = image_files.rendered(REPOSITORY / "roles/xrootd_machine/templates", told, role)
    return image_files.rendered(image_files.templates("xrootd"), told, role) | own


def lines(variables: dict[str, Any], *starts: str) -> list[str]:
    return [line for line in rendered(variables)[CONFIGURATION].splitlines() if line.startswith(starts)]


def made(variables: dict[str, Any], *observed: str) -> dict[str, Any]:
    return xrootd_machine.manifest(variables, rendered(variables), SECRETS, "3016d114", observed)


def test_an_origin_alone_is_in_no_cluster() -> None:
    assert lines(given(), "all.role", "all.manager", "cms.") == []
    assert [unit["name"] for unit in made(given())["units"]] == ["xrootd@cantiere.service"]


def test_a_redirector_and_its_members() -> None:
    assert lines(REDIRECTOR, "all.role", "all.manager", "cms.allow", "xrd.protocol") == [
        "all.role manager",
        "all.manager redirector.storage.internal:1213",
        "cms.allow host redirector.storage.internal",
        "cms.allow host east.storage.internal",
        "cms.allow host west.example.org",
    ]
    assert lines(MEMBER, "all.role", "all.manager", "cms.", "xrd.protocol") == [
        "all.role server",
        "all.manager redirector.storage.internal:1213",
        "xrd.protocol http:8443 libXrdHttp.so",
    ]
    for machine in (REDIRECTOR, MEMBER):
        assert [unit["name"] for unit in made(machine)["units"]] == ["xrootd@cantiere.service", "cmsd@cantiere.service"]


def test_a_token_for_the_redirector_is_good_at_its_members() -> None:
    assert xrootd_machine.settings(MEMBER)["audiences"] == [
        "https://east.storage.internal",
        "https://redirector.storage.internal",
        "https://wlcg.cern.ch/jwt/v1/any",
    ]


def test_a_cache() -> None:
    assert lines(CACHE, "pss.origin", "pfc.diskusage", "pfc.purgelib") == [
        "pss.origin redirector.storage.internal:1094",
        "pfc.diskusage 0.98 0.99 files 5859375k 6835937k 7812500k purgeinterval 60",
        "pfc.purgelib /usr/lib/cantiere/purge_watermark.so 6000000000",
        "pfc.diskusage 0.98 0.99",
    ]
    units = made(CACHE, "/usr/lib/cantiere/purge_watermark.so")["units"]
    assert [unit["name"] for unit in units] == ["xrootd@cantiere.service", "cantiere-xrootd-proxy.timer"]
    assert "/usr/lib/cantiere/purge_watermark.so" in units[0]["restart_on"]


def test_clients_by_name_or_subject() -> None:
    assert xrootd_machine.settings(MEMBER)["clients"] == ["/O=cantiere/CN=cache.storage.internal", "/DC=org/CN=other"]


def test_the_name_of_service_certificates_is_secret_and_stays() -> None:
    files = {file["path"]: file for file in made(MEMBER)["files"]}
    authdb = files["/etc/xrootd/authdb"]
    name = authdb["content"].split()[1]
    assert name.startswith("service-") and len(name) == len("service-") + 32
    assert (authdb["mode"], authdb["group"], authdb["secret"]) == ("0640", "xrootd", True)
    assert name in files["/etc/grid-security/grid-mapfile"]["content"]
    assert files == {file["path"]: file for file in made(MEMBER)["files"]}
    other = xrootd_machine.manifest(MEMBER, rendered(MEMBER), SECRETS | {"certificate_key": "other"}, "3016d114", ())
    assert name not in str(other)


def test_keys_are_the_servers_alone() -> None:
    keys = [file for file in made(given())["files"] if file["path"].startswith("/etc/grid-security/xrootd/")]
    assert [(file["path"].rpartition("/")[2], file["mode"], file["owner"], file["secret"]) for file in keys] == [
        ("hostcert.pem", "0400", "xrootd", True),
        ("hostkey.pem", "0400", "xrootd", True),
    ]


def test_links() -> None:
    assert made(given())["links"] == [
        {"path": "/etc/xrootd/xrootd-cantiere.cfg", "target": "xrootd.cfg"},
        {"path": "/etc/grid-security/certificates/3016d114.0", "target": "facility.pem"},
    ]


def test_openssl_finds_the_authority_by_that_name() -> None:
    # as `openssl x509 -hash` says it of these subjects
    assert pki.subject_hash(pki.authority("cantiere facility CA")[0]) == "3016d114"
    assert pki.subject_hash(pki.authority("Some  Test CA Ünï")[0]) == "e340c48e"


def test_packages_follow_the_role() -> None:
    names = {"common": ["xrootd-server"], "cache": ["g++"]}
    assert xrootd_machine.packages(given(), names) == ["xrootd-server"]
    assert xrootd_machine.packages(CACHE, names) == ["g++", "xrootd-server"]


@pytest.mark.parametrize("variables", [given(), CACHE, REDIRECTOR, MEMBER])
def test_accepted(variables: dict[str, Any]) -> None:
    assert xrootd_machine.refusals(variables, SECRETS) == []


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        (given(issuers=[]), "issuers is empty"),
        (given(issuers=["http://iam"]), "is no https URL"),
        (given("cache"), "source is empty"),
        (given("redirector"), "members is empty"),
        (REDIRECTOR | {"manager": "other"}, "is for members"),
        (CACHE | {"memory": "some"}, "is no size"),
        (CACHE | {"low_watermark": "9 GB"}, "is not below high_watermark"),
    ],
)
def test_refused(variables: dict[str, Any], text: str) -> None:
    (found,) = xrootd_machine.refusals(variables, SECRETS)
    assert text in found


def test_every_server_needs_its_certificate() -> None:
    assert len(xrootd_machine.refusals(given(), dict.fromkeys(SECRETS, ""))) == 3
