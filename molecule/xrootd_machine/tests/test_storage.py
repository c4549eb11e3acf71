"""Files read by token through redirector and cache; nobody else reads; what is cached outlives its origin."""

from __future__ import annotations

import os
import secrets
import shlex
import time
from collections.abc import Callable
from typing import Any

import pytest
import testinfra

DOMAIN = "storage.internal"
MEBIBYTES = 8
RUN = secrets.token_hex(4)
LEVELS = ("east", "redirector", "cache")
LIMITS = "XRD_CONNECTIONWINDOW=10 XRD_CONNECTIONRETRY=2 XRD_REQUESTTIMEOUT=30 XRD_STREAMTIMEOUT=20 XRD_STREAMERRORWINDOW=20"
"""Seconds: without them a client waits for minutes for a server that is gone."""

HTTPS = """
import http.client, pathlib, ssl, sys
headers = {"Authorization": "Bearer " + pathlib.Path("/srv/test/tokens", name).read_text() for name in sys.argv[3:]}
connection = http.client.HTTPSConnection(sys.argv[1], 8443, timeout=30, context=ssl.create_default_context())
connection.request("GET", sys.argv[2], headers=headers)
print(connection.getresponse().status)
"""
"""Prints the status of a request to a host for a path, with a token where one is named."""

Hosts = Callable[[str], Any]


@pytest.fixture(scope="session")
def at() -> Hosts:
    """The machine of a name."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    return lambda name: testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory)


@pytest.fixture(scope="session")
def checksums(at: Hosts) -> dict[str, str]:
    """One file on each origin that the other has not, and their checksums; a cache keeps what it has, so their names are new."""
    found = {}
    for name in ("east", "west"):
        file = f"/srv/xrootd/data/store/of-{name}-{RUN}"
        made = at(name).run(
            f"install -d -o xrootd -g xrootd /srv/xrootd/data/store && head -c {MEBIBYTES}M /dev/urandom > {file} && "
            f"chown xrootd:xrootd {file} && sha256sum < {file}"
        )
        assert made.rc == 0, made.stderr
        found[name] = made.stdout.split()[0]
    return found


def read(at: Hosts, level: str, origin: str, token: str = "good") -> Any:
    """Read an origin's file as a user on the redirector's machine, who has a token and no certificate; prints its checksum."""
    url = f"roots://{level}.{DOMAIN}:1094//store/of-{origin}-{RUN}"
    command = (
        f"env X509_CERT_DIR=/etc/grid-security/certificates XrdSecPROTOCOL=ztn {LIMITS} "
        + (f"BEARER_TOKEN_FILE=/srv/test/tokens/{token} " if token else "")
        + f"sh -c 'umask 077; rm -f /tmp/read.$$; timeout 120 xrdcp -s -f {url} /tmp/read.$$ && sha256sum < /tmp/read.$$'"
    )
    # a token's file must be its user's alone
    host = at("redirector")
    host.run("install -d -o nobody -m 0700 /srv/test/mine && install -o nobody -m 0600 /srv/test/tokens/* /srv/test/mine/")
    return host.run("runuser -u nobody -- sh -c " + shlex.quote(command.replace("/srv/test/tokens/", "/srv/test/mine/")))


@pytest.mark.parametrize("origin", ["east", "west"])
@pytest.mark.parametrize("level", ["redirector", "cache"])
def test_every_file_is_read_by_token(at: Hosts, checksums: dict[str, str], level: str, origin: str) -> None:
    got = read(at, level, origin)
    assert got.rc == 0, got.stderr
    assert got.stdout.split()[0] == checksums[origin]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("token", ["", "expired", "other-audience", "other-key", "other-path"])
def test_nobody_else_reads(at: Hosts, checksums: dict[str, str], level: str, token: str) -> None:
    got = read(at, level, "east", token)
    assert got.rc != 0, got.stdout


@pytest.mark.parametrize("level", ["east", "cache"])
@pytest.mark.parametrize(("token", "status"), [("good", "200"), ("", "403"), ("expired", "403")])
def test_https(at: Hosts, checksums: dict[str, str], level: str, token: str, status: str) -> None:
    got = at("redirector").run(f"python3 -c {shlex.quote(HTTPS)} {level}.{DOMAIN} /store/of-east-{RUN} {token}")
    assert got.stdout.strip() == status, got.stderr


def test_what_is_cached_is_read_without_its_origin(at: Hosts, checksums: dict[str, str]) -> None:
    assert read(at, "cache", "west").rc == 0
    for name in ("east", "west", "redirector"):
        at(name).run("systemctl stop xrootd@cantiere.service")
    try:
        began = time.monotonic()
        got = read(at, "cache", "west")
        assert got.rc == 0, got.stderr
        assert got.stdout.split()[0] == checksums["west"]
        assert time.monotonic() - began < 60
    finally:
        for name in ("east", "west", "redirector"):
            at(name).run("systemctl start xrootd@cantiere.service")


def test_only_members_join_the_redirector(at: Hosts) -> None:
    log = at("redirector").file("/etc/xrootd/xrootd.cfg").content_string
    assert [line for line in log.splitlines() if line.startswith("cms.allow")] == [
        f"cms.allow host {name}.{DOMAIN}" for name in ("redirector", "east", "west")
    ]


@pytest.mark.parametrize("machine", ["cache", "east", "redirector", "west"])
def test_secrets_are_the_servers(at: Hosts, machine: str) -> None:
    host = at(machine)
    assert host.run("find /etc/grid-security/xrootd -type f ! -perm 0400 -o -type f ! -user xrootd").stdout == ""
    assert host.run("find /etc/grid-security/grid-mapfile /etc/xrootd/authdb ! -perm 0640").stdout == ""
    assert "@SERVICE@" not in host.file("/etc/xrootd/authdb").content_string
