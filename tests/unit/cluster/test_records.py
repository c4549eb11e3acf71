"""Helm's records in the cluster, and secrets: read, settled, written."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from cantiere.cluster import releases, secrets
from cantiere.model import Secret, SecretFile
from cantiere.secrets import SecretStore
from cantiere.values.model import SecretObject
from support.kube import FakeApi

ALL = "/api/v1/secrets"


def record(name: str, version: int, status: str, **labels: str) -> dict[str, Any]:
    content = {
        "name": name,
        "config": {"workers": version},
        "info": {"status": status, "first_deployed": "2026-01-01"},
        "chart": {"metadata": {"name": "htcondor", "version": "0.1.0"}},
    }
    metadata = {"name": f"sh.helm.release.v1.{name}.v{version}", "namespace": "facility"}
    given = {"owner": "helm", "name": name, "version": str(version), "status": status, **labels}
    return {"metadata": {**metadata, "labels": given}, "data": {"release": releases.encode(content)}}


def test_newest_revision_counts() -> None:
    ours = {"cantiere.io/facility": "cantiere-x", "cantiere.io/digest": "d9"}
    items = [
        record("pool", 9, "deployed", **ours),
        record("pool", 10, "pending-upgrade", **ours),
        record("pool", 8, "superseded"),
        record("x", 1, "failed"),
    ]
    found = releases.observe(FakeApi({ALL: items}))
    pool = found["facility/pool"]
    assert (pool.revision, pool.status, pool.working, pool.digest, pool.facility) == (10, "pending-upgrade", True, "d9", "cantiere-x")
    assert (pool.values, pool.chart) == ({"workers": 10}, "htcondor-0.1.0")
    assert not found["facility/x"].working
    assert found["facility/x"].facility == ""


def test_a_cut_off_revision_is_marked_failed_and_kept() -> None:
    item = record("pool", 2, "pending-install")
    path = f"/api/v1/namespaces/facility/secrets/{item['metadata']['name']}"
    api = FakeApi({ALL: [item], path: item})
    releases.settle(api, releases.observe(api)["facility/pool"])
    assert api.done == [("patch", path)]
    assert api.objects[path]["metadata"]["labels"] == {"status": "failed"}
    assert releases.decode(api.objects[path]["data"]["release"])["info"]["status"] == "failed"


def test_a_whole_revision_is_not_touched() -> None:
    item = record("pool", 2, "deployed")
    path = f"/api/v1/namespaces/facility/secrets/{item['metadata']['name']}"
    api = FakeApi({ALL: [item], path: item})
    releases.settle(api, releases.observe(api)["facility/pool"])
    assert api.done == []


WANTED = SecretObject("iam", (SecretFile(Secret("admin"), "password"), SecretFile(Secret("other"), "token")), labels={"a": "b"})


def test_secret_is_written_and_seen_by_its_digest(tmp_path: Path) -> None:
    store, api = SecretStore(tmp_path), FakeApi()
    secrets.write(api, store, WANTED, "facility", "cantiere-x")
    item = api.objects["/api/v1/namespaces/facility/secrets/iam"]
    assert base64.b64decode(item["data"]["password"]).decode() == store.value(Secret("admin"))
    assert set(item["data"]) == {"password", "token"}
    api.objects[ALL] = [item]
    assert secrets.observe(api, "cantiere-x") == {"facility/iam": secrets.digest(store, WANTED)}
    assert secrets.observe(api, "cantiere-y") == {}


def test_digest_is_keyed_by_the_site(tmp_path: Path) -> None:
    import dataclasses

    (tmp_path / "value").write_text("same")
    given = SecretObject("x", (SecretFile(Secret("v", f"file:{tmp_path / 'value'}"), "v"),))
    here, there = SecretStore(tmp_path / "a"), SecretStore(tmp_path / "b")
    assert secrets.digest(here, given) == secrets.digest(here, given)
    assert secrets.digest(here, given) != secrets.digest(there, given)
    assert secrets.digest(here, given) != secrets.digest(here, dataclasses.replace(given, type="kubernetes.io/tls"))


def test_kept_values_are_the_same_in_the_next_run(tmp_path: Path) -> None:
    store = SecretStore(tmp_path)
    before = secrets.digest(store, WANTED)
    assert not (tmp_path / "secrets.vault.yml").exists()
    store.keep()
    assert secrets.digest(SecretStore(tmp_path), WANTED) == before


def test_digests_are_filled_into_values() -> None:
    values = {
        "secretDigest": "",
        "parts": [{"existingSecret": "a", "secretDigest": ""}, {"existingSecret": "b", "secretDigest": "kept"}],
        "deep": {"secretDigest": "", "other": 1},
    }
    found = secrets.filled(values, {"a": "da", "b": "db"})
    assert [part["secretDigest"] for part in found["parts"]] == ["da", "kept"]
    assert found["secretDigest"] == found["deep"]["secretDigest"] not in ("", "da", "db")
    assert secrets.filled(values, {}) == values
