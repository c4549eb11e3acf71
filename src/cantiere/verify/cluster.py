"""A facility on a cluster, as the verification uses it: its pods, and its names as seen from this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from cantiere.cluster.platform import Cluster
from cantiere.cluster.pods import PodControl, Pods
from cantiere.cluster.reach import Reach
from cantiere.services.facts import Facts
from cantiere.services.monitoring import PORT
from cantiere.values import monitoring

EXECUTE_POINT = {"app.kubernetes.io/component": "execute-point"}


Place = tuple[Facts, PodControl, Callable[[], tuple[str, ...]], Callable[[str], str], Callable[[], AbstractContextManager[object]]]


def bound(cluster: Cluster, pool: str) -> Place:
    """Names, power over pods, the execute pods of a pool, where a monitoring node's Prometheus answers, and what makes names reachable.

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
    api = cluster.answering()
    context = cluster.compiling(cluster.facts(cluster.known(api)))
    pods = Pods(api, cluster.namespace)

    def workers() -> tuple[str, ...]:
        # with those that are told to end: their jobs go on
        found = pods.of({**EXECUTE_POINT, "app.kubernetes.io/instance": pool}, ending=True) if pool else []
        return tuple(pod["metadata"]["name"] for pod in found if pod["status"]["phase"] == "Running")

    def prometheus(name: str) -> str:
        return f"http://{monitoring.host(cluster.facility.node(name), context)}:{PORT}"

    reach = partial(Reach, api, context.cluster.cluster_domain)
    return context.services, PodControl(api, cluster.namespace), workers, prometheus, reach
