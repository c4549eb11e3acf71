"""The contract that every provider of machines keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from cantiere.errors import Problem
from cantiere.machines.model import Change, Cost, Machine, MachineSeen
from cantiere.telling import note

Log = Callable[[str], None]
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""Names that a machine may have."""
LAST_PORT = 65535


class Provider(Protocol):
    """Machines from somewhere.

    ``observe``, ``place``, ``check``, ``changes``, ``cost``, ``prepared``, ``adjustments``, ``whole`` and ``holds`` never write.
    ``prepare``, ``create``, ``update``, ``start``, ``stop``, ``delete`` and ``release`` do nothing where there is nothing left to do, and
    can be called again after a kill at any moment.
    Every object carries the site's prefix and the facility's lineage, so that it is found again without the state.
    """

    makes_machines: bool
    """Whether it makes and removes machines, or only uses what exists."""
    tell: Log = staticmethod(note)
    """Takes lines on what is waited for, in calls that take no log; a run puts its own here."""
    at_once: int = 10
    """How many machines are worked at together."""

    def lineages(self) -> Sequence[str]:
        """Lineages of all facilities with the site's prefix that are there; none where machines are found without one."""
        return ()

    def place(self, wanted: Sequence[Machine]) -> tuple[tuple[Machine, ...], list[Problem]]:
        """The machines with address, log-in and host key filled in, and what cannot be placed, with the reason and a remedy.

        Parameters
        ----------
        wanted:
            Machines of the template, without addresses.
        """

    def observe(self) -> Mapping[str, MachineSeen]:
        """All machines of this facility that are there, by name."""

    def check(self, wanted: Sequence[Machine]) -> list[Problem]:
        """What stands in the way of making these machines; looks at the machine or the cloud, changes nothing."""

    def digest(self, machine: Machine) -> str:
        """Digest of the specification that :meth:`create` would make a machine from, or ``""`` where the provider makes none."""

    def changes(self, wanted: Sequence[Machine], seen: Mapping[str, MachineSeen]) -> Mapping[str, Change]:
        """How machines that are there differ from those that are asked for; those that do not are left out.

        Without a method of its own a provider changes nothing in place.

        Parameters
        ----------
        wanted:
            Machines of the template, placed.
        seen:
            As :meth:`observe` gave it.
        """
        asked = {machine.name: self.digest(machine) for machine in wanted}
        there = {name: found.digest for name, found in seen.items() if found.digest}
        differing = [name for name, digest in asked.items() if digest and there.get(name, digest) != digest]
        return {name: Change(anew=("it was made from another specification",)) for name in differing}

    def cost(self, wanted: Sequence[Machine], seen: Mapping[str, MachineSeen], anew: Collection[str]) -> Cost | None:
        """What machines cost once they are as asked for, where the site has a price list.

        Parameters
        ----------
        wanted, seen:
            See :meth:`changes`.
        anew:
            Names of machines that are made anew.
        """
        return None

    def update(self, machine: Machine, log: Log) -> MachineSeen:
        """Change a machine in place as :meth:`changes` says, or go on with a change that was cut off, and wait until SSH answers."""
        raise AssertionError(f"this provider tells no change of {machine.name}")

    def adjustments(self) -> tuple[str, ...]:
        """Which traffic :meth:`prepare` would let in or shut out beside making what is not there, in words."""
        return ()

    def whole(self) -> bool:
        """Whether what all machines share is there, be it that :meth:`prepare` still has adjustments to make."""
        return self.prepared()

    def prepared(self) -> bool:
        """Whether what all machines share (network, image) is there."""

    def prepare(self, lineage: str, log: Log) -> None:
        """Make what all machines share.

        Parameters
        ----------
        lineage:
            The facility's lineage, kept with every object.
        log:
            Takes lines of long work.
        """

    def create(self, machine: Machine, lineage: str, log: Log) -> MachineSeen:
        """Make one machine, or complete a half-made one, and wait until SSH answers; safe to call for several machines at once."""

    def start(self, machine: Machine, log: Log) -> MachineSeen:
        """Start a stopped machine from its own disk and wait until SSH answers."""

    def stop(self, name: str, *, power_cut: bool = False) -> None:
        """Stop a machine and keep its disk; ``power_cut`` gives it no time to write anything."""

    def delete(self, name: str) -> None:
        """Remove a machine with its disk."""

    def holds(self) -> bool:
        """Whether anything of what all machines share is there, be it a part that a kill left."""

    def release(self) -> None:
        """Remove what all machines share; called when no machine is left."""
