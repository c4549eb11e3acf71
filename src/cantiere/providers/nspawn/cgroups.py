"""A machine's own control groups: one in every hierarchy of the host, so that the machine sees itself as the root of each.

They are also how a machine is found and ended: what is in them is the machine's, whatever it calls itself, and no recycled process
number can be in them by mistake.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cantiere.errors import CantiereError, Problem

CONTROLLERS = frozenset("blkio cpu cpuacct cpuset devices freezer hugetlb memory misc net_cls net_prio perf_event pids rdma".split())
DELEGATED = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")
CPU_PERIOD = 100_000
"""Microseconds in which a machine may use its share of processor time."""
END_SECONDS = 20.0
PAUSE = 0.05
SUPERVISOR = "systemd-nspawn"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the host has its hierarchies of control groups.

    Parameters
    ----------
    unified:
        Mount point of version 2, or None.
    legacy:
        Controller, or ``name=systemd``, to its mount point of version 1.
    """

    unified: Path | None
    legacy: Mapping[str, Path]

    @property
    def roots(self) -> tuple[Path, ...]:
        """All mount points, each once."""
        return tuple(dict.fromkeys((*([self.unified] if self.unified else []), *self.legacy.values())))


def layout(mounts: str | None = None) -> Layout:
    """How the host's control groups are mounted: version 2 alone, version 1 alone, or both beside each other.

    Parameters
    ----------
    mounts:
        Text of ``/proc/self/mountinfo``; read where it is left out.
    """
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8") if mounts is None else mounts
    unified: Path | None = None
    legacy: dict[str, Path] = {}
    for line in text.splitlines():
        front, _, back = line.partition(" - ")
        kind, _, options = back.split(" ", 2)
        point = Path(front.split(" ")[4])
        if kind == "cgroup2" and unified is None:
            unified = point
        elif kind == "cgroup":
            for option in options.split(","):
                if option in CONTROLLERS or option.startswith("name="):
                    legacy.setdefault(option, point)
    return Layout(unified, legacy)


class Cgroups:
    """The control groups of one machine.

    Parameters
    ----------
    name:
        Name of its group in every hierarchy.
    where:
        The host's hierarchies.
    """

    def __init__(self, name: str, where: Layout) -> None:
        self.name = name
        self.where = where

    @property
    def folders(self) -> tuple[Path, ...]:
        """The machine's group in every hierarchy."""
        return tuple(root / self.name for root in self.where.roots)

    def make(self, memory: int = 0, cpus: int = 0) -> None:
        """Make the groups and set their limits.

        Parameters
        ----------
        memory:
            Bytes that the machine may use; 0 means no limit.
        cpus:
            Processors whose time it may use; 0 means no limit.

        Raises
        ------
        CantiereError
            The host has no controller that could hold the limit.
        """
        if self.where.unified and not self.where.legacy:
            _delegate(self.where.unified)
        for folder in self.folders:
            folder.mkdir(exist_ok=True)
        cpuset = self.where.legacy.get("cpuset")
        if cpuset:
            for file in ("cpuset.cpus", "cpuset.mems"):
                (cpuset / self.name / file).write_text((cpuset / file).read_text(encoding="utf-8"), encoding="utf-8")
            (cpuset / self.name / "cgroup.clone_children").write_text("1", encoding="utf-8")
        self._limit("memory", "memory.limit_in_bytes", str(memory or -1), "memory.max", str(memory or "max"), wanted=memory > 0)
        quota = cpus * CPU_PERIOD if 0 < cpus < (os.cpu_count() or 1) else 0
        self._limit("cpu", "cpu.cfs_quota_us", str(quota or -1), "cpu.max", f"{quota or 'max'} {CPU_PERIOD}", wanted=quota > 0)

    def _limit(self, controller: str, old: str, old_value: str, new: str, new_value: str, *, wanted: bool) -> None:
        root = self.where.legacy.get(controller)
        file = root / self.name / old if root else (self.where.unified or Path("/")) / self.name / new
        if file.is_file():
            file.write_text(old_value if root else new_value, encoding="utf-8")
        elif wanted:
            raise CantiereError(
                Problem(
                    "nspawn.limit",
                    f"the host has no {controller} controller for machines: there is no {file}",
                    "leave the machine's size out of the template, or delegate the controller",
                    path=self.name,
                )
            )

    def processes(self) -> set[int]:
        """Numbers of all processes of the machine, as the host counts them."""
        found: set[int] = set()
        for folder in self.folders:
            for file in folder.rglob("cgroup.procs"):
                try:
                    found.update(map(int, file.read_text(encoding="utf-8").split()))
                except OSError:  # the group has gone meanwhile, or is threaded and lists nothing
                    continue
        return found - {0}

    def supervisor(self) -> int:
        """The process outside the machine that holds it, or 0 where the machine does not run."""
        root = self.where.unified or Path("/")
        for file in (root / self.name / "supervisor" / "cgroup.procs", root / self.name / "cgroup.procs"):
            try:
                for number in file.read_text(encoding="utf-8").split():
                    if Path("/proc", number, "comm").read_text(encoding="utf-8").strip() == SUPERVISOR:
                        return int(number)
            except OSError:
                continue
        return 0

    def memory(self) -> int:
        """Bytes that the machine uses, without file pages that can be dropped at once."""
        root = self.where.legacy.get("memory")
        folder = (root or self.where.unified or Path("/")) / self.name
        try:
            used = int((folder / ("memory.usage_in_bytes" if root else "memory.current")).read_text(encoding="utf-8"))
            lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
        except OSError:
            return 0
        stat = dict(line.split(" ", 1) for line in lines)
        return used - int(stat["total_inactive_file" if root else "inactive_file"])

    def end(self) -> None:
        """Kill every process of the machine at once and remove its groups.

        Raises
        ------
        CantiereError
            A process does not end.
        """
        deadline = time.monotonic() + END_SECONDS
        while left := self.processes():
            if time.monotonic() > deadline:
                raise CantiereError(
                    Problem("nspawn.end", f"processes of the machine do not end: {sorted(left)}", "look what they wait for", path=self.name)
                )
            if self.where.unified and (self.where.unified / self.name / "cgroup.kill").is_file():
                (self.where.unified / self.name / "cgroup.kill").write_text("1", encoding="utf-8")
            for number in self.processes():
                _kill(number)
            time.sleep(PAUSE)
        for folder in self.folders:
            while folder.is_dir() and not _removed(folder):
                if time.monotonic() > deadline:
                    raise CantiereError(Problem("nspawn.end", f"{folder} cannot be removed", "look what is in it", path=self.name))
                time.sleep(PAUSE)


def _kill(number: int) -> None:
    try:
        os.kill(number, signal.SIGKILL)
    except ProcessLookupError:
        return


def _removed(folder: Path) -> bool:
    try:
        for below in sorted((path for path in folder.rglob("*") if path.is_dir()), key=lambda path: len(path.parts), reverse=True):
            below.rmdir()
        folder.rmdir()
    except FileNotFoundError:
        return not folder.is_dir()
    except OSError:  # a process that was killed has not gone yet
        return False
    return True


def _delegate(root: Path) -> None:
    there = (root / "cgroup.controllers").read_text(encoding="utf-8").split()
    for controller in DELEGATED:
        if controller in there:
            try:
                (root / "cgroup.subtree_control").write_text(f"+{controller}", encoding="utf-8")
            except OSError:  # inside a container the root may hold processes; a limit that needs it is refused later
                continue
