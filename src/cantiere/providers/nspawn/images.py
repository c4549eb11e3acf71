"""Root file systems of machines: layers pinned in ``artifacts.yaml``, made once from packages, and shared by all machines.

A layer is a folder ``<image>-<digest>``; the digest covers all that it is made from, so a folder that is there is the right one.
A folder gets its name in one step when it is complete. A child layer holds only what its packages add, to be laid over its parent.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cantiere.artifacts import PINS, pins
from cantiere.errors import CantiereError, Location, Problem
from cantiere.providers.nspawn.shell import locked

CACHE = Path("/var/cache/cantiere/machines")
DIGITS = 12
UNWANTED = ("man", "locale", "doc", "info", "lintian")
LONG_AGO = 0

MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "modprobe@efi_pstore.service",
    "systemd-binfmt.service",
)
"""Units that fail or only cost memory in a machine that shares the host's kernel."""

FILES: Mapping[str, str] = {
    "etc/apt/apt.conf.d/50cantiere": 'APT::Install-Recommends "false";\nAcquire::Retries "3";\n',
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/ssh/sshd_config.d/50-cantiere.conf": "HostKey /etc/ssh/ssh_host_ed25519_key\nPermitRootLogin prohibit-password\n"
    "PasswordAuthentication no\nUseDNS no\nMaxStartups 100:30:200\n",
    "etc/systemd/journald.conf.d/50-cantiere.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n",
    "etc/systemd/system.conf.d/50-cantiere.conf": "[Manager]\nDefaultTimeoutStopSec=5s\n",
}
"""What the lowest layer sets beside its packages."""

BOOTSTRAP = (
    "mmdebstrap",
    "--mode=root",
    "--variant=minbase",
    "--aptopt=APT::Install-Recommends false",
    "--skip=cleanup/apt/lists",  # a role's first check finds packages, before anything was fetched
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNWANTED),
)
"""Makes the lowest layer's packages."""

CHILD = r"""
set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount -t proc proc "$2/root/proc"
mount -t tmpfs tmpfs "$2/root/run"
mount --bind /etc/resolv.conf "$2/root/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' > "$2/root/usr/sbin/policy-rc.d"
chmod 755 "$2/root/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$2/root
shift 2
chroot "$root" apt-get -q update
chroot "$root" apt-get -q install -y --no-install-recommends "$@"
chroot "$root" apt-get clean
rm -f "$root/usr/sbin/policy-rc.d"
"""
"""Makes a child's packages in a mount namespace that ends with it: lower folders, work folder, packages."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a root file system.

    Parameters
    ----------
    name:
        The image that it completes.
    digest:
        Of all that it and the layers below it are made from.
    release:
        Debian release of the lowest layer.
    packages:
        What it adds.
    folder:
        Where its files are once it was made.
    """

    name: str
    digest: str
    release: str
    packages: tuple[str, ...]
    folder: Path


def layers(image: str, images: Mapping[str, Any] | None = None, cache: Path = CACHE) -> tuple[Layer, ...]:
    """The layers of an image, lowest first.

    Parameters
    ----------
    image:
        Its name.
    images:
        Pinned images by name; those of ``artifacts.yaml`` where it is left out.
    cache:
        Folder of the layers.

    Raises
    ------
    CantiereError
        There is no such image, or it builds on itself.
    """
    known = pins().get("machine_images", {}) if images is None else images
    chain: list[str] = []
    name: str | None = image
    while name:
        if name not in known or name in chain:
            why = "builds on itself" if name in chain else "is not pinned"
            raise CantiereError(
                Problem(
                    "nspawn.image", f"machine image {name!r} {why}", f"use one of: {', '.join(sorted(known))}", Location(str(PINS)), image
                )
            )
        chain.append(name)
        name = known[name].get("from")
    made: list[Layer] = []
    release = str(known[chain[-1]]["release"])
    for name in reversed(chain):
        packages = tuple(known[name]["packages"])
        below: object = made[-1].digest if made else [release, BOOTSTRAP, sorted(FILES.items()), MASKED]
        digest = hashlib.sha256(json.dumps([below, name, sorted(packages)]).encode()).hexdigest()
        made.append(Layer(name, digest, release, packages, cache / f"{name}-{digest[:DIGITS]}"))
    return tuple(made)


