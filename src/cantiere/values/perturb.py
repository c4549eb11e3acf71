"""Other facts of the same types: what a compile is repeated with to see which values follow. Pure."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cantiere.model import Node
from cantiere.values.model import Context

VERSION = re.compile(r"(v?\d+\.)(\d+)(\.\d+)?")
MARK = "other"
DEEPEST = 4
"""Levels of maps and lists below a fact that are changed one by one; what lies deeper is left as it is."""
MOST = 12
"""Entries of a map or list that are changed one by one."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that values can come from.

    Parameters
    ----------
    origin:
        Its name for a reader: ``cluster.storage_class``, ``pool.cpus_per_worker``.
    others:
        Contexts in which it, and nothing else, is different; by groups, of which each is to be tried until one compiles.
    renamed:
        A node's name and the one that it has in those contexts; empty where no name changes.
    """

    origin: str
    others: tuple[tuple[Callable[[], Context], ...], ...]
    renamed: tuple[str, str] | tuple[()] = ()


def facts(context: Context, samples: Mapping[tuple[str, str], Any]) -> Iterator[Fact]:
    """Everything that a compiler sees: fields of the cluster's facts, nodes, image tags, the namespace.

    Parameters
    ----------
    samples:
        Node type and property to a value with an entry, for lists and maps that have none.
    """
    for field in dataclasses.fields(context.cluster):
        yield _fact(f"cluster.{field.name}", getattr(context.cluster, field.name), partial(_cluster, context, field.name))
    for node in context.facility.nodes:
        new = f"{node.name}-{MARK}"
        yield Fact(f"{node.name} (its name)", ((partial(_renamed, context, node, new),),), (node.name, new))
        for key, value in node.properties.items():
            put = partial(_property, context, node, key)
            fact = _fact(f"{node.name}.{key}", value, put)
            sample = samples.get((node.type, key))
            yield replace(fact, others=(*fact.others, (partial(put, sample),))) if sample and not value else fact
        for name, targets in node.requirements.items():
            groups = [(partial(_instead, context, node, name, index),) for index in range(len(targets))]
            groups += [
                (partial(_requirement, context, node, name, targets[:index] + targets[index + 1 :]),) for index in range(len(targets))
            ]
            yield Fact(f"{node.name}.requirements.{name}", tuple(groups))
    for image, tag in context.tags.items():
        yield _fact(f"artifacts.{image}", tag, partial(_tag, context, image))
    yield _fact("site.namespace", context.namespace, partial(_namespace, context))


def _fact(origin: str, value: Any, put: Callable[[Any], Context]) -> Fact:
    return Fact(origin, tuple(tuple(partial(put, other) for other in group) for group in others(value)))


def others(value: Any, depth: int = 0) -> Iterator[tuple[Any, ...]]:
    """Values of the type of another one, each different from it.

    Yields
    ------
    tuple
        Alternatives for one kind of change, the likeliest to be valid first: of each group one is enough.
    """
    if isinstance(value, bool):
        yield (not value,)
    elif isinstance(value, int):
        yield (value + 1, value - 1, 2 * value or 1)
        yield (2 * abs(value) + 3, value // 2)
    elif isinstance(value, float):
        yield (value + 1.0, 2.0 * value or 1.0)
    elif isinstance(value, str):
        yield from _texts(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            for group in others(getattr(value, field.name), depth + 1):
                yield tuple(replace(value, **{field.name: other}) for other in group)
    elif isinstance(value, Mapping):
        yield from _maps(value, depth)
    elif isinstance(value, list | tuple):
        yield from _lists(value, depth)
    elif isinstance(value, frozenset):
        yield (frozenset(),) if value else (frozenset({MARK}),)
    elif value is None:
        yield (MARK, 1)


def _texts(text: str) -> Iterator[tuple[Any, ...]]:
    for parse in (ipaddress.ip_network, ipaddress.ip_address):
        try:
            found = parse(text)
        except ValueError:
            continue
        if isinstance(found, ipaddress.IPv4Network | ipaddress.IPv6Network):
            moved = type(found)((int(found.network_address) ^ (1 << (found.max_prefixlen - found.prefixlen)), found.prefixlen))
            yield (str(moved),)
        else:
            yield (str(found + 1),)
        return
    if version := VERSION.fullmatch(text):
        yield (f"{version[1]}{int(version[2]) - 1 if int(version[2]) else 1}{version[3] or ''}",)
        return
    if not text:
        yield (MARK, f"/{MARK}", f"https://{MARK}.test", 1)
        return
    scheme, separator, rest = text.partition("://")
    if separator:
        yield (f"{scheme}://{MARK}.{rest}",)
    elif text.startswith("/"):
        yield (f"{text}/{MARK}", f"{text}{MARK}")
    else:
        yield (f"{MARK}.{text}" if "." in text else f"{text}-{MARK}", f"{text}x", f"x{text}", text[:-1], text.swapcase())
    yield ("",)


def _maps(value: Mapping[Any, Any], depth: int) -> Iterator[tuple[Any, ...]]:
    for key, item in list(value.items())[: MOST if depth < DEEPEST else 0]:
        for group in others(item, depth + 1):
            yield tuple({**value, key: other} for other in group)
    if value:
        key, item = next(iter(value.items()))
        more = {**value, f"{key}-{MARK}": item} if isinstance(key, str) else {}
        yield (more, {}) if more else ({},)
        yield ({},)
    else:
        yield ({MARK: MARK}, {MARK: 1}, {MARK: []})


def _lists(value: list[Any] | tuple[Any, ...], depth: int) -> Iterator[tuple[Any, ...]]:
    made = type(value)
    for index, item in enumerate(value[: MOST if depth < DEEPEST else 0]):
        for group in others(item, depth + 1):
            yield tuple(made([*value[:index], other, *value[index + 1 :]]) for other in group)
    if value:
        more = next((group[0] for group in others(value[0], DEEPEST)), value[0])
        yield (made([*value, more]), made([*value, value[0]]))
        yield (made([]), made(value[:-1]))
    else:
        yield (made([MARK]), made([f"/{MARK}"]), made([1]), made([{}]))


def _cluster(context: Context, name: str, value: Any) -> Context:
    """A context with another field of the cluster's facts, and with what follows from it before any compiler is asked."""
    cluster, services = context.cluster, context.services
    if name == "cluster_domain" and services.domain.endswith(f".{cluster.cluster_domain}"):
        services = replace(services, domain=services.domain.removesuffix(cluster.cluster_domain) + str(value))
    elif name == "zone" and services.zone == cluster.zone:
        services = replace(services, zone=str(value))
    elif name in ("ingress_class", "gateway") and services.zone in ("", cluster.zone):
        changed = replace(cluster, **{name: value})
        services = replace(services, zone=changed.zone if changed.ingress_class or changed.gateway else "")
    return replace(context, cluster=replace(cluster, **{name: value}), services=services)


