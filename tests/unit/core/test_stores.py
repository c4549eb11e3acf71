from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from cryptography import x509

from cantiere.errors import CantiereError
from cantiere.idtoken import mint, signing_key
from cantiere.model import Secret
from cantiere.secrets import SecretStore
from cantiere.services.facts import CA
from cantiere.state import StateStore, write_atomic
from unit.core.samples import STORE

LOCK_AND_WAIT = """
import sys, time
from pathlib import Path
from cantiere.state import StateStore
with StateStore(Path(sys.argv[1])).locked("test"):
    print("locked", flush=True)
    time.sleep(60)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_state_round_trip_counts_its_writes(tmp_path: Path) -> None:
    store = StateStore(tmp_path / "site")
    assert store.load() is None
    first = store.save(store.new("facility"))
    second = store.save(first.with_object("network/x", {"name": "x"}))
    assert store.load() == second
    assert (second.serial, second.lineage) == (2, first.lineage)
    assert second.with_object("network/x", None).objects == {}
    assert mode(store.file) == 0o600


def test_a_damaged_or_newer_state_is_refused_with_a_remedy(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    store.file.write_text("{")
    with pytest.raises(CantiereError, match=r"state\.damaged"):
        store.load()
    store.file.write_text(json.dumps({"lineage": "x", "version": 99}))
    with pytest.raises(CantiereError, match=r"state\.version"):
        store.load()


def test_the_lock_names_its_holder_and_goes_with_a_killed_one(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    holder = subprocess.Popen([sys.executable, "-c", LOCK_AND_WAIT, str(tmp_path)], stdout=subprocess.PIPE, env=environment)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    with pytest.raises(CantiereError, match=f'"pid": {holder.pid}'), StateStore(tmp_path).locked("second"):
        pass
    holder.kill()
    holder.wait()
    with StateStore(tmp_path).locked("third"):
        assert '"purpose": "third"' in (tmp_path / "lock.json").read_text()


def test_secrets_are_made_once_and_encrypted(tmp_path: Path) -> None:
    store = SecretStore(tmp_path)
    store.materialise([STORE])
    value = store.value(STORE.secrets[0].secret)
    assert value not in store.file.read_text()
    assert mode(store.file) == 0o600
    assert SecretStore(tmp_path).value(STORE.secrets[0].secret) == value
    shown = tmp_path / "secrets" / "store" / "password"
    assert (shown.read_text(), mode(shown), mode(shown.parent)) == (value, 0o400, 0o700)
    assert store.names() == ["store-password"]


def test_passwords_are_no_flags(tmp_path: Path) -> None:
    """They are given to programs of others as arguments."""
    store = SecretStore(tmp_path)
    made = {store.value(Secret(f"password-{number}", "generate:password")) for number in range(500)}
    assert len(made) == 500 and all(password.isalnum() and len(password) == 32 for password in made)


def test_a_certificate_is_signed_by_the_facility_and_names_its_host(tmp_path: Path) -> None:
    store = SecretStore(tmp_path)
    secret = Secret("host-a", "generate:certificate", {"common_name": "a.x.test", "names": "a.x.test,a,10.0.0.1"})
    found = x509.load_pem_x509_certificate(store.value(secret, "certificate").encode())
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(store.value(CA, "certificate").encode()))
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.x.test", "a"]


def test_references_outside_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SecretStore(tmp_path)
    monkeypatch.setenv("A_SECRET", "from the environment")
    (tmp_path / "f").write_text("from a file\n")
    assert store.value(Secret("x", "env:A_SECRET")) == "from the environment"
    assert store.value(Secret("x", f"file:{tmp_path}/f")) == "from a file"
    for source in ("env:NOT_THERE", f"file:{tmp_path}/none", "vault:none", "generate:nonsense"):
        with pytest.raises(CantiereError, match=r"secret\.missing"):
            store.value(Secret("x", source))
    with pytest.raises(CantiereError, match=r"secret\.unknown"):
        store.show("nothing")


def test_idtoken_is_signed_as_htcondor_does() -> None:
    key = b"kZ3-some_Url.safe~key0123456789ab"  # content of a signing key file, and the key that condor_token_create derives from it
    assert signing_key(key).hex() == "dc89d794a7325b1337f848697fdc77804215a7a4d76ee6190ba0eb486ecbd978"
    claims = jwt.decode(mint(key, "pool", "x.test", "condor@x.test", "condor:/READ"), signing_key(key), ["HS256"])
    assert (claims["iss"], claims["sub"], claims["scope"]) == ("x.test", "condor@x.test", "condor:/READ")


def test_an_atomic_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", "one")
    write_atomic(tmp_path / "a", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "two"
