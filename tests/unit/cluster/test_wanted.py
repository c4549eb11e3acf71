"""What a site says of releases, what others run already, and namespaces."""

from __future__ import annotations

from dataclasses import replace

from cantiere.cluster import wanted
from cantiere.overlay import merged
from cantiere.values.model import PLACEHOLDER, Release, StorageClass

CERTS = Release(
    "cert-manager", "cert-manager", "cert-manager", {}, "certs", owns=("CustomResourceDefinition/c",), pod_security="restricted"
)
HUB = Release("hub", "facility", "jupyterhub", {}, "hub", needs=("cert-manager",))
OWNED = {"CustomResourceDefinition/c": "infra/cm"}
NONE: frozenset[str] = frozenset()


def test_what_is_there_already_is_used() -> None:
    found = wanted.adoptions((CERTS, HUB), OWNED, NONE, NONE)
    assert list(found) == ["cert-manager"]
    assert "infra/cm" in found["cert-manager"]
    left = {release.name: release for release in wanted.without((CERTS, HUB), found)}
    assert not left["cert-manager"].installed
    assert left["hub"].needs == ()


def test_our_own_release_is_no_reason_to_leave_it() -> None:
    assert wanted.adoptions((CERTS,), {"CustomResourceDefinition/c": "cert-manager/cert-manager"}, NONE, NONE) == {}
    assert wanted.adoptions((CERTS,), {"CustomResourceDefinition/c": ""}, frozenset({"cert-manager"}), NONE) == {}
    same_name = frozenset({"cert-manager/cert-manager"})
    assert wanted.adoptions((CERTS,), {"CustomResourceDefinition/c": "cert-manager/cert-manager"}, NONE, same_name)


def test_facts_of_others_are_used() -> None:
    brings = replace(CERTS, owns=("StorageClass/default", "StorageClass/block"))
    seen = replace(PLACEHOLDER, storage_class="theirs", storage_classes={"theirs": StorageClass("theirs", "x", default=True)})
    declared = replace(PLACEHOLDER, storage_class="block")
    assert wanted.used(declared, seen, [brings]).storage_class == "theirs"
    assert wanted.used(declared, seen, [CERTS]).storage_class == "block"


def test_merging_as_helm_does() -> None:
    base = {"a": {"b": 1, "c": 2}, "list": [1, 2], "gone": 1}
    over = {"a": {"b": 3}, "list": [9], "gone": None, "default": None}
    assert merged(base, over) == {"a": {"b": 3, "c": 2}, "list": [9], "default": None}


def test_namespace_gets_the_weakest_level_that_it_needs() -> None:
    others = replace(HUB, name="x", pod_security="privileged"), replace(HUB, name="y", namespace="kube-system")
    found = wanted.namespaces((CERTS, HUB, *others, replace(HUB, name="off", namespace="off", installed=False)), "cantiere-x")
    assert {name: labels["pod-security.kubernetes.io/enforce"] for name, labels in found.items()} == {
        "cert-manager": "restricted",
        "facility": "privileged",
    }
