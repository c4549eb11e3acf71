"""Elements as YAML that every parser reads the same, whether it knows YAML 1.1 or 1.2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from cantiere.tosca.elements import Element, Map, Scalar, Seq

WIDTH = 140
Tree = Any
"""Mappings and lists of scalars of a template and of plain values."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def tree(element: Element) -> Tree:
    """An element as plain mappings and lists that may be changed; scalars stay what they are."""
    if isinstance(element, Map):
        return {name: tree(value) for name, value in element.entries.items()}
    if isinstance(element, Seq):
        return [tree(item) for item in element.items]
    return element


def dump(document: Mapping[str, Tree] | Sequence[Tree]) -> str:
    """A document as YAML text."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=WIDTH, allow_unicode=True)


def _scalar(dumper: _Dumper, scalar: Scalar) -> yaml.Node:
    """A scalar with its own text where PyYAML reads the same from it, else with the value that the core schema gives it."""
    value, text = scalar.value, scalar.text
    if isinstance(value, str):
        return dumper.represent_str(value)
    if type(value) is float and "." in text and yaml.safe_load(text) == value:
        return dumper.represent_scalar("tag:yaml.org,2002:float", text)
    return dumper.represent_data(value)


_Dumper.add_representer(Scalar, _scalar)
