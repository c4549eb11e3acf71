"""Values that only the running facility knows (TOSCA Simple Profile 1.3, 4.5 and 4.6): typed expressions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cantiere.export.facility import as_dict
from support.templates import HEAD, Loader

TYPES = """\
data_types:
  t.Where: {derived_from: tosca.datatypes.Root, properties: {host: {type: string}, port: {type: integer}}}
  t.There: {derived_from: t.Where}
node_types:
  t.N:
    derived_from: tosca.nodes.Root
    properties:
      text: {type: string, required: false}
      number: {type: integer, required: false}
      real: {type: float, required: false}
      words: {type: list, entry_schema: {type: string}, required: false}
      where: {type: t.Where, required: false}
      size: {type: scalar-unit.size, required: false}
      free: {type: map, required: false}
    attributes:
      address: {type: string}
      count: {type: integer}
      addresses: {type: list, entry_schema: {type: string}}
      counts: {type: list, entry_schema: {type: integer}}
      there: {type: t.There}
      disk: {type: scalar-unit.size}
    interfaces:
      Standard: {type: tosca.interfaces.node.lifecycle.Standard}
"""


def _template(properties: str = "", outputs: str = "") -> str:
    nodes = f"    n: {{type: t.N}}\n    m: {{type: t.N, properties: {{{properties}}}}}\n"
    return f"{HEAD}{TYPES}topology_template:\n  node_templates:\n{nodes}" + (f"  outputs:\n{outputs}" if outputs else "")


@pytest.mark.parametrize(
    ("properties", "place", "type_", "path"),
    [
        ("text: {get_attribute: [n, address]}", "text", "string", ("address",)),
        ("number: {get_attribute: [n, count]}", "number", "integer", ("count",)),
        ("real: {get_attribute: [n, count]}", "real", "integer", ("count",)),
        ("words: {get_attribute: [n, addresses]}", "words", "list", ("addresses",)),
        ("text: {get_attribute: [n, addresses, 0]}", "text", "string", ("addresses", "0")),
        ("words: [a, {get_attribute: [n, address]}]", "words.1", "string", ("address",)),
        ("where: {get_attribute: [n, there]}", "where", "t.There", ("there",)),
        ("number: {get_attribute: [n, there, port]}", "number", "integer", ("there", "port")),
        ("where: {host: h, port: {get_attribute: [n, count]}}", "where.port", "integer", ("count",)),
        ("size: {get_attribute: [n, disk]}", "size", "scalar-unit.size", ("disk",)),
        ("free: {a: {get_attribute: [n, count]}}", "free.a", "integer", ("count",)),
        ("text: {get_operation_output: [n, Standard, start, token]}", "text", "any", ("Standard", "start", "token")),
    ],
)
def test_4_6_expression(tosca: Loader, properties: str, place: str, type_: str, path: tuple[str, ...]) -> None:
    node = tosca(_template(properties)).facility.node("m")
    assert list(node.late) == [place]
    found = node.late[place]
    assert (found.type, found.node, found.path, found.where.line) == (type_, "n", path, 28)


def test_4_4_texts_of_expressions(tosca: Loader) -> None:
    node = tosca(_template("text: {concat: [a, {get_attribute: [n, count]}]}")).facility.node("m")
    assert (node.late["text"].function, node.late["text"].type, node.properties["text"]) == ("concat", "string", None)


def test_4_6_what_is_referred_to_is_asked_for(tosca: Loader) -> None:
    text = _template(
        "text: {get_attribute: [n, address]}", "    o: {value: {get_property: [m, text]}}\n    p: {value: [1, {get_property: [m, text]}]}\n"
    )
    facility = tosca(text).facility
    assert {place: (one.node, one.path) for place, one in facility.late.items()} == {"o": ("n", ("address",)), "p.1": ("n", ("address",))}
    assert facility.outputs == {"o": None, "p": [1, None]} and str(facility.late["o"]) == "get_attribute [n, address], of type string"
    assert [place for place, _ in facility.expressions()] == ["m.text", "outputs.o", "outputs.p.1"]


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ("text: {get_attribute: [n, count]}", "'n.count' is of type integer, where string is wanted."),
        ("number: {get_attribute: [n, address]}", "string"),
        ("words: {get_attribute: [n, counts]}", "list"),
        ("words: [{get_attribute: [n, count]}]", "integer"),
        ("where: {get_attribute: [n, address]}", "t.Where"),
        ("where: {host: {get_attribute: [n, count]}, port: 1}", "integer"),
        ("size: {get_attribute: [n, count]}", "scalar-unit.size"),
        ("number: {concat: [a, {get_attribute: [n, count]}]}", "'concat' is of type string"),
        ("number: {get_property: [SELF, text]}, text: {get_attribute: [n, address]}", "integer is wanted"),
    ],
)
def test_4_6_type_of_the_place(tosca: Loader, properties: str, word: str) -> None:
    problem = tosca.problems(_template(properties))[0]
    assert problem.code == "function.type" and word in problem.message and problem.where is not None and problem.where.line == 28


def test_4_6_type_of_an_output(tosca: Loader) -> None:
    outputs = "    o: {type: integer, value: {get_attribute: [n, address]}}\n"
    assert tosca.codes(_template("", outputs)) == ["function.type:30"]


def test_expressions_as_json(tosca: Loader, repository: Path) -> None:
    facility = tosca(_template("text: {get_attribute: [n, address]}", "    o: {value: {get_attribute: [n, count]}}\n")).facility
    written: dict[str, Any] = json.loads(json.dumps(as_dict(facility)))
    rules = json.loads((repository / "docs" / "reference" / "facility.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(rules).validate(written)
    (node,) = (node for node in written["nodes"] if node["name"] == "m")
    assert node["late"]["text"]["type"] == "string" and written["late"]["o"]["path"] == ["count"]
