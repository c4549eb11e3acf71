"""A facility's security groups in a project: their rules as the site and the template ask for them, and the machines in them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from cantiere.machines.model import pool_of
from cantiere.providers.base import Log
from cantiere.providers.openstack import listing, marks, rules
from cantiere.providers.openstack.kept import Kept


class Groups:
    """The groups.

    Parameters
    ----------
    kept:
        What looks for them and makes them.
    pod_subnet:
        Network of the cluster's pods, in CIDR notation, or ``""``.
    """

    def __init__(self, kept: Kept, pod_subnet: str) -> None:
        self.kept, self.cloud, self.pod_subnet = kept, kept.cloud, pod_subnet

    def seen(self) -> dict[str, Any]:
        """Those that are there, by what they are for."""
        found = self.kept.shared("security groups", self.kept.net.security_groups)
        return {str(item.name).removeprefix(self._name("")): item for item in found}

    def wanted(self) -> Mapping[str, frozenset[rules.Rule]]:
        """Those that are asked for, with their rules."""
        return rules.rules(self.cloud.options, self.pod_subnet)

    def right(self, groups: Mapping[str, Any]) -> bool:
        """Whether rules and machines are as they should be in these groups, seen just now."""
        return not self._outside(groups) and not any(missing or extra for missing, extra in self._differing(groups).values())

    def adjustments(self) -> tuple[str, ...]:
        """What the rules lack, with who asks for it, machines to come in, and what nobody asks for, in words."""
        groups = self.seen()
        differing, asks = self._differing(groups), rules.asks(self.cloud.options)
        joins = [f"machine {name} joins group {group}" for name, (group, _) in sorted(self._outside(groups).items())]
        opens = [
            f"group {group} opens {rule}{asks.get((group, rule), '')}" for group, (missing, _) in differing.items() for rule in missing
        ]
        return (*opens, *joins, *(f"group {group} closes {rule}" for group, (_, extra) in differing.items() for rule in extra))

    def make(self, mark: str, log: Log) -> None:
        """Make those that are missing, put their rules right, and machines that are there into them."""
        for name in self.wanted():
            new = partial(self.kept.net.create_security_group, name=self._name(name), description=mark)
            self.kept.make(f"security group {name}", partial(self._found, name), new)
        groups = self.seen()
        for name, (missing, extra) in self._differing(groups).items():
            if missing or extra:
                log(f"{self._name(name)}: {len(missing)} rules to add, {len(extra)} to take away")
            for identifier in extra.values():
                drop = partial(self.kept.net.delete_security_group_rule, identifier)
                self.cloud.ask(drop, "to remove a rule", self._name(name))
            for rule in missing:
                new = partial(self.kept.net.create_security_group_rule, **rule.body(groups[name].id, groups[rules.MACHINES].id))
                self.kept.make(f"rule {rule}", partial(self._has, name, rule), new)
        for node, (group, port) in self._outside(groups).items():
            update = partial(self.kept.net.update_port, port.id, security_groups=[*port.security_group_ids, groups[group].id])
            self.cloud.ask(update, "to put a port into its pool's group", node)

    def _name(self, group: str) -> str:
        return f"{self.kept.prefix}-{group}"

    def _found(self, group: str) -> Any:
        return self.seen().get(group)

    def _has(self, name: str, rule: rules.Rule) -> bool:
        return rule not in self._differing(self.seen())[name][0]

    def _outside(self, groups: Mapping[str, Any]) -> dict[str, tuple[str, listing.Port]]:
        """Machines that were made before their pool opened ports: each with the group that it is not in yet, and its port."""
        own = set(self.wanted()) - {rules.MACHINES, rules.CONTROL}
        if not own:
            return {}
        found = {}
        for port in self.cloud.ours(self.kept.mine("ports", partial(listing.ports, self.cloud.connection))):
            node = str(getattr(marks.of(port), "node", ""))
            group = rules.group_of(pool_of(node))
            if group in own and (group not in groups or groups[group].id not in port.security_group_ids):
                found[node] = group, port
        return found

    def _differing(self, groups: Mapping[str, Any]) -> dict[str, tuple[list[rules.Rule], dict[rules.Rule, str]]]:
        """Group to the rules that it lacks, and those that nobody asks for with their identifiers."""
        found = {}
        machines, asked = groups[rules.MACHINES].id if rules.MACHINES in groups else "", dict(self.wanted())
        for name in dict.fromkeys((*asked, *groups)):  # a pool that opens nothing any more leaves its group behind
            wanted = asked.get(name, frozenset())
            seen = rules.seen(groups[name].security_group_rules or [], machines) if name in groups else {}
            found[name] = (sorted(wanted - set(seen)), {rule: name for rule, name in seen.items() if rule not in wanted})
        return found
