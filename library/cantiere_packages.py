#!/usr/bin/python
"""Install packages by the operating system's own tool."""

from __future__ import annotations

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.cantiere import probe

DOCUMENTATION = r"""
module: cantiere_packages
short_description: Install or remove packages with apt or dnf
description:
  - Takes the whole list. Where nothing is missing it asks the package database once and starts no package manager.
  - Recommended packages are not installed. On Debian and Ubuntu no package asks questions, and lists older than an hour are read again.
author: cantiere
options:
  names:
    description: Packages.
    type: list
    elements: str
    required: true
  state:
    description: C(absent) removes them, with what only they needed.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Tells what it would install or remove.
"""

EXAMPLES = r"""
- name: Packages
  cantiere_packages:
    names: "{{ __squid_packages }}"
"""

RETURN = r"""
changes:
  description: The packages that were installed or removed.
  returned: always
  type: list
  elements: str
"""

LISTS = "/var/lib/apt/lists"
HOUR = 3600
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none"}
WAIT = "DPkg::Lock::Timeout=300"


def fresh():
    """Whether there are package lists of the last hour."""
    try:
        lists = [name for name in os.listdir(LISTS) if name.endswith(("Packages", "Packages.lz4", "Packages.xz", "Packages.gz"))]
        return bool(lists) and time.time() - os.stat(LISTS).st_mtime < HOUR
    except OSError:
        return False


def commands(state, names, lists_are_fresh):
    """The commands that install or remove packages.

    Parameters
    ----------
    state:
        ``present`` or ``absent``.
    names:
        Packages.
    lists_are_fresh:
        Whether apt's package lists need no update.
    """
    if not os.path.exists("/usr/bin/apt-get"):
        verb = ["install", "--setopt=install_weak_deps=False"] if state == "present" else ["remove"]
        return [["dnf", "--assumeyes", "--quiet", *verb, *names]]
    if state == "absent":
        return [["apt-get", "-o", WAIT, "--quiet", "--yes", "purge", "--autoremove", *names]]
    keep = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]
    install = ["apt-get", "-o", WAIT, *keep, "--quiet", "--yes", "--no-install-recommends", "install", *names]
    return [install] if lists_are_fresh else [["apt-get", "-o", WAIT, "--quiet", "update"], install]


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    names, state = sorted(set(module.params["names"])), module.params["state"]
    there = probe.packages(names)
    chosen = [name for name in names if (name in there) != (state == "present")]
    if chosen and not module.check_mode:
        os.environ.update(QUIET)
        for command in commands(state, chosen, fresh()):
            code, out, err = probe.output(command, stdin=-3)
            if code:
                module.fail_json(
                    msg=f"packages {', '.join(chosen)}: `{' '.join(command)}` ended with {code}: {(err or out).strip()[-1500:]}\n"
                    "    remedy: check the machine's package sources and its way to them, then converge again"
                )
    module.exit_json(changed=bool(chosen), changes=chosen)


if __name__ == "__main__":
    main()
