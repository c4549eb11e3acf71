#!/usr/bin/python
"""Converge what one role has on a machine, in one go, and record it."""

from __future__ import annotations

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.cantiere import accounts, kernel, paths, probe, removal, units
from ansible.module_utils.cantiere.run import Record, Refusal, Run

DOCUMENTATION = r"""
module: cantiere_manifest
short_description: Converge one role's users, files, kernel settings and units, and record them
description:
  - Takes everything that a role has on a machine at once, changes what differs, and writes what it did to
    C(/var/lib/cantiere/manifest/<role>.json), by which one probe tells later whether it is still there.
  - What a newer version of the role no longer lists is removed. A file that was there before the role is kept and put back on removal.
  - While it works the manifest is marked unfinished and notes which units wait for a restart, so that a run killed at any moment
    is continued by the next one.
author: cantiere
options:
  role:
    description: The role; it names the manifest.
    type: str
    required: true
  digest:
    description: Digest of the role's inputs, recorded with the last call.
    type: str
    default: ""
  state:
    description: C(absent) takes away all that the role's manifest lists, and then the manifest.
    type: str
    choices: [present, absent]
    default: present
  part:
    description: Which of the role's calls this is, where commands stand between two; each keeps its own list.
    type: str
    default: main
  final:
    description: Whether it is the role's last call; until then the manifest is unfinished.
    type: bool
    default: true
  users:
    description: Users that are made where they are missing; they log in by key alone.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name., type: str, required: true}
      system: {description: A user of services without a home of its own., type: bool, default: false}
      home: {description: Home folder; empty means the system's way., type: str, default: ""}
      shell: {description: Shell; empty means bash or for system users none., type: str, default: ""}
      groups: {description: Further groups., type: list, elements: str, default: []}
  hostname:
    description: Host name; empty leaves it.
    type: str
    default: ""
  directories:
    description: Directories.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      mode: {description: Mode as octal digits., type: str, default: "0755"}
      owner: {description: User., type: str, default: root}
      group: {description: Group., type: str, default: root}
  files:
    description: Files with their whole content.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path; missing folders above it are made., type: path, required: true}
      content: {description: Text., type: str, required: true}
      mode: {description: Mode as octal digits., type: str, default: "0644"}
      owner: {description: User., type: str, default: root}
      group: {description: Group., type: str, default: root}
      validate: {description: "A command that checks the new file before it takes its place; C(%s) is its path.", type: str, default: ""}
      secret: {description: Whether the content is never shown., type: bool, default: false}
  blocks:
    description: The role's own lines in files that others write too.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      content: {description: Lines between the role's marks., type: str, required: true}
      mode: {description: Mode where the file is made., type: str, default: "0644"}
      owner: {description: User where the file is made., type: str, default: root}
      group: {description: Group where the file is made., type: str, default: root}
  links:
    description: Symbolic links.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path of the link., type: path, required: true}
      target: {description: Where it leads., type: str, required: true}
  absent:
    description: Paths that must not be there; directories go with all that is in them.
    type: list
    elements: path
    default: []
  sysctls:
    description: Kernel settings, kept in C(/etc/sysctl.d/60-cantiere-<role>.conf) and applied where they differ.
    type: dict
    default: {}
  kernel_modules:
    description: Kernel modules that must be there, built in or loaded now and at every start.
    type: list
    elements: str
    default: []
  kernel_modules_optional:
    description: Kernel modules that are loaded where the kernel has them.
    type: list
    elements: str
    default: []
  units:
    description: Units of systemd.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name with its ending., type: str, required: true}
      enabled: {description: Whether it starts with the machine., type: bool, default: true}
      state: {description: Whether it runs now., type: str, choices: [started, stopped], default: started}
      restart_on: {description: Paths of this call (also observed ones) whose change restarts it., type: list, elements: path, default: []}
      reload_on: {description: Paths of this call (also observed ones) whose change reloads it., type: list, elements: path, default: []}
  packages:
    description: Packages that must be installed; only their versions are recorded.
    type: list
    elements: str
    default: []
  observed:
    description: Files and folders that a command made; only what they hold is recorded.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    support: full
    description: Tells the changes and makes none.
  diff_mode:
    support: full
    description: Shows files before and after, apart from secrets.
"""

EXAMPLES = r"""
- name: Files and service
  cantiere_manifest:
    role: squid
    digest: "{{ squid_digest }}"
    packages: [squid]
    files: "{{ __squid_files }}"
    units:
      - name: squid.service
        restart_on: [/etc/squid/conf.d/cantiere.conf]
"""

RETURN = r"""
changes:
  description: What was changed, in words.
  returned: always
  type: list
  elements: str
"""


def item(**fields):
    """The specification of a list of items."""
    return {"type": "list", "elements": "dict", "default": [], "options": fields}


