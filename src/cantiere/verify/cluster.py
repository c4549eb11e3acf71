"""A facility on a cluster, as the verification uses it: its pods, and its names as seen from this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from cantiere.cluster.client import KubeApi
from cantiere.cluster.platform import Cluster
from cantiere.cluster.pods import PodControl, Pods, ready
from cantiere.cluster.reach import Reach
from cantiere.errors import CantiereError, Problem
from cantiere.services.facts import Facts

EXECUTE_POINT = {"app.kubernetes.io/component": "execute-point"}


def bound(
    cluster: Cluster, pool: str
) -> tuple[Facts, PodControl, Callable[[], tuple[str, ...]], Callable[[], AbstractContextManager[object]]]:
    """Names, power over pods, the execute pods of a pool, and what makes the names reachable from here.

    Parameters
    ----------
    cluster:
        Where the facility is.
    pool:
        The pool's node, or ``""``.

    Raises
    ------
    CantiereError
        The cluster does not answer.
    """
    api = cluster.api()
    if not isinstance(api, KubeApi):
        raise CantiereError(Problem("cluster.silent", "the cluster's API does not answer", "see `./cantiere status`", path="api"))
    facts = cluster.compiling(cluster.facts(api)).services
    pods = Pods(api, cluster.namespace)

    def workers() -> tuple[str, ...]:
        found = pods.of({**EXECUTE_POINT, "app.kubernetes.io/instance": pool}) if pool else []
        return tuple(pod["metadata"]["name"] for pod in found if ready(pod))

    return facts, PodControl(api, cluster.namespace), workers, lambda: Reach(pods, facts.domain)
