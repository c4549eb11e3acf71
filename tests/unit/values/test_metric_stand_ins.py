"""The stand-ins for Prometheus and its adapter read every value that is emitted for them, or say why not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from support.sizes import FACTS, releases
from support.tree import REPOSITORY

SPEC = ".Values.prometheus.prometheusSpec."


def leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    else:
        yield path


def covered(path: str, known: set[str]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[: number + 1]) in known for number in range(len(parts)))


@pytest.mark.parametrize("chart", ["kube-prometheus-stack", "prometheus-adapter"])
def test_every_value_is_read_or_ignored_for_a_reason(chart: str) -> None:
    folder = REPOSITORY / "tests" / "charts" / chart
    texts = [path.read_text(encoding="utf-8").replace("$spec.", SPEC) for path in folder.glob("templates/*")]
    read = {found for text in texts for found in re.findall(r"\.Values\.([A-Za-z0-9.]+)", text)} - {"prometheus.prometheusSpec"}
    ignored = yaml.safe_load((folder / "ignored.yaml").read_text(encoding="utf-8"))
    emitted = {path for size in FACTS for one in releases(size) if one.chart == chart for path in leaves(one.values)}
    assert emitted
    assert {path for path in emitted if not covered(path, read | set(ignored))} == set()
    assert {path for path in ignored if not any(item == path or item.startswith(f"{path}.") for item in emitted)} == set()
    assert all(reason for reason in ignored.values())
