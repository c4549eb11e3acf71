"""Computations of users: a namespace of its own, in which certain notebooks make pods - Spark's executors and Dask's workers. Pure."""

from __future__ import annotations

import re
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Facility, Node
from cantiere.services import jupyterhub
from cantiere.values import notebooks, s3
from cantiere.values.addons import active, broken, enabled, several
from cantiere.values.model import Context, Link, Release
from cantiere.values.units import quantity

TYPE = "cantiere.nodes.UserComputing"
CHART = "user-computing"
LABEL = "cantiere.io/computing"
"""Label of the notebooks that may make pods."""

SESSIONS = 8
"""Most drivers of Spark in one notebook, and most schedulers of Dask: each takes the first port of its ranges that is free."""
DRIVER_PORT, DRIVER_BLOCKS_PORT, DASK_PORT, EXECUTOR_PORT = 7070, 7080, 7090, 7100
NOTEBOOK_PORTS = tuple(first + more for first in (DRIVER_PORT, DRIVER_BLOCKS_PORT, DASK_PORT) for more in range(SESSIONS))
"""At which notebooks are reached by the pods that they made."""

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")
MIB = 1 << 20


def of_hub(hub: Node, facility: Facility) -> Node | None:
    """The enabled node that a hub's notebooks compute by."""
    return next((node for node in active(facility, TYPE) if node.target("hub") == hub.name), None)


def namespace(context: Context) -> str:
    """Where the pods of computations are."""
    return f"{context.namespace}-compute"


def account(node: Node) -> str:
    """Service account of the notebooks."""
    return f"{node.target('hub')}-computing"


def images(hub: Node, context: Context) -> dict[str, str]:
    """Title to image of what the spawn page offers for computations."""
    node = of_hub(hub, context.facility)
    return {item["title"]: str(item["image"]) for item in node.properties["images"]} if node else {}


def settings(hub: Node, context: Context) -> dict[str, Any]:
    """What the hub is told of computations.

    Returns
    -------
    dict
        Nothing, or ``computing``: ``images`` whose servers get the ``account``, the ``labels`` and the ``environment``, and the
        ``groups`` whose members may choose them.
    """
    node = of_hub(hub, context.facility)
    if node is None:
        return {}
    return {
        "computing": {
            "account": account(node),
            "images": [context.image_reference(image) for image in images(hub, context).values()],
            "groups": list(node.properties["groups"]),
            "labels": {LABEL: "true"},
            "environment": environment(node, context),
        }
    }


def environment(node: Node, context: Context) -> dict[str, str]:
    """Variables by which the notebooks know where their pods go, how large these are, and at which ports they are reached."""
    return {
        "CANTIERE_COMPUTE_NAMESPACE": namespace(context),
        "CANTIERE_COMPUTE_CPUS": f"{node.properties['reserved_cpus']:g}",
        "CANTIERE_COMPUTE_MEMORY": str(int(node.properties["pod_memory"]) // MIB),
        "CANTIERE_COMPUTE_PORTS": f"{DRIVER_PORT},{DRIVER_BLOCKS_PORT},{EXECUTOR_PORT},{SESSIONS}",
        "CANTIERE_COMPUTE_DASK_PORTS": f"{DASK_PORT}:{DASK_PORT + SESSIONS - 1}",
    }


def releases(node: Node, context: Context) -> tuple[Release, ...]:
    """The namespace's limits and policies, and the account of the notebooks."""
    told = node.properties
    hub = context.facility.node(node.requirements["hub"][0])
    here, there = namespace(context), context.namespace
    drivers = {**notebooks.component(hub, "singleuser-server"), LABEL: "true"}
    ways = notebooks.data_ways(hub, context)
    values = {
        "notebooks": {"namespace": there, "labels": {"component": "singleuser-server", LABEL: "true"}, "ports": list(NOTEBOOK_PORTS)},
        "account": account(node),
        "quota": {
            "requests.cpu": f"{told['max_cpus']:g}",
            "requests.memory": quantity(told["max_memory"]),
            "limits.memory": quantity(told["max_memory"]),
            "pods": str(told["max_pods"]),
        },
        "defaults": {"cpu": f"{told['reserved_cpus']:g}", "memory": quantity(told["pod_memory"])},
        "egress": [*(way.rule(there) for way in ways), *_outside(hub)],
        "api": [notebooks.api_rule(context)],
        "doors": [_door(way, hub, context) for way in ways],
    }
    return (
        Release(
            name=node.name,
            namespace=here,
            chart=CHART,
            values=values,
            node=node.name,
            installed=enabled(node),
            pod_security="restricted",
            links=(
                *(Link({}, way.labels, port, "computations read data", here, there) for way in ways for port in way.ports),
                *(Link({}, drivers, port, "executors reach their driver", here, there) for port in (DRIVER_PORT, DRIVER_BLOCKS_PORT)),
                Link({}, drivers, DASK_PORT, "Dask workers join the scheduler of their notebook", here, there),
            ),
        ),
    )


def check(node: Node, facility: Facility) -> list[Problem]:
    """Several such nodes, images that cannot be found, none at all, and limits below one pod."""
    told = node.properties
    odd = [item["image"] for item in told["images"] if not re.fullmatch(jupyterhub.IMAGE, item["image"])]
    slashless = [group for group in told["groups"] if not group.startswith("/")]
    rules = (
        several(node, facility, "make the namespace of computations"),
        ("images", not told["images"], "no image may make pods", "list at least one, or set enabled: false"),
        (
            "image",
            bool(odd),
            f"{', '.join(odd)}: neither a name of artifacts.yaml nor an image reference in full",
            "write registry/path:tag, for example registry.example.org/notebooks/spark:4.3",
        ),
        ("groups", bool(slashless), f"{', '.join(slashless)}: no user is in a group without a slash", "write it as /group"),
        ("memory", told["pod_memory"] > told["max_memory"], "one pod would be more than all may have", "raise max_memory"),
        ("cpus", told["reserved_cpus"] > told["max_cpus"], "one pod would be more than all may have", "raise max_cpus"),
    )
    return broken("computing", node, rules)


def _door(way: notebooks.Way, hub: Node, context: Context) -> dict[str, Any]:
    """Pods that let computations in, and the clients that they have beside these."""
    (name,) = way.labels.values()
    clients = s3.client_label(context.facility.node(name)) if name in hub.requirements.get("store", ()) else {}
    return {"name": name, "labels": dict(way.labels), "ports": list(way.ports), "clients": clients}


def _outside(hub: Node) -> list[dict[str, Any]]:
    """What notebooks may reach outside, their pods may too."""
    networks = [{"to": [{"ipBlock": {"cidr": network}}]} for network in hub.properties["allowed_networks"]]
    internet = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE)}}]}
    return [*networks, *([internet] if hub.properties["internet"] else [])]
