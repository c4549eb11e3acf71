"""The plan of machines: what is there and what should be, to steps."""

from __future__ import annotations

from dataclasses import replace

from cantiere.machines.model import POOL_LABEL, Change, Machine, MachineSeen
from cantiere.machines.plan import (
    FleetSeen,
    FleetWanted,
    build,
    build_removal,
    gates,
    leader_of,
    refusals,
)
from cantiere.machines.seen import ClusterSeen, Converged, NodeSeen
from cantiere.plan.definition import Stage

CONTROL = Machine("control-1", "control", ("control-plane",), "10.0.0.11")
SECOND = Machine("control-2", "control", ("control-plane",), "10.0.0.12")
WORKER = Machine("worker-1", "worker", ("worker",), "10.0.0.21", labels={"disk": "ssd"}, taints=("a=b:NoSchedule",))
DIGESTS = {"base": "1", "kubernetes": "2"}


def wanted(*machines: Machine, **more: object) -> FleetWanted:
    given = {
        "name": "cantiere-x",
        "machines": machines,
        "digests": {machine.name: DIGESTS for machine in machines},
        "artifacts": ("kubernetes",),
        "version": "1.36.3",
        "leader": machines[0].name,
    }
    return FleetWanted(**(given | more))  # type: ignore[arg-type]


def node(machine_id: str, **more: object) -> NodeSeen:
    labels = {"disk": "ssd", POOL_LABEL: machine_id.removeprefix("id-").rpartition("-")[0]}
    given = {"ready": True, "version": "1.36.3", "machine_id": machine_id, "labels": labels, "taints": ("a=b:NoSchedule",)}
    return NodeSeen(**(given | more))  # type: ignore[arg-type]


def seen(*names: str) -> FleetSeen:
    """All is well on these machines."""
    return FleetSeen(
        prepared=True,
        machines={name: MachineSeen(name, "running") for name in names},
        converged={name: Converged(True, machine_id=f"id-{name}", digests=DIGESTS) for name in names},
        cluster=ClusterSeen(True, True, {name: node(f"id-{name}") for name in names}),
    )


def told(plan: object) -> list[str]:
    return [f"{step.action} {step.id}" for step in plan.steps]  # type: ignore[attr-defined]


def test_from_nothing() -> None:
    asked = wanted(CONTROL, WORKER)
    plan = build(asked, FleetSeen(missing=frozenset({"kubernetes"})))
    assert told(plan) == [
        "create artifact/kubernetes",
        "create ground/cantiere-x",
        "create machine/control-1",
        "create machine/worker-1",
        "converge roles/control-1",
        "converge roles/worker-1",
        "create cluster/cantiere-x",
        "create node/worker-1",
    ]
    assert [step.stage for step in plan.steps] == [Stage.PROVIDER] * 4 + [Stage.ANSIBLE] * 4
    assert gates(plan, asked) == {
        "control-1": ["converge_base", "converge_kubernetes", "kubernetes_init", "kubernetes_nodes", "first_control_plane"],
        "worker-1": ["converge_base", "converge_kubernetes", "kubernetes_join"],
    }


def test_nothing_to_do() -> None:
    asked, found = wanted(CONTROL, WORKER), seen("control-1", "worker-1")
    assert build(asked, found).steps == ()
    assert gates(build(asked, found), asked) == {}


def test_only_what_differs_is_converged() -> None:
    found = seen("control-1", "worker-1")
    changed = {
        "control-1": replace(found.converged["control-1"], drift={"base": ("file /etc/a changed",)}),
        "worker-1": replace(found.converged["worker-1"], digests={"base": "1", "kubernetes": "old"}),
    }
    plan = build(wanted(CONTROL, WORKER), replace(found, converged=changed))
    assert [(step.id, step.parts) for step in plan.steps] == [("roles/control-1", ("base",)), ("roles/worker-1", ("kubernetes",))]
    assert "file /etc/a changed" in plan.steps[0].reason