def options():
    """The module's options, as its documentation has them."""
    path = {"type": "path", "required": True}
    owner = {"owner": {"default": "root"}, "group": {"default": "root"}}
    text = {"type": "str", "required": True}
    names = {"type": "list", "elements": "str", "default": []}
    places = {"type": "list", "elements": "path", "default": []}
    on = {"restart_on": places, "reload_on": places}
    file = {"path": path, "content": {**text, "no_log": False}, "mode": {"default": "0644"}, **owner}
    login = {"system": {"type": "bool", "default": False}, "home": {"default": ""}, "shell": {"default": ""}, "groups": names}
    return {
        "role": {"required": True},
        "digest": {"default": ""},
        "state": {"choices": ["present", "absent"], "default": "present"},
        "part": {"default": "main"},
        "final": {"type": "bool", "default": True},
        "users": item(name=text, **login),
        "hostname": {"default": ""},
        "directories": item(path=path, mode={"default": "0755"}, **owner),
        "files": item(**file, validate={"default": ""}, secret={"type": "bool", "default": False, "no_log": False}),
        "blocks": item(**file),
        "links": item(path=path, target=text),
        "absent": places,
        "sysctls": {"type": "dict", "default": {}},
        "kernel_modules": names,
        "kernel_modules_optional": names,
        "units": item(
            name=text, enabled={"type": "bool", "default": True}, state={"choices": ["started", "stopped"], "default": "started"}, **on
        ),
        "packages": names,
        "observed": places,
    }


class Module(AnsibleModule):
    """An Ansible module that shows no file's content in what it returns, and logs nothing of how it was called."""

    def log(self, msg, log_args=None):
        """Log nothing: the parameters, which Ansible would write to the journal, hold the files' contents."""

    def exit_json(self, **answer):
        """End well."""
        super().exit_json(**self._quiet(answer))

    def fail_json(self, msg, **answer):
        """End with an error."""
        super().fail_json(msg, **self._quiet(answer))

    def _quiet(self, answer):
        shown = {key: value for key, value in (getattr(self, "params", None) or {}).items() if key != "files"}
        return {"invocation": {"module_args": shown}, **answer}


def record_only(run, wanted):
    """Record packages and what commands made.

    Raises
    ------
    Refusal
        A package or a path is missing.
    """
    found = probe.packages(wanted["packages"])
    for name in wanted["packages"]:
        if name not in found and not run.check:
            raise Refusal(f"package {name} is not installed", "install it with cantiere_packages before this task")
    run.wanted["packages"] = found
    for path in wanted["observed"]:
        now = probe.fingerprint(path)
        if now is None and not run.check:
            raise Refusal(f"{path} is to be recorded and is not there", "let the task that makes it run before this one")
        run.wanted["observed"][path] = now


def converge(run, wanted):
    """Do all of one call, files before what reads them."""
    units.watch(run, wanted["units"], wanted["observed"])
    for entry in wanted["users"]:
        accounts.user(run, entry)
    if wanted["hostname"]:
        accounts.hostname(run, wanted["hostname"])
    for section, do in (
        ("directories", paths.directory),
        ("files", paths.file),
        ("blocks", paths.block),
        ("links", paths.link),
        ("absent", paths.absent),
    ):
        for entry in wanted[section]:
            do(run, entry)
    kernel.modules(run, wanted["kernel_modules"], wanted["kernel_modules_optional"])
    kernel.sysctls(run, wanted["sysctls"])
    run.wanted["units"] = {unit["name"]: {"enabled": unit["enabled"], "state": unit["state"]} for unit in wanted["units"]}
    drop(run, wanted["final"])
    if run.paths and not run.check and os.path.exists("/sys/fs/selinux/enforce"):
        probe.output(["restorecon", *sorted(path for path in run.paths if os.path.lexists(path))])
    units.converge(run, wanted["units"])
    record_only(run, wanted)


def drop(run, final):
    """Take away what the role had and no longer has."""
    stale = run.record.stale(final)
    others = [part for name, part in run.record.parts.items() if name not in stale and name != run.record.part]
    keep = removal.names_in([run.wanted, *others])
    for name, part in {**stale, run.record.part: run.record.known}.items():
        removal.remove(run, part, probe.part_name(run.record.role, name), keep)


def main():
    """Run the module."""
    module = Module(argument_spec=options(), supports_check_mode=True)
    wanted = module.params
    run = Run(Record(wanted["role"], wanted["part"]), module.check_mode)
    try:
        if wanted["state"] == "absent":
            removal.all_of(run)
        else:
            converge(run, wanted)
            if not module.check_mode:
                run.record.finished(run.wanted, wanted["digest"], wanted["final"])
    except Refusal as refusal:
        module.fail_json(msg=f"role {wanted['role']}: {refusal}", changes=run.changes)
    except OSError as error:
        remedy = "mend the file system (room, rights, read-only mounts) and converge again"
        module.fail_json(msg=f"role {wanted['role']}: {error.filename}: {error.strerror}\n    remedy: {remedy}", changes=run.changes)
    for text in run.warnings:
        module.warn(text)
    module.exit_json(changed=bool(run.changes), changes=run.changes, diff=run.diffs)


if __name__ == "__main__":
    main()
