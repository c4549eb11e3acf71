"""What the variables of a root module let in, and how they differ from those on record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cantiere.machines.model import pool_of
from cantiere.providers.openstack import rules
from cantiere.providers.openstack.rules import Rule
from cantiere.providers.terraform.options import Options

RULES, MACHINES = "rules", "machines"
"""The variables that say what to let in, and to which machines."""


def listed(options: Options, pod_subnet: str) -> list[dict[str, Any]]:
    """The rules as modules get them: what the facility, its site and its template ask for, and nothing else.

    Parameters
    ----------
    options:
        The site's.
    pod_subnet:
        Network of the pods.
    """
    return [
        {"group": group, "protocol": rule.protocol, "port": rule.port, "last": rule.last, "source": rule.source}
        for group, wanted in sorted(rules.rules(options, pod_subnet).items())
        for rule in sorted(wanted)
    ]


def groups(name: str, record: Mapping[str, Any], opened: Iterable[Mapping[str, Any]]) -> list[str]:
    """The groups whose rules hold for a machine.

    Parameters
    ----------
    name, record:
        The machine.
    opened:
        As :func:`listed` gives them.
    """
    there = {str(rule["group"]) for rule in opened}
    return sorted(rules.groups_of(pool_of(name), controls=record["control"], there=there))


def adjustments(wanted: Mapping[str, Any], recorded: Mapping[str, Any], options: Options) -> tuple[str, ...]:
    """What the next run lets in with who asks for it, what it shuts out, and which other variables it changes, in words.

    Parameters
    ----------
    wanted, recorded:
        All variables as they would be written, and as they were written last, with the same machines; empty before the first run.
    options:
        The site's.
    """
    asks, new, old = rules.asks(options), _rules(wanted[RULES]), _rules(recorded.get(RULES, ()))
    opens = (f"group {group} opens {rule}{asks.get((group, rule), '')}" for group, rule in new if (group, rule) not in old)
    closes = (f"group {group} closes {rule}" for group, rule in old if (group, rule) not in new)
    before = recorded.get(MACHINES, {})
    joins = (
        f"machine {name} joins group {group}"
        for name, machine in sorted(wanted[MACHINES].items())
        for group in machine["groups"]
        if group not in before[name].get("groups", ())
    )
    kept = {name: value for name, value in sorted(wanted.items()) if name not in (RULES, MACHINES)}
    others = (f"the module gets another {name}" for name, value in kept.items() if recorded and recorded.get(name) != value)
    return (*opens, *joins, *closes, *others)


def _rules(listed: Iterable[Mapping[str, Any]]) -> list[tuple[str, Rule]]:
    return [(item["group"], Rule(item["protocol"], item["port"], item["source"], item.get("last", 0))) for item in listed]
