"""The constraint ``schema`` (TOSCA Simple Profile 1.3, 3.6.3): a value matches a JSON schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cantiere.tosca.jsonrules import Rules, RulesError
from cantiere.tosca.pattern import MAX_WORK, WorkError
from support.templates import Loader

SHAPE = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$"},
        "ports": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/port"}},
    },
    "additionalProperties": False,
    "$defs": {"port": {"type": "integer", "maximum": 65535}},
}


def _rules(schema: Any, work: int = MAX_WORK) -> Rules:
    return Rules(json.dumps(schema), [work])


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ('{"name": "a", "ports": [1, 2]}', ""),
        ('{"ports": [1]}', "required"),
        ('{"name": "a", "ports": [1, 70000]}', "at /ports/1: 70000"),
        ('{"name": "a", "ports": [1, 1]}', "twice"),
        ('{"name": "A"}', "does not match"),
        ('{"name": "a", "other": 1}', "other"),
        ("name: a", "no JSON"),
        ('{"name": NaN}', "no JSON"),
        ("[" * 70 + "]" * 70, "no JSON"),
        ("9" * 5000, "no JSON"),
    ],
)
def test_3_6_3_schema(tosca: Loader, written: str, word: str) -> None:
    definition = f"{{type: string, constraints: [{{schema: '{json.dumps(SHAPE)}'}}]}}"
    if not word:
        assert tosca.value(definition, f"'{written}'") == written
        return
    text = f"{definition}\n      q: {{type: integer, default: 1}}"
    assert tosca.refused(text, f"'{written}'") == ["property.constraint"]
    assert word in _rules(SHAPE).refuses(written)


def test_3_6_3_schema_of_lists(tosca: Loader) -> None:
    definition = """{type: list, constraints: [{schema: '{"items": {"type": "integer"}}'}]}"""
    assert tosca.value(definition, "[1, 2]") == [1, 2]
    assert tosca.refused(definition, "[1, a]") == ["property.constraint"]


def test_schemas_are_bounded() -> None:
    with pytest.raises(WorkError):
        _rules({"items": {"type": "integer"}}, 5000).refuses(json.dumps(list(range(1000))))
    with pytest.raises(WorkError):
        _rules({}).refuses(" " * 70_000)
    with pytest.raises(RulesError):
        _rules({"title": "x" * 20_000})
    assert "without end" in _rules({"$ref": "#"}).refuses("1")
    assert "does not have" in _rules({"$ref": "#/$defs/none"}).refuses("1")
    chain = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
    with pytest.raises(WorkError):
        _rules({"$ref": "#/$defs/d0", "$defs": {**chain, "d30": {"type": "integer"}}}).refuses('"a"')
