"""Machines as system containers on this host."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.machines.model import Machine, MachineSeen
from cantiere.providers.base import Log, Provider
from cantiere.providers.keys import new_key, public_key
from cantiere.providers.nspawn import host, images
from cantiere.providers.nspawn.cgroups import Cgroups, layout
from cantiere.providers.nspawn.disk import MAKING, READY, REMOVING, Disk, Spec
from cantiere.providers.nspawn.launch import halt, launch, wait_for_ssh
from cantiere.providers.nspawn.network import Network
from cantiere.providers.nspawn.shell import locked
from cantiere.state import write_atomic

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
IMAGE = "machine"
LONGEST = 64
"""Letters that a machine's name may have on the host, prefix included."""


class Nspawn(Provider):
    """The provider ``nspawn`` of a site.

    Parameters
    ----------
    prefix:
        The site's prefix.
    state_dir:
        The site's state folder; disks are in ``machines`` below it, the log-in key in ``ssh``.
    options:
        The site's ``provider``: ``subnet`` in CIDR notation; ``image`` of ``artifacts.yaml``; ``shared``, a list of host folders that
        every machine sees at the same path, where a relative one lies below ``state_dir`` and is made.
    """

    makes_machines = True

    def __init__(self, prefix: str, state_dir: Path, options: Mapping[str, Any]) -> None:
        self.prefix = prefix
        self.machines = state_dir / "machines"
        self.own = state_dir / "nspawn"
        self.state_dir = state_dir
        self.key = state_dir / "ssh" / "id_ed25519"
        self.layers = images.layers(str(options.get("image", IMAGE)))
        given = [str(path) for path in options.get("shared", ())]
        self.shared = tuple(str(state_dir / path) for path in given)
        self.made = tuple(state_dir / path for path in given if not Path(path).is_absolute())
        self.network = Network(prefix, ipaddress.IPv4Network(str(options["subnet"])))

    def place(self, wanted: Sequence[Machine]) -> tuple[tuple[Machine, ...], list[Problem]]:
        """The machines with address, log-in and, where they exist, host key; a machine keeps its address as long as it exists."""
        specs = self._specs()
        kept = {name: spec.address for name, spec in specs.items() if ipaddress.IPv4Address(spec.address) in self.network.subnet}
        given = self.network.addresses((machine.name for machine in wanted), kept)
        placed = []
        problems = []
        for machine in wanted:
            if machine.name not in given:
                message = f"{machine.name} gets no address: all of {self.network.subnet} are taken"
                problems.append(Problem("nspawn.subnet", message, "give the site's provider a larger subnet", path=machine.name))
                continue
            spec = specs.get(machine.name)
            host_key = spec.host_key if spec else ""
            placed.append(
                replace(machine, address=given[machine.name], user="root", port=22, key=str(self.key), host_key=host_key),
            )
        return tuple(placed), problems

    def observe(self) -> Mapping[str, MachineSeen]:
        """All machines that have a folder: running, stopped, or broken where making or removing them was cut off."""
        if not self.machines.is_dir():
            return {}
        names = sorted(folder.name for folder in self.machines.iterdir() if folder.is_dir() and NAME.fullmatch(folder.name))
        return {name: self._seen(name) for name in names}

    def check(self, wanted: Sequence[Machine]) -> list[Problem]:
        """Root, programs, control groups, address range, names, folders and memory."""
        found = host.problems()
        if not found and not host.missing_programs() and (taken := self.network.taken_by()):
            message = f"the machines' network {self.network.subnet} overlaps a network of this host: {taken}"
            found.append(Problem("nspawn.subnet", message, "give the site's provider another subnet"))
        if layout().unified is None:
            remedy = "mkdir /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
            found.append(Problem("nspawn.cgroups", "control groups of version 2 are mounted nowhere", remedy))
        if _file_system(self.state_dir) == "overlay":
            message = f"{self.state_dir} lies in an overlay, on which machines' disks cannot be laid"
            found.append(Problem("nspawn.disk", message, "put the site's state_dir on a file system of its own, such as a volume"))
        found += [
            Problem("nspawn.shared", f"there is no folder {path} to share", "make it, or leave it out of the site's provider")
            for path in self.shared
            if not Path(path).is_dir() and Path(path) not in self.made
        ]
        for machine in wanted:
            if not NAME.fullmatch(machine.name):
                message = f"{machine.name!r} cannot be a host name"
                found.append(Problem("nspawn.name", message, "use small letters, digits and dashes, at most 63", path=machine.name))
            if len(self.network.namespace(machine.name)) > LONGEST:
                message = f"{self.network.namespace(machine.name)!r} is longer than {LONGEST} letters"
                found.append(Problem("nspawn.name", message, "shorten the site's or the machine's name", path=machine.name))
            if machine.needs.get("mem_size", 0) > _memory():
                message = f"{machine.name} needs {machine.needs['mem_size'] >> 20} MiB of memory, this host has {_memory() >> 20}"
                found.append(Problem("nspawn.memory", message, "ask for less, or use a larger host", path=machine.name))
        return found

    def digest(self, machine: Machine) -> str:
        """Digest of the image's name and release, address, limits and shared folders.

        The image's packages are left out: roles converge those, and a new image need not replace machines that are up to date.
        """
        parts = [self.layers[-1].name, self.layers[-1].release, machine.address, _limits(machine), self.shared]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def prepared(self) -> bool:
        """Whether image, key, settings and network are there."""
        return (
            all(folder.is_dir() for folder in (*(layer.folder for layer in self.layers), *self.made))
            and not host.missing_programs()
            and self.key.is_file()
            and host.is_set_up(self.prefix)
            and self.network.made()
        )

    def prepare(self, lineage: str, log: Log) -> None:
        """Install missing programs, make the image, the log-in key, the host's settings and the network."""
        host.install(log)
        images.build(self.layers, log)
        with locked(self.own / "lock"):
            for folder in self.made:
                folder.mkdir(parents=True, exist_ok=True)
            if not self.key.is_file():
                write_atomic(self.key, new_key())
                write_atomic(self.key.with_suffix(".pub"), public_key(self.key) + "\n", 0o644)
            host.set_up(self.prefix, self.state_dir)
            if not self.network.made():
                self.network.make(lineage, self._specs())

    def create(self, machine: Machine, lineage: str, log: Log) -> MachineSeen:
        """Make one machine from the image and start it.

        Raises
        ------
        CantiereError
            It exists and was made from another specification, or does not start.
        """
        disk, digest = self._disk(machine.name), self.digest(machine)
        with locked(self._lock(machine.name)) as lock:
            spec = disk.spec()
            if spec and spec.phase == READY and spec.digest != digest:
                message = f"{machine.name} exists, made from another specification"
                raise CantiereError(Problem("nspawn.differs", message, "delete it first", path=machine.name))
            if spec is None or spec.phase == REMOVING or spec.digest != digest:
                self._wipe(machine.name)
                spec = None
            if spec is None or spec.phase != READY:
                memory, cpus = _limits(machine)
                folders = tuple(str(layer.folder) for layer in self.layers)
                spec = Spec(machine.name, machine.address, lineage, digest, folders, self.shared, memory, cpus, "", MAKING)
                disk.write(spec)
                spec = replace(spec, host_key=disk.host_key())
                disk.fill(spec, public_key(self.key))
                spec = replace(spec, phase=READY)
                disk.write(spec)
            self._run(spec, lock, log)
        wait_for_ssh(spec, disk, self._groups(machine.name))
        return self._seen(machine.name)

    def start(self, machine: Machine, log: Log) -> MachineSeen:
        """Start a machine from its own disk.

        Raises
        ------
        CantiereError
            There is no complete machine of that name, or it does not start.
        """
        disk = self._disk(machine.name)
        with locked(self._lock(machine.name)) as lock:
            spec = disk.spec()
            if spec is None or spec.phase != READY:
                raise CantiereError(Problem("nspawn.missing", f"there is no complete machine {machine.name}", "run up", path=machine.name))
            self._run(spec, lock, log)
        wait_for_ssh(spec, disk, self._groups(machine.name))
        return self._seen(machine.name)

    def stop(self, name: str, *, power_cut: bool = False) -> None:
        """Shut a machine down, or cut its power."""
        with locked(self._lock(name)):
            halt(name, self.network, self._groups(name), at_once=power_cut)

    def delete(self, name: str) -> None:
        """End a machine at once and remove its disk."""
        with locked(self._lock(name)):
            self._wipe(name)

    def holds(self) -> bool:
        """Whether key, records, settings of the host or network are there."""
        return self.key.is_file() or self.own.is_dir() or host.is_set_up(self.prefix) or self.network.made()

    def release(self) -> None:
        """Remove network, log-in key and records, and put the host's settings back; images stay for the next time."""
        self.network.remove()
        host.put_back(self.prefix)
        for file in (*self.key.parent.glob(f"{self.key.name}*"), *self.key.parent.glob(f".{self.key.name}.*")):
            file.unlink()  # the hidden ones are what a kill left half-written
        shutil.rmtree(self.own, ignore_errors=True)
        if self.machines.is_dir() and not any(self.machines.iterdir()):
            self.machines.rmdir()

    def _run(self, spec: Spec, lock: int, log: Log) -> None:
        groups = self._groups(spec.name)
        if groups.supervisor():
            return
        log(f"{spec.name}: starting at {spec.address}")
        halt(spec.name, self.network, groups, at_once=True)  # what a kill or a power cut left
        launch(spec, self._disk(spec.name), self.network, groups, lock)

    def _wipe(self, name: str) -> None:
        disk = self._disk(name)
        spec = disk.spec()
        if spec:
            disk.write(replace(spec, phase=REMOVING))
        halt(name, self.network, self._groups(name), at_once=True)
        disk.remove()

    def _seen(self, name: str) -> MachineSeen:
        disk, groups = self._disk(name), self._groups(name)
        spec = disk.spec()
        if spec is None or spec.phase != READY:
            return MachineSeen(name, "broken", spec.address if spec else "", detail={"phase": spec.phase if spec else "unknown"})
        supervisor = groups.supervisor()
        detail: dict[str, Any] = {"console": str(disk.console), "image": Path(spec.layers[-1]).name, "lineage": spec.lineage}
        if supervisor:
            detail |= {"memory": groups.memory(), "pid": supervisor, "netns": self.network.namespace(name)}
        return MachineSeen(name, "running" if supervisor else "stopped", spec.address, spec.digest, spec.host_key, detail)

    def _specs(self) -> dict[str, Spec]:
        if not self.machines.is_dir():
            return {}
        found = {folder.name: self._disk(folder.name).spec() for folder in self.machines.iterdir() if folder.is_dir()}
        return {name: spec for name, spec in sorted(found.items()) if spec}

    def _disk(self, name: str) -> Disk:
        return Disk(self.machines / name)

    def _groups(self, name: str) -> Cgroups:
        return Cgroups(self.network.namespace(name), layout())

    def _lock(self, name: str) -> Path:
        return self.own / "locks" / name


def _limits(machine: Machine) -> tuple[int, int]:
    return machine.needs.get("mem_size", 0), machine.needs.get("num_cpus", 0)


def _memory() -> int:
    """Memory of the host in bytes."""
    line = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()[0]
    return int(line.split()[1]) * 1024


def _file_system(folder: Path) -> str:
    """Type of the file system that a folder lies in, or will lie in."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir()).resolve()
    best, kind = Path("/"), ""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, point, this, *_ = line.split(" ")
        if there.is_relative_to(point) and len(Path(point).parts) >= len(best.parts):
            best, kind = Path(point), this
    return kind
