"""A facility with a pool, a cache and monitoring, for the tests of HTCondor and of Prometheus."""

from __future__ import annotations

from typing import Any

from cantiere.errors import Location
from cantiere.model import Facility, Node
from cantiere.services import cvmfs, htcondor, iam, xrootd
from cantiere.services.facts import Facts

WHERE = Location("facility.yaml", 1, 1)


def pool_node(name: str = "pool", **properties: Any) -> Node:
    """A pool with two execute points of one core and 2 GiB."""
    values = {
        "workers": 2,
        "cpus_per_worker": 1,
        "memory_per_worker": 2 << 30,
        "allowed_groups": ["/cms"],
        "trusted_issuers": [],
        "job_retirement_time": 600.0,
    }
    return Node(name, htcondor.TYPE, values | properties, {"issuer": ("iam",), "cache": ("site-cache",), "software": ("software",)}, WHERE)


def monitoring_node(*pools: str) -> Node:
    """Prometheus watching pools."""
    return Node("monitoring", htcondor.MONITORING, {"retention": 604800.0, "scrape_interval": 5.0}, {"queue": pools}, WHERE)


def facts(*nodes: Node, cvmfs_enabled: bool = False) -> Facts:
    """Those nodes in a facility that has an IAM, a cache and, where enabled, software repositories."""
    others = (
        Node("iam", iam.TYPE, {"issuer_url": ""}, {}, WHERE),
        Node("site-cache", xrootd.CACHE, {}, {}, WHERE),
        Node("software", cvmfs.TYPE, {"enabled": cvmfs_enabled}, {}, WHERE),
    )
    return Facts(
        Facility("facility", "", (*others, *nodes), {}), "here.internal", {"cvmfs": "/var/lib/cantiere/cvmfs"}, "podman", "net", "here", {}
    )
