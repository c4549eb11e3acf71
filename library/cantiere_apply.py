#!/usr/bin/python
"""Apply a facility's plan on this machine."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: cantiere_apply
short_description: Make what is on this machine into what the template asks for
description:
  - Builds the plan of a site (template, inputs and what is seen on the machine) and does the steps of one stage of it.
  - Takes the whole facility at once; steps that do not wait for each other run at the same time.
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
    description: Inputs on top of the site's inputs file; references to secrets, never secrets.
    type: dict
    default: {}
  inputs_file:
    description: An inputs file in place of the site's own.
    type: path
  stage:
    description:
      - C(provider) makes images, networks and volumes, or artifacts and machines; C(converge) names and containers, or takes away
        machines that are no longer asked for; C(releases) brings those of a cluster to what the template asks for; C(leave) tells what is
        to be taken off machines that stay; C(remove) takes all down.
    type: str
    choices: [provider, converge, releases, leave, remove]
    required: true
  images:
    description: Whether C(remove) takes the built images and the sample data too.
    type: bool
    default: false
  replace:
    description: Machines that are to be made anew.
    type: list
    elements: str
    default: []
  scale:
    description: Pool to how many machines it gets now, for pools that may grow.
    type: dict
    default: {}
  removal:
    description: Machines that leave first, where pools shrink.
    type: list
    elements: str
    default: []
  events:
    description: File to which the run's events are appended.
    type: path
attributes:
  check_mode:
    support: full
    description: Tells the steps and does none.
"""

EXAMPLES = r"""
- name: Provider objects
  cantiere_apply:
    site: inventories/here/cantiere.yml
    stage: provider
"""

RETURN = r"""
steps:
  description: The steps of the stage, in words.
  returned: always
  type: list
  elements: str
machines:
  description: Of the stages C(provider) and C(leave), each machine that has something to do, with the groups of the plays that do it.
  returned: always
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
            "site": {"type": "path", "required": True},
            "template": {"type": "path"},
            "inputs": {"type": "dict", "default": {}},
            "inputs_file": {"type": "path"},
            "stage": {"choices": ["provider", "converge", "releases", "leave", "remove"], "required": True},
            "images": {"type": "bool", "default": False},
            "replace": {"type": "list", "elements": "str", "default": []},
            "scale": {"type": "dict", "default": {}},
            "removal": {"type": "list", "elements": "str", "default": []},
            "events": {"type": "path"},
        },
        supports_check_mode=True,
    )
    from cantiere.rim import ask

    answer = ask(module.params["stage"], {**module.params, "check": module.check_mode})
    if "msg" in answer:
        module.fail_json(**answer)
    module.exit_json(
        changed=bool(answer["steps"]) and module.params["stage"] != "leave", steps=answer["steps"], machines=answer["machines"]
    )


if __name__ == "__main__":
    main()
