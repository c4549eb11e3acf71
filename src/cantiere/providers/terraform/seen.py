"""What the program's plans and state say of machines. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from cantiere.errors import Problem
from cantiere.machines.model import MachineSeen

STATES = ("running", "stopped", "broken")
QUIET = ({"no-op"}, {"read"})
ENDED = ("apply_complete", "apply_errored")
TAINTED = "replace_because_tainted"


def resources(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All resources of a state, of every module.

    Parameters
    ----------
    values:
        ``values`` of a state as ``show`` tells it.
    """
    pending = [values.get("root_module") or {}]
    while pending:
        module = pending.pop()
        yield from (item for item in module.get("resources") or () if item.get("mode") == "managed")
        pending += module.get("child_modules") or ()


def outputs(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A mapping among the outputs; an empty one where it is not there."""
    value = (values.get("outputs") or {}).get(name, {}).get("value")
    return value if isinstance(value, dict) else {}


def machines(plan: Mapping[str, Any], asked: Mapping[str, Mapping[str, Any]]) -> dict[str, MachineSeen]:
    """The machines that are asked for or there, by name.

    Parameters
    ----------
    plan:
        A plan that only refreshes.
    asked:
        The record of what is asked for.
    """
    told = outputs(plan.get("planned_values") or {}, "machines")
    there = list(resources((plan.get("prior_state") or {}).get("values") or {}))
    found = {}
    for name in sorted({*asked, *told}):
        mine, record, entry = [item for item in there if item.get("index") == name], asked.get(name, {}), told.get(name)
        tainted = [str(item["address"]) for item in mine if item.get("tainted")]
        detail: dict[str, Any] = {"objects": len(mine)}
        doorless = bool(entry and record.get("door") and not entry.get("door"))
        if entry is None or tainted or not record or doorless:
            half = f"{tainted[0]} is half-made" if tainted else "it has no record" if not record else "its address of the outside is gone"
            why = "it is not complete" if entry is None else half
            found[name] = MachineSeen(name, "broken", str((entry or {}).get("address") or ""), detail={**detail, "why": why})
            continue
        state = str(entry.get("state") or "running")
        detail |= {key: str(entry[key]) for key in ("id", "door") if entry.get(key)}
        address = str(entry.get("address") or record["address"])
        state = state if state in STATES else "broken"
        found[name] = MachineSeen(name, state, address, str(record["digest"]), str(record["host_key"]), detail)
    return found


def changes(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a plan would do to objects."""
    return [item for item in plan.get("resource_changes") or () if set(item["change"]["actions"]) not in QUIET]


def refused(plan: Mapping[str, Any], kept: Collection[str]) -> list[Problem]:
    """What a plan must not do: remove or replace an object of a machine that goes on, or one that such machines share.

    What has an index of another kind (a rule of many) may come and go.

    Parameters
    ----------
    plan:
        The plan.
    kept:
        Names of these machines.
    """
    found = []
    for item in changes(plan):
        owner, actions = item.get("index"), item["change"]["actions"]
        if "delete" not in actions or item.get("action_reason") == TAINTED or not kept or owner not in {None, *kept}:
            continue
        anew = f"have the machine made anew: `up --replace {owner}`" if owner else "take the facility down first"
        why = f" ({', '.join(_paths(item))} changed)" if _paths(item) else ""
        message = f"{item['address']} would be {'replaced' if 'create' in actions else 'removed'}, which nobody asked for{why}"
        remedy = f"put the module, its variables or the cloud back as they were, or {anew}"
        found.append(Problem("terraform.replaces", message, remedy, path=str(owner or "terraform")))
    return found


def words(plan: Mapping[str, Any]) -> list[str]:
    """A plan in words, one line for each object."""
    return [f"{' and '.join(item['change']['actions'])} {item['address']}" for item in changes(plan)]


def addresses(values: Mapping[str, Any], names: Collection[str]) -> Sequence[str]:
    """Addresses of the objects of machines.

    Parameters
    ----------
    values:
        ``values`` of a state.
    names:
        Of the machines.
    """
    return sorted(str(item["address"]) for item in resources(values) if item.get("index") in names)


def made(journal: str) -> dict[str, str]:
    """Address to identifier of the objects that a run had made when it ended.

    Parameters
    ----------
    journal:
        What it printed: a JSON document a line, the last of which may be cut off.
    """
    done = [hook for kind, hook in _creations(journal) if kind == "apply_complete" and hook.get("id_value")]
    return {str(hook["resource"]["addr"]): str(hook["id_value"]) for hook in done}


def begun(journal: str) -> set[str]:
    """Addresses of the objects that a run was making when it ended."""
    found = set[str]()
    for kind, hook in _creations(journal):
        address = str(hook["resource"]["addr"])
        if kind == "apply_start":
            found.add(address)
        elif kind in ENDED:
            found.discard(address)
    return found


def _creations(journal: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for line in journal.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if (hook := said.get("hook")) and hook.get("action") == "create":
            yield str(said.get("type")), hook


def _paths(item: Mapping[str, Any]) -> list[str]:
    return [".".join(map(str, path)) for path in item["change"].get("replace_paths") or ()]
