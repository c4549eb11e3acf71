"""A facility with every type at two sizes, compiled from placeholders: what the tests of releases and of charts look at."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from cantiere.services.facts import Facts
from cantiere.tosca.compile import load
from cantiere.values.catalogue import compile_all
from cantiere.values.declared import declared
from cantiere.values.model import PLACEHOLDER, ClusterFacts, Context, NodePool, Release
from support.tree import REPOSITORY
from support.tree import load as yaml_of

DATA = REPOSITORY / "tests" / "unit" / "values" / "data"
LARGE = replace(
    PLACEHOLDER,
    kubernetes_version="1.37.0",
    pools={
        "worker": NodePool("worker", 20, 64.0, 256 << 30),
        "gpu": NodePool("gpu", 4, 64.0, 512 << 30, taints=("nvidia.com/gpu=present:NoSchedule",), gpus={"nvidia.com/gpu": 4}),
    },
    registry="registry.site.example/cantiere",
)
FACTS: dict[str, ClusterFacts] = {"small": PLACEHOLDER, "large": LARGE}


@cache
def context(size: str) -> Context:
    """A facility with every type, and facts of a cluster for it."""
    facility = load(DATA / f"{size}.yaml").facility
    cluster = declared(FACTS[size], facility)
    images = sorted(path.name for path in (REPOSITORY / "images").iterdir() if path.is_dir())
    names = {*images, *yaml_of(REPOSITORY / "artifacts.yaml")["images"]}
    zone = cluster.zone if cluster.ingress_class or cluster.gateway else ""
    paths = {"samples": "/samples", "engine": "", "cvmfs": "/cvmfs"}
    references = {name: f"localhost/cantiere/{name}:tag" for name in names}
    facts = Facts(facility, f"facility.svc.{cluster.cluster_domain}", paths, "", "", "facility", references, zone)
    return Context(facility, cluster, facts, "facility", dict.fromkeys(sorted(names), "tag"))


@cache
def releases(size: str) -> tuple[Release, ...]:
    """All releases of that facility."""
    return compile_all(context(size))
