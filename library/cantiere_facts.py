#!/usr/bin/python
"""What roles need to know of a machine."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.cantiere import probe

DOCUMENTATION = r"""
module: cantiere_facts
short_description: What roles need to know of a machine, and no more
description:
  - One quick look in place of Ansible's own facts. Sizes are in bytes.
author: cantiere
options: {}
attributes:
  check_mode:
    support: full
    description: It never changes anything.
"""

EXAMPLES = r"""
- name: Facts
  cantiere_facts:
  when: ansible_facts.cantiere is not defined
"""

RETURN = r"""
ansible_facts:
  description:
    - The key C(cantiere) with C(os_id), C(os_version), C(os_family) (C(Debian) or C(RedHat)), C(arch) (C(amd64) or C(arm64)), C(kernel),
      C(hostname), C(machine_id), C(cpus), C(memory), C(swap), C(disk_free) (of C(/var/lib)), C(time),
      C(default_interface), C(default_address), C(mtu), C(listening) (TCP ports),
      C(systemd), C(virtual) (C(nspawn), C(kvm), C(none) …), C(container), C(cgroup) (C(unified), C(mixed) or C(legacy)),
      C(cgroup_wrapper) (container runtimes need the version 1 tree put up for them), C(oom_score_adj_restricted),
      C(selinux), C(apparmor), C(runtimes), C(features) (of the kernel), C(gpus).
  returned: always
  type: dict
"""


def main():
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(ansible_facts={"cantiere": probe.facts()})


if __name__ == "__main__":
    main()
