"""Which level a cache asks: programs of the image, without a server."""

from __future__ import annotations

import json
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

import pytest

from support.tree import REPOSITORY

LEVELS = ["national:1094", "origin:1094"]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A program of the image, as a module."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(name: str, **environment: str) -> ModuleType:
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        loader = SourceFileLoader(f"xrootd_{name}", str(REPOSITORY / "images/xrootd" / name))
        module = ModuleType(loader.name)
        loader.exec_module(module)
        return module

    return load


@pytest.mark.parametrize(
    ("current", "up", "down", "asked"),
    [
        (0, (9, 9), (0, 0), 0),
        (0, (0, 9), (2, 0), 0),  # not gone for long enough
        (0, (0, 9), (3, 0), 1),
        (0, (0, 0), (3, 3), 0),  # nobody is there: nothing is gained
        (1, (14, 9), (0, 0), 1),  # not back for long enough
        (1, (15, 9), (0, 0), 0),
        (1, (1, 0), (0, 3), 0),
    ],
)
def test_the_level_that_is_asked(program: Any, current: int, up: tuple[int, int], down: tuple[int, int], asked: int) -> None:
    chosen = program("sources").choose(LEVELS, LEVELS[current], dict(zip(LEVELS, up, strict=True)), dict(zip(LEVELS, down, strict=True)))
    assert chosen == LEVELS[asked]


def test_metrics_add_up_what_the_server_reports(program: Any) -> None:
    told = {"source": LEVELS[0], "low_watermark": 1, "high_watermark": 2}
    exporter = program("exporter", CANTIERE_ROLE="cache", CANTIERE_SETTINGS=json.dumps(told))
    closed = {"event": "file_close", "b_hit": 5, "b_miss": 7, "b_bypass": 0}
    exporter.take(("\n".join(["{}", json.dumps(closed), json.dumps(closed)]) + "\0").encode())
    exporter.take(b'<statistics><stats id="link"><num>3</num><in>10</in><out>20</out></stats></statistics>')
    lines = exporter.METRICS.text().splitlines()
    assert {"xcache_hit_bytes_total 10", "xcache_miss_bytes_total 14", "xcache_accesses_total 2", "xrootd_connections 3"} <= set(lines)
    assert "xcache_high_watermark_bytes 2" in lines and "xrootd_up 0" in lines
    assert f'xcache_source_up{{source="{LEVELS[0]}"}} 0' in lines, "a watch that is silent says nothing good"
    assert "# TYPE xcache_hit_bytes_total counter" in lines and "# TYPE xrootd_up gauge" in lines
