"""Run a playbook over a site, show its events, and tell what it did."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cantiere.errors import CantiereError, Problem
from cantiere.events import read_from
from cantiere.inventory import REQUEST_VARIABLE
from cantiere.progress import Progress
from cantiere.runs import RUN_VARIABLE, end_left_behind, scratch
from cantiere.site import REPOSITORY, Site
from cantiere.state import write_atomic
from cantiere.workspace import CACHE, Workspace

POLL_SECONDS = 0.1
EVENTS = "events.jsonl"
ROLES = ("compose", "machines", "releases")
"""Roles that take the template, its inputs and a file for events."""
TIMINGS = CACHE / "timings.json"


@dataclass
class Run:
    """What a run did.

    Parameters
    ----------
    changed:
        Tasks that changed something.
    steps:
        ``{"step", "title", "seconds"}`` of every step of the plan that was done.
    plays:
        Play to its wall time in seconds, in order; plays without a machine are left out.
    seconds:
        Wall time.
    stats:
        What its tasks gave back with ``set_stats``.
    left:
        What stood in the way of machines that may vanish: they are left for the next run.
    """

    changed: int = 0
    steps: list[dict[str, Any]] = field(default_factory=list)
    plays: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    stats: dict[str, Any] = field(default_factory=dict)
    left: list[Problem] = field(default_factory=list)


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
    of_site = ("-i", str(site.file))
    end_left_behind(*of_site)
    with scratch() as folder:
        given = folder / "variables.json"
        logs = {f"{role}_events": str(folder / EVENTS) for role in ROLES}
        given.write_text(json.dumps({**variables, **logs}), encoding="utf-8")
        words = [*of_site, "-e", f"@{given}", f"playbooks/{name}.yml"]
        if skip_tags:
            words += ["--skip-tags", skip_tags]
        return ansible(words, folder, request(variables), progress)


def request(variables: Mapping[str, Any]) -> dict[str, str]:
    """What the inventory plugin has to know of a run, as environment."""
    return {REQUEST_VARIABLE: json.dumps({key.removeprefix("machines_"): value for key, value in variables.items()})}


def ansible(words: Sequence[str], folder: Path, environment: Mapping[str, str], progress: Progress) -> Run:
    """Run ``ansible-playbook``.

    Parameters
    ----------
    words:
        Its command line.
    folder:
        The run's own folder; it takes the log and the events.
    environment:
        Variables beside those of every run.
    progress:
        Shows the events.

    Raises
    ------
    CantiereError
        The run failed; the problems are those of the failed tasks.
    """
    events, log = folder / EVENTS, folder / "ansible.log"
    command = [sys.executable, "-m", "ansible", "playbook", *words]
    everywhere = {
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "CANTIERE_EVENTS": str(events),
        RUN_VARIABLE: str(os.getpid()),
        "ANSIBLE_FORCE_COLOR": "0",
    }
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **everywhere, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
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
    play, since = "", 0.0
    ended = False
    while not ended:
        ended = process.poll() is not None
        found, offset = read_from(events, offset)
        for event in found:
            progress.event(event)
            if event["event"] == "step-ok":
                run.steps.append({key: event[key] for key in ("step", "title", "seconds")})
            elif event["event"] == "left":
                run.left += _told(event)
            elif event["event"] == "task":
                run.plays.setdefault(play, 0.0)
            elif event["event"] in ("play", "recap"):
                if play in run.plays:
                    run.plays[play] = round(run.plays[play] + event["time"] - since, 1)
                play, since = event.get("title", ""), event["time"]
                run.changed = event.get("changed", 0)
                run.stats = event.get("stats", {})
            elif event["event"] == "task-failed":
                problems += _problems(event)
        if not ended:
            progress.draw()
            time.sleep(POLL_SECONDS)
    progress.end()
    return run, problems


def _problems(event: Mapping[str, Any]) -> list[Problem]:
    if event["problems"]:
        return _told(event)
    return [
        Problem(
            "ansible.task",
            f"{event['host']}: {event['title']}: {event['message'].strip()}",
            "mend the cause, then run the same command again",
            path=event["title"],
        )
    ]


def _told(event: Mapping[str, Any]) -> list[Problem]:
    return [Problem(item["code"], item["message"], item["remedy"], path=item["path"]) for item in event["problems"]]


def variables(workspace: Workspace) -> dict[str, Any]:
    """Extra variables of a run: template and inputs, for whichever role takes them."""
    site = workspace.site
    given = {
        "template": str(site.template),
        "inputs": dict(workspace.inputs),
        "inputs_file": str(site.inputs_file) if site.inputs_file else "",
        "replace": list(workspace.replace),
        "scale": dict(workspace.scale),
        "removal": list(workspace.removal),
    }
    prefixes = (["machines"] if workspace.fleet else []) + (["releases"] if workspace.cluster else ["compose"])
    of_machines = ("replace", "scale", "removal")
    return {
        f"{prefix}_{key}": value for prefix in prefixes for key, value in given.items() if prefix == "machines" or key not in of_machines
    }


def sayer(as_json: bool) -> Callable[[str], None]:
    """What tells the user how a run goes on; silent where a machine reads the result."""
    return (lambda text: None) if as_json else (lambda text: print(text, flush=True))


def remember(kind: str, timing: Mapping[str, Any]) -> None:
    """Keep the times of a run for the benchmark."""
    known = json.loads(TIMINGS.read_text(encoding="utf-8")) if TIMINGS.is_file() else {}
    write_atomic(TIMINGS, json.dumps(known | {kind: timing}), 0o644)
