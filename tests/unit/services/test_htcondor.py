"""The pool's containers, the variables of its templates, and who gets which secret."""

from __future__ import annotations

import json

import pytest

from cantiere.model import Facility, Mount, Node, Probe, Secret, SecretFile
from cantiere.services import htcondor
from cantiere.services.facts import CA
from unit.services.samples_pool import facts, monitoring_node, pool_node

KEY = Secret("pool-signing-key")
USERS = {
    "audience": "https://pool-ap.here.internal",
    "issuers": ["https://iam.here.internal:8443"],
    "allowed_groups": ["/cms"],
    "identities": {
        "central_manager": "pool-cm@here.internal",
        "access_point": "pool-ap@here.internal",
        "workers": "pool-worker-*@here.internal",
        "users": "u_*@here.internal",
    },
    "readers": ["monitoring-exporter@here.internal"],
}
COMMON = {"domain": "here.internal", "collector": "pool-cm.here.internal", "update_interval": 10}


def token(container: str, scope: str) -> SecretFile:
    parameters = {
        "identity": f"{container}@here.internal",
        "issuer": "here.internal",
        "key": "pool-signing-key",
        "kid": "signing-key",
        "scope": scope,
    }
    return SecretFile(Secret(f"pool-idtoken-{container}", "generate:idtoken", parameters), "idtoken")


def test_settings_of_the_central_manager() -> None:
    pool = pool_node()
    told = htcondor.settings(pool, facts(pool, monitoring_node("pool")), "central-manager")
    assert told == COMMON | USERS | {"negotiator_interval": 3}


def test_settings_of_the_access_point() -> None:
    pool = pool_node(trusted_issuers=["https://wlcg.example.org/"])
    told = htcondor.settings(pool, facts(pool, monitoring_node("pool")), "access-point")
    assert told == COMMON | USERS | {
        "issuers": ["https://iam.here.internal:8443", "https://wlcg.example.org/"],
        "schedd_name": "pool-ap.here.internal",
        "schedd_interval": 3,
        "job_lease": 300,
        "credential_sweep": 3600,
    }


def test_settings_of_an_execute_point() -> None:
    pool = pool_node(cpus_per_worker=4, job_retirement_time=90.0)
    told = htcondor.settings(pool, facts(pool), "execute-point")
    environment = told.pop("job_environment")
    assert told == COMMON | {
        "cpus": 4,
        "memory": 2048,
        "slot_accounts": 10,
        "retirement_time": 90,
        "vacate_time": 10,
        "credential_refresh": 20,
        "cgroups": False,
    }
    assert environment["CANTIERE_SITE_CACHE"] == "roots://site-cache.here.internal:1094"
    assert environment["X509_CERT_DIR"] == "/etc/grid-security/certificates"


@pytest.mark.parametrize("role", ["central-manager", "access-point", "execute-point"])
def test_the_number_of_workers_changes_no_setting(role: str) -> None:
    small, large = pool_node(workers=2), pool_node(workers=40)
    assert htcondor.settings(small, facts(small), role) == htcondor.settings(large, facts(large), role)


def test_more_workers_change_no_other_container() -> None:
    small, large = pool_node(workers=2), pool_node(workers=4)
    before, after = htcondor.containers(small, facts(small)), htcondor.containers(large, facts(large))
    assert after[: len(before)] == before
    assert [container.name for container in after[len(before) :]] == ["pool-worker-3", "pool-worker-4"]


def test_containers() -> None:
    pool = pool_node()
    known = facts(pool)
    manager, access, *workers = htcondor.containers(pool, known)
    assert (manager.name, manager.image, manager.role, manager.needs) == ("pool-cm", "htcondor", "central-manager", ())
    assert manager.secrets == (
        *known.certificate("pool-cm"),
        SecretFile(KEY, "signing-key"),
        token("pool-cm", "condor:/READ condor:/NEGOTIATOR condor:/DAEMON condor:/ADVERTISE_MASTER"),
    )
    assert (access.name, access.image, access.role, access.needs) == ("pool-ap", "htcondor", "access-point", ("pool-cm",))
    assert access.mounts == (Mount("pool-spool", "/srv/spool"),)
    assert access.secrets == (
        *known.certificate("pool-ap"),
        SecretFile(KEY, "signing-key"),
        token("pool-ap", "condor:/READ condor:/DAEMON condor:/ADVERTISE_SCHEDD condor:/ADVERTISE_MASTER"),
    )
    assert [worker.name for worker in workers] == ["pool-worker-1", "pool-worker-2"]
    assert {worker.needs for worker in workers} == {("pool-cm",)}
    assert all(container.probe == Probe(("/usr/libexec/cantiere/probe",), 90.0) for container in (manager, access, *workers))


