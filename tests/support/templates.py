"""Small templates for the tests of the front end: written, loaded, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cantiere.errors import Problem, TemplateError
from cantiere.tosca.compile import Loaded, load

HEAD = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
TYPES = """\
capability_types:
  t.Socket:
    derived_from: tosca.capabilities.Root
    properties:
      slots: {type: integer, default: 1}
      size: {type: scalar-unit.size, required: false}
  t.Big:
    derived_from: t.Socket
node_types:
  t.Server:
    derived_from: tosca.nodes.Root
    properties:
      speed: {type: integer, default: 1}
      label: {type: string, required: false}
    capabilities:
      socket: {type: t.Socket}
  t.Fast:
    derived_from: t.Server
    capabilities:
      socket: {type: t.Big}
  t.Client:
    derived_from: tosca.nodes.Root
    properties:
      text: {type: string, required: false}
      number: {type: integer, required: false}
      words: {type: list, entry_schema: {type: string}, required: false}
    attributes:
      address: {type: string}
    requirements:
      - server:
          capability: t.Socket
          node: t.Server
          relationship: tosca.relationships.DependsOn
"""


def template(nodes: str = "", inputs: str = "", outputs: str = "", types: str = TYPES, head: str = HEAD) -> str:
    """A template of the given node templates, inputs and outputs, each indented by four spaces."""
    parts = [head, types, "topology_template:\n  description: a test\n"]
    for key, text in (("inputs", inputs), ("node_templates", nodes), ("outputs", outputs)):
        if text:
            parts.append(f"  {key}:\n{text.rstrip()}\n")
    return "".join(parts)


class Loader:
    """Writes templates to a folder and loads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def __call__(self, text: str | bytes, inputs: Mapping[str, Any] | None = None, file: str | None = None) -> Loaded:
        """Load a template, with inputs and the text of an inputs file."""
        path = self.write("template.yaml", text)
        return load(path, inputs, self.write("inputs.yaml", file) if file is not None else None)

    def problems(self, text: str | bytes, inputs: Mapping[str, Any] | None = None, file: str | None = None) -> list[Problem]:
        """What is wrong with a template."""
        try:
            self(text, inputs, file)
        except TemplateError as error:
            return list(error.problems)
        return []

    def codes(self, text: str | bytes, inputs: Mapping[str, Any] | None = None, file: str | None = None) -> list[str]:
        """The codes of what is wrong, with the line."""
        return [f"{problem.code}:{problem.where.line if problem.where else 0}" for problem in self.problems(text, inputs, file)]

    def value(self, definition: str, written: str, types: str = "") -> Any:
        """The value of a property of the given definition."""
        text = _property(definition, types) + f"        p: {written}\n"
        return self(text).facility.node("n").properties["p"]

    def refused(self, definition: str, written: str, types: str = "") -> list[str]:
        """The codes of what is wrong with a property's value."""
        return [problem.code for problem in self.problems(_property(definition, types) + f"        p: {written}\n")]


def _property(definition: str, types: str) -> str:
    node = f"node_types:\n  t.N:\n    derived_from: tosca.nodes.Root\n    properties:\n      p: {definition}\n"
    return f"{HEAD}{types}{node}topology_template:\n  node_templates:\n    n:\n      type: t.N\n      properties:\n"