def test_a_machine_that_is_gone_leaves_first_and_is_made_again() -> None:
    found = seen("control-1", "control-2", "worker-1")
    without = {name: machine for name, machine in found.machines.items() if name != "control-2"}
    plan = build(wanted(CONTROL, SECOND, WORKER), replace(found, machines=without, converged=found.converged | {}))
    assert told(plan.part(Stage.PROVIDER)) == ["replace departure/control-2", "create machine/control-2"]
    assert "create node/control-2" in told(plan)


def test_a_machine_made_anew_under_an_old_name_joins_anew() -> None:
    found = seen("control-1", "worker-1")
    other = found.converged | {"worker-1": Converged(True, machine_id="id-of-another")}
    plan = build(wanted(CONTROL, WORKER), replace(found, converged=other))
    assert told(plan) == ["replace departure/worker-1", "converge roles/worker-1", "create node/worker-1"]


def test_a_stopped_machine_is_only_started() -> None:
    found = seen("control-1", "worker-1")
    stopped = found.machines | {"worker-1": MachineSeen("worker-1", "stopped")}
    known = {"control-1": found.converged["control-1"]}
    assert told(build(wanted(CONTROL, WORKER), replace(found, machines=stopped, converged=known))) == ["start machine/worker-1"]


def test_a_preemptible_machine_that_vanished_is_lost_and_made_again() -> None:
    spot, found = replace(WORKER, preemptible=True), seen("control-1", "worker-1")
    known = {"control-1": found.converged["control-1"]}
    gone = {name: machine for name, machine in found.machines.items() if name != "worker-1"}
    plan = build(wanted(CONTROL, spot), replace(found, machines=gone, converged=known, remembered=frozenset({"control-1", "worker-1"})))
    assert told(plan.part(Stage.PROVIDER)) == ["replace departure/worker-1", "create machine/worker-1"]
    assert {step.reason for step in plan.steps if step.id == "machine/worker-1"} == {"lost, made again"}
    stopped = found.machines | {"worker-1": MachineSeen("worker-1", "stopped")}
    assert [step.spare for step in build(wanted(CONTROL, WORKER), replace(found, machines=stopped, converged=known)).steps] == [False]
    (start,) = build(wanted(CONTROL, spot), replace(found, machines=stopped, converged=known)).steps
    assert start.spare and [step.spare for step in plan.steps if step.id == "machine/worker-1"] == [True]
    assert (start.id, start.reason) == ("machine/worker-1", "lost, started again")
    silent = replace(found, converged=known | {"worker-1": Converged(False, "no route to host")})
    assert (refusals(wanted(CONTROL, spot), silent), build(wanted(CONTROL, spot), silent).steps) == ([], ()), "others go on without it"
    assert [problem.code for problem in refusals(wanted(CONTROL, WORKER), silent)] == ["machine.silent"]
    fresh = build(wanted(CONTROL, spot), replace(seen("control-1"), remembered=frozenset({"control-1"})))
    assert [step.reason for step in fresh.steps if step.id == "machine/worker-1"] == ["there is no such machine"]


def test_a_machine_that_vanished_and_is_not_asked_for_is_forgotten() -> None:
    found = replace(seen("control-1"), remembered=frozenset({"control-1", "worker-1"}))
    assert told(build(wanted(CONTROL), found)) == ["delete machine/worker-1"]


def test_jobs_of_a_bare_machine_end_before_it_goes() -> None:
    bare = Machine("execute-1", "execute", ("htcondor-execute-point",), "10.0.0.31")
    found, runs = seen("control-1"), {"base": "1", "htcondor_machine": "2"}
    here = replace(
        found,
        machines=found.machines | {"execute-1": MachineSeen("execute-1", "running")},
        converged=found.converged | {"execute-1": Converged(True, machine_id="id-execute-1", digests=runs)},
    )
    assert told(build(wanted(CONTROL), here)) == ["delete departure/execute-1", "delete machine/execute-1"]
    anew = wanted(CONTROL, bare, digests={"control-1": DIGESTS, "execute-1": runs}, replace=frozenset({"execute-1"}))
    assert told(build(anew, here))[:2] == ["replace departure/execute-1", "replace machine/execute-1"]
    silent = replace(here, converged=found.converged | {"execute-1": Converged(False, "no route to host")})
    assert told(build(wanted(CONTROL), silent)) == ["delete machine/execute-1"]
    assert refusals(wanted(CONTROL), silent) == [], "what leaves may be silent"


