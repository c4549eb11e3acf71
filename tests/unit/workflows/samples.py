"""The template of the workflows' tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cantiere.errors import TemplateError
from cantiere.tosca.compile import load
from cantiere.workflows.plan import WorkflowPlan, build
from cantiere.workspace import Workspace, open_workflow

HEAD = """\
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {template_name: books}
interface_types:
  t.Keep:
    derived_from: tosca.interfaces.Root
    inputs:
      folder: {type: string, default: {get_property: [SELF, folder]}}
    operations: {dump: {description: writes all}, check: {description: reads it back}, rest: {description: does nothing}}
relationship_types:
  t.Reads:
    derived_from: tosca.relationships.DependsOn
    interfaces: {Link: {type: tosca.interfaces.relationship.Configure}}
node_types:
  t.Base:
    derived_from: tosca.nodes.Root
    properties: {folder: {type: string}}
    attributes: {size: {type: integer, required: false}}
    interfaces: {Keep: {type: t.Keep}}
  t.Reader:
    derived_from: tosca.nodes.Root
    requirements:
      - base: {capability: tosca.capabilities.Node, node: t.Base, relationship: t.Reads}
topology_template:
  node_templates:
    db:
      type: t.Base
      properties: {folder: /srv}
      artifacts: {checker: {type: tosca.artifacts.File, file: parts/check.yml}}
      interfaces:
        Keep:
          operations:
            dump:
              implementation: {primary: parts/dump.sh, dependencies: [parts/lib.sh], timeout: 60}
              inputs: {name: "all {{ 1 + 1 }}"}
              outputs: {size: [SELF, size]}
            check: {implementation: checker, inputs: {file: {get_operation_output: [SELF, Keep, dump, file]}}}
    reader:
      type: t.Reader
      requirements:
        - base:
            node: db
            relationship:
              type: t.Reads
              interfaces:
                Link:
                  add_target: {implementation: parts/dump.sh, inputs: {folder: {get_property: [TARGET, folder]}}}
    alone: {type: tosca.nodes.Root}
  groups:
    all: {type: tosca.groups.Root, members: [db, alone]}
    every: {type: tosca.groups.Root, members: [db, reader, alone]}
    both: {type: tosca.groups.Root, members: [db, reader]}
  outputs:
    file: {value: {get_operation_output: [db, Keep, dump, file]}}
    size: {value: {get_attribute: [db, size]}}
    never: {value: {get_operation_output: [db, Keep, check, file]}}
    folder: {value: {get_property: [db, folder]}}
  workflows:
"""
STEP = "        %s: {target: db, activities: [%s]%s}\n"


def flow(name: str, *steps: str, head: str = "") -> str:
    """A workflow of steps."""
    return f"    {name}:\n{head}      steps:\n{''.join(steps)}"


def step(name: str, activities: str, more: str = "") -> str:
    """A step on the node ``db``."""
    return STEP % (name, activities, more and f", {more}")


class Place:
    """A folder with a template and its scripts.

    Parameters
    ----------
    folder:
        The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "parts").mkdir()
        for name in ("dump.sh", "lib.sh", "check.yml"):
            (folder / "parts" / name).write_text("---\n" if name.endswith("yml") else "true\n", encoding="utf-8")

    def write(self, flows: str) -> Path:
        """The template with workflows."""
        path = self.folder / "books.yaml"
        path.write_text(HEAD + flows, encoding="utf-8")
        return path

    def plan(self, flows: str, name: str = "w") -> WorkflowPlan:
        """The plan of a workflow."""
        return build(load(self.write(flows)).facility, name)

    def codes(self, flows: str, name: str = "w", inputs: Mapping[str, Any] | None = None) -> list[str]:
        """Codes of what is wrong, with the line where they are counted from the head's end."""
        try:
            build(load(self.write(flows), inputs, workflow=name).facility, name)
        except TemplateError as error:
            above = HEAD.count("\n")
            return [f"{problem.code}:{problem.where.line - above if problem.where else 0}" for problem in error.problems]
        return []

    def open(self, flows: str, name: str = "w", inputs: Mapping[str, Any] | None = None) -> Workspace:
        """The template on a site of this machine; another workflow acts on all of its nodes."""
        self.write(flows + flow("mark", "        a: {target: every, activities: [{set_state: x}]}\n"))
        source = self.folder / "cantiere.yml"
        source.write_text(f"site: books\ntemplate: books.yaml\nstate_dir: {self.folder / 'state'}\n", encoding="utf-8")
        return open_workflow(str(source), None, inputs or {}, None, name)
