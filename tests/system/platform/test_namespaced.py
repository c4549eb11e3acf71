"""Platform, a user whose rights end with a namespace: what an administrator has to give, and that it is enough."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.tree import REPOSITORY

if TYPE_CHECKING:
    from system.platform.conftest import Platform

SPACE = USER = "tenant"
KEPT = {"iam", "pool"}
"""Releases that the user brings; the others would be there twice on one small machine, or take rights that the user has not."""
INPUTS = ("--input", "volumes=existing", "--input", "workers=1", "--input", "requested_cpus_per_worker=0.05")
QUOTA = {"pods": "8", "requests.cpu": "1", "requests.memory": "4Gi", "limits.memory": "10Gi", "persistentvolumeclaims": "4"}
GIVEN = "serviceaccounts rolebindings.rbac.authorization.k8s.io resourcequotas configmaps".split()
"""What is in the namespace before the user comes."""
MADE = "pods services secrets persistentvolumeclaims statefulsets deployments networkpolicies poddisruptionbudgets".split()


@pytest.fixture
def kubeconfig(platform: Platform, tmp_path: Path) -> Iterator[Path]:
    """Of a service account with the rights of ``edit`` in a namespace with a quota; an administrator makes and removes them."""
    here = {"name": USER, "namespace": SPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    subjects = [{"kind": "ServiceAccount", **here}]
    platform.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    platform.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here})
    platform.apply(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": here, "roleRef": role, "subjects": subjects}
    )
    platform.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": here, "spec": {"hard": QUOTA}})
    assert platform.workspace.cluster is not None
    found = yaml.safe_load(platform.workspace.cluster.kubeconfig.read_text())
    token = platform.kubectl("-n", SPACE, "create", "token", USER, "--duration", "1h").strip()
    found["users"] = [{"name": USER, "user": {"token": token}}]
    found["contexts"] = [{"name": USER, "context": {"cluster": found["clusters"][0]["name"], "user": USER}}]
    found["current-context"] = USER
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(found))
    path.chmod(0o600)
    yield path
    platform.kubectl("delete", "namespace", SPACE, "--timeout=180s")


class Tenant:
    """The user's site: the same template, with some of its releases turned off."""

    def __init__(self, platform: Platform, kubeconfig: Path, folder: Path) -> None:
        cluster = platform.workspace.cluster
        assert cluster is not None and cluster.registry is not None
        self.platform = platform
        self.file = folder / "cantiere.yml"
        self.site = ("--site", str(self.file))
        self.given = yaml.safe_load((REPOSITORY / "inventories" / "existing" / "cantiere.yml").read_text()) | {
            "site": SPACE,
            "template": str(REPOSITORY / "tosca" / "templates" / "facility.yaml"),
            "inputs": str(REPOSITORY / "inventories" / "nspawn" / "inputs.yml"),
            "provider": {"type": "cluster", "kubeconfig": str(kubeconfig), "namespace": SPACE, "namespaced": True},
            "registry": {"address": cluster.registry.prefix, "ca": str(cluster.registry.ca)},
            "artifacts_file": str(REPOSITORY / "inventories" / "nspawn" / "artifacts.yml"),
            "facts": {"storage_class": cluster.facts(cluster.known(cluster.api())).storage_class},
            "state_dir": str(folder / "state"),
        }

    def without(self, releases: Sequence[str]) -> None:
        """Write the site with these releases turned off."""
        self.file.write_text(yaml.safe_dump({**self.given, "releases": {name: {"installed": False} for name in releases}}))


@pytest.fixture
def tenant(platform: Platform, kubeconfig: Path, tmp_path: Path) -> Iterator[Tenant]:
    made = Tenant(platform, kubeconfig, tmp_path)
    made.without(())
    yield made
    platform.cantiere.run("down", *made.site)


def inside(platform: Platform, kinds: Sequence[str]) -> set[str]:
    """Objects of some kinds in the namespace."""
    found = json.loads(platform.kubectl("-n", SPACE, "get", ",".join(kinds), "-o", "json"))["items"]
    return {f"{item['kind']}/{item['metadata']['name']}" for item in found}


def test_rights_that_end_with_a_namespace(platform: Platform, tenant: Tenant) -> None:
    """What the user may not do is told beforehand with a remedy; the rest comes up, and goes without a trace."""
    before, given = platform.pods(), inside(platform, GIVEN)
    refused = platform.cantiere.run("up", *tenant.site, *INPUTS, code=None)
    assert refused.returncode, "an ordinary user has brought the whole facility"
    assert f"monitoring goes to namespace monitoring, and the site has rights in {SPACE} alone" in refused.stderr
    assert f"hub needs rights in namespace {SPACE} that the kubeconfig's user has not: create, patch, delete roles" in refused.stderr
    assert refused.stderr.count("remedy:") == refused.stderr.count("error:")
    assert inside(platform, MADE) == set(), "something was touched although the preflight refused"

    rows = platform.cantiere.json("status", *platform.site)["releases"]
    tenant.without([row["release"] for row in rows if row["release"] not in KEPT and not row["release"].startswith("volumes-")])
    found: dict[str, Any] = platform.cantiere.json("up", *tenant.site, *INPUTS)
    print(f"\n  a pool with the rights of a namespace: {found['seconds']} s")
    assert platform.cantiere.json("up", *tenant.site, *INPUTS)["steps"] == []
    slots = platform.kubectl("-n", SPACE, "exec", "pool-cm-0", "--", "condor_status", "-af", "Name")
    assert slots.strip(), "no execute point of the pool is there"

    platform.cantiere.run("down", *tenant.site)
    platform.kubectl("-n", SPACE, "wait", "pods", "--all", "--for=delete", "--timeout=120s")
    assert inside(platform, MADE) == set()
    assert inside(platform, GIVEN) == given
    assert platform.pods() == before
