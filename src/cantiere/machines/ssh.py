"""Machines reached by OpenSSH: one configuration for us, for Ansible and for the user, with pinned host keys and shared connections."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from cantiere.errors import CantiereError, Problem
from cantiere.machines.model import Machine
from cantiere.state import write_atomic

CONNECT_SECONDS = 8
PERSIST_SECONDS = 120
AT_ONCE = 16
Answer = TypeVar("Answer")


class Ssh:
    """The SSH side of a site.

    Parameters
    ----------
    folder:
        Where ``config`` and ``known_hosts`` are kept: ``<state_dir>/ssh``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.known_hosts = folder / "known_hosts"
        self._pinning = threading.Lock()
        short = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
        self.sockets = _runtime() / short  # a socket's path may have 107 bytes

    def write(self, machines: Iterable[Machine]) -> None:
        """Write the configuration for these machines; host keys that the provider knows replace what was pinned."""
        self.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
        blocks = [self._block(machine) for machine in machines]
        text = "# Written by cantiere; use it with: ssh -F <this file> <machine>\n" + "\n".join(blocks)
        if not self.config.is_file() or self.config.read_text(encoding="utf-8") != text:
            write_atomic(self.config, text)

    def pin(self, machines: Iterable[Machine]) -> list[Problem]:
        """Pin host keys: those that a provider knows as they are, others at first contact; pinned keys are never changed here.

        Returns
        -------
        list
            A problem for every machine whose key cannot be had.
        """
        wanted = list(machines)
        pinned = self.pinned()
        for machine in wanted:
            if machine.host_key:
                pinned[machine.name] = machine.host_key
        unknown = [machine for machine in wanted if machine.name not in pinned]
        found = self.each(unknown, scan)
        problems = []
        for machine in unknown:
            key = found[machine.name]
            if key:
                pinned[machine.name] = key
            else:
                problems.append(
                    Problem(
                        "ssh.unreachable",
                        f"{machine.name} ({machine.address}:{machine.port}) shows no SSH host key",
                        "start its SSH server, and check address, port and firewall",
                        path=machine.name,
                    )
                )
        self._write_pinned(pinned)
        return problems

    def pinned(self) -> dict[str, str]:
        """Machine name to its pinned host key (type and key)."""
        if not self.known_hosts.is_file():
            return {}
        lines = self.known_hosts.read_text(encoding="utf-8").splitlines()
        return {name: key for name, _, key in (line.partition(" ") for line in lines if line.strip())}

    def forget(self, name: str) -> None:
        """Forget a machine's pinned key, because the machine is gone."""
        self.disconnect(name)
        with self._pinning:
            self._write_pinned({other: key for other, key in self.pinned().items() if other != name})

    def run(
        self, name: str, command: Sequence[str] | str, *, stdin: str | None = None, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a machine.

        Parameters
        ----------
        name:
            The machine.
        command:
            A shell command, or words that are quoted for the shell.
        stdin:
            Text for its standard input; the place for scripts and secrets, which no process list shows.
        timeout:
            Seconds.

        Returns
        -------
        subprocess.CompletedProcess
            Exit code 255 where the machine cannot be reached, 124 where it took too long.
        """
        import shlex

        text = command if isinstance(command, str) else shlex.join(command)
        argv = ["ssh", "-F", str(self.config), "-o", "BatchMode=yes", name, text]
        given: Mapping[str, object] = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
        try:
            return subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=timeout, check=False, **given)  # type: ignore[call-overload, no-any-return]
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 124, "", f"no answer within {timeout:.0f} s")

    def must(self, name: str, command: Sequence[str] | str, *, stdin: str | None = None, timeout: float = 60.0) -> str:
        """Run a command that has to succeed, and return what it printed.

        Raises
        ------
        CantiereError
            It failed; says on which machine and what it printed last.
        """
        done = self.run(name, command, stdin=stdin, timeout=timeout)
        if done.returncode:
            what = command if isinstance(command, str) else " ".join(command)
            last = (done.stderr or done.stdout).strip()[-800:]
            raise CantiereError(
                Problem(
                    "ssh.command",
                    f"on {name}: `{what}` ended with {done.returncode}: {last}",
                    f"log in with `./cantiere ssh {name}` and mend it",
                    path=name,
                )
            )
        return done.stdout

    @staticmethod
    def each(machines: Sequence[Machine], ask: Callable[[Machine], Answer]) -> dict[str, Answer]:
        """Ask all machines at the same time, at most 16 at once; machine name to answer."""
        if not machines:
            return {}
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(machines))) as pool:
            return dict(zip((machine.name for machine in machines), pool.map(ask, machines), strict=True))

    def disconnect(self, name: str) -> None:
        """End the shared connection to a machine, where there is one."""
        if self.config.is_file():
            subprocess.run(["ssh", "-F", str(self.config), "-O", "exit", name], capture_output=True, stdin=subprocess.DEVNULL, check=False)

    def close(self) -> None:
        """End all shared connections, and remove their folder."""
        for name in self.pinned():
            self.disconnect(name)
        shutil.rmtree(self.sockets, ignore_errors=True)

    def _block(self, machine: Machine) -> str:
        options = {
            "HostName": machine.door or machine.address,
            "Port": machine.port,
            "User": machine.user,
            "HostKeyAlias": machine.name,
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "UpdateHostKeys": "no",
            "PreferredAuthentications": "publickey",
            "ConnectTimeout": CONNECT_SECONDS,
            "ServerAliveInterval": 5,
            "ServerAliveCountMax": 3,
            "ControlMaster": "auto",
            "ControlPath": self.sockets / "%C",
            "ControlPersist": PERSIST_SECONDS,
        }
        if machine.key:
            options |= {"IdentityFile": Path(machine.key).expanduser(), "IdentitiesOnly": "yes"}
        if machine.jump:
            options["ProxyJump"] = machine.jump
        return f"Host {machine.name}\n" + "".join(f"    {key} {value}\n" for key, value in options.items())

    def _write_pinned(self, pinned: Mapping[str, str]) -> None:
        text = "".join(f"{name} {key}\n" for name, key in sorted(pinned.items()))
        if not self.known_hosts.is_file() or self.known_hosts.read_text(encoding="utf-8") != text:
            write_atomic(self.known_hosts, text)


def _runtime() -> Path:
    """Folder of sockets: the system's own for root, else the user's."""
    if os.geteuid() == 0:
        return Path("/run/cantiere")
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"cantiere-{os.geteuid()}"


def scan(machine: Machine) -> str:
    """The host key that a machine shows (type and key), or ``""``; ed25519 where it has one.

    One type at a time, because each is a connection without a log-in, and OpenSSH 9.8 and newer shuts out for a while who opens many of
    them (``PerSourcePenalties`` in sshd_config(5)).
    """
    for kind in ("ed25519", "ecdsa", "rsa"):
        command = ["ssh-keyscan", "-T", str(CONNECT_SECONDS), "-p", str(machine.port), "-t", kind, machine.door or machine.address]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        keys = [line.split(maxsplit=1)[1].strip() for line in done.stdout.splitlines() if line and not line.startswith("#")]
        if keys:
            return keys[0]
    return ""