def test_nodes_that_are_no_longer_asked_for_leave_one_by_one_at_the_end() -> None:
    plan = build(wanted(CONTROL), seen("control-1", "control-2", "worker-1"))
    assert {step.stage for step in plan.steps} == {Stage.CONVERGE}
    leaving = [step for step in plan.steps if step.kind == "departure"]
    assert [step.name for step in leaving] == ["control-2", "worker-1"]
    assert leaving[1].after == (leaving[0].id,)
    assert {step.id: step.after for step in plan.steps}["machine/worker-1"] == ("departure/worker-1",)


def test_versions_labels_and_taints_are_compared() -> None:
    found = seen("control-1", "worker-1")
    nodes = {"control-1": node("id-control-1", version="1.36.2"), "worker-1": node("id-worker-1", labels={POOL_LABEL: "worker"}, taints=())}
    asked = wanted(CONTROL, WORKER)
    plan = build(asked, replace(found, cluster=ClusterSeen(True, True, nodes)))
    assert told(plan) == ["upgrade node/control-1", "update node/worker-1"]
    assert plan.steps[1].reason == "label disk is None, not 'ssd'; taint a=b:NoSchedule is missing"
    assert gates(plan, asked)["control-1"] == ["kubernetes_upgrade", "kubernetes_nodes", "first_control_plane"]


def test_a_cordoned_node_is_opened_again() -> None:
    found = seen("control-1", "worker-1")
    nodes = found.cluster.nodes | {"worker-1": node("id-worker-1", schedulable=False)}
    plan = build(wanted(CONTROL, WORKER), replace(found, cluster=ClusterSeen(True, True, nodes)))
    assert told(plan) == ["update node/worker-1"]


def test_replacing() -> None:
    found = seen("control-1", "control-2", "worker-1")
    asked = wanted(CONTROL, SECOND, WORKER, replace=frozenset({"control-2"}))
    assert told(build(asked, found).part(Stage.PROVIDER)) == ["replace departure/control-2", "replace machine/control-2"]


def test_a_provider_that_makes_nothing_is_asked_for_nothing() -> None:
    plan = build(wanted(CONTROL, makes_machines=False), FleetSeen(converged={"control-1": Converged(True)}))
    assert told(plan) == ["converge roles/control-1", "create cluster/cantiere-x"]


def test_refusals() -> None:
    silent = FleetSeen(cluster=ClusterSeen(True, False))
    assert [problem.code for problem in refusals(wanted(CONTROL), silent)] == ["cluster.silent"]
    stopped = replace(silent, machines={"control-1": MachineSeen("control-1", "stopped")})
    assert refusals(wanted(CONTROL), stopped) == []
    for version, refused in {
        "1.36.2": False,
        "1.35.9": False,
        "1.34.1": True,
        "1.36.4": True,
        "1.37.0": True,
        "1.36.3-rc.1": False,
    }.items():
        cluster = ClusterSeen(True, True, {"control-1": node("x", version=version)})
        assert bool(refusals(wanted(CONTROL), FleetSeen(cluster=cluster))) is refused, version
    both = wanted(CONTROL, SECOND, replace=frozenset({"control-1", "control-2"}))
    assert [problem.code for problem in refusals(both, FleetSeen())] == ["replace.several"]
    assert [problem.code for problem in refusals(wanted(CONTROL, replace=frozenset({"other"})), FleetSeen())] == ["replace.unknown"]


