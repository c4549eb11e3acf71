"""The stages of a run over machines: what the Ansible modules call for a site whose platform is a cluster of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from cantiere.errors import CantiereError, PreflightError, Problem
from cantiere.machines.apply import Apply
from cantiere.machines.fleet import Fleet
from cantiere.machines.model import Machine
from cantiere.machines.plan import FleetSeen, FleetWanted, build, build_removal, gates, refusals
from cantiere.plan.definition import Done, Plan, Stage
from cantiere.plan.walk import Report, walk
from cantiere.secrets import SecretStore
from cantiere.state import StateStore
from cantiere.telling import warn

API_PATIENCE = 120.0


def plan_of(fleet: Fleet) -> Plan:
    """The plan of a fleet, from what is seen now."""
    warn(fleet.absent())
    wanted, seen = fleet.observe(patience=API_PATIENCE)
    refuse(wanted, seen)
    return replace(build(wanted, seen), cost=fleet.provider.cost(wanted.machines, seen.machines, wanted.replace))


def removal_of(fleet: Fleet) -> Plan:
    """The plan that removes a fleet's machines."""
    provider = fleet.provider
    if not provider.makes_machines:
        return Plan(fleet.site.prefix, ())
    return build_removal(fleet.site.prefix, FleetSeen(prepared=provider.holds(), machines=provider.observe()))


def refuse(wanted: FleetWanted, seen: FleetSeen) -> None:
    """Refuse what must not be tried.

    Raises
    ------
    PreflightError
        All of it, each with a remedy.
    """
    if problems := refusals(wanted, seen):
        raise PreflightError(problems)


def provide(fleet: Fleet, store: StateStore, log: Callable[[str], None], report: Report, check: bool) -> Done:
    """Make artifacts and machines, and tell what the plays are to do on which machine.

    Parameters
    ----------
    fleet, store:
        The machines and the site's state; the caller holds the lock.
    log, report:
        Take lines of long work, and steps.
    check:
        Only tell.

    Returns
    -------
    Done
        With machines that may vanish and cannot be made now as what is left; no play concerns these.
    """
    if problems := [] if check else connect(fleet, fleet.leaving()):
        raise CantiereError(problems)
    if not check:
        keep_secrets(fleet)
    wanted, seen = fleet.observe(patience=API_PATIENCE)
    refuse(wanted, seen)
    plan = build(wanted, seen)
    part = plan.part(Stage.PROVIDER)
    steps = tuple(str(step) for step in part.steps)
    if check:
        return Done(steps, gates(plan, wanted))
    state = store.load() or store.save(store.new(fleet.facility.name))
    if not steps:
        return Done(steps, gates(plan, wanted))
    left = walk(part, Apply(fleet, store, state, wanted.machines, seen, log), fleet.provider.at_once, report)
    if problems := connect(fleet, fleet.leaving()):
        raise CantiereError(problems)
    keep_secrets(fleet)  # an address from outside is known only now
    wanted, seen = fleet.observe(patience=API_PATIENCE)
    wanted = replace(wanted, replace=frozenset())
    refuse(wanted, seen)
    away = {step.name for step in part.steps if step.id in left}
    made = build(wanted, seen)
    here = replace(made, steps=tuple(step for step in made.steps if step.name not in away))
    return Done(steps, gates(here, wanted), left)


def keep_secrets(fleet: Fleet) -> None:
    """Make the secrets of services that machines run, and put them where their roles read them."""
    if place := fleet.registry_place(fleet.machines()):
        SecretStore(fleet.site.state_dir).materialise([place])


def connect(fleet: Fleet, leaving: Sequence[Machine] = ()) -> list[Problem]:
    """Write the SSH configuration of the machines that are there, and pin their host keys.

    Parameters
    ----------
    fleet:
        The machines that are asked for.
    leaving:
        Those that go at the end of the run.
    """
    everyone = (*fleet.machines(), *leaving)
    placed = [machine for machine in everyone if machine.host_key or not fleet.provider.makes_machines]
    fleet.ssh.write(placed)
    return fleet.ssh.pin(placed)


def conclude(fleet: Fleet, store: StateStore, log: Callable[[str], None], report: Report, check: bool) -> Done:
    """Take away what the template no longer asks for, when everything it asks for is there."""
    wanted, seen = fleet.observe()
    part = build(wanted, seen).part(Stage.CONVERGE)
    if not check and part.steps:
        state = store.load() or store.save(store.new(fleet.facility.name))
        walk(part, Apply(fleet, store, state, wanted.machines, seen, log), fleet.provider.at_once, report)
        connect(fleet)
    return Done(tuple(str(step) for step in part.steps))


def leave(fleet: Fleet, _store: StateStore, _log: Callable[[str], None], _report: Report, _check: bool) -> Done:
    """Tell what has to be taken off machines that stay when the facility goes; nothing where the machines go too."""
    if fleet.provider.makes_machines:
        return Done()
    wanted, seen = fleet.observe()
    here = {machine.name: seen.converged[machine.name] for machine in wanted.machines if machine.name in seen.converged}
    silent = tuple(f"{name} is silent, what is on it stays: {found.why}" for name, found in here.items() if not found.reachable)
    groups = {name: [f"leave_{role}" for role in found.digests] for name, found in here.items() if found.digests}
    return Done(silent, groups)


def remove(fleet: Fleet, store: StateStore, log: Callable[[str], None], report: Report, check: bool) -> Done:
    """Remove all machines and what they share."""
    plan = removal_of(fleet)
    if not check and plan.steps:
        state = store.load() or store.save(store.new(fleet.facility.name))
        walk(plan, Apply(fleet, store, state, (), FleetSeen(), log), fleet.provider.at_once, report)
    return Done(tuple(str(step) for step in plan.steps))
