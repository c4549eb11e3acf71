"""Start a machine as a process that outlives this one, and wait until its SSH server answers."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from cantiere.errors import CantiereError, Problem
from cantiere.providers.nspawn.cgroups import Cgroups
from cantiere.providers.nspawn.disk import DATA, Disk, Spec
from cantiere.providers.nspawn.network import Network
from cantiere.providers.nspawn.shell import must

DEVICES = ("/dev/kmsg", "/dev/fuse")
READ_ONLY = ("/var/cache/cantiere/artifacts",)
ANSWER_SECONDS = 180.0
HALT_SECONDS = 20.0
PAUSE = 0.1
SSH = 22
CONSOLE_SHOWN = 1500
PROPAGATE = Path("/run/systemd/nspawn/propagate")

LAUNCHER = r"""
set -eu
lower=$1 upper=$2 work=$3 root=$4 groups=$5
shift 5
while [ "$groups" -gt 0 ]; do
    echo $$ > "$1/cgroup.procs"
    groups=$((groups - 1))
    shift
done
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$root"
exec "$@" < /dev/null
"""
"""Moves itself into the machine's control groups and mounts its root where only the machine sees it; both end with the machine.

Its standard input is the machine's lock, which it holds until it is found in the groups: a run after a kill does not start a second one.
"""


def command(spec: Spec, disk: Disk, network: Network, namespace: Path) -> list[str]:
    """The container manager's command line for a machine.

    Parameters
    ----------
    spec, disk:
        The machine.
    network:
        Names of its network.
    namespace:
        Path of its network namespace.
    """
    binds = [f"--bind={disk.folder / 'data' / name}:{inside}" for name, inside in DATA.items()]
    binds += [f"--bind={path}" for path in (*(device for device in DEVICES if Path(device).exists()), *spec.binds)]
    binds += [f"--bind-ro={path}" for path in READ_ONLY]
    return [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--register=no",
        "--keep-unit",
        f"--directory={disk.root}",
        f"--machine={network.label(spec.name)}",
        f"--hostname={spec.name}",
        f"--network-namespace-path={namespace}",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--capability=all",
        *binds,
    ]


def launch(spec: Spec, disk: Disk, network: Network, groups: Cgroups, lock: int) -> None:
    """Start a machine that does not run; returns at once.

    Parameters
    ----------
    spec, disk, network, groups:
        The machine.
    lock:
        Descriptor of the machine's lock, held by the caller.
    """
    for path in READ_ONLY:
        Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)
    namespace = network.plug(spec.name, spec.address)
    groups.make(spec.memory, spec.cpus)
    lower = ":".join(reversed(spec.layers))
    words: Sequence[object] = [lower, disk.upper, disk.work, disk.root, len(groups.folders), *groups.folders]
    start = ["setsid", "--fork", "unshare", "--mount", "--propagation", "slave", "sh", "-c", LAUNCHER, "sh"]
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        "SYSTEMD_NSPAWN_LOCK": "0",
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        "SYSTEMD_SECCOMP": "0",
    }
    with disk.console.open("ab") as console:
        subprocess.run(
            [*start, *map(str, words), *command(spec, disk, network, namespace)],
            stdin=lock,
            stdout=console,
            stderr=console,
            env=environment,
            cwd="/",
            umask=0o022,
            check=True,
        )


def wait_for_ssh(spec: Spec, disk: Disk, groups: Cgroups) -> None:
    """Wait until the machine's SSH server greets.

    Raises
    ------
    CantiereError
        The machine ended, or took too long; shows the end of its console.
    """
    begin = time.monotonic()
    ended = 0
    while not _greeted(spec.address):
        ended = 0 if groups.supervisor() else ended + 1
        waited = time.monotonic() - begin
        if waited > ANSWER_SECONDS or (ended > 10 and waited > 3):
            last = disk.console.read_text(encoding="utf-8", errors="replace")[-CONSOLE_SHOWN:].strip() if disk.console.is_file() else ""
            what = f"answers no SSH within {waited:.0f} s" if not ended else "ended while it started"
            raise CantiereError(
                Problem("nspawn.start", f"{spec.name} {what}; its console: {last}", f"read {disk.console}, then run again", path=spec.name)
            )
        time.sleep(PAUSE)


def halt(name: str, network: Network, groups: Cgroups, *, at_once: bool) -> None:
    """End a machine: ask it to shut down and wait, then kill what is left; remove its network and groups.

    Parameters
    ----------
    name, network, groups:
        The machine.
    at_once:
        Whether it is not asked first.
    """
    supervisor = groups.supervisor()
    if supervisor and not at_once:
        must("kill", f"-{signal.SIGTERM.value}", str(supervisor))
        deadline = time.monotonic() + HALT_SECONDS
        while groups.supervisor() and time.monotonic() < deadline:
            time.sleep(PAUSE)
    groups.end()
    network.unplug(name)
    leftover = PROPAGATE / network.label(name)
    if leftover.is_dir():
        leftover.rmdir()


def _greeted(address: str) -> bool:
    try:
        with socket.create_connection((address, SSH), timeout=2) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
