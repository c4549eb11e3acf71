"""Run a playbook over a site, show its events, and tell what it did."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cantiere.converge import RUN_VARIABLE
from cantiere.errors import CantiereError, Problem
from cantiere.events import read_from
from cantiere.progress import Progress
from cantiere.site import REPOSITORY, Site

POLL_SECONDS = 0.1


@dataclass
class Run:
    """What a run did.

    Parameters
    ----------
    changed:
        Tasks that changed something.
    steps:
        ``{"step", "title", "seconds"}`` of every step of the plan that was done.
    seconds:
        Wall time.
    """

    changed: int = 0
    steps: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


def playbook(site: Site, name: str, variables: Mapping[str, Any], progress: Progress, skip_tags: str = "") -> Run:
    """Run ``playbooks/<name>.yml`` over a site.

    Parameters
    ----------
    site:
        Where.
    name:
        The playbook.
    variables:
        Extra variables; no secret is among them.
    progress:
        Shows the events.
    skip_tags:
        Tags to leave out.

    Raises
    ------
    CantiereError
        The run failed; the problems are those of the failed tasks.
    """
    with tempfile.TemporaryDirectory(prefix="cantiere-run-") as folder:
        events = Path(folder) / "events.jsonl"
        given = Path(folder) / "variables.json"
        given.write_text(json.dumps({**variables, "compose_events": str(events)}), encoding="utf-8")
        log = Path(folder) / "ansible.log"
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(site.file), "-e", f"@{given}", f"playbooks/{name}.yml"]
        if skip_tags:
            command += ["--skip-tags", skip_tags]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "CANTIERE_EVENTS": str(events),
            RUN_VARIABLE: str(os.getpid()),
            "ANSIBLE_FORCE_COLOR": "0",
        }
        began = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
            try:
                run, problems = _follow(process, events, progress)
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
        run.seconds = time.monotonic() - began
        if process.returncode:
            tail = log.read_text(encoding="utf-8", errors="replace")[-1500:]
            raise CantiereError(
                problems
                or [
                    Problem(
                        "ansible.failed",
                        f"ansible-playbook ended with {process.returncode}:\n{tail}",
                        "run it by hand: " + " ".join(command[1:6]),
                    )
                ]
            )
        return run


def _follow(process: subprocess.Popen[bytes], events: Path, progress: Progress) -> tuple[Run, list[Problem]]:
    run = Run()
    problems: list[Problem] = []
    offset = 0
    ended = False
    while not ended:
        ended = process.poll() is not None
        found, offset = read_from(events, offset)
        for event in found:
            progress.event(event)
            if event["event"] == "step-ok":
                run.steps.append({key: event[key] for key in ("step", "title", "seconds")})
            elif event["event"] == "recap":
                run.changed = event["changed"]
            elif event["event"] == "task-failed":
                problems += _problems(event)
        if not ended:
            progress.draw()
            time.sleep(POLL_SECONDS)
    progress.end()
    return run, problems


def _problems(event: Mapping[str, Any]) -> list[Problem]:
    if event["problems"]:
        return [Problem(item["code"], item["message"], item["remedy"], path=item["path"]) for item in event["problems"]]
    return [
        Problem(
            "ansible.task",
            f"{event['title']}: {event['message'].strip()}",
            "mend the cause, then run the same command again",
            path=event["title"],
        )
    ]
