"""Start a process tree in namespaces of its own on a root of layers; it ends as a whole."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cantiere.providers.nspawn.cgroups import Cgroups, layout
from tests.openstack.layout import COMPUTE_HOST, NAME

LAUNCHER = r"""
set -eu
lower=$1 home=$2 task=$3 groups=$4
shift 4
while [ "$groups" -gt 0 ]; do
    echo $$ > "$1/cgroup.procs"
    groups=$((groups - 1))
    shift
done
exec unshare --mount --uts --ipc --net --pid --fork --kill-child=KILL sh -c "$INSIDE" sh "$lower" "$home" "$task"
"""
"""Joins the control groups, then leaves the host's namespaces."""

INSIDE = r"""
set -eu
root=$2/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/srv/servers"
mount --bind "$2/servers" "$root/srv/servers"
mount --make-shared "$root/srv/servers"
hostname "$HOST_NAME"
cd "$root"
pivot_root . mnt
umount -l /mnt
exec env PYTHONPATH=/usr/local/lib/bed python3 -m tests.openstack.inside.boot "$3"
"""
"""The bed's mounts, seen by nobody else.

Servers' disks are shared within it: daemons in namespaces of their own would keep one that was unmounted. Its root is that of the
whole namespace, not of a process: who enters a server's namespaces, as one does who runs a command in a container, would come out on
this machine.
"""

FOLDERS = ("upper", "work", "root", "servers")


def groups(name: str = NAME) -> Cgroups:
    """The bed's control groups: what is in them is the bed's, and nothing else is."""
    return Cgroups(name, layout())


def end() -> None:
    """Kill every process of the bed and of its servers, and remove their control groups."""
    where = layout()
    groups().end()
    for name in {path.name for folder in where.roots for path in folder.glob(f"{NAME}-*")}:
        Cgroups(name, where).end()


def launch(home: Path, lower: str, task: str, joined: Cgroups) -> subprocess.Popen[bytes]:
    """Start the bed's first process; returns at once.

    Parameters
    ----------
    home:
        Its folder.
    lower:
        Layers of its root.
    task:
        What that process is told.
    joined:
        Control groups of all its processes.
    """
    for name in FOLDERS:
        (home / name).mkdir(exist_ok=True)
    joined.make()
    folders = joined.folders
    with (home / "boot.log").open("ab") as log:
        return subprocess.Popen(
            ["sh", "-c", LAUNCHER, "sh", lower, str(home), task, str(len(folders)), *map(str, folders)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "INSIDE": INSIDE, "HOST_NAME": COMPUTE_HOST},
            cwd="/",
            umask=0o022,
            start_new_session=True,
        )


def first_process(launcher: int) -> int:
    """Number of the bed's first process as this machine counts, or 0 where it has not started or has ended."""
    try:
        children = Path("/proc", str(launcher), "task", str(launcher), "children").read_text(encoding="utf-8").split()
    except OSError:
        return 0
    return int(children[0]) if children else 0
