"""Platform, the data: users read through levels of caches with tokens, and what happens when a server or a level dies and comes back."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from cantiere.verify.tokens import FOREIGN_AUDIENCE, forge

if TYPE_CHECKING:
    from cantiere.verify.target import Output
    from system.platform.conftest import Platform

NATIONAL, SITE, ORIGIN = "national-cache", "site-cache", "origin"
CLIENT = "cache-test-client"
TOKEN = "/tmp/token"
READER = {"app.kubernetes.io/name": "jupyterhub", "app.kubernetes.io/component": "singleuser-server"}
"""Labels of notebooks: what reads here stands in for one."""

FILE, OTHER, THIRD = "nano_tt_v15.root", "nano_dy.root", "manifest.json"
DETECTED = 40.0
"""Seconds until a level that is gone is noticed, and another one is asked where there is one."""
ERROR_WITHIN = 60.0
"""Seconds after which a read that nobody can serve has failed."""
BACK = 180.0


class Reader:
    """A pod with XRootD's client and nothing else of the facility's."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.domain = platform.target.domain
        self.replicas = {one["metadata"]["name"]: int(one["spec"]["replicas"]) for one in platform.objects("statefulsets")}

    def servers(self, level: str) -> list[str]:
        """Names of the pods of a level, without its redirector."""
        return [f"{level}-{number}" for number in range(self.replicas[level])]

    def manifest(self) -> dict[str, Any]:
        (level,) = (one for one in self.platform.objects("statefulsets") if one["metadata"]["name"] == SITE)
        template = level["spec"]["template"]["spec"]
        told = {"X509_CERT_DIR": "/tmp/certs", "XrdSecPROTOCOL": "ztn", "BEARER_TOKEN_FILE": TOKEN, "XRD_CONNECTIONWINDOW": "10"}
        container = {
            "name": "client",
            "image": template["containers"][0]["image"],
            "command": ["sh", "-c", "mkdir -p /tmp/certs; cp /ca/ca.pem /tmp/certs; openssl rehash /tmp/certs; exec sleep 86400"],
            "env": [{"name": name, "value": value} for name, value in told.items()],
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": CLIENT, "namespace": self.platform.namespace, "labels": READER},
            "spec": {
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 1,
                "securityContext": template["securityContext"],
                "containers": [container],
                "volumes": [{"name": "ca", "secret": {"secretName": SITE, "items": [{"key": "ca.pem", "path": "ca.pem"}]}}],
            },
        }

    def run(self, script: str, timeout: float = 120.0) -> Output:
        return self.platform.exec(CLIENT, ["bash", "-c", script], timeout)

    def carry(self, token: str) -> None:
        """From now on read with this token."""
        done = self.run(f"umask 077; rm -f {TOKEN}; printf %s '{token}' > {TOKEN}")
        assert done.code == 0, done.stderr

    def read(self, level: str, file: str) -> Output:
        """Copy a sample file from a level; says its checksum."""
        url = f"roots://{level}.{self.domain}:1094//store/samples/{file}"
        return self.run(f"timeout {ERROR_WITHIN:.0f} xrdcp -np -f {url} /tmp/read.root && sha256sum < /tmp/read.root")

    def status(self, level: str, token: str) -> str:
        """Status of an https request to a level's first server; a redirector has the root protocol alone."""
        url = f"https://{level}-0.{level}-servers.{self.domain}:8443/store/samples/{FILE}"
        ask = f"curl -s -m 30 --cacert /ca/ca.pem -H 'Authorization: Bearer {token}' -o /dev/null -w '%{{http_code}}' {url}"
        return str(self.run(ask).stdout).strip()

    def metrics(self, server: str) -> dict[str, float]:
        """Metrics of a cache's server; a label stands as it is written."""
        level = server.rpartition("-")[0]
        text = str(self.run(f"curl -s -m 10 http://{server}.{level}-servers.{self.domain}:9310/metrics").stdout)
        return {name: float(value) for name, value in re.findall(r"^([a-z][^#\s]*) (\S+)$", text, re.MULTILINE)}

    def total(self, name: str) -> float:
        """Sum of a metric over the servers of the site's cache."""
        return sum(self.metrics(server)[name] for server in self.servers(SITE))

    def until(self, name: str, wanted: float, within: float) -> float:
        """Wait for a metric of all servers of the site's cache; seconds that it took."""
        begin = time.monotonic()
        while found := {server: value for server in self.servers(SITE) if (value := self.metrics(server).get(name)) != wanted}:
            assert time.monotonic() - begin < within, f"{name} is not {wanted}: {found}"
            time.sleep(1)
        return time.monotonic() - begin

    def forget(self, level: str, file: str) -> None:
        """Take a file out of a cache."""
        for server in self.servers(level):
            done = self.platform.exec(server, ["sh", "-c", f"rm -f /srv/xrootd/data/store/samples/{file}*"], 30)
            assert done.code == 0, done.stderr

    def holders(self, file: str) -> list[str]:
        """Servers of the site's cache that have a file."""
        look = ["test", "-e", f"/srv/xrootd/data/store/samples/{file}"]
        return [server for server in self.servers(SITE) if self.platform.exec(server, look, 30).code == 0]


