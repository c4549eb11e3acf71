"""The plan of a facility's machines: from what should be there and what is seen to steps. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cantiere.errors import Problem
from cantiere.machines import changing
from cantiere.machines.model import Change, Machine, MachineSeen
from cantiere.machines.seen import ClusterSeen, Converged, NodeSeen
from cantiere.machines.wanted import in_cluster
from cantiere.plan.definition import Action, Kind, Plan, Step, waiting_order

CLUSTER_ROLE = "kube_network"
"""The role that is converged on one control-plane machine for the whole cluster."""


@dataclass(frozen=True, slots=True)
class FleetWanted:
    """What should be there.

    Parameters
    ----------
    name:
        The facility's prefix.
    machines:
        All machines, placed.
    digests:
        Machine to role to digest, roles in their order.
    artifacts:
        Names of the artifacts that the machines take.
    version:
        Kubernetes version, or "" without a cluster.
    leader:
        The control-plane machine on which steps for the whole cluster are done.
    replace:
        Machines that are to be made anew.
    makes_machines:
        Whether the provider makes machines.
    """

    name: str
    machines: tuple[Machine, ...]
    digests: Mapping[str, Mapping[str, str]]
    artifacts: tuple[str, ...]
    version: str
    leader: str
    replace: frozenset[str] = frozenset()
    makes_machines: bool = True


@dataclass(frozen=True, slots=True)
class FleetSeen:
    """What is there.

    Parameters
    ----------
    missing:
        Artifacts that are not in the store.
    prepared:
        Whether what all machines share is there.
    whole:
        Whether it is there, be it that there are adjustments to make.
    adjustments:
        Traffic that is to be let in or shut out.
    machines:
        The provider's machines by name.
    changes:
        Machine to how it differs from what is asked for.
    converged:
        Machine to what is seen on it; machines that are not up are left out.
    cluster:
        The cluster.
    remembered:
        Machines that were made and not removed; what is not among ``machines`` is lost.
    """

    missing: frozenset[str] = frozenset()
    prepared: bool = False
    whole: bool = False
    adjustments: tuple[str, ...] = ()
    machines: Mapping[str, MachineSeen] = field(default_factory=dict)
    changes: Mapping[str, Change] = field(default_factory=dict)
    converged: Mapping[str, Converged] = field(default_factory=dict)
    cluster: ClusterSeen = field(default_factory=ClusterSeen)
    remembered: frozenset[str] = frozenset()


def build(wanted: FleetWanted, seen: FleetSeen) -> Plan:
    """The plan that makes what is seen into what is wanted."""
    steps = [
        Step(Kind.ARTIFACT, name, Action.CREATE, "it is not in the store in this version")
        for name in wanted.artifacts
        if name in seen.missing
    ]
    if wanted.makes_machines and not seen.prepared:
        action, lacking = (Action.UPDATE, ()) if seen.whole else (Action.CREATE, ("network and machine image are not complete",))
        steps.append(Step(Kind.GROUND, wanted.name, action, "; ".join((*lacking, *seen.adjustments))))
    for machine in wanted.machines:
        steps += _machine(wanted, machine, seen)
    known = {machine.name for machine in wanted.machines}
    joins = tuple(step.id for step in steps if step.kind is Kind.NODE)
    for name in sorted({*seen.machines, *seen.cluster.nodes, *seen.remembered} - known):
        steps += _gone(wanted, name, seen, joins)
    away = changing.down(steps, seen.machines, seen.changes)
    return Plan(wanted.name, waiting_order(_one_by_one(steps, away)), changing.notes(seen.changes, wanted.replace))


def _one_by_one(steps: Sequence[Step], away: Collection[str]) -> list[Step]:
    """Nodes leave or go down one after the other, so that etcd never loses two members at once and pods have somewhere to go."""
    made, last = [], ""
    for step in steps:
        if step.id in away:
            step, last = replace(step, after=(*step.after, last)), step.id
        made.append(step)
    return made


def refusals(wanted: FleetWanted, seen: FleetSeen) -> list[Problem]:
    """What must not be tried: steps that would be guesses, or that Kubernetes does not bear."""
    problems = []
    known = {machine.name for machine in wanted.machines}
    lasting = {machine.name for machine in wanted.machines if not machine.preemptible}
    stopped = any(machine.state != "running" for machine in seen.machines.values())
    if seen.cluster.exists and not seen.cluster.answers and not stopped:
        problems.append(
            Problem(
                "cluster.silent",
                "the cluster's control plane is there and does not answer",
                "see `journalctl -u kubelet` on a control-plane machine; if etcd is lost, restore it with playbooks/etcd-restore.yml",
                path="cluster",
            )
        )
    problems += [
        Problem("machine.silent", f"{name}: {found.why}", "mend it, replace it (`up --replace`), or take it out of the template", path=name)
        for name, found in sorted(seen.converged.items())
        if not found.reachable and name in lasting - wanted.replace
    ]
    here = _version(wanted.version)
    for name, node in sorted(seen.cluster.nodes.items()):
        found = _version(node.version)
        if here and (found > here or (here[0], here[1] - 1) > found[:2]):
            problems.append(
                Problem(
                    "cluster.version",
                    f"{name} runs Kubernetes {node.version}, not {wanted.version}: it goes up by one minor version at a time, never back",
                    "pin a version between the two in artifacts.yaml, or in the site's artifacts_file",
                    path=name,
                )
            )
    controls = sorted(machine.name for machine in wanted.machines if machine.controls and machine.name in wanted.replace)
    if len(controls) > 1:
        problems.append(
            Problem(
                "replace.several",
                f"{', '.join(controls)} cannot be replaced at once: etcd would lose its majority",
                "replace control-plane machines one after the other",
                path=controls[0],
            )
        )
    for name in sorted(wanted.replace - known):
        problems.append(Problem("replace.unknown", f"there is no machine {name!r} to replace", "see `./cantiere inventory`", path=name))
    return problems


def _version(text: str) -> tuple[int, ...]:
    """A version without what may follow its three numbers."""
    return tuple(int(part) for part in text.partition("-")[0].split(".")) if text else ()


def build_removal(name: str, seen: FleetSeen) -> Plan:
    """The plan that removes every machine and what they share."""
    why = "the facility is taken down"
    steps = [Step(Kind.MACHINE, machine, Action.DELETE, why) for machine in sorted(seen.machines)]
    if seen.prepared or seen.machines:
        steps.append(Step(Kind.GROUND, name, Action.DELETE, why, tuple(step.id for step in steps)))
    return Plan(name, waiting_order(steps))


def _machine(wanted: FleetWanted, machine: Machine, seen: FleetSeen) -> list[Step]:
    name, found, node = machine.name, seen.machines.get(machine.name), seen.cluster.nodes.get(machine.name)
    ground = (f"{Kind.ARTIFACT}/{artifact}" for artifact in wanted.artifacts)
    before = (f"{Kind.GROUND}/{wanted.name}", *ground)
    converged = seen.converged.get(name)
    old = converged.machine_id if converged and converged.reachable else ""
    anew = name in wanted.replace and found is not None
    first: list[Step] = []
    if wanted.makes_machines:
        if anew:
            steps = [_leave(name, "its machine is made anew")] if node or (converged and converged.runs_jobs) else []
            steps.append(Step(Kind.MACHINE, name, Action.REPLACE, "it was asked for", (*before, _departure(name))))
            return [*steps, *_fresh(wanted, machine, seen)]
        if found is None or found.state == "broken":
            lost = machine.preemptible and bool(name in seen.remembered or node)
            reason = "lost, made again" if lost else "there is no such machine" if found is None else "it was left half-made"
            steps = [_leave(name, "its machine is gone")] if node else []
            steps.append(Step(Kind.MACHINE, name, Action.CREATE, reason, (*before, _departure(name)), spare=machine.preemptible))
            return [*steps, *_fresh(wanted, machine, seen)]
        change = seen.changes.get(name, Change())
        if change.reasons or found.state == "changing":
            reason = "; ".join(change.reasons) or "a change of it was cut off"
            first.append(Step(Kind.MACHINE, name, Action.UPDATE, reason, before, spare=machine.preemptible))
        elif found.state != "running":
            reason = "lost, started again" if machine.preemptible else f"it is {found.state}"
            first.append(Step(Kind.MACHINE, name, Action.START, reason, before, spare=machine.preemptible))
        if found.state != "running":
            return first
    if converged is None or not converged.reachable:
        return [*first, *(_fresh(wanted, machine, seen) if converged is None else [])]
    steps = first
    stale = bool(node and old and node.machine_id != old)
    if stale:
        steps.append(_leave(name, "another machine has its name now"))
        node = None
    if outdated := outdated_roles(wanted.digests[name], converged):
        reason = "; ".join(outdated.values())
        steps.append(Step(Kind.ROLES, name, Action.CONVERGE, reason, (f"{Kind.MACHINE}/{name}",), tuple(outdated)))
    return [*steps, *_node(wanted, machine, seen, node)]


def outdated_roles(digests: Mapping[str, str], converged: Converged) -> dict[str, str]:
    """Role to why it has to be converged; roles that are intact are left out."""
    found = {}
    for role, digest in digests.items():
        if role not in converged.digests:
            found[role] = f"{role} is new here"
        elif converged.drift.get(role):
            found[role] = f"{role} drifted: {', '.join(converged.drift[role][:3])}"
        elif converged.digests[role] != digest:
            found[role] = f"{role} has other inputs"
    return found


def _fresh(wanted: FleetWanted, machine: Machine, seen: FleetSeen) -> list[Step]:
    roles = tuple(wanted.digests[machine.name])
    step = Step(Kind.ROLES, machine.name, Action.CONVERGE, "the machine is new", (f"{Kind.MACHINE}/{machine.name}",), roles)
    return [step, *_node(wanted, machine, seen, None)]


def _node(wanted: FleetWanted, machine: Machine, seen: FleetSeen, node: NodeSeen | None) -> list[Step]:
    if not in_cluster(machine):
        return []
    roles, init = f"{Kind.ROLES}/{machine.name}", f"{Kind.CLUSTER}/{wanted.name}"
    if not seen.cluster.exists and machine.name == wanted.leader:
        return [
            Step(Kind.CLUSTER, wanted.name, Action.CREATE, f"there is no cluster yet; {machine.name} begins it", (roles,), (machine.name,))
        ]
    if node is None:
        return [Step(Kind.NODE, machine.name, Action.CREATE, "it is no node of the cluster", (roles, init, _departure(machine.name)))]
    steps = []
    if node.version != wanted.version:
        first = () if machine.name == wanted.leader else (f"{Kind.NODE}/{wanted.leader}",)
        steps.append(
            Step(Kind.NODE, machine.name, Action.UPGRADE, f"it runs Kubernetes {node.version}, {wanted.version} is wanted", (roles, *first))
        )
    elif changes := _marks(machine, node):
        steps.append(Step(Kind.NODE, machine.name, Action.UPDATE, "; ".join(changes), (roles,)))
    elif not node.schedulable:
        steps.append(Step(Kind.NODE, machine.name, Action.UPDATE, "new pods may not be placed on it", (roles,)))
    return steps


def _marks(machine: Machine, node: NodeSeen) -> list[str]:
    changes = [
        f"label {key} is {node.labels.get(key)!r}, not {value!r}"
        for key, value in machine.node_labels.items()
        if node.labels.get(key) != value
    ]
    return changes + [f"taint {taint} is missing" for taint in machine.taints if taint not in node.taints]


def _departure(name: str) -> str:
    return f"{Kind.DEPARTURE}/{name}"


def _leave(name: str, reason: str) -> Step:
    """A node that goes so that another machine can take its name; it goes before that machine is made."""
    return Step(Kind.DEPARTURE, name, Action.REPLACE, reason)


def _gone(wanted: FleetWanted, name: str, seen: FleetSeen, joins: tuple[str, ...]) -> list[Step]:
    why = "the template no longer asks for it"
    found = seen.converged.get(name)
    busy = name in seen.cluster.nodes or (wanted.makes_machines and found is not None and found.runs_jobs)
    steps = [Step(Kind.DEPARTURE, name, Action.DELETE, why, joins)] if busy else []
    if wanted.makes_machines and (name in seen.machines or name in seen.remembered):
        steps.append(Step(Kind.MACHINE, name, Action.DELETE, why, (*joins, _departure(name))))
    return steps


def gates(plan: Plan, wanted: FleetWanted) -> dict[str, list[str]]:
    """Machine to the groups that put it into the plays of this run.

    Parameters
    ----------
    plan:
        The plan of which the Ansible part is to be done.
    wanted:
        What it was made for.
    """
    found: dict[str, list[str]] = {}

    def join(name: str, *groups: str) -> None:
        found[name] = [*found.get(name, []), *groups]

    for step in plan.steps:
        if step.kind is Kind.ROLES:
            join(step.name, *(f"converge_{role}" for role in step.parts))
        elif step.kind is Kind.CLUSTER:
            join(wanted.leader, "kubernetes_init")
        elif step.kind is Kind.NODE and step.action in GATES:
            join(step.name, GATES[step.action])
    if any(step.kind in (Kind.CLUSTER, Kind.NODE) for step in plan.steps):
        join(wanted.leader, "kubernetes_nodes")
    if any(step.kind in (Kind.CLUSTER, Kind.NODE) or CLUSTER_ROLE in step.parts for step in plan.steps):
        join(wanted.leader, "first_control_plane")
    return found


GATES: Mapping[Action, str] = {Action.CREATE: "kubernetes_join", Action.UPGRADE: "kubernetes_upgrade"}
"""What else is done to nodes (labels, taints, new pods allowed) is done for all of them from the leader."""


def leader_of(machines: Sequence[Machine], cluster: ClusterSeen, converged: Mapping[str, Converged]) -> str:
    """The control-plane machine on which steps for the whole cluster are done.

    The first that is ready, and of several one that has done them before; where none is ready, the first.
    """
    controls = [machine.name for machine in machines if machine.controls]
    ready = [name for name in controls if (node := cluster.nodes.get(name)) and node.ready]
    before = [name for name in ready if name in converged and CLUSTER_ROLE in converged[name].digests]
    return (before or ready or controls or [""])[0]
