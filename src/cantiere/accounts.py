"""Users of a machine as the module ``cantiere_manifest`` takes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def accounts(users: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Users with their keys and rights.

    Parameters
    ----------
    users:
        Each with ``name``, and perhaps ``keys``, ``sudo`` and ``groups``.

    Returns
    -------
    dict
        ``users``, ``directories``, ``blocks`` (the keys: a user may have others beside them) and ``files`` (the rights).
    """
    made: dict[str, list[dict[str, Any]]] = {"users": [], "directories": [], "blocks": [], "files": []}
    for user in users:
        name, keys = user["name"], user.get("keys") or []
        folder = "/root/.ssh" if name == "root" else f"/home/{name}/.ssh"
        owner = {"owner": name, "group": name}
        made["users"].append({"name": name, "groups": list(user.get("groups") or [])})
        if keys:
            made["directories"].append({"path": folder, "mode": "0700", **owner})
            content = "".join(f"{key.strip()}\n" for key in keys)
            made["blocks"].append({"path": f"{folder}/authorized_keys", "content": content, "mode": "0600", **owner})
        if user.get("sudo"):
            made["files"].append(
                {
                    "path": f"/etc/sudoers.d/60-cantiere-{name.replace('.', '-')}",  # sudo skips files with a dot in their name
                    "content": f"{name} ALL=(ALL:ALL) NOPASSWD: ALL\n",
                    "mode": "0440",
                    "validate": "/usr/sbin/visudo -cqf %s",
                }
            )
    return made
