"""Secrets of the cluster, from the site's store; their values go to the API server and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from cantiere.cluster.client import Api
from cantiere.cluster.model import MANAGED
from cantiere.model import Secret
from cantiere.secrets import SecretStore
from cantiere.values.helmfile import DIGEST, DIGEST_LENGTH, FACILITY
from cantiere.values.model import SecretObject

KEY = Secret("cluster-digest-key")
"""Keys the digests, so that they tell nothing of a guessable secret."""


def content(store: SecretStore, wanted: SecretObject) -> dict[str, str]:
    """What is in a Secret: file name to value."""
    return {item.file: store.value(item.secret, item.part) for item in wanted.files}


def digest(store: SecretStore, wanted: SecretObject) -> str:
    """Keyed digest of a Secret's content, type and labels."""
    made_from = json.dumps([content(store, wanted), wanted.type, dict(wanted.labels)], sort_keys=True)
    return hmac.new(store.value(KEY).encode(), made_from.encode(), hashlib.sha256).hexdigest()[:DIGEST_LENGTH]


def write(api: Api, store: SecretStore, wanted: SecretObject, namespace: str, facility: str) -> None:
    """Make a Secret what it should be."""
    data = {name: base64.b64encode(value.encode()).decode() for name, value in content(store, wanted).items()}
    item = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": wanted.type,
        "metadata": {
            "name": wanted.name,
            "namespace": namespace,
            "labels": {**wanted.labels, **MANAGED, FACILITY: facility},
            "annotations": {DIGEST: digest(store, wanted)},
        },
        "data": data,
    }
    api.apply(f"/api/v1/namespaces/{namespace}/secrets/{wanted.name}", item)


def observe(api: Api, facility: str, namespace: str = "") -> dict[str, str]:
    """The facility's Secrets, ``namespace/name`` to digest; their values are not asked for.

    Parameters
    ----------
    api:
        The cluster.
    facility:
        Prefix of the site.
    namespace:
        Only there; ``""`` looks everywhere.
    """
    from cantiere.cluster.client import METADATA

    path = f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"
    found = {}
    for item in api.list(path, METADATA, labelSelector=f"{FACILITY}={facility},app.kubernetes.io/managed-by=cantiere"):
        metadata = item["metadata"]
        found[f"{metadata['namespace']}/{metadata['name']}"] = (metadata.get("annotations") or {}).get(DIGEST, "")
    return found


def filled(values: Any, digests: Mapping[str, str]) -> Any:
    """Values with every empty ``secretDigest`` filled: with that of the ``existingSecret`` beside it, else with one of all.

    Parameters
    ----------
    values:
        A release's values.
    digests:
        Name of each Secret of the release to its digest.
    """
    if isinstance(values, list | tuple):
        return [filled(item, digests) for item in values]
    if not isinstance(values, Mapping):
        return values
    found = {key: filled(item, digests) for key, item in values.items()}
    if found.get("secretDigest") == "" and digests:
        named = found.get("existingSecret")
        together = hashlib.sha256(json.dumps(dict(digests), sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]
        found["secretDigest"] = digests.get(named, together) if isinstance(named, str) else together
    return found
