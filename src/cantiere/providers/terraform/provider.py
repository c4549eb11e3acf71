"""Machines as a module of OpenTofu or Terraform makes them."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Problem, TemplateError
from cantiere.machines.model import Machine, MachineSeen, Opening
from cantiere.machines.wanted import network_of
from cantiere.providers import reach
from cantiere.providers.base import NAME, Log, Provider
from cantiere.providers.keys import new_key, public_key
from cantiere.providers.openstack.flavors import GIB, needs_of
from cantiere.providers.openstack.userdata import user_data
from cantiere.providers.terraform import seen as reading
from cantiere.providers.terraform.batch import Batch
from cantiere.providers.terraform.options import read
from cantiere.providers.terraform.root import SECRET
from cantiere.providers.terraform.runs import Runs
from cantiere.providers.terraform.variables import MACHINES, RULES, adjustments, groups, listed
from cantiere.state import write_atomic
from cantiere.supply.pins import Supplied

FOLDER, STATE = "terraform", "terraform.tfstate"


@dataclass(frozen=True, slots=True)
class Change:
    """What a caller asks for of one machine.

    Parameters
    ----------
    name:
        The machine.
    record:
        What it is to be, or None to remove it.
    cloud_config:
        What a new one is told at its first start.
    """

    name: str
    record: Mapping[str, Any] | None
    cloud_config: str = ""


class Terraform(Provider):
    """The provider ``terraform`` of a site.

    Parameters
    ----------
    prefix:
        The site's prefix.
    state_dir:
        The site's state folder; ``terraform`` below it is the program's working folder, and the log-in key is in ``ssh``.
    options:
        The site's ``provider:`` mapping, see :class:`cantiere.providers.terraform.options.Options`.
    kubernetes:
        The site's ``kubernetes:`` mapping: machines let its virtual address and its pods' network pass.
    supplied:
        Where the program comes from.
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

    def __init__(
        self,
        prefix: str,
        state_dir: Path,
        options: Mapping[str, Any],
        kubernetes: Mapping[str, Any],
        supplied: Supplied,
        file: Path | None = None,
        doors: Sequence[Opening] = (),
    ) -> None:
        given, problems = read(options, file)
        cluster, more = network_of(kubernetes)
        if given is None or more:
            raise TemplateError([*problems, *more])
        given = given.with_doors(doors)
        self.options, self.prefix, self.cluster = given, prefix, cluster
        self.folder, self.key = (state_dir / FOLDER).absolute(), state_dir / "ssh" / "id_ed25519"
        self.runs = Runs(self.folder, given, supplied, lambda line: self.tell(line))
        self.root = self.runs.root
        self._batch = Batch(self._change)
        self._asked: dict[str, Machine] = {}

    def place(self, wanted: Sequence[Machine]) -> tuple[tuple[Machine, ...], list[Problem]]:
        """The machines with address, way in and, where they exist, host key; one keeps its address as long as it is asked for."""
        self._asked |= {machine.name: machine for machine in wanted}
        records, told = self.root.machines(), self.runs.outputs()
        first = next(iter(sorted(machine.name for machine in wanted if self._door(machine))), "")
        taken = {*(str(record["address"]) for record in records.values()), self.cluster.virtual_address}
        free = (str(ipaddress.IPv4Address(number)) for number in range(int(self.options.first), int(self.options.last) + 1))
        placed, problems = [], []
        for machine in wanted:
            record, entry = records.get(machine.name), told.get(machine.name, {})
            address = str(entry.get("address") or (record or {}).get("address", "")) or next(
                (item for item in free if item not in taken), ""
            )
            if not address:
                message = f"{machine.name} gets no address: all from {self.options.first} to {self.options.last} are taken"
                problems.append(Problem("terraform.subnet", message, "give the site's network a larger subnet", path=machine.name))
                continue
            taken.add(address)
            placed.append(
                replace(
                    machine,
                    address=address,
                    user="root",
                    port=22,
                    key=str(self.key),
                    host_key=str(record["host_key"]) if record and entry else "",
                    door=str(entry.get("door") or "") if self._door(machine) else "",
                    jump="" if self._door(machine) else first,
                )
            )
        return tuple(placed), problems

    def observe(self) -> Mapping[str, MachineSeen]:
        """All machines that are asked for or there, as the cloud shows them now; nothing is written."""
        if not self.root.file.is_file():
            return {}
        return reading.machines(self.runs.look(), self.root.machines())

    def check(self, wanted: Sequence[Machine]) -> list[Problem]:
        """Names and program, and where that is here already, a plan of all machines: the cloud says what it lacks; nothing is made."""
        found = self.runs.program.problems()
        for machine in wanted:
            if not NAME.fullmatch(machine.name):
                message = f"{machine.name!r} cannot be a host name"
                found.append(Problem("terraform.name", message, "use small letters, digits and dashes, at most 63", path=machine.name))
        if self.options.floating_ips == "control-plane" and wanted and not any(self._door(machine) for machine in wanted):
            message = "no machine gets an address of the outside world, because none carries a control plane: nobody could log in"
            found.append(Problem("terraform.door", message, "set floating_ips to all, or to none where this machine reaches their network"))
        if found or self.runs.program.missing():
            return found
        placed, problems = self.place(wanted)
        records = self.root.machines()
        machines = {machine.name: records.get(machine.name) or self._record(machine, "") for machine in placed}
        lineage = str(self.root.read().get("lineage", "preflight"))
        try:
            self.runs.pending(self._variables(lineage, machines, dict.fromkeys(machines, "")))
        except CantiereError as error:
            return [*problems, *error.problems]
        return problems

    def digest(self, machine: Machine) -> str:
        """Digest of module, image and needs: what a machine cannot change while it lives."""
        parts = [self.options.module.name, self.options.image, dict(machine.needs)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def prepared(self) -> bool:
        """Whether all that machines share is as the site wants it, and no object is left of a machine that nobody asks for."""
        return self._settled(self._kept)

    def whole(self) -> bool:
        """Whether it is as the last run wanted it."""
        return self._settled(self.root.read)

    def adjustments(self) -> tuple[str, ...]:
        """What the next run opens and closes, with who asks for it, and which other variables it changes."""
        recorded = self.root.read()
        return adjustments(self._kept() if recorded else self._variables("", {}, {}), recorded, self.options)

    def prepare(self, lineage: str, log: Log) -> None:
        """Have the program, make the log-in key and what machines share, and go on with what a kill cut off.

        Raises
        ------
        CantiereError
            The program fails, or the record of the machines is gone while its state has some.
        """
        if not self.key.is_file():
            write_atomic(self.key, new_key())
            write_atomic(self.key.with_suffix(".pub"), public_key(self.key) + "\n", 0o644)
        self.runs.ready()
        if not self.root.file.is_file() and (there := self.runs.known()):
            message = f"Terraform's state has {', '.join(sorted(there))}, and the record of what they are is gone"
            remedy = f"put {self.root.file} back from a copy, or take the facility down"
            raise CantiereError(Problem("terraform.record", message, remedy, path=str(self.root.file)))
        held = self.root.read()
        self.root.write(self._variables(lineage, held.get("machines", {}), held.get(SECRET, {})))
        self.runs.apply()

    def create(self, machine: Machine, lineage: str, log: Log) -> MachineSeen:
        """Make one machine, together with all that others ask for at the same time, and wait until SSH lets us in.

        Raises
        ------
        CantiereError
            The program or the cloud cannot make it, or it lets nobody in.
        """
        self._asked.setdefault(machine.name, machine)
        self.make(machine)
        log(f"{machine.name}: made at {machine.address}, waiting for SSH")
        return self._let_in(machine)

    def make(self, machine: Machine) -> None:
        """Have one machine made or completed, and do not wait until it answers.

        Parameters
        ----------
        machine:
            The machine, with its address.
        """
        record = self.root.machines().get(machine.name)
        if record is not None and record["digest"] != self.digest(machine):
            if machine.name in self.runs.outputs():
                message = f"{machine.name} exists, made from another specification"
                raise CantiereError(Problem("terraform.differs", message, f"replace it: `up --replace {machine.name}`", path=machine.name))
            record = None
        if record is not None:
            self._batch.ask(Change(machine.name, {**record, "running": True}))
            return
        private = new_key()
        public = public_key(private)
        config = base64.b64decode(user_data(machine.name, private, public, public_key(self.key))).decode()
        self._batch.ask(Change(machine.name, self._record(machine, public), config))

    def start(self, machine: Machine, log: Log) -> MachineSeen:
        """Start a stopped machine and wait until SSH lets us in.

        Raises
        ------
        CantiereError
            There is no such machine, or it does not start.
        """
        log(f"{machine.name}: starting")
        self._asked.setdefault(machine.name, machine)
        self._switch(machine.name, on=True)
        return self._let_in(machine)

    def stop(self, name: str, *, power_cut: bool = False) -> None:
        """Stop a machine, as its module does that."""
        self._switch(name, on=False)

    def delete(self, name: str) -> None:
        """Remove a machine and all objects that its module made for it."""
        if self.root.file.is_file():
            self._batch.ask(Change(name, None))

    def holds(self) -> bool:
        """Whether record, state or log-in key is there: the state may know objects."""
        return self.root.file.is_file() or (self.folder / STATE).is_file() or self.key.is_file()

    def release(self) -> None:
        """Remove everything that the state knows, then state, record and log-in key.

        Raises
        ------
        CantiereError
            Something cannot be removed; the state stays.
        """
        if not self.root.file.is_file() and (self.folder / STATE).is_file():  # the record is lost: nothing is asked for any more
            self.root.write(self._variables("lost", {}, {}))
        if self.root.file.is_file():
            self.runs.destroy()
        shutil.rmtree(self.folder, ignore_errors=True)
        for file in self.key.parent.glob(f"*{self.key.name}*"):
            file.unlink(missing_ok=True)

    def _door(self, machine: Machine) -> bool:
        return self.options.floating_ips == "all" or (self.options.floating_ips == "control-plane" and machine.controls)

    def _record(self, machine: Machine, host_key: str) -> dict[str, Any]:
        """A machine as modules get it, with what we remember of it."""
        needs = needs_of(machine, own_disk=True)
        return {
            "address": machine.address,
            "cores": needs["num_cpus"],
            "memory": round(needs["mem_size"] / GIB, 3),
            "disk": -(-needs["disk_size"] // GIB),
            "gpus": needs["num_gpus"],
            "image": self.options.image,
            "control": machine.controls,
            "door": self._door(machine),
            "running": True,
            "host_key": host_key,
            "digest": self.digest(machine),
        }

    def _variables(self, lineage: str, machines: Mapping[str, Any], told: Mapping[str, str]) -> dict[str, Any]:
        """All variables of the root module."""
        network = {
            "subnet": str(self.options.subnet),
            "pod_subnet": self.cluster.pod_subnet,
            "virtual_address": self.cluster.virtual_address,
        }
        key = self.key if self.key.is_file() else new_key()
        given = {"prefix": self.prefix, "lineage": lineage, "public_key": public_key(key), "network": network}
        opened = listed(self.options, self.cluster.pod_subnet)
        grouped = {name: {**record, "groups": groups(name, record, opened)} for name, record in machines.items()}
        return {**self.options.variables, **given, RULES: opened, MACHINES: grouped, SECRET: dict(told)}

    def _kept(self) -> dict[str, Any]:
        """All variables as the site wants them now, with the machines that are on record."""
        held = self.root.read()
        return self._variables(str(held["lineage"]), held["machines"], held[SECRET])

    def _settled(self, variables: Callable[[], Mapping[str, Any]]) -> bool:
        """Whether variables ask for no change but of objects of machines that are on record."""
        if not self.key.is_file() or not self.root.file.is_file():
            return False
        names = self.root.machines()
        return not any(item.get("index") not in names for item in self.runs.pending(variables()))

    def _change(self, wanted: Sequence[Change]) -> list[BaseException | None]:
        """Do what callers asked for in one run; tell each what went wrong with its machine."""
        held = self.root.read()
        machines, told = dict(held["machines"]), dict(held[SECRET])
        unknown = {change.name for change in wanted if change.record and change.cloud_config}
        for change in wanted:
            if change.record is None:
                machines.pop(change.name, None)
                told.pop(change.name, None)
            else:
                machines[change.name] = dict(change.record)
                told |= {change.name: change.cloud_config} if change.cloud_config else {}
        self.runs.ready()
        self.root.write(self._variables(str(held["lineage"]), machines, told))
        try:
            self.runs.apply(frozenset(unknown))
        except CantiereError as error:
            there = self.observe()
            return [self._verdict(change, there, error) for change in wanted]
        return [None for _ in wanted]

    def _verdict(self, change: Change, there: Mapping[str, MachineSeen], error: CantiereError) -> CantiereError | None:
        """What a failed run means for one machine: nothing where that one is as it was asked for."""
        found = there.get(change.name)
        state = "running" if change.record and change.record["running"] else "stopped"
        if (found is None) if change.record is None else (found is not None and found.state == state):
            return None
        mine = [problem for problem in error.problems if problem.path == change.name]
        return CantiereError(mine or error.problems)

    def _let_in(self, machine: Machine) -> MachineSeen:
        """Wait until a machine lets us in; its jump host may still be being made."""
        said = reach.silent(machine.name, lambda: self.place([self._asked[name] for name in (machine.jump, machine.name) if name])[0])
        if said is not None:
            message = f"{machine.name} is there and lets nobody in after {reach.ANSWER_SECONDS:.0f} s: {said}"
            remedy = "check that admin_cidrs has this machine, and that the image has cloud-init and gets its user data; run again"
            raise CantiereError(Problem("terraform.silent", message, remedy, path=machine.name))
        return self._seen(machine)

    def _switch(self, name: str, *, on: bool) -> None:
        record = self.root.machines().get(name)
        if record is None:
            raise CantiereError(Problem("terraform.missing", f"there is no machine {name}", "run up", path=name))
        self._batch.ask(Change(name, {**record, "running": on}))

    def _seen(self, machine: Machine) -> MachineSeen:
        record, entry = self.root.machines()[machine.name], self.runs.outputs().get(machine.name, {})
        address = str(entry.get("address") or record["address"])
        return MachineSeen(machine.name, "running", address, str(record["digest"]), str(record["host_key"]))
