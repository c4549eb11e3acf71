#!/usr/bin/python
"""Run the script of an operation, with its inputs as environment, and hand on what it gives back."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: cantiere_operation
short_description: Run the script of an operation of a template
description:
  - Writes the script and the files that it needs into a folder of its own, runs it there, and takes the folder away.
  - Inputs come with the module's own arguments and become the script's environment, so that no command line shows them.
author: cantiere
options:
  request:
    description:
      - What to do as JSON. C(files) are paths with their content in base64, C(script) is the one to run and C(command) what runs it,
        C(environment) are its variables.
    type: str
    required: true
"""

RETURN = r"""
outputs:
  description: What the script wrote as C(NAME=VALUE) into the file that C(CANTIERE_OUTPUTS) names.
  type: dict
  returned: success
"""


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec={"request": {"type": "str", "required": True, "no_log": True}})
    request = json.loads(module.params["request"])
    with tempfile.TemporaryDirectory(prefix="cantiere-operation-") as folder:
        for name, content in request["files"].items():
            path = Path(folder, name)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(content))
        given = Path(folder, ".outputs")
        given.touch(mode=0o600)
        script = Path(folder, request["script"])
        done = subprocess.run(
            [*request["command"], script.name],
            cwd=script.parent,
            env={**os.environ, **request["environment"], "CANTIERE_OUTPUTS": str(given)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        written = given.read_text(encoding="utf-8", errors="replace")
    if done.returncode:
        module.fail_json(msg=f"the script ended with {done.returncode}", stdout=done.stdout, stderr=done.stderr or done.stdout)
    outputs = {name.strip(): value for name, equals, value in (line.partition("=") for line in written.splitlines()) if equals}
    module.exit_json(changed=True, outputs=outputs, stdout=done.stdout, stderr=done.stderr)


if __name__ == "__main__":
    main()
