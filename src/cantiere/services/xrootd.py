"""XRootD: an origin that holds data, and caches in front of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cantiere.errors import Problem
from cantiere.model import Container, Facility, Mount, Node, Probe
from cantiere.services.facts import Facts

ORIGIN = "cantiere.nodes.XRootDOrigin"
CACHE = "cantiere.nodes.XRootDCache"
TYPES = (ORIGIN, CACHE)
ROOT_PORT = 1094
ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
STORAGE = "/srv/xrootd"
BLOCKS_BETWEEN_WATERMARKS = 16


def audience(node: Node, facts: Facts) -> str:
    """What a token must name to be meant for this server (or :data:`ANY_AUDIENCE`)."""
    return f"https://{facts.fqdn(node.name)}"


def url(node: Node, facts: Facts) -> str:
    """Where users find this server's namespace with the root protocol."""
    return f"roots://{facts.fqdn(node.name)}:{ROOT_PORT}"


def distinguished_name(container: str, facts: Facts) -> str:
    """Subject of a container's host certificate, in the slash notation of a grid-mapfile."""
    return f"/O=cantiere/CN={facts.fqdn(container)}"


def settings(node: Node, facts: Facts) -> dict[str, Any]:
    """Variables of the templates of ``images/xrootd``.

    Parameters
    ----------
    node:
        An origin or a cache.
    facts:
        The facility it stands in.

    Returns
    -------
    dict
        Sizes in bytes; ``clients`` are the certificate subjects of the caches that ask this server.
    """
    variables = {
        "namespace": node.properties["namespace"],
        "issuers": list(facts.issuers(node)),
        "audiences": [audience(node, facts), ANY_AUDIENCE],
        "clients": [distinguished_name(cache.name, facts) for cache in _clients(node, facts.facility)],
        "manager": "",  # only servers on machines form a cluster (xrootd_machine)
    }
    if node.type == CACHE:
        variables |= {"source": f"{facts.fqdn(_source(node))}:{ROOT_PORT}"}
        if fallbacks := node.requirements.get("fallback", ()):
            variables |= {"fallbacks": [f"{facts.fqdn(name)}:{ROOT_PORT}" for name in fallbacks]}
        variables |= {name: node.properties[name] for name in ("memory", "block_size", "prefetch", "low_watermark", "high_watermark")}
    return variables


def containers(node: Node, facts: Facts) -> tuple[Container, ...]:
    """The one container of an origin or a cache."""
    mounts = [Mount(f"{node.name}-data", STORAGE)]
    if node.type == ORIGIN and node.properties["sample_data"]:
        mounts.append(Mount(facts.paths["samples"], f"{STORAGE}/data{node.properties['namespace']}/samples", read_only=True))
    return (
        Container(
            name=node.name,
            service=node.name,
            image="xrootd",
            settings=settings(node, facts),
            role="cache" if node.type == CACHE else "origin",
            secrets=facts.certificate(node.name),
            mounts=tuple(mounts),
            needs=(_source(node),) if node.type == CACHE else (),
            probe=Probe(("xrootd-probe",), timeout=60.0),
        ),
    )


def watermarks(low: int, high: int, block: int) -> tuple[str, str] | None:
    """What is wrong between a cache's watermarks and its blocks, and the remedy.

    Parameters
    ----------
    low, high, block:
        Bytes.
    """
    if low >= high:
        return f"low_watermark ({low} bytes) is not below high_watermark ({high} bytes)", "lower low_watermark or raise high_watermark"
    if high - low < BLOCKS_BETWEEN_WATERMARKS * block:
        return (
            f"fewer than {BLOCKS_BETWEEN_WATERMARKS} blocks of {block} bytes fit between low_watermark and high_watermark",
            "lower low_watermark or block_size, or raise high_watermark",
        )
    return None


def check(node: Node, facility: Facility) -> list[Problem]:
    """What is wrong between the properties of a cache, and between a cache and the level that it asks."""
    if node.type != CACHE:
        return []
    properties: Mapping[str, Any] = node.properties
    wrong = watermarks(properties["low_watermark"], properties["high_watermark"], properties["block_size"])
    problems = [_problem("watermarks", *wrong, node)] if wrong else []
    for name in levels_above(node):
        source = facility.node(name)
        if source.type in TYPES and source.properties["namespace"] != properties["namespace"]:
            problems.append(
                _problem(
                    "namespace",
                    f"exports {properties['namespace']} but its source {source.name} exports {source.properties['namespace']}",
                    "give both the same namespace",
                    node,
                )
            )
    return problems


def levels_above(node: Node) -> tuple[str, ...]:
    """Whom a cache asks: its source, then where that does not answer its fallbacks in their order; nobody for an origin."""
    if node.type != CACHE:
        return ()
    return tuple(dict.fromkeys((_source(node), *node.requirements.get("fallback", ()))))


def _problem(reason: str, message: str, remedy: str, node: Node) -> Problem:
    return Problem(f"xrootd.{reason}", message, remedy, node.where, node.name)


def _source(node: Node) -> str:
    name = node.target("source")
    if name is None:
        raise ValueError(f"cache {node.name} has no source")
    return name


def _clients(node: Node, facility: Facility) -> list[Node]:
    return [cache for cache in facility.of_type(CACHE) if node.name in levels_above(cache)]
