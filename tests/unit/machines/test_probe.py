"""What is made of a machine's answer, and of none."""

from __future__ import annotations

import json
import subprocess

import pytest

from cantiere.machines.model import Machine
from cantiere.machines.probe import Manifest, Probed, understand

MACHINE = Machine("n1", "pool", (), "10.0.0.1", user="admin", port=2222)


def answer(code: int, stdout: str = "", stderr: str = "") -> Probed:
    """What is made of a process that ended like this."""
    return understand(MACHINE, subprocess.CompletedProcess([], code, stdout, stderr), "/site/known_hosts")


def test_manifests_and_facts() -> None:
    """Digest and drift of each role; a role is intact when both its inputs and its things are the same."""
    said = {"facts": {"cpus": 2}, "manifests": {"base": {"digest": "d", "drift": []}, "etcd": {"digest": "d", "drift": ["gone"]}}}
    found = answer(0, json.dumps(said))
    assert found == Probed(True, "", {"cpus": 2}, {"base": Manifest("d"), "etcd": Manifest("d", ("gone",))})
    assert found.intact("base", "d")
    assert not found.intact("base", "other") and not found.intact("etcd", "d") and not found.intact("never", "d")


def test_unfinished_is_never_intact() -> None:
    """An unfinished manifest has no digest, and no inputs have that one."""
    found = answer(0, json.dumps({"facts": {}, "manifests": {"base": {"digest": "", "drift": []}}}))
    assert not found.intact("base", "")


@pytest.mark.parametrize(
    ("code", "stderr", "why"),
    [
        (
            255,
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "ssh-keygen -R n1 -f /site/known_hosts",
        ),
        (255, "No ED25519 host key is known for n1\nHost key verification failed.", "not pinned"),
        (255, "admin@10.0.0.1: Permission denied (publickey).", "refuses the log-in of admin"),
        (255, "ssh: connect to host 10.0.0.1 port 2222: Connection refused", "nothing listens at 10.0.0.1:2222"),
        (255, "ssh: connect to host 10.0.0.1 port 2222: Connection timed out", "does not answer"),
        (255, "ssh: something new", "something new"),
        (124, "no answer within 30 s", "see its load"),
        (1, "sudo: a password is required", "sudo without a password"),
        (127, "bash: line 1: python3: command not found", "install its package python3"),
        (1, "Traceback\nOSError: broken", "OSError: broken"),
    ],
)
def test_why_there_is_no_answer(code: int, stderr: str, why: str) -> None:
    """The reason comes with what to do about it."""
    found = answer(code, "", stderr)
    assert not found.reachable and why in found.why and not found.manifests


def test_chatter_is_no_answer() -> None:
    """A log-in script that prints is told from the probe's answer."""
    found = answer(0, "Welcome!\n{}")
    assert not found.reachable and "Welcome!" in found.why
