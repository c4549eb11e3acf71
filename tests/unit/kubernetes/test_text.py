"""Texts of configuration files."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import yaml

from cantiere.kubernetes.text import documents, plain, toml


class Tagged(str):
    """A text as Ansible hands it over."""


def test_documents_keep_every_value() -> None:
    values: list[dict[str, Any]] = [{"b": [1, 2], "a": {"on": "yes", "y": "y"}, "text": "one\ntwo\n"}, {"empty": []}]
    assert list(yaml.safe_load_all(documents(values))) == values


@pytest.mark.parametrize("word", ["y", "Y", "n", "N"])
def test_a_single_letter_stays_a_text(word: str) -> None:
    # YAML readers of Go programs know y and n as truth values, Python's does not
    assert f'"{word}"' in documents([{"value": word}])


def test_equal_values_are_written_twice() -> None:
    shared = {"image": "a"}
    assert "&" not in documents([{"one": shared, "two": shared}])


def test_toml_is_read_back() -> None:
    values = {"version": 3, "a.b": {"c": {"list": ["x"], "flag": True, "deep": {"text": 'quote " and \\'}}}, "empty": {}}
    assert tomllib.loads(toml(values)) == values


def test_plain_data_of_a_filter() -> None:
    given = {Tagged("key"): [Tagged("text"), True, 3, 1.5, None, (Tagged("x"),)]}
    found = plain(given)
    assert found == {"key": ["text", True, 3, 1.5, None, ["x"]]}
    assert type(found["key"][0]) is str
    assert type(found["key"][1]) is bool
