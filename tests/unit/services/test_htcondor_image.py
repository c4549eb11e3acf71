"""The programs and templates of ``images/htcondor``, as far as they run without HTCondor."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cantiere.services import htcondor
from unit.services.samples_pool import facts, monitoring_node, pool_node

IMAGE = Path(__file__).resolve().parents[3] / "images" / "htcondor"
ISSUER = "https://iam.here.internal:8443"
ALICE = {"iss": ISSUER, "sub": "6c1f", "wlcg.groups": ["/cms", "/cms/analysis"]}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), IMAGE / "libexec" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


accounts: Any = load("scitokens-account")
credmon: Any = load("credmon")


def render(template: str, role: str, **properties: Any) -> str:
    pool = pool_node(cpus_per_worker=2, **properties)
    known = facts(pool, monitoring_node("pool"))
    environment = Environment(loader=FileSystemLoader(IMAGE / "templates"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    variables = htcondor.settings(pool, known, role) if role else {}
    return environment.get_template(template).render(**variables, role=role)


def condor(role: str, **properties: Any) -> dict[str, str]:
    lines = render("etc/condor/config.d/10-facility.conf.j2", role, **properties).splitlines()
    return dict(line.split(" = ", 1) for line in lines if " = " in line and not line.startswith("#"))


@pytest.mark.parametrize("role", ["central-manager", "access-point", "execute-point"])
def test_nobody_unknown_is_allowed_anything(role: str) -> None:
    names = {"root", "condor", "pool-cm", "pool-ap", "pool-worker-*", "u_*", "monitoring-exporter", "execute-side@matchsession"}
    for key, value in condor(role).items():
        if key.split(".")[-1].startswith("ALLOW_"):
            listed = value.replace("$(LOCAL_ADMINISTRATORS)", "root@here.internal").split(", ")
            assert {entry.removesuffix("@here.internal") for entry in listed} <= names, key


def test_only_tokens_of_users_write_to_the_queue() -> None:
    told = condor("access-point")
    for daemon in ("SCHEDD", "CREDD"):
        assert told[f"{daemon}.SEC_WRITE_AUTHENTICATION_METHODS"] == "SCITOKENS"
        assert told[f"{daemon}.ALLOW_WRITE"] == "u_*@here.internal"


def test_every_slot_has_an_account_of_its_own() -> None:
    told = condor("execute-point")
    slots = {key: value for key, value in told.items() if key.startswith("SLOT1_")}
    assert len(set(slots.values())) == len(slots) == 6
    assert slots["SLOT1_1_USER"] == "cslot1"
    assert told["NOBODY_SLOT_USER"] not in slots.values()


def test_jobs_run_in_images_by_apptainer_only_where_the_pool_says_so() -> None:
    usual, told = condor("execute-point"), condor("execute-point", job_containers=True)
    assert not any("SINGULARITY" in name for name in usual)
    assert told == usual | {
        "SINGULARITY": "/usr/bin/apptainer",
        "SINGULARITY_BIND_EXPR": '"/cvmfs /etc/grid-security/certificates /etc/ssl/certs/ca-certificates.crt"',
        "SINGULARITY_RUN_TEST_BEFORE_JOB": "False",
        "SINGULARITY_USE_PID_NAMESPACES": "False",
    }


def test_without_a_role_nothing_is_configured() -> None:
    assert render("etc/condor/config.d/10-facility.conf.j2", "") == ""
    assert json.loads(render("etc/cantiere/accounts.json.j2", "")) == {}


def test_the_plugin_gets_issuers_and_groups() -> None:
    assert json.loads(render("etc/cantiere/accounts.json.j2", "access-point")) == {
        "domain": "here.internal",
        "issuers": [ISSUER],
        "allowed_groups": ["/cms"],
        "folder": "/srv/spool/accounts",
    }
    assert json.loads(render("etc/cantiere/accounts.json.j2", "central-manager"))["folder"] == ""


def test_an_account_depends_on_issuer_and_subject_only() -> None:
    name, digest = accounts.identify(ALICE, [f"{ISSUER}/"], ["/cms"])
    assert name == f"u_{digest[:12]}"
    assert accounts.identify(ALICE | {"iss": f"{ISSUER}/", "wlcg.groups": []}, [ISSUER], []) == (name, digest)
    assert accounts.identify(ALICE | {"iss": "https://other"}, [ISSUER, "https://other"], [])[0] != name


@pytest.mark.parametrize(
    "claims",
    [
        ALICE | {"iss": "https://other"},
        ALICE | {"iss": f"{ISSUER}.evil"},
        ALICE | {"sub": ""},
        ALICE | {"wlcg.groups": ["/atlas"]},
        ALICE | {"wlcg.groups": "/cms"},
        {"iss": ISSUER, "sub": "6c1f"},
        {},
    ],
)
def test_others_are_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(accounts.Refused):
        accounts.identify(claims, [ISSUER], ["/cms"])


def test_user_ids_stay_and_are_never_shared(tmp_path: Path) -> None:
    users = {f"u_{number:012x}": f"{number:064x}" for number in range(20)}
    with ThreadPoolExecutor(8) as executor:
        given = dict(zip(users, executor.map(lambda item: accounts.allocate(tmp_path, *item), users.items()), strict=True))
    assert sorted(given.values()) == list(range(20000, 20020))
    assert {name: accounts.allocate(tmp_path, name, digest) for name, digest in users.items()} == given
    assert {line.split(":")[0]: int(line.split(":")[2]) for line in (tmp_path / "group").read_text().splitlines()} == given
    with pytest.raises(accounts.Refused):
        accounts.allocate(tmp_path, "u_000000000000", "f" * 64)


def test_the_plugin_answers_as_htcondor_expects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = tmp_path / "accounts.json"
    configuration.write_text(
        json.dumps({"domain": "here.internal", "issuers": [ISSUER], "allowed_groups": ["/cms"], "folder": str(tmp_path)})
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(ALICE)))
    assert accounts.main(configuration) == 0
    assert capsys.readouterr().out == accounts.identify(ALICE, [ISSUER], [])[0] + "@here.internal\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(ALICE | {"wlcg.groups": []})))
    assert accounts.main(configuration) == 2
    refused = capsys.readouterr()
    assert refused.out == ""
    assert "none of the groups" in refused.err


@pytest.mark.parametrize("stored", [b'{"access_token": "abc", "expires_in": 1}', b"abc\n", b"abc"])
def test_the_token_in_what_a_user_stored(stored: bytes) -> None:
    assert credmon.access_token(stored) == b"abc"


def test_a_stored_token_becomes_what_jobs_get(tmp_path: Path) -> None:
    user = tmp_path / "u_1"
    user.mkdir()
    top, use = user / "iam.top", user / "iam.use"
    top.write_bytes(b'{"access_token": "first"}')
    assert credmon.refresh(tmp_path) == [use]
    assert use.read_bytes() == b"first\n"
    assert stat.S_IMODE(use.stat().st_mode) == 0o600
    assert credmon.refresh(tmp_path) == []
    top.write_bytes(b'{"access_token": "second"}')
    os.utime(top, ns=(0, use.stat().st_mtime_ns + 1))
    assert credmon.refresh(tmp_path) == [use]
    assert use.read_bytes() == b"second\n"
    assert sorted(path.name for path in user.iterdir()) == ["iam.top", "iam.use"]
