"""Machines: how long system containers take from nothing to SSH, again, and gone; what each takes of memory; and the floor of it.

Run ``python bench/machines_up.py`` as root; ``--machines`` changes how many. Images are made first and do not count.
The floor is the same machines' control groups, cables and start without any of the provider's records, locks and keys.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh
from cantiere.providers.nspawn import Nspawn
from cantiere.providers.nspawn.cgroups import Cgroups, layout
from cantiere.providers.nspawn.disk import Disk
from cantiere.providers.nspawn.launch import halt, launch, wait_for_ssh
from cantiere.providers.nspawn.shell import locked

UP_SECONDS = 60.0
MEMORY_MIB = 60
SETTLE_SECONDS = 5.0


def timed(work: Callable[[], object]) -> float:
    """Wall-clock time of something, in seconds."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def bare(source: Nspawn, name: str) -> None:
    """Start a machine whose disk is there, with nothing around it."""
    disk, groups = Disk(source.machines / name), Cgroups(source.network.namespace(name), layout())
    spec = disk.spec()
    assert spec
    with locked(source.state_dir / f"{name}.lock") as lock:
        launch(spec, disk, source.network, groups, lock)
    wait_for_ssh(spec, disk, groups)


def main() -> int:
    """Print all figures; the exit code says whether the measures are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=10)
    parser.add_argument("--subnet", type=ipaddress.IPv4Network, default="10.141.2.0/24")
    parser.add_argument("--image", default="machine")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cantiere-bench-"))
    source = Nspawn("ctbench", folder, {"subnet": str(given.subnet), "image": given.image})
    wanted = [Machine(f"m{number}", "bench", (), "") for number in range(given.machines)]

    def up() -> None:
        source.prepare("bench", lambda line: None)
        Ssh.each(source.place(wanted)[0], lambda machine: source.create(machine, "bench", lambda line: None))

    def down() -> None:
        Ssh.each(wanted, lambda machine: source.delete(machine.name))
        source.release()

    source.prepare("bench", print)
    source.release()
    try:
        load = os.getloadavg()[0]
        first = timed(up)
        again = timed(up)
        time.sleep(SETTLE_SECONDS)
        memory = [seen.detail["memory"] / 2**20 for seen in source.observe().values()]
        for machine in wanted:
            halt(machine.name, source.network, Cgroups(source.network.namespace(machine.name), layout()), at_once=True)
        floor = timed(lambda: Ssh.each(wanted, lambda machine: bare(source, machine.name)))
        gone = timed(down)
    finally:
        down()
        shutil.rmtree(folder)
    print(f"{given.machines} machines, image {given.image}, load before {load:.1f}, {os.cpu_count()} processors")
    print(f"nothing to SSH on all                {first:8.2f} s   measure {UP_SECONDS:g} s   floor {floor:.2f} s")
    print(f"again                                {again:8.2f} s")
    print(f"all gone                             {gone:8.2f} s")
    print(
        f"memory of each when idle             {statistics.mean(memory):8.1f} MiB measure {MEMORY_MIB} MiB   largest {max(memory):.1f} MiB"
    )
    return 0 if first <= UP_SECONDS and max(memory) <= MEMORY_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
