"""Taking away what a role put on a machine."""

from __future__ import annotations

import os
import socket

from ansible.module_utils.cantiere import accounts, kernel, paths, probe, units


def remove(run, part, name, keep):
    """Take away what a part of the manifest lists and a newer one does not.

    Parameters
    ----------
    run:
        The convergence.
    part:
        The part as it was recorded.
    name:
        The name of its blocks.
    keep:
        What stays: section to names.
    """
    gone = {section: {key: value for key, value in part[section].items() if key not in keep[section]} for section in SECTIONS}
    files = [*gone["files"], *gone["links"]]
    units.put_back(run, {**part, "units": gone["units"]}, {*files, *part["files"]} - keep["files"])
    for path in files:
        back = os.path.lexists(paths.original(run, path))
        if back or os.path.lexists(path):
            text = f"{path} {'is again as it was before the role' if back else 'removed'}"
            run.change(text, lambda path=path: paths.take_away(run, path), path)
    for path, block in gone["blocks"].items():
        if probe.block_in(probe.read(path), name) is not None:
            run.change(f"block in {path} removed", lambda path=path, block=block: paths.take_out_block(path, name, block["made"]), path)
    for key in gone["sysctls"]:
        before = part["before"].get(f"sysctl {key}")
        if before is not None and probe.sysctl(key) not in (None, before):
            run.change(f"sysctl {key} becomes {before} again", lambda key=key, before=before: kernel.write(key, before))
    named = part["before"].get("hostname")
    if named and part["hostname"] == os.uname().nodename and not keep["hostname"]:
        run.change(f"host name becomes {named} again", lambda: socket.sethostname(named))
    for user, entry in gone["users"].items():
        if entry["made"]:
            accounts.remove_user(run, user)
    for path in sorted(gone["directories"], reverse=True):
        if gone["directories"][path]["made"] and os.path.isdir(path) and (run.check or not os.listdir(path)):
            run.change(f"directory {path} removed", lambda path=path: os.rmdir(path))
    if any(path.startswith(units.FOLDERS) for path in files) and probe.systemd():
        run.change("systemd reads its unit files again", lambda: units.systemctl("daemon-reload", []))


SECTIONS = ("users", "directories", "files", "links", "blocks", "sysctls", "units")


def names_in(parts):
    """What several parts list: section to names."""
    hostname = {"hostname": any(part["hostname"] for part in parts)}
    return {section: {name for part in parts for name in part[section]} for section in SECTIONS} | hostname


def all_of(run):
    """Take away everything of the role, and its manifest."""
    for name, part in reversed(list(run.record.parts.items())):
        run.wanted["before"] = part["before"]
        remove(run, part, probe.part_name(run.record.role, name), names_in([]))
    if os.path.exists(run.record.path):
        run.change("manifest removed", lambda: None)
        if not run.check:
            run.record.forget()
            paths.tidy(run)
