"""Helm's own records in the cluster: which releases are there, made from what, and in what state."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from cantiere.cluster.client import Api
from cantiere.cluster.model import Deployed
from cantiere.values.helmfile import DIGEST, FACILITY

SELECTOR = "owner=helm,status!=superseded"
PENDING = ("pending-install", "pending-upgrade", "pending-rollback")
FAILED = "failed"
DEPLOYED = "deployed"


def observe(api: Api, namespace: str = "") -> dict[str, Deployed]:
    """All Helm releases by ``namespace/name``, each as its newest revision tells it.

    Parameters
    ----------
    api:
        The cluster.
    namespace:
        Only there; ``""`` looks everywhere.
    """
    path = f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"
    newest: dict[str, dict[str, Any]] = {}
    working: set[str] = set()
    for item in api.list(path, labelSelector=SELECTOR):
        labels = item["metadata"]["labels"]
        name = f"{item['metadata']['namespace']}/{labels['name']}"
        if labels["status"] == DEPLOYED:
            working.add(name)
        if name not in newest or int(labels["version"]) > int(newest[name]["metadata"]["labels"]["version"]):
            newest[name] = item
    return {name: _deployed(item, name in working) for name, item in sorted(newest.items())}


def _deployed(item: dict[str, Any], working: bool) -> Deployed:
    labels = item["metadata"]["labels"]
    record = decode(item["data"]["release"])
    chart = record.get("chart", {}).get("metadata", {})
    return Deployed(
        name=labels["name"],
        namespace=item["metadata"]["namespace"],
        chart=f"{chart.get('name', '')}-{chart.get('version', '')}",
        revision=int(labels["version"]),
        status=labels["status"],
        digest=labels.get(DIGEST, ""),
        values=record.get("config") or {},
        facility=labels.get(FACILITY, ""),
        since=str(record.get("info", {}).get("first_deployed", "")),
        working=working,
    )


def decode(data: str) -> dict[str, Any]:
    """Helm's record of a release, from the Secret's data."""
    record: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(data))))
    return record


def encode(record: dict[str, Any]) -> str:
    """The Secret's data for a record."""
    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(record).encode()))).decode()


def settle(api: Api, found: Deployed) -> None:
    """Let a release that a killed run left behind go on: its unfinished revision is marked as failed, and nothing of it is removed.

    Helm upgrades from a failed revision, but refuses to while one is pending.
    """
    path = f"/api/v1/namespaces/{found.namespace}/secrets/sh.helm.release.v1.{found.name}.v{found.revision}"
    item = api.get(path)
    if item is None or item["metadata"]["labels"]["status"] not in PENDING:
        return
    record = decode(item["data"]["release"])
    record.setdefault("info", {}).update({"status": FAILED, "description": "cut off; the next run goes on from here"})
    api.patch(path, {"metadata": {"labels": {"status": FAILED}}, "data": {"release": encode(record)}})