@pytest.fixture(scope="module")
def reader(platform: Platform) -> Iterator[Reader]:
    found = Reader(platform)
    platform.apply(found.manifest())
    try:
        platform.kubectl("-n", platform.namespace, "wait", f"pod/{CLIENT}", "--for=condition=Ready", "--timeout=120s")
        found.carry(platform.token("alice", "storage.read:/"))
        yield found
    finally:
        platform.kubectl("-n", platform.namespace, "delete", f"pod/{CLIENT}", "--ignore-not-found", "--wait=false")


def source(reader: Reader, level: str) -> str:
    return f'xcache_source_up{{source="{level}.{reader.domain}:1094"}}'


def test_reads_through_both_caches_are_the_origin_s_bytes(reader: Reader) -> None:
    told = reader.platform.exec(ORIGIN, ["sha256sum", f"/srv/xrootd/data/store/samples/{FILE}"], 60).stdout.split()[0]
    for level in (SITE, NATIONAL):
        done = reader.read(level, FILE)
        assert done.code == 0, done.stderr
        assert str(done.stdout).split()[0] == told
    begin = time.monotonic()
    assert reader.read(SITE, FILE).code == 0
    print(f"\n  a cached file through the site's cache: {time.monotonic() - begin:.2f} s")


def test_wrong_tokens_are_refused(reader: Reader) -> None:
    good = reader.platform.token("alice", "storage.read:/")
    foreign = reader.platform.token("alice", "storage.read:/", FOREIGN_AUDIENCE)
    elsewhere = reader.platform.token("alice", "storage.read:/elsewhere")
    try:
        for token in (foreign, forge(good), elsewhere, "not.a.token"):
            reader.carry(token)
            for level in (SITE, NATIONAL):
                assert reader.read(level, FILE).code != 0
                assert reader.status(level, token) in ("401", "403")
    finally:
        reader.carry(good)
    assert reader.status(SITE, good) == "200"


def test_metrics_count_what_was_fetched_and_what_was_there(reader: Reader) -> None:
    reader.forget(SITE, THIRD)
    missed, asked = reader.total("xcache_miss_bytes_total"), reader.total("xcache_accesses_total")
    assert reader.read(SITE, THIRD).code == 0
    deadline = time.monotonic() + 60
    while reader.total("xcache_miss_bytes_total") == missed:
        assert time.monotonic() < deadline, "the read is not counted"
        time.sleep(1)
    assert reader.total("xcache_accesses_total") > asked
    assert {reader.metrics(server)["xrootd_up"] for server in reader.servers(SITE)} == {1.0}


@pytest.fixture
def several(reader: Reader) -> list[str]:
    found = reader.servers(SITE)
    assert len(found) > 1, "this scenario needs the input site_cache_servers"
    return found


def test_each_file_is_cached_by_one_server(reader: Reader, several: list[str]) -> None:
    """However often it is read: what a redirector sends from server to server is fetched and kept by all of them."""
    for file in (FILE, OTHER, THIRD):
        reader.forget(SITE, file)
        for _ in range(2 * len(several)):
            assert reader.read(SITE, file).code == 0
        assert len(reader.holders(file)) == 1


def test_listings_through_a_redirector_end(reader: Reader, several: list[str]) -> None:
    """A cache answers for no folder of which it has files: an error, and no endless wait; by https each server lists it."""
    begin = time.monotonic()
    done = reader.run(f"timeout {ERROR_WITHIN:.0f} xrdfs roots://{SITE}.{reader.domain}:1094 ls /store/samples")
    assert (done.code, FILE in done.stdout) in ((0, True), (54, False)), done.stderr
    print(f"\n  a listing through the redirector: exit code {done.code} after {time.monotonic() - begin:.1f} s")
    for server in several:
        url = f"https://{server}.{SITE}-servers.{reader.domain}:8443/store/samples/"
        listed = reader.run(f'curl -s -m 30 --cacert /ca/ca.pem -H "Authorization: Bearer $(cat {TOKEN})" {url}')
        assert FILE in listed.stdout and OTHER in listed.stdout, listed.stdout + listed.stderr


