"""Action of module cantiere_artifacts: the machine takes what it can reach itself, the controller sends the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

MODULE = "cantiere_artifacts"


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs the module, sends what no source on the machine has, and runs it again."""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the task.

        Parameters
        ----------
        tmp:
            Not used any more by Ansible.
        task_vars:
            Variables of the machine.

        Returns
        -------
        dict
            The module's result; its changes are those of both runs.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        first = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        lacking = first.get("lacking", [])
        local = {entry["sha256"]: next((path for path in entry["sources"] if Path(path).is_file()), "") for entry in lacking}
        if not lacking or not all(local.values()):
            absent = [entry["what"] for entry in lacking if not local[entry["sha256"]]]
            if absent:
                first["msg"] = f"neither this machine nor the controller has {', '.join(absent)}: have them made first (`cantiere up`)"
            return result | first
        folder = self._make_tmp_path()
        try:
            sent = {digest: self._connection._shell.join_path(folder, digest) for digest in local}
            for digest, path in local.items():
                self._transfer_file(path, sent[digest])
            self._fixup_perms2([folder, *sent.values()])
            second = self._execute_module(module_name=MODULE, module_args=arguments | {"received": sent}, task_vars=task_vars)
        finally:
            self._remove_tmp_path(folder)
        changes = [*first.get("changes", []), *second.get("changes", [])]
        second["changes"] = changes
        second["changed"] = bool(changes)
        if "diff" in second:
            second["diff"] = {"prepared": "".join(f"{change}\n" for change in changes)}
        return result | second
