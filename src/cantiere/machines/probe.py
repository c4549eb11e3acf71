"""What was converged on machines, and whether it is still there: one program, sent over SSH to all machines at once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cantiere.machines.model import Machine
from cantiere.machines.ssh import Ssh
from cantiere.site import REPOSITORY

PROGRAM = REPOSITORY / "module_utils" / "cantiere" / "probe.py"
SECONDS = 30.0
UNREACHABLE = 255
LATE = 124

WHYS = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "it shows another host key than the pinned one; if it was installed anew: ssh-keygen -R {name} -f {known_hosts}",
    ),
    ("Host key verification failed", "its host key is not pinned, or is another one than the pinned; see {known_hosts}"),
    ("Permission denied", "it refuses the log-in of {user}; put the site's public key into its authorized_keys"),
    ("Connection refused", "nothing listens at {address}:{port}; start its SSH server"),
    ("timed out", "{address}:{port} does not answer; check that it is on, its address and its firewall"),
    ("No route to host", "there is no way to {address}; check that it is on and the network between"),
    (
        "kex_exchange_identification",
        "its SSH server ends connections before the log-in, as it does for a while with who failed to log in too often "
        "(PerSourcePenalties in sshd_config); wait a minute",
    ),
    ("a password is required", "{user} may not use sudo without a password; let it, or log in as root"),
    ("python3: not found", "it has no Python; install its package python3"),
    ("python3: command not found", "it has no Python; install its package python3"),
)
"""What OpenSSH, sudo and the shell say, and what that means."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one role recorded of its last converge.

    Parameters
    ----------
    digest:
        Of the role's inputs; empty where the converge did not finish.
    drift:
        What is no longer as it was converged, in words.
    """

    digest: str
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probed:
    """What the probe found on one machine.

    Parameters
    ----------
    reachable:
        Whether it answered.
    why:
        Why it did not, with the remedy.
    facts:
        What it is: the keys of the module ``cantiere_facts``.
    manifests:
        Role to its manifest.
    """

    reachable: bool
    why: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    manifests: Mapping[str, Manifest] = field(default_factory=dict)

    def intact(self, role: str, digest: str) -> bool:
        """Whether a role was converged from these inputs and is still as it was.

        Parameters
        ----------
        role:
            The role.
        digest:
            Digest of its inputs now.
        """
        found = self.manifests.get(role)
        return found is not None and found.digest == digest != "" and not found.drift


def probe(ssh: Ssh, machines: Sequence[Machine]) -> Mapping[str, Probed]:
    """Look at machines, all at the same time and without writing anything.

    Parameters
    ----------
    ssh:
        The site's SSH side, whose configuration names the machines.
    machines:
        Machines with addresses.

    Returns
    -------
    Mapping
        Machine name to what was found.
    """
    program = PROGRAM.read_text(encoding="utf-8")

    def look(machine: Machine) -> Probed:
        python = "python3 -IS -" if machine.user == "root" else "sudo -n python3 -IS -"
        return understand(machine, ssh.run(machine.name, python, stdin=program, timeout=SECONDS), str(ssh.known_hosts))

    return ssh.each(machines, look)


def understand(machine: Machine, done: subprocess.CompletedProcess[str], known_hosts: str) -> Probed:
    """Make sense of what the program, or SSH in its place, said.

    Parameters
    ----------
    machine:
        The machine.
    done:
        The process that has ended.
    known_hosts:
        Path of the pinned host keys, for the remedy.
    """
    if done.returncode == 0:
        try:
            said = json.loads(done.stdout)
            manifests = {role: Manifest(entry["digest"], tuple(entry["drift"])) for role, entry in said["manifests"].items()}
            return Probed(True, facts=said["facts"], manifests=manifests)
        except (ValueError, KeyError, TypeError):
            return Probed(
                False, f"it answers, but not with what was asked for: {done.stdout.strip()[:200]!r}; keep its log-in scripts silent"
            )
    words = {"name": machine.name, "address": machine.address, "port": machine.port, "user": machine.user, "known_hosts": known_hosts}
    for sign, why in WHYS:
        if sign in done.stderr:
            return Probed(False, why.format(**words))
    if done.returncode == LATE:
        return Probed(False, f"it gave no answer within {SECONDS:.0f} s; see its load and its disks")
    last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or [f"exit code {done.returncode}"]
    return Probed(
        False,
        f"{'no connection' if done.returncode == UNREACHABLE else 'the probe failed'}: {last[0][:300]}; try ./cantiere ssh {machine.name}",
    )
