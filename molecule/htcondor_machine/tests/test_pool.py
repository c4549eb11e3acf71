"""A pool of three machines and one machine that is a pool: who may submit, where jobs run, and what outlives a restart."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from typing import Any

import pytest
import testinfra

DOMAIN = "pool.internal"
POOLS = {"three machines": ("cm", "ap", "worker-1"), "one machine": ("one", "one", "one")}
"""Central manager, access point and execute point."""

JOB = """\
executable = /bin/sh
arguments = "-c 'id -un; hostname; sleep {seconds}'"
output = {name}.out
log = {name}.log
request_memory = 64
should_transfer_files = yes
transfer_executable = false
queue
"""

Hosts = Callable[[str], Any]


@pytest.fixture(scope="session")
def at() -> Hosts:
    """The machine of a name."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    return lambda name: testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory)


class User:
    """A user at an access point, known by a token and nothing else."""

    def __init__(self, host: Any, pool: tuple[str, str, str], token: str) -> None:
        manager, access, _ = pool
        self.host, self.access = host, f"{access}.{DOMAIN}"
        settings = {
            "CONDOR_CONFIG": "ONLY_ENV",
            "_CONDOR_COLLECTOR_HOST": f"{manager}.{DOMAIN}:9618",
            "_CONDOR_SCHEDD_HOST": self.access,
            "_CONDOR_UID_DOMAIN": DOMAIN,
            "_CONDOR_TRUST_DOMAIN": DOMAIN,
            "_CONDOR_SEC_DEFAULT_AUTHENTICATION": "REQUIRED",
            "_CONDOR_SEC_DEFAULT_ENCRYPTION": "REQUIRED",
            "_CONDOR_SEC_CLIENT_AUTHENTICATION_METHODS": "SCITOKENS",
            "_CONDOR_AUTH_SSL_CLIENT_CAFILE": "/etc/ssl/certs/ca-certificates.crt",
        }
        if token:
            settings["BEARER_TOKEN_FILE"] = f"/srv/test/tokens/{token}"
        self.environment = " ".join(shlex.quote(f"{key}={value}") for key, value in settings.items())

    def run(self, command: str) -> Any:
        return self.host.run(f"cd /srv/test/work && runuser -u nobody -- env {self.environment} sh -c {shlex.quote(command)}")

    def submit(self, name: str, seconds: int) -> Any:
        self.host.run("install -d -m 0777 /srv/test/work")
        job = shlex.quote(JOB.format(name=name, seconds=seconds))
        return self.run(f"rm -f {name}.*; printf %s {job} > {name}.sub && condor_submit -terse -remote {self.access} {name}.sub")

    def state(self, job: str) -> str:
        return str(self.run(f"condor_q -name {self.access} {job} -af JobStatus").stdout.strip())

    def wait(self, job: str, state: str, seconds: float = 90.0) -> None:
        end = time.monotonic() + seconds
        while (seen := self.state(job)) != state:
            assert time.monotonic() < end, (
                f"job {job} is in state {seen!r} and not {state}: {self.run(f'condor_q -name {self.access} -better {job}').stdout}"
            )
            time.sleep(1)


def cluster(submitted: Any) -> str:
    """The job's number in what condor_submit printed."""
    assert submitted.rc == 0, submitted.stderr
    return str(submitted.stdout.split()[0])


@pytest.mark.parametrize("name", POOLS)
def test_a_job_runs_where_it_should_as_its_slots_account(at: Hosts, name: str) -> None:
    pool = POOLS[name]
    user = User(at(pool[1]), pool, "good")
    job = cluster(user.submit("first", 1))
    user.wait(job, "4")
    fetched = user.run(f"condor_transfer_data -name {user.access} {job} && cat first.out")
    assert fetched.rc == 0, fetched.stderr
    account, machine = fetched.stdout.split()[-2:]
    assert account.startswith("cslot")
    assert machine.split(".")[0] == pool[2]


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("token", ["", "expired", "other-audience", "other-group", "other-key", "other-path"])
def test_others_do_not_submit(at: Hosts, name: str, token: str) -> None:
    pool = POOLS[name]
    refused = User(at(pool[1]), pool, token).submit("refused", 1)
    assert refused.rc != 0, refused.stdout


@pytest.mark.parametrize("name", POOLS)
def test_root_of_the_access_point_does_not_submit(at: Hosts, name: str) -> None:
    host = at(POOLS[name][1])
    assert host.run("condor_ping -type schedd WRITE").rc != 0
    assert host.run("condor_ping -type schedd READ").rc == 0


@pytest.mark.parametrize("name", POOLS)
def test_the_queue_outlives_a_restart(at: Hosts, name: str) -> None:
    pool = POOLS[name]
    host = at(pool[1])
    user = User(host, pool, "good")
    job = cluster(user.submit("lasting", 5))
    end = time.monotonic() + 30
    while user.state(job) == "5":  # held until its files are in the spool
        assert time.monotonic() < end, "the job's files did not arrive"
        time.sleep(1)
    restarted = host.run("systemctl restart condor.service")
    assert restarted.rc == 0, restarted.stderr
    end = time.monotonic() + 60
    while not user.state(job):
        assert time.monotonic() < end, "the job is gone"
        time.sleep(1)
    user.wait(job, "4", 150)


@pytest.mark.parametrize("machine", ["cm", "ap", "worker-1", "one"])
def test_secrets_are_roots(at: Hosts, machine: str) -> None:
    found = at(machine).run(
        "find /etc/condor/tokens.d /etc/condor/passwords.d /etc/condor/host -type f ! -perm 0600 -o -type f ! -user root"
    )
    assert found.stdout == ""


def test_an_execute_point_has_no_signing_key(at: Hosts) -> None:
    assert not at("worker-1").file("/etc/condor/passwords.d/signing-key").exists
