"""The contract that every provider of machines keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from cantiere.errors import Problem
from cantiere.machines.model import Machine, MachineSeen

Log = Callable[[str], None]
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""Names that a machine may have."""
LAST_PORT = 65535


class Provider(Protocol):
    """Machines from somewhere.

    ``observe``, ``place``, ``check``, ``prepared`` and ``holds`` never write. ``prepare``, ``create``, ``start``, ``stop``, ``delete`` and
    ``release`` do nothing where there is nothing left to do, and can be called again after a kill at any moment.
    Every object carries the site's prefix and the facility's lineage, so that it is found again without the state.
    """

    makes_machines: bool
    """Whether it makes and removes machines, or only uses what exists."""
    at_once: int = 10
    """How many machines are worked at together."""

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
