"""Values as the text of configuration files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml


class _Plain(yaml.SafeDumper):
    """Writes equal values in full each time: readers of Go programs refuse anchors or make them hard to follow."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Plain, data: str) -> yaml.ScalarNode:
    # readers of Go programs take a bare y or n for a truth value
    style = '"' if data.lower() in ("y", "n") else "|" if "\n" in data else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Plain.add_representer(str, _text)


def plain(value: Any) -> Any:
    """A value as plain data, as YAML and JSON know it: tuples as lists, and texts, lists and maps of Ansible's own kinds as usual ones.

    Parameters
    ----------
    value:
        Any value.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def as_yaml(content: Any) -> str:
    """Data as one YAML document, keys in the order of their making."""
    return yaml.safe_dump(plain(content), sort_keys=False, width=140, allow_unicode=True)


def documents(values: Iterable[Mapping[str, Any]]) -> str:
    """The text of a file of YAML documents, keys in the order given."""
    return yaml.dump_all(values, Dumper=_Plain, sort_keys=False, default_flow_style=False, explicit_start=True, width=140)


def toml(values: Mapping[str, Any]) -> str:
    """The text of a TOML file: strings, numbers, truth values, lists of these, and tables.

    Parameters
    ----------
    values:
        What it holds; a mapping becomes a table, whatever its depth.
    """
    return "\n".join(_table(values, ())).strip("\n") + "\n"


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    lines = ["", f"[{'.'.join(_key(part) for part in path)}]"] if path and (plain or not values) else []
    lines += [f"{_key(key)} = {json.dumps(value)}" for key, value in plain.items()]
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += _table(value, (*path, key))
    return lines


def _key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() else json.dumps(key)
