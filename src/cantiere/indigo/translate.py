"""From the checked nodes of a template of theirs to a template of ours, by the table. Nothing is dropped without a word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cantiere.indigo import charts, openings
from cantiere.indigo.joins import ADDED, NEEDS, USES
from cantiere.indigo.model import Carry, Mapped, Part, Theirs
from cantiere.indigo.table import CONTROL, TABLE, WORKER, N
from cantiere.tosca.elements import Element, Map, Point, Scalar, Seq
from cantiere.tosca.problems import Mark, Problems, quote

POOL = f"{N}MachinePool"
PLATFORM = f"{N}Platform"
OWN = "Add a service of your own (docs/how-to/own-services.md), or a release of its chart (cantiere.nodes.HelmRelease)."
PLAY = "Run its play after `up`: ansible-playbook -i inventories/SITE/cantiere.yml PLAY."
PLAYED = frozenset({"tosca.nodes.SoftwareComponent", "tosca.nodes.ec3.Application", "tosca.nodes.indigo.AnsibleRecipe"})
"""Types that are nothing but the play that they name."""

REMEDIES: Mapping[str, str] = {
    charts.CHART: "Write it as a node of type cantiere.nodes.HelmRelease, with the chart's version and digest.",
    charts.INSTALL: "Write it as a node of type cantiere.nodes.HelmRelease, with the chart's version and digest.",
    charts.OTHER: "Write it as a node of type cantiere.nodes.HelmRelease, with the chart's version and digest.",
    charts.OBJECT: "Write one object that is no Secret, or a release with secrets (cantiere.nodes.HelmRelease).",
    "tosca.nodes.indigo.KubernetesSecretRegistry": "Name the registry and its password in the site's file, under registry.",
    "tosca.nodes.indigo.dockerRun": "Bring it as a chart (cantiere.nodes.HelmRelease).",
    "tosca.nodes.indigo.DockerCompose": "Bring it as a chart (cantiere.nodes.HelmRelease).",
    "tosca.nodes.indigo.LRMS.FrontEnd": "Use the HTCondor pool of cantiere (tosca.nodes.indigo.LRMS.FrontEnd.HTCondor), or a cluster.",
    "tosca.nodes.indigo.LRMS.WorkerNode": "Use the HTCondor pool of cantiere (tosca.nodes.indigo.LRMS.WorkerNode.HTCondor), or a cluster.",
}
"""What can be done about a node that nothing here carries out, by its type or one that it derives from."""


@dataclass(eq=False, slots=True)
class Ours:
    """A node template of ours on its way: its type and name, where it comes from, its properties with their places, its requirements."""

    type: str
    name: str
    mark: Mark
    properties: dict[str, tuple[Any, Mark]] = field(default_factory=dict)
    requirements: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Translation:
    """A template of ours that a template of theirs means.

    Parameters
    ----------
    root:
        The template; its elements stand where those of theirs do.
    became:
        Node of theirs to the nodes of ours that it has become, or a part of; one of which nothing is made is told in a notice.
    """

    root: Map
    became: Mapping[str, tuple[str, ...]]


def translate(nodes: Sequence[Theirs], homes: Mapping[str, str], problems: Problems) -> Translation:
    """The template of ours that nodes of theirs mean.

    Parameters
    ----------
    nodes:
        Theirs, each complete.
    homes:
        Our node types, each with the file that defines it.
    problems:
        Where it is told what is not carried out, and what was added.
    """
    translator = _Translator(nodes, homes, problems)
    root = translator.template()
    return Translation(root, {name: tuple(dict.fromkeys(found)) for name, found in translator.became.items()})


class _Translator:
    def __init__(self, nodes: Sequence[Theirs], homes: Mapping[str, str], problems: Problems) -> None:
        self.nodes, self.homes, self.problems = nodes, homes, problems
        self.ours: dict[str, Ours] = {}
        self.pools: dict[str, Ours] = {}
        self.public = openings.public(nodes)
        self.roles: dict[str, list[str]] = {}
        self.became: dict[str, list[str]] = {}

    def template(self) -> Map:
        """The whole template."""
        found = [(node, _mapped(node)) for node in self.nodes]
        used = {id(target) for node, mapped in found if mapped for target in _carried(node, mapped)}
        for node, mapped in found:
            if mapped is None:
                self._unserved(node)
            elif mapped.instead:
                self._elsewhere(node, mapped, id(node) in used)
            else:
                for part in mapped.parts:
                    if part.when(node) and not part.fallback:
                        self._make(part, node)
                self._left(node, mapped)
        for node, mapped in found:
            for part in mapped.parts if mapped else ():
                if part.fallback and part.name not in self.ours:
                    self._make(part, node)
        for node, mapped in found:
            if mapped:
                self._machines(node, mapped)
        self._needs()
        self._ground()
        return self._root()

    def _make(self, part: Part, node: Theirs) -> None:
        """Make a node of ours, or say more of one that is there."""
        name = part.name or self._free(node.name)
        made = self.ours.setdefault(name, Ours(part.type, name, node.mark))
        self.became.setdefault(node.name, []).append(name)
        for key, value in part.fixed.items():
            made.properties[key] = value, node.mark
        self._carry(made, part.carries, node)
        if part.type == POOL:
            self.pools[node.name] = made
            if node.name in self.public and (ports := openings.opened(node, self.problems)):
                made.properties["public_ports"] = ports, node.mark

    @staticmethod
    def _carry(made: Ours, carries: Iterable[Carry], node: Theirs) -> None:
        for carry in carries:
            value = node.value(carry.theirs)
            converted = carry.convert(value) if value not in (None, "") else None
            if converted is not None:
                made.properties[carry.ours] = converted, node.written.get(carry.theirs, node.mark)

    def _free(self, name: str) -> str:
        """A name as ours may be, which no other node has."""
        base = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "node"
        number, free = 2, base
        while free in self.ours:
            free, number = f"{base}-{number}", number + 1
        return free

    def _machines(self, node: Theirs, mapped: Mapped) -> None:
        """What the machines do that a node stands on, and what it says of their pool."""
        at = [node]
        for requirement in mapped.machines_of:
            at = [target for one in at for target in one.requirements.get(requirement, ())]
        for machine in _ground_of(at):
            if machine.name in self.pools:
                mine = self.roles.setdefault(machine.name, [])
                mine += [role for role in mapped.roles if role not in mine]
                self._carry(self.pools[machine.name], mapped.machines, node)
                if mapped.roles or mapped.machines:
                    self.became.setdefault(node.name, []).append(self.pools[machine.name].name)

    def _needs(self) -> None:
        """Join our nodes with those that they cannot be without, and with those that they use where they are there."""
        todo = [node for node in self.ours.values() if node.type != POOL]
        while todo:
            node = todo.pop(0)
            for requirement, kind in NEEDS.get(node.type, {}).items():
                there = [other for other in self.ours.values() if other.type == f"{N}{kind}"]
                if not there:
                    there = [self._add(kind, node)]
                    todo += there
                node.requirements.append((requirement, there[0].name))
        for node in self.ours.values():
            for requirement, kind in USES.get(node.type, {}).items():
                node.requirements += [(requirement, other.name) for other in self.ours.values() if other.type == f"{N}{kind}"][:1]

    def _add(self, kind: str, for_whom: Ours) -> Ours:
        part, message, remedy = ADDED[kind]
        made = self.ours[part.name] = Ours(part.type, part.name, for_whom.mark)
        made.properties = {key: (value, for_whom.mark) for key, value in part.fixed.items()}
        self.problems.note("dialect.added", message, remedy, for_whom.mark, for_whom.name)
        return made

    def _ground(self) -> None:
        """The platform under all services, and the machines under the platform."""
        services = [node for node in self.ours.values() if node.type not in (POOL, PLATFORM)]
        for name, pool in self.pools.items():
            self.roles.setdefault(name, [])
            if pool.properties.get("num_gpus", (0, None))[0]:
                self.roles[name].append("gpu")
        if services:
            self._cluster_on(list(self.pools))
            platform = self.ours.setdefault("platform", Ours(PLATFORM, "platform", services[0].mark))
            platform.requirements += [
                ("machines", pool.name) for name, pool in self.pools.items() if {CONTROL, WORKER} & set(self.roles[name])
            ]
            for node in services:
                node.requirements.insert(0, ("host", platform.name))
        for name, pool in self.pools.items():
            pool.properties["roles"] = self.roles[name], pool.mark

    def _cluster_on(self, names: list[str]) -> None:
        """Every cluster has a control plane and somebody who carries its pods."""
        for role, fallback in ((CONTROL, names[:1]), (WORKER, [name for name in names if CONTROL in self.roles[name]] or names[:1])):
            if not any(role in self.roles[name] for name in names):
                for name in fallback:
                    self.roles[name].append(role)

    def _unserved(self, node: Theirs) -> None:
        if node.value("is_enabled") is False:
            return
        message = f"Nothing here carries out {quote(node.name)}, which is a {node.types[0]}."
        remedy = PLAY if node.types[0] in PLAYED else next((REMEDIES[type_] for type_ in node.types if type_ in REMEDIES), OWN)
        self.problems.note("dialect.unserved", message, remedy, node.mark, node.name)

    def _elsewhere(self, node: Theirs, mapped: Mapped, used: bool) -> None:
        if used or (node.value("size") == 0 and "size" in node.written):
            return
        message = f"{quote(node.name)}, a {node.types[0]}, is not made: {mapped.instead}."
        self.problems.note("dialect.elsewhere", message, "", node.mark, node.name)

    def _left(self, node: Theirs, mapped: Mapped) -> None:
        """Tell of every property that the template gives and that nothing is made of."""
        carried = {carry.theirs for part in mapped.parts if part.when(node) for carry in part.carries}
        carried |= {carry.theirs for carry in mapped.machines} | mapped.taken
        moot = {carry.theirs for part in mapped.parts for carry in part.carries} - mapped.left.keys()
        opened = {openings.PORTS} if node.name in self.public else set[str]()
        paths = [*node.written, *(path for path in mapped.left if "." in path and node.given(path))]
        for path in paths:
            if path in carried | moot | opened:
                continue
            why = mapped.left.get(path, "it is not carried over")
            message = f"{quote(path)} of {quote(node.name)} has no effect: {why}."
            at = node.written.get(path, node.mark)
            self.problems.note("dialect.left", message, "", at, f"{node.name}.{path}")

    def _root(self) -> Map:
        mark = next((node.mark for node in self.nodes), Point("template"))
        templates = Map(mark)
        for node in self.ours.values():
            _put(templates, node.name, self._written(node), node.mark)
        files = dict.fromkeys(["common.yaml", *(self.homes[node.type] for node in self.ours.values())])
        return _map(
            {
                "tosca_definitions_version": "tosca_simple_yaml_1_3",
                "imports": list(files),
                "topology_template": {"node_templates": templates},
            },
            mark,
        )

    @staticmethod
    def _written(node: Ours) -> Map:
        body = _map({"type": node.type}, node.mark)
        properties = Map(node.mark)
        for key, (value, mark) in node.properties.items():
            _put(properties, key, value, mark)
        _put(body, "properties", properties, node.mark)
        _put(body, "requirements", [{requirement: target} for requirement, target in node.requirements], node.mark)
        return body


def _mapped(node: Theirs) -> Mapped | None:
    """What becomes of a node, by its type or the nearest one that it derives from; a release by its chart."""
    for type_ in node.types:
        if type_ in TABLE:
            return TABLE[type_]
        if type_ in charts.NAMES:
            return charts.known(node, type_)
    return charts.brought(node)


def _carried(node: Theirs, mapped: Mapped) -> Iterable[Theirs]:
    """Who fulfils a requirement of a node and is carried over with it."""
    for part in mapped.parts:
        for carry in part.carries:
            yield from node.requirements.get(carry.theirs.partition(".")[0], ()) if "." in carry.theirs else ()


def _ground_of(nodes: Iterable[Theirs]) -> list[Theirs]:
    """The nodes at the end of the chain of hosts."""
    found, todo = [], list(nodes)
    while todo:
        node = todo.pop()
        below = node.requirements.get("host", ())
        found += [] if below else [node]
        todo += below
    return found


def _map(values: Mapping[str, Any], mark: Mark) -> Map:
    made = Map(mark)
    for key, value in values.items():
        _put(made, key, value, mark)
    return made


def _put(parent: Map, key: str, value: Any, mark: Mark) -> None:
    parent.keys[key] = Scalar(key, key, mark)
    parent.entries[key] = _element(value, mark)


def _element(value: Any, mark: Mark) -> Element:
    """A value as an element at a place; elements stay what they are."""
    if isinstance(value, Map | Seq | Scalar):
        return value
    if isinstance(value, Mapping):
        return _map(value, mark)
    if isinstance(value, list | tuple):
        made = Seq(mark)
        made.items = [_element(item, mark) for item in value]
        return made
    return Scalar(str(value).lower() if isinstance(value, bool) else str(value), value, mark)
