"""Look at machines before anything is touched: the facts of the one probe, and what only the check needs."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cantiere.errors import Problem
from cantiere.machines import hostkey
from cantiere.machines.model import Machine
from cantiere.machines.probe import Probed, probe, understand
from cantiere.machines.ssh import Ssh, scan

PROGRAM = Path(__file__).with_name("survey_program.py")
SECONDS = 60.0
OTHER_KEY = ("REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key verification failed")


def survey(ssh: Ssh, machines: Sequence[Machine]) -> tuple[dict[str, Probed], list[Problem]]:
    """What every machine has; those that cannot be looked at are left out.

    Parameters
    ----------
    ssh:
        Its configuration names the machines, and their host keys are pinned.
    machines:
        Which.

    Returns
    -------
    tuple
        Machine name to what was found, and a problem for each machine that is left out. To the probe's facts come those of
        ``survey_program``, ``skew`` (seconds that its clock is ahead of ours) and ``skew_error`` (how far that may be off).
    """
    program = PROGRAM.read_text(encoding="utf-8")
    answers = Ssh.each(machines, lambda machine: _ask(ssh, machine, program, machines))
    problems = [answer for answer in answers.values() if isinstance(answer, Problem)]
    reached = [machine for machine in machines if not isinstance(answers[machine.name], Problem)]
    probed = probe(ssh, reached)
    looked = {}
    for machine in reached:
        found, more = probed[machine.name], answers[machine.name]
        if found.reachable and isinstance(more, dict):
            looked[machine.name] = replace(found, facts={**found.facts, **more})
        else:
            problems.append(silent(machine, found.why))
    return looked, problems


def silent(machine: Machine, why: str) -> Problem:
    """A machine that cannot be looked at.

    Parameters
    ----------
    machine:
        Which.
    why:
        What is wrong and the remedy, as :attr:`Probed.why` has them.
    """
    what, _, remedy = why.partition("; ")
    return Problem("machine.unreachable", f"{machine.name}: {what}", remedy or "log in by hand to see more", path=machine.name)


def _ask(ssh: Ssh, machine: Machine, program: str, machines: Sequence[Machine]) -> dict[str, Any] | Problem:
    peers = [[other.name, other.address, other.port] for other in machines if other.name != machine.name]
    python = "python3 -IS -" if machine.user == "root" else "sudo -n python3 -IS -"
    began = time.time()
    done = ssh.run(machine.name, f"{python} {shlex.quote(json.dumps(peers))}", stdin=program, timeout=SECONDS)
    ended = time.time()
    if any(sign in done.stderr for sign in OTHER_KEY):
        return hostkey.changed(machine, ssh.pinned().get(machine.name, ""), scan(machine), str(ssh.known_hosts))
    if done.returncode:
        return silent(machine, understand(machine, done, str(ssh.known_hosts)).why)
    found: dict[str, Any] = json.loads(done.stdout)
    return found | clock(found, began, ended)


def clock(found: Mapping[str, Any], began: float, ended: float) -> dict[str, float]:
    """How far a machine's clock is ahead of ours, and how far that may be off; all in seconds.

    Parameters
    ----------
    found:
        Its ``clock`` as it was read, ``spent`` seconds after its program began.
    began, ended:
        Our clock before we asked and after it answered.
    """
    earliest = min(began + found["spent"], ended)  # of our moments that the machine's reading can belong to
    return {"skew": found["clock"] - (earliest + ended) / 2, "skew_error": (ended - earliest) / 2}
