"""Every release of a large facility whose chart is at hand, judged object by object by a real API server, which keeps none of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from cantiere.cluster.client import Api, ApiError, Paths
from support.rendering import away, objects, rendered, stopped

if TYPE_CHECKING:
    from system.platform.conftest import Platform

SIZE = "large"
NOT_AT_HAND = frozenset(
    "catalogue.catalogue cert-manager cloudnative-pg cvmfs-csi dask-gateway dask-kubernetes-operator dex external-dns gateway-crds-helm "
    "gpu-operator interlink keda keycloakx kueue longhorn metallb reana rucio-daemons rucio-server rucio-ui seaweedfs spark-operator "
    "traefik".split()
)
"""Charts that no package mirror and no Go module has; their values are held by their schemas alone."""
BEYOND_STAND_INS = frozenset({"archive"})
"""Releases that ask more of a stand-in's chart than it does."""
NOT_SERVED = frozenset({"cert-manager.io", "kueue.x-k8s.io", "metallb.io", "postgresql.cnpg.io"})
"""API groups whose CustomResourceDefinitions come with those charts."""
NAMED_BY_CONTENT = ("CustomResourceDefinition", "APIService")
TRIAL = "dry-run"
AT_ONCE = 8


@pytest.fixture
def namespace(platform: Platform) -> Iterator[str]:
    """A namespace to be judged in: all of them share it, since none of them is kept."""
    platform.kubectl("create", "namespace", TRIAL)
    yield TRIAL
    platform.kubectl("delete", "namespace", TRIAL, "--wait=false")


def moved(item: dict[str, Any], paths: Paths, namespace: str) -> None:
    """Give an object a place and a name that nothing of the facility on that cluster has."""
    item["metadata"].pop("namespace", None)
    path = paths.of(item, namespace)
    if path and f"/namespaces/{namespace}/" not in path and item["kind"] not in NAMED_BY_CONTENT:
        item["metadata"]["name"] = f"{TRIAL}-{item['metadata']['name']}"


def judged(api: Api, path: str, item: dict[str, Any]) -> str:
    """Why the API server refuses an object; nothing where it takes it."""
    try:
        api.apply(path, item, dry_run=True)
    except ApiError as error:
        return f"{item['kind']} {item['metadata']['name']}: {error.said}"
    return ""


def test_the_cluster_takes_all_that_is_rendered(platform: Platform, namespace: str) -> None:
    """Nothing of what can be judged is refused, and what cannot is named."""
    began = time.monotonic()
    assert away(SIZE) <= NOT_AT_HAND, "write down which charts are not at hand: a new one must not hide"
    assert stopped(SIZE) <= BEYOND_STAND_INS
    assert platform.workspace.cluster is not None
    api = platform.workspace.cluster.api()
    assert api is not None
    paths, unknown, asked = Paths(api), Counter[str](), []
    for name, done in rendered(SIZE).items():
        assert done.returncode == 0, done.stderr
        for item in objects(done.stdout):
            moved(item, paths, namespace)
            if path := paths.of(item, namespace):
                asked.append((name, path, item))
            else:
                unknown[f"{item['apiVersion']} {item['kind']}"] += 1
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = list(pool.map(lambda one: (one[0], judged(api, *one[1:])), asked))
    refused = [f"{name}: {why}" for name, why in said if why]
    releases = {name for name, _ in said}
    print(f"\n  {len(asked)} objects of {len(releases)} releases judged in {time.monotonic() - began:.0f} s; not served here:", end="")
    print("".join(f"\n    {number:3} {kind}" for kind, number in sorted(unknown.items())), end="")
    assert not refused, "\n".join(refused)
    assert {kind.partition("/")[0] for kind in unknown} <= NOT_SERVED, unknown