def build(wanted: Sequence[Layer], log: Callable[[str], None]) -> None:
    """Make the layers that are not there yet; two runs at the same time make each layer once.

    Parameters
    ----------
    wanted:
        Layers of one image, lowest first.
    log:
        Takes the packages' installation line by line.

    Raises
    ------
    CantiereError
        A layer cannot be made; says what the last program printed.
    """
    for position, layer in enumerate(wanted):
        if layer.folder.is_dir():
            continue
        with locked(layer.folder.parent / f".{layer.folder.name}.lock") as lock:
            if layer.folder.is_dir():
                continue
            work = layer.folder.parent / f".{layer.folder.name}.making"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            log(f"machine image {layer.name}: installing packages")
            ready = _child(layer, wanted[:position], work, lock, log) if position else _lowest(layer, work, lock, log)
            ready.rename(layer.folder)
            shutil.rmtree(work)


def _lowest(layer: Layer, work: Path, lock: int, log: Callable[[str], None]) -> Path:
    root = work / "root"
    packages = f"--include={','.join(layer.packages)}"
    _stream([*BOOTSTRAP, packages, layer.release, str(root), *sources(layer.release)], layer, lock, log)
    for name, text in FILES.items():
        file = root / name
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o644)
        file.parent.chmod(0o755)
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    keys = root.glob("etc/ssh/ssh_host_*")
    for file in (*keys, root / "etc/fstab", root / "etc/machine-id", root / "etc/hostname"):
        file.unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("", encoding="utf-8")
    os.utime(root / "var/lib/apt/lists", (LONG_AGO, LONG_AGO))  # so that a role's first installation fetches them again
    return root


def _child(layer: Layer, below: Sequence[Layer], work: Path, lock: int, log: Callable[[str], None]) -> Path:
    for name in ("upper", "work", "root"):
        (work / name).mkdir()
    lower = ":".join(str(parent.folder) for parent in reversed(below))
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", CHILD, "sh"]
    _stream([*unshare, lower, str(work), *layer.packages], layer, lock, log)
    upper = work / "upper"
    for name in ("var/cache/apt", "var/lib/apt/lists", "var/log/apt"):
        shutil.rmtree(upper / name, ignore_errors=True)  # what the parent has there shows again
    return upper


def sources(release: str, etc: Path = Path("/etc")) -> list[str]:
    """Lines of ``sources.list`` for a release at the mirrors that a Debian host uses; nothing elsewhere, where mmdebstrap knows its own.

    Parameters
    ----------
    release:
        Name of the release.
    etc:
        The host's ``/etc``.
    """
    if "ID=debian" not in (etc / "os-release").read_text(encoding="utf-8").splitlines():
        return []
    mirrors: list[str] = []
    for file in sorted((etc / "apt").glob("sources.list.d/*.sources")):
        mirrors += [line.split()[1] for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("URIs:")]
    archive = next((mirror for mirror in mirrors if mirror.rstrip("/").endswith("/debian")), "")
    security = next((mirror for mirror in mirrors if mirror.rstrip("/").endswith("/debian-security")), "")
    lines = [f"deb {archive} {suite} main" for suite in (release, f"{release}-updates") if archive]
    return [*lines, f"deb {security} {release}-security main"] if archive and security else lines


def _stream(command: list[str], layer: Layer, lock: int, log: Callable[[str], None]) -> None:
    tail: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
    ) as process:
        for line in process.stdout or ():
            tail = [*tail[-30:], line.rstrip()]
            log(f"machine image {layer.name}: {line.rstrip()}")
    if process.returncode:
        raise CantiereError(
            Problem(
                "nspawn.image",
                f"machine image {layer.name} could not be made: " + "\n".join(tail[-12:]),
                "check that the package mirror of this machine can be reached, then run again",
                Location(str(PINS)),
                layer.name,
            )
        )