def test_a_server_dies_and_the_other_goes_on(reader: Reader, several: list[str], platform: Platform) -> None:
    """Reads of what the dead one had go on by another one, a wrong name is told soon, and the dead one joins again."""
    assert reader.read(SITE, FILE).code == 0
    last = several[-1]
    assert {reader.metrics(server).get("xrootd_up") for server in several} == {1.0}, "metrics tell of each server"
    platform.kubectl("-n", platform.namespace, "scale", f"statefulset/{SITE}", f"--replicas={len(several) - 1}")
    try:
        platform.kubectl("-n", platform.namespace, "wait", f"pod/{last}", "--for=delete", "--timeout=60s")
        assert reader.metrics(last) == {}
        for file in (FILE, OTHER, THIRD):
            begin = time.monotonic()
            done = reader.read(SITE, file)
            assert done.code == 0, done.stderr
            print(f"\n  {file} without {last}: {time.monotonic() - begin:.2f} s", end="")
        for what in ("a name that is not there", "the same again"):
            begin = time.monotonic()
            assert reader.read(SITE, "not-there.root").code not in (0, 124), "an error, and no endless wait"
            print(f"\n  {what}: an error after {time.monotonic() - begin:.1f} s", end="")
    finally:
        platform.kubectl("-n", platform.namespace, "scale", f"statefulset/{SITE}", f"--replicas={len(several)}")
        platform.kubectl("-n", platform.namespace, "rollout", "status", f"statefulset/{SITE}", "--timeout=180s")
    begin = time.monotonic()
    while (up := reader.metrics(last).get("xrootd_up")) != 1:
        assert time.monotonic() - begin < BACK, f"{last} has xrootd_up {up}"
        time.sleep(1)
    assert reader.read(SITE, FILE).code == 0


def test_a_level_dies_and_comes_back(reader: Reader, platform: Platform) -> None:
    reader.forget(SITE, OTHER)
    assert reader.read(SITE, FILE).code == 0
    fallback = source(reader, ORIGIN) in reader.metrics(reader.servers(SITE)[0])
    claims = platform.objects("statefulsets")
    (servers,) = (one["spec"]["replicas"] for one in claims if one["metadata"]["name"] == NATIONAL)
    platform.kubectl("-n", platform.namespace, "scale", f"statefulset/{NATIONAL}", "--replicas=0")
    try:
        took = reader.until(source(reader, NATIONAL), 0, DETECTED + 60)
        print(f"\n  from the end of the level to its metric: {took:.1f} s")
        if fallback:
            reader.until(f'xcache_source_active{{source="{ORIGIN}.{reader.domain}:1094"}}', 1, DETECTED)
        assert wait_for_read(reader, FILE, DETECTED) is not None, "a cached file is served"
        if fallback:
            took_read = wait_for_read(reader, OTHER, DETECTED)
            assert took_read is not None, "another level is asked"
        else:
            begin = time.monotonic()
            assert reader.read(SITE, OTHER).code not in (0, 124), "an error, and no endless wait"
            print(f"  a file that is not cached: an error after {time.monotonic() - begin:.1f} s")
    finally:
        platform.kubectl("-n", platform.namespace, "scale", f"statefulset/{NATIONAL}", f"--replicas={servers}")
        platform.kubectl("-n", platform.namespace, "rollout", "status", f"statefulset/{NATIONAL}", "--timeout=180s")
    took = reader.until(source(reader, NATIONAL), 1, BACK)
    print(f"  from its start to its metric: {took:.1f} s")
    reader.until(f'xcache_source_active{{source="{NATIONAL}.{reader.domain}:1094"}}', 1, BACK)
    reader.forget(SITE, OTHER)
    assert wait_for_read(reader, OTHER, BACK) is not None


def wait_for_read(reader: Reader, file: str, within: float) -> float | None:
    """Read through the site's cache until it works; seconds that it took, or None."""
    begin = time.monotonic()
    while time.monotonic() - begin < within:
        if reader.read(SITE, file).code == 0:
            return time.monotonic() - begin
        time.sleep(1)
    return None
