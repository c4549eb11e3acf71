"""Action cantiere_artifacts: the controller sends what the machine cannot reach, and only that."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.tree import REPOSITORY

spec = importlib.util.spec_from_file_location("action_cantiere_artifacts", REPOSITORY / "action_plugins" / "cantiere_artifacts.py")
assert spec and spec.loader
action = importlib.util.module_from_spec(spec)
spec.loader.exec_module(action)


class Machine(action.ActionModule):  # type: ignore[misc,name-defined]
    """The action with a machine of paper: answers of the module in, what was sent out."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.sent: list[tuple[str, str]] = []
        self._task = SimpleNamespace(args={"files": ["row"]}, async_val=0)
        self._connection = SimpleNamespace(_shell=SimpleNamespace(join_path=lambda *parts: "/".join(parts)))
        self._play_context = SimpleNamespace(check_mode=False)

    def _execute_module(self, module_name: str, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        assert (module_name, task_vars) == ("cantiere_artifacts", None)
        self.asked.append(module_args)
        return self.answers.pop(0)

    def _make_tmp_path(self, remote_user: Any = None) -> str:
        return "/tmp/sent"

    def _remove_tmp_path(self, tmp_path: str, force: bool = False) -> None:
        assert tmp_path == "/tmp/sent"

    def _transfer_file(self, local_path: str, remote_path: str) -> str:
        self.sent.append((local_path, remote_path))
        return remote_path

    def _fixup_perms2(self, remote_paths: Any, remote_user: Any = None, execute: bool = True) -> Any:
        return remote_paths


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action.ActionBase, "run", lambda *_: {})


def test_nothing_is_sent() -> None:
    machine = Machine({"changed": True, "changes": ["a"]})
    assert machine.run() == {"changed": True, "changes": ["a"]}
    assert (len(machine.asked), machine.sent) == (1, [])


def test_what_is_lacking_is_sent(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    lacking = [{"sha256": "abc", "sources": ["/none", str(tmp_path / "here")], "what": "program"}]
    first = {"failed": True, "msg": "no source", "changed": True, "changes": ["a"], "lacking": lacking}
    machine = Machine(first, {"changed": True, "changes": ["b"]})
    assert machine.run() == {"changed": True, "changes": ["a", "b"]}
    assert machine.sent == [(str(tmp_path / "here"), "/tmp/sent/abc")]
    assert machine.asked == [{"files": ["row"]}, {"files": ["row"], "received": {"abc": "/tmp/sent/abc"}}]


def test_what_nobody_has_is_told() -> None:
    lacking = [{"sha256": "abc", "sources": ["/none"], "what": "program"}]
    machine = Machine({"failed": True, "msg": "no source", "changes": [], "lacking": lacking})
    result = machine.run()
    assert result["failed"] and "neither this machine nor the controller has program" in result["msg"]
    assert machine.sent == []
