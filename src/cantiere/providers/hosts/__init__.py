"""Provider ``hosts``: machines that exist, listed in the site's file and reached over SSH.

It makes nothing and removes nothing. It finds for each machine of the template one of the list that fits and keeps to it, pins host
keys at first contact, and checks before a converge whether the machines will do.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Problem, TemplateError
from cantiere.machines import matching, preflight
from cantiere.machines.matching import Candidate, Filters
from cantiere.machines.model import Machine, MachineSeen
from cantiere.machines.probe import Probed
from cantiere.machines.ssh import AT_ONCE, Ssh
from cantiere.machines.survey import survey
from cantiere.providers.base import Log, Provider
from cantiere.providers.hosts.listing import Host, read
from cantiere.providers.hosts.placement import Placement

KNOCK_SECONDS = 3.0
ANSWER_SECONDS = 5.0


class Hosts(Provider):
    """The listed machines of a site.

    Parameters
    ----------
    prefix:
        The site's prefix.
    state_dir:
        The site's folder; ``hosts`` in it holds the placement and the pinned host keys, by the machines' names in the list.
    options:
        The site's ``provider:`` mapping: ``machines`` with name, address, user, port, key, roles, labels, host_key, gpus.
    file:
        The site's file, for the places in messages.
    filters:
        Pool to what its node filter asks of each machine.

    Raises
    ------
    TemplateError
        The list is wrong; all that is wrong with it.
    """

    makes_machines = False

    def __init__(
        self, prefix: str, state_dir: Path, options: Mapping[str, Any], file: Path | None = None, filters: Filters | None = None
    ) -> None:
        listed, problems = read(options, file)
        if problems:
            raise TemplateError(problems)
        self.prefix = prefix
        self.hosts: Mapping[str, Host] = {host.name: host for host in listed}
        self.filters: Filters = filters or {}
        self.ssh = Ssh(state_dir / "hosts")
        self.placement = Placement(state_dir / "hosts" / "placement.json")

    def place(self, wanted: Sequence[Machine]) -> tuple[tuple[Machine, ...], list[Problem]]:
        """The machines as the listed ones that they are; those that have none yet get one that fits, and keep it.

        Parameters
        ----------
        wanted:
            Machines of the template, without addresses.
        """
        placed = {name: host for name, host in self.placement.read().items() if host in self.hosts}
        missing = [machine for machine in wanted if machine.name not in placed]
        problems: list[Problem] = []
        if missing:
            found, problems = self._find(missing, placed, {machine.name for machine in wanted})
            placed = found
        if not problems:
            self.placement.write(placed)
        here = [machine for machine in wanted if machine.name in placed]
        keys = self._keys([placed[machine.name] for machine in here])
        return tuple(self._at(machine, self.hosts[placed[machine.name]], keys) for machine in here), problems

    def observe(self) -> Mapping[str, MachineSeen]:
        """The listed machines that the facility uses, under their names in the facility; stopped are those on which no SSH answers."""
        placed = {name: self.hosts[host] for name, host in self.placement.read().items() if host in self.hosts}
        pinned = self.ssh.pinned()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = dict(zip(placed, pool.map(self._awake, placed.values()), strict=True))
        return {
            name: MachineSeen(
                name, "running" if answers[name] else "stopped", host.address, "", pinned.get(host.name, ""), {"host": host.name}
            )
            for name, host in placed.items()
        }

    def check(self, wanted: Sequence[Machine]) -> list[Problem]:
        """What stands in the way of converging the machines, by their names in the list."""
        return self.preflight(wanted)[0]

    def preflight(self, wanted: Sequence[Machine]) -> tuple[list[Problem], list[Problem]]:
        """Errors and warnings of all machines that the facility uses; those that have no place are errors too."""
        placed, problems = self.place(wanted)
        names = self.placement.read()
        mine = [replace(machine, name=names[machine.name]) for machine in placed if machine.name in names]
        looked, unseen = self.look([self.hosts[machine.name] for machine in mine])
        errors, warnings = preflight.check(mine, looked)
        for machine in mine:
            if machine.name in looked:
                candidate = self._candidate(self.hosts[machine.name], looked)
                for reason in matching.misfits(machine, candidate, self.filters.get(machine.pool, ())):
                    message = f"{machine.name} {reason} by the pool {machine.pool}"
                    remedy = f"take it out of the list so that another takes its place, or lower what {machine.pool} asks for"
                    errors.append(Problem("machine.misfit", message, remedy, path=machine.name))
        return [*problems, *unseen, *errors], warnings

    def look(self, hosts: Sequence[Host]) -> tuple[dict[str, Probed], list[Problem]]:
        """What is found on listed machines, by name, and what is wrong with those that cannot be looked at; pins their host keys."""
        machines = [host.machine() for host in hosts]
        self.ssh.write(host.machine() for host in self.hosts.values())
        problems = self.ssh.pin(machines)
        silent = {problem.path for problem in problems}
        looked, more = survey(self.ssh, [machine for machine in machines if machine.name not in silent])
        return looked, [*problems, *more]

    def digest(self, machine: Machine) -> str:
        """Nothing: listed machines are made from no specification."""
        return ""

    def prepared(self) -> bool:
        """Always: listed machines share nothing that we make."""
        return True

    def prepare(self, lineage: str, log: Log) -> None:
        """Nothing is to be made."""

    def create(self, machine: Machine, lineage: str, log: Log) -> MachineSeen:
        """Take a placed machine into use: it has to be on already.

        Raises
        ------
        CantiereError
            It is in no place, or does not answer.
        """
        return self._answering(machine.name, log)

    def start(self, machine: Machine, log: Log) -> MachineSeen:
        """As :meth:`create`: to power a machine on is its admin's part.

        Raises
        ------
        CantiereError
            It does not answer.
        """
        return self._answering(machine.name, log)

    def stop(self, name: str, *, power_cut: bool = False) -> None:
        """Refuse: to power a machine off is its admin's part.

        Raises
        ------
        CantiereError
            Always, with what to do.
        """
        host = self.placement.read().get(name, name)
        remedy = f"log in and run `systemctl poweroff` on {host}"
        raise CantiereError(Problem("hosts.power", f"{name} is the listed machine {host}, which is not ours to stop", remedy, path=name))

    def delete(self, name: str) -> None:
        """Give a machine back: it stays as it is, and another machine of the facility may get it."""
        host = self.placement.read().get(name)
        if host is not None:
            self.ssh.disconnect(host)
        self.placement.forget(name)

    def holds(self) -> bool:
        """Never: listed machines share nothing that we make."""
        return False

    def release(self) -> None:
        """Forget which machine was which; pinned host keys stay, as the machines do."""
        for name in self.hosts:
            self.ssh.disconnect(name)
        self.ssh.config.unlink(missing_ok=True)
        with suppress(OSError):  # gone, or a connection is just ending
            self.ssh.sockets.rmdir()
        self.placement.clear()

    def _find(self, missing: Sequence[Machine], placed: Mapping[str, str], wanted: set[str]) -> tuple[dict[str, str], list[Problem]]:
        """All places: those there were, and new ones; and what found none.

        A machine that carries a role's manifest and the facility's name for it is that machine, even where the placement is lost. One
        that was placed under a name that the template no longer has is free as soon as nothing converged is left on it.
        """
        busy = {host: name for name, host in placed.items() if name in wanted}
        looked, silent = self.look([host for host in self.hosts.values() if host.name not in busy])
        left = {host: name for name, host in placed.items() if name not in wanted and (host not in looked or looked[host].manifests)}
        found = {name: host for host, name in {**busy, **left}.items()}
        names = {machine.name for machine in missing}
        for host, probed in looked.items():
            name = str(probed.facts["hostname"])
            if name in names and name not in found and host not in left and probed.manifests:
                found[name] = host
        used = {host: name for name, host in found.items()}
        candidates = [
            self._candidate(host, looked, used.get(name, "")) for name, host in self.hosts.items() if name in looked or name in used
        ]
        new, problems = matching.match([machine for machine in missing if machine.name not in found], candidates, self.filters)
        return found | new, [*problems, *silent] if problems else []

    def _candidate(self, host: Host, looked: Mapping[str, Probed], used_by: str = "") -> Candidate:
        facts = dict(looked[host.name].facts) if host.name in looked else {}
        if host.gpus is not None:
            facts["gpus"] = host.gpus
        return Candidate(host.name, host.roles, host.labels, facts, used_by)

    def _keys(self, names: Sequence[str]) -> Mapping[str, str]:
        """Pinned host keys; those that are not pinned any more are pinned anew."""
        if any(self.hosts[name].host_key or name not in self.ssh.pinned() for name in names):
            self.ssh.pin([self.hosts[name].machine() for name in names])
        return self.ssh.pinned()

    @staticmethod
    def _at(machine: Machine, host: Host, keys: Mapping[str, str]) -> Machine:
        return replace(
            machine,
            address=host.address,
            user=host.user,
            port=host.port,
            key=host.key,
            labels={**host.labels, **machine.labels},
            host_key=keys.get(host.name, ""),
        )

    def _awake(self, host: Host) -> bool:
        """Whether a machine lets us in; where it does not, whether it speaks SSH at all, for somebody else's reason may be in the way."""
        return self.ssh.run(host.name, "true", timeout=ANSWER_SECONDS).returncode == 0 or _knock(host)

    def _answering(self, name: str, log: Log) -> MachineSeen:
        host = self.placement.read().get(name, "")
        seen = self.observe().get(name)
        if seen is None or seen.state != "running":
            message = f"{name} is the listed machine {host}, on which no SSH answers" if host else f"{name} is none of the listed machines"
            remedy = "power it on, or list another machine in the site's file in its place"
            raise CantiereError(Problem("hosts.power", message, remedy, path=name))
        log(f"{name} is {host} at {seen.address}, used as it is")
        return seen


def _knock(host: Host) -> bool:
    """Whether something that speaks SSH answers."""
    try:
        with socket.create_connection((host.address, host.port), KNOCK_SECONDS) as connection:
            connection.settimeout(KNOCK_SECONDS)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
