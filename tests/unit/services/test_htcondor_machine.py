"""HTCondor on machines: the same configuration as in containers, for one role or all of them, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cantiere import image_files
from cantiere.services import htcondor, htcondor_machine
from unit.services.samples_pool import facts, pool_node

REPOSITORY = Path(__file__).resolve().parents[3]
ISSUER = "https://iam.example.org"
FACTS = {"cpus": 8, "memory": 16 << 30, "container": False, "os_family": "Debian"}
SECRETS = {"idtoken": "token\n", "signing_key": "key", "certificate": "certificate", "certificate_key": "private"}
CONFIGURATION = "/etc/condor/config.d/10-facility.conf"


def given(*roles: str, **changed: Any) -> dict[str, Any]:
    """The role's variables as its defaults have them, for a machine named cm."""
    variables = {
        "roles": list(roles or htcondor_machine.ROLES),
        "name": "cm",
        "domain": "pool.internal",
        "collector": "cm",
        "access_points": ["cm"],
        "workers": ["worker-*"],
        "readers": [],
        "audience": "",
        "issuers": [ISSUER],
        "allowed_groups": [],
        "cpus": 0,
        "memory": "",
        "retirement_time": 600,
        "job_environment": {},
        "job_containers": False,
    }
    return variables | changed


def rendered(variables: dict[str, Any], known: dict[str, Any] = FACTS) -> dict[str, str]:
    told = htcondor_machine.settings(variables, known)
    role = " ".join(htcondor_machine.ordered(variables["roles"]))
    own = image_files.rendered(REPOSITORY / "roles/htcondor_machine/templates", told, role)
    return image_files.rendered(image_files.templates("htcondor"), told, role) | own


def condor(variables: dict[str, Any], known: dict[str, Any] = FACTS) -> dict[str, str]:
    """The configuration, the last value of every name, with DAEMON_LIST's reference to itself resolved."""
    values: dict[str, str] = {}
    for line in rendered(variables, known)[CONFIGURATION].splitlines():
        if " =" in line and not line.startswith("#"):
            name, _, value = line.partition(" =")
            values[name] = value.strip().replace("$(DAEMON_LIST)", values.get("DAEMON_LIST", ""))
    return values


def test_all_roles_on_one_machine() -> None:
    told = condor(given())
    assert told["DAEMON_LIST"] == "MASTER, COLLECTOR, NEGOTIATOR, SCHEDD, CREDD, CREDMON_OAUTH, STARTD"
    assert told["COLLECTOR_HOST"] == "cm.pool.internal:9618"
    assert told["SCHEDD_NAME"] == "cm.pool.internal"
    assert told["SCITOKENS_SERVER_AUDIENCE"] == "https://cm.pool.internal"
    assert told["SCHEDD.SEC_WRITE_AUTHENTICATION_METHODS"] == "SCITOKENS"
    assert told["SCHEDD.ALLOW_WRITE"] == "u_*@pool.internal"
    assert told["COLLECTOR.ALLOW_ADVERTISE_STARTD"] == "$(LOCAL_ADMINISTRATORS), worker-*@pool.internal"
    assert (told["NUM_CPUS"], told["MEMORY"]) == ("8", str(15 << 10))


@pytest.mark.parametrize("role", htcondor_machine.ROLES)
def test_one_role_is_configured_as_its_container_is(role: str) -> None:
    node = pool_node(allowed_groups=[])
    known = facts(node)
    contained = htcondor.settings(node, known, role)
    here = htcondor_machine.settings(given(role), FACTS)
    assert set(contained) == set(here) - {"stop_signal", "stop_timeout", "restarts_in"}


def test_a_worker_alone() -> None:
    told = condor(given("execute-point", name="worker-1", cpus=2, memory="3 GiB"))
    assert told["DAEMON_LIST"] == "MASTER, STARTD"
    assert (told["NUM_CPUS"], told["MEMORY"], told["SLOT1_6_USER"]) == ("2", "3072", "cslot6")
    assert "CERTIFICATE_MAPFILE" not in told


def test_an_outside_pool() -> None:
    told = condor(given("execute-point", name="node7", collector="cm.elsewhere.org", domain="elsewhere.org"))
    assert (told["COLLECTOR_HOST"], told["TRUST_DOMAIN"]) == ("cm.elsewhere.org:9618", "elsewhere.org")


def test_control_groups_are_used_where_the_machine_has_them() -> None:
    assert "BASE_CGROUP" not in condor(given("execute-point"))
    assert condor(given("execute-point"), FACTS | {"container": True})["BASE_CGROUP"] == ""


@pytest.mark.parametrize(
    ("roles", "signal"), [(["access-point"], "SIGQUIT"), (["execute-point"], "SIGTERM"), (["central-manager", "access-point"], "SIGTERM")]
)
def test_how_the_unit_ends(roles: list[str], signal: str) -> None:
    text = rendered(given(*roles))[htcondor_machine.DROP_IN]
    assert f"KillSignal={signal}\n" in text
    assert ("TimeoutStopSec=680" in text) == ("execute-point" in roles)
    assert ("credentials/pid" in text) == ("access-point" in roles)


