"""Machines as servers of an OpenStack project."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Problem, TemplateError
from cantiere.machines.model import Change, Cost, Machine, MachineSeen, Opening
from cantiere.machines.wanted import network_of
from cantiere.providers import reach
from cantiere.providers.base import NAME, Log, Provider
from cantiere.providers.openstack import lost, marks
from cantiere.providers.openstack.adoption import adopt
from cantiere.providers.openstack.changes import choice, compare, expected, held, specification
from cantiere.providers.openstack.checks import Checks
from cantiere.providers.openstack.cloud import JUST_SECONDS, Cloud, There
from cantiere.providers.openstack.flavors import explained
from cantiere.providers.openstack.ground import Ground
from cantiere.providers.openstack.options import read
from cantiere.providers.openstack.prices import cost
from cantiere.providers.openstack.resize import CHANGING, Changes, shown
from cantiere.providers.openstack.servers import ACTIVE, BUILDING, ERROR, Order, Servers
from cantiere.state import StateStore

CONSOLE_LINES = 15


class OpenStack(Provider):
    """The provider ``openstack`` of a site.

    Parameters
    ----------
    prefix:
        The site's prefix.
    state_dir:
        The site's state folder; the log-in key is in ``ssh`` below it.
    options:
        The site's ``provider:`` mapping, see :class:`cantiere.providers.openstack.options.Options`.
    kubernetes:
        The site's ``kubernetes:`` mapping: machines let its virtual address and its pods' network pass.
    file:
        The site's file, for the places in messages.
    doors:
        Ports that nodes of the template ask to be open to the site's public.

    Raises
    ------
    TemplateError
        Options are wrong; all that is wrong with them.
    """

    makes_machines = True
    at_once = 50  # most of the time they are waited for; how many calls are under way is bounded by itself

    def __init__(
        self,
        prefix: str,
        state_dir: Path,
        options: Mapping[str, Any],
        kubernetes: Mapping[str, Any],
        file: Path | None = None,
        doors: Sequence[Opening] = (),
    ) -> None:
        given, problems = read(options, file)
        cluster, more = network_of(kubernetes)
        if given is None or more:
            raise TemplateError([*problems, *more])
        given = given.with_doors(doors)
        self.options, self.prefix = given, prefix
        self.store = StateStore(state_dir)
        self.key = state_dir / "ssh" / "id_ed25519"
        self._lineages, self._stated = {given.lineage}, ""
        self.cloud = Cloud(prefix, given, self._known, lambda line: self.tell(line))
        self.ground = Ground(self.cloud, cluster, self.key)
        self.servers = Servers(self.cloud, self.ground)
        self._asked: dict[str, Machine] = {}
        self._checking = False

    def lineages(self) -> Sequence[str]:
        """Lineages of all facilities with the site's prefix of which the project has anything."""
        return lost.lineages(self.cloud)

    def place(self, wanted: Sequence[Machine]) -> tuple[tuple[Machine, ...], list[Problem]]:
        """The machines with address, floating IP, way in and, where they exist, host key; one keeps its address as long as it exists."""
        self._asked |= {machine.name: machine for machine in wanted}
        there = self.cloud.there(JUST_SECONDS)
        kept = {name: address_of(ports[0]) for name, ports in there.ports.items() if name}
        first = next(iter(sorted(machine.name for machine in wanted if self._floats(machine))), "")
        taken = {*kept.values(), self.ground.cluster.virtual_address}
        network = self.options.network
        free = (str(ipaddress.IPv4Address(number)) for number in range(int(network.first), int(network.last) + 1))
        placed, problems = [], []
        for machine in wanted:
            address = kept.get(machine.name) or next((address for address in free if address not in taken), "")
            if not address:
                message = f"{machine.name} gets no address: all from {network.first} to {network.last} are taken"
                problems.append(Problem("openstack.subnet", message, "give the site's network a larger subnet", path=machine.name))
                continue
            taken.add(address)
            jump = "" if self._floats(machine) else first
            placed.append(self._reached(replace(machine, address=address, jump=jump), there))
        return tuple(placed), problems

    def observe(self) -> Mapping[str, MachineSeen]:
        """All machines of which the project has anything: running, stopped, or broken where something is missing or in error.

        The first look after a check shares what that has just listed.
        """
        there, self._checking = self.cloud.there(JUST_SECONDS if self._checking else 0.0), False
        return {name: self._seen(name, there) for name in there.names}

    def check(self, wanted: Sequence[Machine]) -> list[Problem]:
        """Credentials, rights, networks, zones, image, flavors, volume types, names and quota, over the whole plan."""
        found = []
        for machine in wanted:
            if not NAME.fullmatch(machine.name):
                message = f"{machine.name!r} cannot be a host name"
                found.append(Problem("openstack.name", message, "use small letters, digits and dashes, at most 63", path=machine.name))
        if self.options.floating_ips == "control-plane" and wanted and not any(map(self._floats, wanted)):
            message = "no machine gets a floating IP, because none carries a control plane: nobody could log in"
            found.append(Problem("openstack.door", message, "set floating_ips to all, or to none where this machine reaches their network"))
        self._checking = True
        return [*found, *self._checked(wanted)]

    def digest(self, machine: Machine) -> str:
        """Digests of image and volumes: what a server cannot change while it lives."""
        return specification(self.options, machine)

    def changes(self, wanted: Sequence[Machine], seen: Mapping[str, MachineSeen]) -> Mapping[str, Change]:
        """Flavors and sizes of volumes that change in place, and what only a server made anew would have."""
        there = [machine for machine in wanted if machine.name in seen and "flavor" in seen[machine.name].detail]
        flavors, found = self.cloud.flavors() if there else [], {}
        for machine in there:
            one = seen[machine.name]
            difference = compare(machine, one.detail, one.digest, flavors, self.options)
            if difference.reasons or difference.anew:
                found[machine.name] = Change(difference.reasons, difference.down, difference.anew)
        return found

    def cost(self, wanted: Sequence[Machine], seen: Mapping[str, MachineSeen], anew: Collection[str]) -> Cost | None:
        """What servers, volumes and floating IPs cost once they are as asked for, where the site has a price list."""
        if self.options.prices is None:
            return None
        flavors = self.cloud.flavors()
        stay = {name: one for name, one in seen.items() if name not in anew}
        then = [expected(machine, stay.get(machine.name), flavors, self.options, floats=self._floats(machine)) for machine in wanted]
        return cost(self.options.prices, map(held, seen.values()), then)

    def adjustments(self) -> tuple[str, ...]:
        """Rules that are to be added, each with what asks for it, and rules that are to be taken away."""
        return self.ground.groups.adjustments()

    def whole(self) -> bool:
        """Whether all that machines share is there, whatever its rules are."""
        return self.ground.whole()

    def prepared(self) -> bool:
        """Whether key pair, network, router, groups with their rules and virtual address are there."""
        return self.ground.made()

    def prepare(self, lineage: str, log: Log) -> None:
        """Make them, and put rules right."""
        self._lineages.add(lineage)
        with self._counting():
            self.ground.make(lineage, log)

    def create(self, machine: Machine, lineage: str, log: Log) -> MachineSeen:
        """Make one server with port, floating IP and volumes, or complete a half-made one, and wait until SSH lets us in.

        Raises
        ------
        CantiereError
            The cloud cannot make it, or it lets nobody in; shows the end of its console.
        """
        self._lineages.add(lineage)
        self._asked.setdefault(machine.name, machine)
        order = self._order(machine, log)
        with self._counting():
            there = self.servers.make(order, lineage, log)
        log(f"{machine.name}: active at {machine.address}, waiting for SSH")
        return self._let_in(machine, there)

    def start(self, machine: Machine, log: Log) -> MachineSeen:
        """Start a stopped server and wait until SSH lets us in.

        Raises
        ------
        CantiereError
            There is no such server, or it does not start.
        """
        log(f"{machine.name}: starting")
        self._asked.setdefault(machine.name, machine)
        self.servers.switch(machine.name, on=True)
        return self._let_in(machine, self.cloud.there())

    def adopt(self, machine: Machine, what: str, lineage: str) -> str:
        """Take a floating IP or a volume that the project has already in; see :func:`cantiere.providers.openstack.adoption.adopt`."""
        self._lineages.add(lineage)
        return adopt(self.cloud, machine, what, lineage, floats=self._floats(machine))

    def update(self, machine: Machine, log: Log) -> MachineSeen:
        """Let a server's volumes grow, give it another flavor, and wait until SSH lets us in.

        Raises
        ------
        CantiereError
            There is no such server, or the cloud cannot change it.
        """
        self._asked.setdefault(machine.name, machine)
        Changes(self.cloud).make(machine, self.servers.must_find(machine.name), log)
        self.servers.switch(machine.name, on=True)
        return self._let_in(machine, self.cloud.there())

    def stop(self, name: str, *, power_cut: bool = False) -> None:
        """Shut a server down; the cloud cuts its power where it takes too long, and cannot be asked to do so at once."""
        self.servers.switch(name, on=False)

    def delete(self, name: str) -> None:
        """Remove a server, its floating IP, port and volumes."""
        self.servers.remove(name)

    def holds(self) -> bool:
        """Whether any of what machines share is there."""
        return self.ground.holds()

    def release(self) -> None:
        """Remove what machines shared, and the log-in key; an existing network stays."""
        self.ground.remove()

    def _known(self) -> Collection[str]:
        """Lineages that are ours: the state's, those that this process was given, and one that the site's file names."""
        if not self._stated and (state := self.store.load()):
            self._stated = state.lineage  # a facility's for life
        return {*self._lineages, self._stated} - {""}

    def _checked(self, wanted: Sequence[Machine]) -> list[Problem]:
        floating = frozenset(machine.name for machine in wanted if self._floats(machine))
        return Checks(self.cloud, self.ground, floating).problems(wanted)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Where the quota ends midway, tell also what is still to be made, and by how much it falls short."""
        try:
            yield
        except CantiereError as error:
            if error.problems[0].code != "openstack.quota":
                raise
            short = [problem for problem in self._checked(list(self._asked.values())) if problem.code == "openstack.quota"]
            raise CantiereError([*error.problems, *short]) from error

    def _floats(self, machine: Machine) -> bool:
        return self.options.floating_ips == "all" or (self.options.floating_ips == "control-plane" and machine.controls)

    def _order(self, machine: Machine, log: Log) -> Order:
        flavors, image = self.cloud.flavors(), self.cloud.image()
        needs, fits, problem = choice(machine, flavors, self.options)
        if problem:
            raise CantiereError(problem)
        if image is None:
            raise CantiereError(
                Problem("openstack.image", "the image is gone", "see `openstack image list`, and name one", path=machine.name)
            )
        log(f"{machine.name}: {explained(fits[0], flavors, needs)}")
        zones = self.options.zones
        begin = int(machine.name.rpartition("-")[2]) - 1 if zones and machine.name.rpartition("-")[2].isdigit() else 0
        turned = [zones[(begin + step) % len(zones)] for step in range(len(zones))] or [""]
        return Order(machine, self.digest(machine), fits, turned, image.id, self._floats(machine))

    def _seen(self, name: str, there: There) -> MachineSeen:
        ports, servers, ips = there.ports.get(name), there.servers.get(name), there.floating.get(name, ())
        address = address_of(ports[0]) if ports else ""
        if not servers:
            left = [kind for kind in ("ports", "floating", "volumes") if getattr(there, kind).get(name)]
            return MachineSeen(name, "broken", address, detail={"why": f"there are {', '.join(left)} without a server"})
        server = servers[0]
        detail: dict[str, Any] = {"server": server.id, "status": server.status, "zone": server.availability_zone}
        detail |= shown(server, there.volumes.get(name, ()))
        detail |= {"floating": str(ips[0].floating_ip_address)} if ips else {}
        asked = self._asked.get(name)
        doorless = asked is not None and self._floats(asked) and not ips
        if server.status in {*BUILDING, ERROR} or not ports or doorless:
            state = "broken"
            detail["why"] = "its floating IP is gone" if doorless else f"its server is {server.status}"
        elif server.status in CHANGING:
            state = "changing"
        else:
            state = "running" if server.status == ACTIVE else "stopped"
        return MachineSeen(name, state, address, server.metadata.get(marks.DIGEST, ""), server.metadata.get(marks.HOST_KEY, ""), detail)

    def _let_in(self, machine: Machine, there: There) -> MachineSeen:
        """Wait until the machine lets us in, by the way that everybody takes later: its floating IP, a jump host, or straight.

        Parameters
        ----------
        machine:
            The machine, placed.
        there:
            What there is of it; of its jump host, which may still be being made, the cloud tells.
        """
        reached = self._reached(machine, there)
        said = reach.silent(machine.name, lambda: [*([self._jump(machine.jump)] if machine.jump else []), reached])
        if said is not None:
            raise CantiereError(self._silent(machine, there.servers[machine.name][0], said))
        return self._seen(machine.name, there)

    def _jump(self, name: str) -> Machine:
        """The machine that leads to others, as far as it is made; while it is not, it is looked for again and again."""
        for age in (None, reach.PAUSE):
            servers, ports, floating = ({name: self.cloud.mine(kind, name, age)} for kind in ("servers", "ports", "floating"))
            found = self._reached(self._asked[name], There(servers, ports, floating))
            if found.host_key and found.door:
                break
        return found

    def _reached(self, machine: Machine, there: There) -> Machine:
        """A machine with the way in to it, from what there is of it."""
        ports, servers, ips = (kind.get(machine.name) for kind in (there.ports, there.servers, there.floating))
        return replace(
            machine,
            address=address_of(ports[0]) if ports else machine.address,
            user="root",
            port=22,
            key=str(self.key),
            host_key=str(servers[0].metadata.get(marks.HOST_KEY, "")) if servers else "",
            door=str(ips[0].floating_ip_address) if ips and self._floats(machine) else "",
        )

    def _silent(self, machine: Machine, server: Any, said: str) -> Problem:
        console = self.cloud.ask(
            lambda: self.cloud.connection.compute.get_server_console_output(server.id, length=CONSOLE_LINES), "to show a console"
        )
        last = " | ".join(str(console.get("output", "")).splitlines()[-CONSOLE_LINES:])
        message = f"{machine.name} is active and lets nobody in after {reach.ANSWER_SECONDS:.0f} s: {said}; its console ends: {last}"
        remedy = (
            "check that admin_cidrs has this machine, that the image has cloud-init, and that it reaches 169.254.169.254; then run again"
        )
        return Problem("openstack.silent", message, remedy, path=machine.name)


def address_of(port: Any) -> str:
    """The fixed address of a port."""
    return str(next((item["ip_address"] for item in port.fixed_ips or ()), ""))
