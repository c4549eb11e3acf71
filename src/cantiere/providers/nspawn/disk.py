"""A machine's folder: its specification, its keys, the files that make it itself, and the data that must not lie in an overlay."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cantiere.providers.keys import new_key, public_key
from cantiere.state import write_atomic

MAKING = "making"
READY = "ready"
REMOVING = "removing"
DATA: Mapping[str, str] = {
    "containerd": "/var/lib/containerd",
    "kubelet": "/var/lib/kubelet",
    "etcd": "/var/lib/etcd",
    "local-path": "/var/local-path",
}
"""Folders of the machine that are kept on the host's file system: an overlay cannot lie on an overlay, and a database wants no layers."""
RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
FOLDER_MODES: Mapping[str, int] = {"": 0o755, "etc": 0o755, "etc/ssh": 0o755, "root": 0o700, "root/.ssh": 0o700}


@dataclass(frozen=True, slots=True)
class Spec:
    """What a machine was made from, as it is kept on disk.

    Parameters
    ----------
    name, address, lineage:
        The machine, and the facility that it belongs to.
    digest:
        Of the specification.
    layers:
        Folders of its root file system, lowest first.
    binds:
        Host folders that it sees at the same path.
    memory, cpus:
        Limits in bytes and processors; 0 means none.
    host_key:
        Its public SSH host key.
    phase:
        ``making``, ``ready`` or ``removing``.
    """

    name: str
    address: str
    lineage: str
    digest: str
    layers: tuple[str, ...]
    binds: tuple[str, ...]
    memory: int
    cpus: int
    host_key: str
    phase: str


class Disk:
    """The folder of one machine.

    Parameters
    ----------
    folder:
        ``<state_dir>/machines/<name>``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.upper = folder / "upper"
        self.work = folder / "work"
        self.console = folder / "console.log"
        self.file = folder / "spec.json"

    def spec(self) -> Spec | None:
        """The specification, or None where there is none that can be read."""
        try:
            data: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
            return Spec(**{**data, "layers": tuple(data["layers"]), "binds": tuple(data["binds"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, spec: Spec) -> None:
        """Keep a specification, in one atomic step."""
        write_atomic(self.file, json.dumps(asdict(spec), indent=1) + "\n")

    def host_key(self) -> str:
        """The machine's public host key; made where there is none yet."""
        private = self.folder / "ssh_host_ed25519_key"
        if not private.is_file():
            write_atomic(private, new_key())
        return public_key(private)

    def fill(self, spec: Spec, client_key: str) -> None:
        """Write the files that make this machine itself. It does not run yet, and the same call again completes what a kill left.

        Parameters
        ----------
        spec:
            The machine.
        client_key:
            Public key that may log in as root.
        """
        for folder in (self.root, self.upper, self.work):
            folder.mkdir(exist_ok=True)
        for name in DATA:
            data = self.folder / "data" / name
            data.mkdir(parents=True, exist_ok=True)
            data.chmod(0o700 if name == "etcd" else 0o755)
        for name, mode in FOLDER_MODES.items():
            folder = self.upper / name
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)
        private = (self.folder / "ssh_host_ed25519_key").read_text(encoding="utf-8")
        files = {
            "etc/hostname": (f"{spec.name}\n", 0o644),
            "etc/hosts": (f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n{spec.address} {spec.name}\n", 0o644),
            "etc/machine-id": (f"{uuid.uuid4().hex}\n", 0o444),
            "etc/resolv.conf": (resolver(), 0o644),
            "etc/ssh/ssh_host_ed25519_key": (private, 0o600),
            "etc/ssh/ssh_host_ed25519_key.pub": (f"{spec.host_key}\n", 0o644),
            "root/.ssh/authorized_keys": (f"{client_key}\n", 0o600),
        }
        for name, (text, mode) in files.items():
            write_atomic(self.upper / name, text, mode)
            (self.upper / name).chmod(mode)

    def remove(self) -> None:
        """Remove everything, the specification last, so that a kill leaves a machine that is still known."""
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path != self.file:
                path.unlink()
        self.file.unlink(missing_ok=True)
        self.folder.rmdir()


def resolver(files: Sequence[Path] = RESOLVERS) -> str:
    """The host's ``resolv.conf`` for machines: the first that names a server other than the host's own, which no machine can reach.

    Parameters
    ----------
    files:
        Where it may be, the usual place first.
    """
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    for text in texts:
        if any(line.startswith("nameserver") and not line.split()[1].startswith(("127.", "::1")) for line in text.splitlines()):
            return text
    return texts[0] if texts else ""