def test_what_stands_on_an_execute_point() -> None:
    variables = given("execute-point", name="worker-1", cpus=1)
    made = htcondor_machine.manifest(
        variables, FACTS, rendered(variables) | {"/usr/libexec/cantiere/probe": "#!/bin/sh\n"}, SECRETS | {"signing_key": ""}
    )
    files = {file["path"]: file for file in made["files"]}
    assert files["/etc/condor/tokens.d/idtoken"] == {
        "path": "/etc/condor/tokens.d/idtoken",
        "content": "token\n",
        "mode": "0600",
        "secret": True,
    }
    assert "/etc/condor/passwords.d/signing-key" not in files
    assert "/etc/condor/mapfile" not in files
    assert files["/usr/libexec/cantiere/probe"]["mode"] == "0755"
    assert [user["name"] for user in made["users"]] == ["cslot1", "cslot2", "cslot3", "cslot4"]
    assert made["units"][0]["name"] == "condor.service"
    assert {CONFIGURATION, "/etc/condor/tokens.d/idtoken", htcondor_machine.DROP_IN} <= set(made["units"][0]["restart_on"])


def test_the_queue_and_its_credentials_stand_on_an_access_point() -> None:
    variables = given("access-point")
    made = htcondor_machine.manifest(variables, FACTS, rendered(variables), SECRETS)
    modes = {folder["path"]: (folder["mode"], folder["owner"], folder["group"]) for folder in made["directories"]}
    assert modes["/srv/spool/credentials"] == ("2770", "root", "condor")
    assert modes["/srv/spool/queue"] == ("0755", "condor", "condor")
    assert made["users"] == []


def test_the_trust_bundle_has_one_name_in_the_configuration() -> None:
    variables = given("execute-point")
    family = FACTS | {"os_family": "RedHat"}
    assert htcondor_machine.manifest(variables, FACTS, {}, SECRETS)["links"] == []
    assert htcondor_machine.manifest(variables, family, {}, SECRETS)["links"] == [
        {"path": "/etc/ssl/certs/ca-certificates.crt", "target": "/etc/pki/tls/certs/ca-bundle.crt"}
    ]


def test_packages_follow_the_roles() -> None:
    names = {"common": ["condor"], "access-point": ["libnss-extrausers"], "execute-point": ["xrootd-client"]}
    assert htcondor_machine.packages(given("central-manager"), names) == ["condor"]
    assert htcondor_machine.packages(given(), names) == ["condor", "libnss-extrausers", "xrootd-client"]


def test_accepted() -> None:
    assert htcondor_machine.refusals(given(), SECRETS, "Debian") == []


@pytest.mark.parametrize(
    ("variables", "missing", "text"),
    [
        (given("submitter", "central-manager"), "", "name one or more of"),
        (given(issuers=[]), "", "issuers is empty"),
        (given(issuers=["http://iam.example.org"]), "", "is no https URL"),
        (given(allowed_groups=["cms"]), "", "begin it with a slash"),
        (given(), "certificate_key", "htcondor_machine_certificate_key_file is needed"),
        (given(), "signing_key", "htcondor_machine_signing_key_file is needed"),
        (given("execute-point", name="worker-1"), "idtoken", "htcondor_machine_idtoken_file is needed"),
        (given("execute-point"), "", "this machine is none"),
        (given(workers=["*"]), "", "would let users' accounts"),
        (given(memory="much"), "", "is no size"),
    ],
)
def test_refused(variables: dict[str, Any], missing: str, text: str) -> None:
    (found,) = htcondor_machine.refusals(variables, {name: value for name, value in SECRETS.items() if name != missing}, "Debian")
    assert text in found


def test_an_access_point_needs_accounts_of_users() -> None:
    (found,) = htcondor_machine.refusals(given(), SECRETS, "RedHat")
    assert "libnss-extrausers" in found


def test_a_machine_renders_as_an_image_does(tmp_path: Path) -> None:
    told = htcondor_machine.settings(given(), FACTS)
    role = " ".join(htcondor_machine.ROLES)
    folder = image_files.templates("htcondor")
    environment = {**os.environ, "CANTIERE_SETTINGS": json.dumps(told), "CANTIERE_ROLE": role}
    subprocess.run([sys.executable, REPOSITORY / "images/base/render", folder, tmp_path], env=environment, check=True)
    inside = {f"/{path.relative_to(tmp_path)}": path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert image_files.rendered(folder, told, role) == inside


def test_jobs_in_images_have_their_own_processes_on_a_machine_but_not_in_a_container() -> None:
    assert "SINGULARITY" not in condor(given())
    told = condor(given(job_containers=True))
    assert told["SINGULARITY"] == "/usr/bin/apptainer" and "SINGULARITY_USE_PID_NAMESPACES" not in told
    assert condor(given(job_containers=True), FACTS | {"container": True})["SINGULARITY_USE_PID_NAMESPACES"] == "False"
