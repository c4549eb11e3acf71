"""SSH host keys as people compare them, and what to say of one that changed. Pure."""

from __future__ import annotations

import base64
import hashlib

from cantiere.errors import Problem
from cantiere.machines.model import Machine


def fingerprint(key: str) -> str:
    """The fingerprint of a public key (``ssh-ed25519 AAAA…``), as OpenSSH shows it; ``""`` where it is no key."""
    words = key.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, ValueError):
        return ""
    return f"{words[0]} SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


def changed(machine: Machine, pinned: str, shown: str, known_hosts: str) -> Problem:
    """What to say where a machine shows another host key than the one that is pinned.

    Parameters
    ----------
    machine:
        Which; its ``host_key`` is what the site's file lists, or ``""``.
    pinned, shown:
        Both keys; ``shown`` is ``""`` where the machine could not be asked again.
    known_hosts:
        Path of the file that pins it.
    """
    now = fingerprint(shown) or "it did not tell which"
    message = (
        f"{machine.name} ({machine.address}:{machine.port}) shows another SSH host key than the pinned one: "
        f"{now}, pinned is {fingerprint(pinned) or 'no valid key'}"
    )
    correct = "put its new key into the site's file as host_key"
    forget = f"forget the old key with `ssh-keygen -R {machine.name} -f {known_hosts}`"
    remedy = (
        f"if it was installed anew, {correct if machine.host_key else forget}, and run again; if not, find out who answers in its place"
    )
    return Problem("machine.host_key", message, remedy, path=machine.name)
