"""Releases as a helmfile."""

from __future__ import annotations

from dataclasses import replace

import yaml

from cantiere.kubernetes.text import as_yaml
from cantiere.model import Secret, SecretFile
from cantiere.values.helmfile import Source, digest, document, readme
from cantiere.values.model import Release, SecretObject

IAM = Release(
    "iam", "facility", "devel-iam", {"a": 1}, "iam", secrets=(SecretObject("iam", (SecretFile(Secret("x"), "key"),)),), timeout=60
)
HUB = Release("hub", "facility", "jupyterhub", {}, "hub", needs=("iam",))
OFF = Release("minio", "facility", "minio", {}, "store", needs=("iam",), installed=False)
SOURCES = {
    "devel-iam": Source("./charts/devel-iam"),
    "jupyterhub": Source("", "https://charts.example.org", "jupyterhub", "4.1.0"),
    "minio": Source("", "oci://registry.example.org/charts", "minio", "1"),
}
DIGESTS = {"iam": "d1", "hub": "d2", "minio": "d3"}


def test_document() -> None:
    found = document((IAM, HUB, OFF), DIGESTS, SOURCES, "cantiere-x", namespaces=True, new=frozenset({"hub"}))
    releases = {entry["name"]: entry for entry in found["releases"]}
    assert found["releases"][0]["name"] == "namespaces"
    assert releases["iam"]["needs"] == ["default/namespaces"]
    assert releases["hub"]["needs"] == ["default/namespaces", "facility/iam"]
    assert (releases["hub"]["chart"], releases["hub"]["version"]) == ("jupyterhub/jupyterhub", "4.1.0")
    assert releases["iam"]["labels"] == {"cantiere.io/digest": "d1", "cantiere.io/facility": "cantiere-x"}
    assert (releases["minio"]["installed"], "needs" in releases["minio"]) == (False, False)
    assert {"name": "minio", "url": "registry.example.org/charts", "oci": True} in found["repositories"]
    assert yaml.safe_load(as_yaml(found)) == found


def test_upgrades_roll_back_and_nothing_is_forced() -> None:
    found = document((IAM, HUB), DIGESTS, SOURCES, "cantiere-x", new=frozenset({"hub"}))
    defaults = found["helmDefaults"]
    assert defaults["atomic"] is defaults["wait"] is defaults["waitForJobs"] is defaults["syncReleaseLabels"] is True
    assert not {"force", "recreatePods", "cleanupOnFail"} & set(defaults)
    # a first installation that fails is left to be looked at: rolling it back would remove it
    assert [entry.get("atomic") for entry in found["releases"]] == [None, False]


def test_digest_follows_chart_values_and_place() -> None:
    first = digest(IAM, "chart")
    assert first == digest(replace(IAM, timeout=1, needs=("x",)), "chart")
    others = {digest(IAM, "other"), digest(replace(IAM, values={"a": 2}), "chart"), digest(replace(IAM, namespace="x"), "chart")}
    assert first not in others
    assert len(others) == 3
    assert len(first) <= 63


def test_readme_names_secrets_and_images() -> None:
    text = readme((IAM, HUB), "cantiere-x", ["registry.example/iam:1"], ["`storage_class` is `standard`"])
    assert "| `facility` | `iam` | `Opaque` | `key` | iam |" in text
    assert "`registry.example/iam:1`" in text
    assert "`storage_class` is `standard`" in text
