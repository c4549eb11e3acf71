#!/usr/bin/python
"""Make system containers on this machine that stand in for machines."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: cantiere_nspawn
short_description: Make system containers on this machine, or remove them
description:
  - Takes all machines of a folder at once and makes, starts or removes them at the same time.
  - They run systemd and an SSH server, outlive the playbook, and are found again by the folder.
  - Needs root. Missing packages, the image, a bridge with address translation and the kernel's settings are made on first use;
    the last machine's removal takes bridge and settings back.
author: cantiere
options:
  machines:
    description:
      - Each has a C(name), and may have C(needs) with C(mem_size) in bytes and C(num_cpus), which become its limits.
      - With C(state=absent), an empty list means all machines of the folder.
    type: list
    elements: dict
    default: []
  folder:
    description: State folder of these machines.
    type: path
    required: true
  prefix:
    description: Prefix of the names on the host; by default the folder's name.
    type: str
  subnet:
    description: Their network in CIDR notation; by default one of C(10.142.0.0/16) that depends on the prefix.
    type: str
  image:
    description: A machine image of C(artifacts.yaml).
    type: str
    default: machine
  shared:
    description: Folders of the host that every machine sees at the same path.
    type: list
    elements: path
    default: []
  state:
    description: C(present) makes and starts them, C(absent) removes them.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Tells what would be made or removed and does nothing.
"""

EXAMPLES = r"""
- name: Two machines
  cantiere_nspawn:
    folder: /var/lib/cantiere/try
    machines:
      - name: one
      - name: two
"""

RETURN = r"""
changes:
  description: What was done, in words.
  returned: success
  type: list
  elements: str
machines:
  description: Every machine of the folder with name, address, port, user, identity_file, known_hosts and ssh_config.
  returned: success
  type: list
  elements: dict
instances:
  description: The same as molecule's file of instances keeps it.
  returned: success
  type: list
  elements: dict
problems:
  description: What failed, each with code, message, path and remedy.
  returned: on failure
  type: list
  elements: dict
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "machines": {"type": "list", "elements": "dict", "default": []},
            "folder": {"type": "path", "required": True},
            "prefix": {"type": "str"},
            "subnet": {"type": "str"},
            "image": {"type": "str", "default": "machine"},
            "shared": {"type": "list", "elements": "path", "default": []},
            "state": {"choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    from cantiere.providers.nspawn.rim import ask

    answer = ask({**module.params, "check": module.check_mode})
    if "msg" in answer:
        module.fail_json(**answer)
    module.exit_json(changed=bool(answer["changes"]), **answer)


if __name__ == "__main__":
    main()
