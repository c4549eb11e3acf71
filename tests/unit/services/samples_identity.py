"""A facility with an IAM, a hub and a store, for the tests of identity and object storage."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Location
from cantiere.model import Facility, Node
from cantiere.services import iam, minio
from cantiere.services.facts import Facts

WHERE = Location("facility.yaml", 1, 1)
USERS = {"alice": ["/cms", "/cms/analysis"], "bob": ["/atlas"]}


def iam_node(name: str = "iam", **properties: Any) -> Node:
    """A development IAM unless ``issuer_url`` says otherwise."""
    values = {"issuer_url": "", "client_id": "hub", "client_secret": "generate:password", "users": USERS, "token_lifetime": 3600.0}
    return Node(name, iam.TYPE, values | properties, {}, WHERE)


def facts(*iams: Node) -> Facts:
    """A facility whose store accepts all of the IAMs, and whose hub uses the first."""
    names = tuple(node.name for node in iams)
    hub = Node("hub", iam.HUB_TYPE, {}, {"issuer": names[:1]}, WHERE)
    store = Node("store", minio.TYPE, {"buckets": ["analysis", "results"]}, {"issuer": names}, WHERE)
    return Facts(Facility("facility", "", (*iams, store, hub), {}), "here.internal", {}, "podman", "net", "here", {})
