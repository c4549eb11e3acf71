"""Users and the host name."""

from __future__ import annotations

import grp
import os
import pwd
import socket

from ansible.module_utils.cantiere import probe
from ansible.module_utils.cantiere.paths import file
from ansible.module_utils.cantiere.run import Refusal


def must(argv, remedy):
    """Run a command that has to succeed.

    Raises
    ------
    Refusal
        It failed.
    """
    code, out, err = probe.output(argv)
    if code:
        raise Refusal(f"`{' '.join(argv)}` ended with {code}: {(err or out).strip()[-800:]}", remedy)
    return out


def user(run, item):
    """Make a user that is missing, and add an existing one to groups; log-in is by key alone."""
    name = item["name"]
    made = run.record.known["users"].get(name, {}).get("made", True)
    try:
        pwd.getpwnam(name)
    except KeyError:
        argv = ["useradd", "--password", "*", "--shell", item["shell"] or ("/usr/sbin/nologin" if item["system"] else "/bin/bash")]
        argv += ["--system"] if item["system"] else ["--create-home"]
        argv += ["--home-dir", item["home"]] if item["home"] else []
        argv += ["--groups", ",".join(item["groups"])] if item["groups"] else []
        run.wanted["users"][name] = {"made": True}
        run.change(f"user {name} made", lambda: must([*argv, name], "see the message; a group of that name may be there already"))
        return
    run.wanted["users"][name] = {"made": made and name in run.record.known["users"]}
    lacking = [group for group in item["groups"] if name not in members(group)]
    if lacking:
        run.change(
            f"user {name} joins {', '.join(lacking)}",
            lambda: must(["usermod", "--append", "--groups", ",".join(lacking), name], "make the group first"),
        )


def members(group):
    """Who is in a group by more than being their own."""
    try:
        return grp.getgrnam(group).gr_mem
    except KeyError:
        return []


def remove_user(run, name):
    """Remove a user that the role made; the home folder stays, and so does a user who is logged in."""
    if name not in probe.read("/etc/passwd").replace(":", "\n").splitlines():
        return

    def do():
        code, out, err = probe.output(["userdel", name])
        if code:
            run.warnings.append(f"user {name} stays: {(err or out).strip()}")

    run.change(f"user {name} removed", do)


def hostname(run, name):
    """Set the host name, now and for the next start."""
    run.wanted["hostname"] = name
    now = os.uname().nodename
    file(run, {"path": "/etc/hostname", "content": name + "\n", "mode": "0644", "owner": "root", "group": "root"})
    if now != name:
        run.save_before("hostname", now)
        run.change(f"host name {now} becomes {name}", lambda: socket.sethostname(name))
