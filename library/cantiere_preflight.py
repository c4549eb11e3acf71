#!/usr/bin/python
"""Check a machine before anything on it is touched."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: cantiere_preflight
short_description: Refuse before touching
description:
  - Checks template, inputs and machine (rights, engine, disk, memory, ports, an external IAM) and reports all that is wrong at once.
author: cantiere
options:
  site:
    description: The site's inventory source, C(inventories/<site>/cantiere.yml).
    type: path
    required: true
  template:
    description: A template in place of the site's own.
    type: path
  inputs:
    description: Inputs on top of the site's inputs file.
    type: dict
    default: {}
  inputs_file:
    description: An inputs file in place of the site's own.
    type: path
attributes:
  check_mode:
    support: full
    description: It never changes anything.
"""

EXAMPLES = r"""
- name: Preflight
  cantiere_preflight:
    site: inventories/here/cantiere.yml
"""

RETURN = r"""
problems:
  description: What is wrong, each with code, message, path and remedy.
  returned: on failure
  type: list
  elements: dict
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "path", "required": True},
            "template": {"type": "path"},
            "inputs": {"type": "dict", "default": {}},
            "inputs_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    from cantiere.rim import ask

    answer = ask("preflight", module.params)
    if "msg" in answer:
        module.fail_json(**answer)
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