def test_an_execute_point_has_no_signing_key_and_the_least_token() -> None:
    pool = pool_node(workers=1)
    worker = htcondor.containers(pool, facts(pool))[-1]
    assert worker.secrets == (
        SecretFile(CA, "ca.pem", "certificate"),
        token("pool-worker-1", "condor:/READ condor:/ADVERTISE_STARTD condor:/ADVERTISE_MASTER"),
    )
    assert worker.capabilities == ()
    assert (worker.memory, worker.cpus) == ((2 << 30) + htcondor.DAEMON_MEMORY, 1.0)
    assert worker.stop_grace > pool.properties["job_retirement_time"] + htcondor.VACATE_TIME


def test_settings_and_secrets_hold_no_value() -> None:
    pool = pool_node()
    for container in htcondor.containers(pool, facts(pool)):
        assert json.loads(json.dumps(dict(container.settings))) == dict(container.settings)
        assert all(file.secret.source.startswith("generate:") for file in container.secrets)


def test_software_is_mounted_where_it_is_enabled() -> None:
    pool = pool_node(workers=1)
    assert htcondor.containers(pool, facts(pool))[-1].mounts == ()
    assert htcondor.containers(pool, facts(pool, cvmfs_enabled=True))[-1].mounts == (
        Mount("/var/lib/cantiere/cvmfs", "/cvmfs", read_only=True, propagation="rslave"),
    )


def test_client_settings() -> None:
    pool = pool_node()
    assert htcondor.client_settings(pool, facts(pool), "/opt/bundle.pem") == {
        "CONDOR_CONFIG": "ONLY_ENV",
        "_CONDOR_COLLECTOR_HOST": "pool-cm.here.internal:9618",
        "_CONDOR_SCHEDD_HOST": "pool-ap.here.internal",
        "_CONDOR_CREDD_HOST": "pool-ap.here.internal",
        "_CONDOR_UID_DOMAIN": "here.internal",
        "_CONDOR_TRUST_DOMAIN": "here.internal",
        "_CONDOR_SEC_DEFAULT_AUTHENTICATION": "REQUIRED",
        "_CONDOR_SEC_DEFAULT_ENCRYPTION": "REQUIRED",
        "_CONDOR_SEC_DEFAULT_INTEGRITY": "REQUIRED",
        "_CONDOR_SEC_CLIENT_AUTHENTICATION_METHODS": "SCITOKENS",
        "_CONDOR_AUTH_SSL_CLIENT_CAFILE": "/opt/bundle.pem",
    }


def problems(node: Node) -> list[str]:
    return [problem.code for problem in htcondor.check(node, Facility("facility", "", (node,), {}))]


def test_check_finds_groups_and_issuers_that_no_token_carries() -> None:
    assert problems(pool_node(trusted_issuers=["https://wlcg.example.org"])) == []
    assert problems(pool_node(allowed_groups=["cms"], trusted_issuers=["http://wlcg.example.org"])) == ["pool.group", "pool.issuer"]


def test_jobs_name_container_images_only_where_the_pool_says_so() -> None:
    usual, asked = pool_node(), pool_node(job_containers=True)
    *heads, first, _ = htcondor.containers(asked, facts(asked))
    assert [container.image for container in heads] == ["htcondor", "htcondor"]
    assert first.image == "worker-apptainer" and first.devices == () and first.capabilities == ()
    assert first.settings["job_binds"] == ["/cvmfs", htcondor.TRUST_FOLDER, htcondor.TRUST_BUNDLE]
    assert {container.image for container in htcondor.containers(usual, facts(usual))} == {"htcondor", "worker"}
    for role in ("central-manager", "access-point"):
        assert htcondor.settings(asked, facts(asked), role) == htcondor.settings(usual, facts(usual), role)