def test_leader_is_ready_where_one_is() -> None:
    cluster = ClusterSeen(True, True, {"control-1": node("a", ready=False), "control-2": node("b")})
    assert leader_of([CONTROL, SECOND, WORKER], cluster, {}) == "control-2"
    assert leader_of([CONTROL, SECOND, WORKER], ClusterSeen(), {}) == "control-1"
    assert leader_of([WORKER], ClusterSeen(), {}) == ""


def test_leader_stays_where_it_was() -> None:
    cluster = ClusterSeen(True, True, {"control-1": node("a"), "control-2": node("b")})
    assert leader_of([CONTROL, SECOND], cluster, {}) == "control-1"
    assert leader_of([CONTROL, SECOND], cluster, {"control-2": Converged(True, digests={"kube_network": "1"})}) == "control-2"


def test_removal_is_the_reverse() -> None:
    assert told(build_removal("cantiere-x", seen("control-1", "worker-1"))) == [
        "delete machine/control-1",
        "delete machine/worker-1",
        "delete ground/cantiere-x",
    ]
    assert build_removal("cantiere-x", FleetSeen()).steps == ()


def test_machines_that_go_down_for_a_change_do_so_one_by_one() -> None:
    """A change in place keeps the machine and its node; those that need a restart, and departures, wait for each other."""
    found = seen("control-1", "control-2", "worker-1")
    flavor, volume = Change(("its flavor changes",), restarts=True), Change(("its data volume grows",))
    changed = replace(found, changes={"control-1": flavor, "control-2": flavor, "worker-1": volume})
    plan = build(wanted(CONTROL, SECOND, WORKER), changed)
    assert told(plan) == ["update machine/control-1", "update machine/worker-1", "update machine/control-2"]
    assert {step.id: step.after for step in plan.steps} == {
        "machine/control-1": (),
        "machine/control-2": ("machine/control-1",),
        "machine/worker-1": (),
    }
    assert {step.stage for step in plan.steps} == {Stage.PROVIDER}
    assert [step.reason for step in plan.steps][:2] == ["its flavor changes", "its data volume grows"]


def test_a_change_that_was_cut_off_goes_on() -> None:
    found = seen("control-1", "worker-1")
    cut = {**found.machines, "worker-1": MachineSeen("worker-1", "changing")}
    known = {"control-1": found.converged["control-1"]}
    [step] = build(wanted(CONTROL, WORKER), replace(found, machines=cut, converged=known)).steps
    assert (step.id, step.action, step.reason) == ("machine/worker-1", "update", "a change of it was cut off")


def test_what_cannot_change_is_told_and_left() -> None:
    found = replace(seen("control-1", "worker-1"), changes={"worker-1": Change(anew=("another image is asked for",))})
    plan = build(wanted(CONTROL, WORKER), found)
    assert plan.steps == () and plan.as_dict()["notes"] == list(plan.notes)
    assert plan.notes == ("machine worker-1: another image is asked for: it goes on as it is; `up --replace worker-1` makes it anew",)
    anew = build(wanted(CONTROL, WORKER, replace=frozenset({"worker-1"})), found)
    assert "replace machine/worker-1" in told(anew) and anew.notes == ()


def test_rules_that_differ_are_an_update_of_what_machines_share() -> None:
    found = replace(
        seen("control-1"), prepared=False, whole=True, adjustments=("machines opens tcp 443 to 0.0.0.0/0", "machines closes tcp 80")
    )
    [step] = build(wanted(CONTROL), found).steps
    assert str(step) == "~ ground cantiere-x: machines opens tcp 443 to 0.0.0.0/0; machines closes tcp 80"
    [made] = build(wanted(CONTROL), replace(found, whole=False, adjustments=("machines opens tcp 22 to 192.0.2.0/24",))).steps
    assert str(made) == "+ ground cantiere-x: network and machine image are not complete; machines opens tcp 22 to 192.0.2.0/24"
