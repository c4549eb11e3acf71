"""Callback plugin: Ansible's progress as events of a cantiere run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: cantiere_events
type: notification
short_description: Appends tasks, failures and the recap to the file that CANTIERE_EVENTS names
description:
  - Shows C(cantiere up) what Ansible is doing; does nothing where the environment variable is not set.
author: cantiere
"""

LAST_CHARACTERS = 2000
"""How much of a failed command's standard error goes into the message."""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Thin: the file's format is in :mod:`cantiere.events`."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "cantiere_events"

    def __init__(self) -> None:
        super().__init__()
        from cantiere.events import EventLog

        path = os.environ.get("CANTIERE_EVENTS")
        self._events = EventLog(Path(path) if path else None)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins."""
        self._events.write("play", title=play.get_name())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task begins."""
        self._events.write("task", title=task.get_name())

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        if not ignore_errors:
            data = result.result
            said = str(data.get("stderr") or "").strip()[-LAST_CHARACTERS:]
            text = ": ".join(part for part in (str(data.get("msg") or "").strip(), said) if part)
            self._failed(result, text or "it gave no message", data.get("problems", []))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A machine cannot be reached."""
        self._failed(result, str(result.result.get("msg") or "it cannot be reached"), [])

    def _failed(self, result: Any, message: str, problems: list[Any]) -> None:
        self._events.write("task-failed", host=result.host.get_name(), title=result.task.get_name(), message=message, problems=problems)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The run ends."""
        hosts = {name: stats.summarize(name) for name in stats.processed}
        changed = sum(host["changed"] for host in hosts.values())
        self._events.write("recap", hosts=hosts, changed=changed, stats=stats.custom.get("_run", {}))