def _node(context: Context, old: Node, new: Node) -> Context:
    return _facility(context, tuple(new if node is old else node for node in context.facility.nodes))


def _facility(context: Context, nodes: tuple[Node, ...]) -> Context:
    facility = replace(context.facility, nodes=nodes)
    return replace(context, facility=facility, services=replace(context.services, facility=facility))


def _property(context: Context, node: Node, key: str, value: Any) -> Context:
    return _node(context, node, replace(node, properties={**node.properties, key: value}))


def _requirement(context: Context, node: Node, name: str, left: tuple[str, ...]) -> Context:
    rest = {key: targets for key, targets in node.requirements.items() if key != name}
    return _node(context, node, replace(node, requirements={**rest, name: left} if left else rest))


def _instead(context: Context, node: Node, name: str, index: int) -> Context:
    """A context in which a requirement is fulfilled by a twin of the node that fulfils it."""
    targets = node.requirements[name]
    old = context.facility.node(targets[index])
    twin = replace(old, name=f"{old.name}-{MARK}")
    changed = _requirement(context, node, name, (*targets[:index], twin.name, *targets[index + 1 :]))
    nodes = changed.facility.nodes
    place = next(place for place, other in enumerate(nodes) if other.name == old.name)
    return _facility(changed, (*nodes[: place + 1], twin, *nodes[place + 1 :]))


def _renamed(context: Context, node: Node, name: str) -> Context:
    def new(targets: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name if target == node.name else target for target in targets)

    nodes = tuple(
        replace(
            other,
            name=name if other is node else other.name,
            requirements={key: new(targets) for key, targets in other.requirements.items()},
        )
        for other in context.facility.nodes
    )
    return _facility(context, nodes)


def _tag(context: Context, image: str, tag: str) -> Context:
    return replace(context, tags={**context.tags, image: tag})


def _namespace(context: Context, name: str) -> Context:
    services = context.services
    if services.domain.startswith(f"{context.namespace}."):
        services = replace(services, domain=name + services.domain.removeprefix(context.namespace))
    return replace(context, namespace=name, services=services)
