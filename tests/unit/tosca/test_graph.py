"""Drawings: well-formed, complete, and nothing covers anything else."""

from __future__ import annotations

import graphlib
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cantiere.graph import GraphNode, plan_svg, svg, topology_svg
from cantiere.layout import Box, arrange, layers_of
from cantiere.plan.definition import Action, Kind, Plan, Step
from cantiere.tosca.compile import load

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawing: str, kind: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(drawing).iter(f"{SVG}text") if element.get("class") == kind]


def test_topology(repository: Path) -> None:
    drawing = topology_svg(load(repository / "tosca" / "templates" / "facility.yaml").facility)
    assert set(texts(drawing, "name")) == {
        "iam", "origin", "national-cache", "site-cache", "store", "software", "pool", "hub", "compute", "monitoring",
        "volumes", "files", "addresses", "ingress", "certificates", "autoscaling", "names", "gpus"
    }  # fmt: skip
    assert "platform · cantiere.nodes.Platform on 1 × control, 2 × worker" in texts(drawing, "type")
    assert sorted(set(texts(drawing, "label"))) == ["cache", "fallback", "hub", "issuer", "queue", "software", "source", "store"]


def test_plan() -> None:
    steps = (
        Step(Kind.NETWORK, "net", Action.CREATE, "no such network"),
        Step(Kind.CONTAINER, "iam", Action.CREATE, "no such container", ("network/net",)),
        Step(Kind.CONTAINER, "hub", Action.REPLACE, "its settings changed", ("network/net", "container/iam")),
    )
    drawing = plan_svg(Plan("facility", steps))
    assert texts(drawing, "name") == ["+ net", "+ iam", "~ hub"]
    assert drawing.count('class="edge"') == 2
    assert "no changes" in plan_svg(Plan("facility", ()))


def test_text_is_escaped() -> None:
    drawing = svg("<script>", [GraphNode("a&b", caption='"<x>\x1b')], [("a&b", "a&b", "loop"), ("a&b", "nobody", "x")])
    assert texts(drawing, "title") == ["<script>"] and texts(drawing, "name") == ["a&b"] and texts(drawing, "type") == ['"<x>']


def test_cycles_are_refused() -> None:
    with pytest.raises(graphlib.CycleError):
        svg("t", [GraphNode("a"), GraphNode("b")], [("a", "b", ""), ("b", "a", "")])


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(st.data())
def test_nothing_covers_anything(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 9))
    pairs = [(f"n{a}", f"n{b}") for a in range(count) for b in range(a + 1, count)]
    edges = [pair for pair in pairs if data.draw(st.booleans())]
    boxes = [Box(f"n{n}", data.draw(st.floats(20, 200)), data.draw(st.floats(30, 90)), data.draw(st.floats(0, 60))) for n in range(count)]
    layout = arrange(boxes, edges)
    layers = layers_of([box.name for box in boxes], edges)
    assert all(layers[source] < layers[target] for source, target in edges)
    places = list(layout.boxes.values())
    for index, (x, y, width, height) in enumerate(places):
        assert x >= 0 and y >= -1e-6 and x + width <= layout.width + 1e-6 and y + height <= layout.height + 1e-6
        for other_x, other_y, other_width, other_height in places[index + 1 :]:
            assert x + width <= other_x or other_x + other_width <= x or y + height <= other_y or other_y + other_height <= y
    for (source, target), line in zip(edges, layout.lines, strict=True):
        assert line[0][0] == layout.boxes[source][0] + layout.boxes[source][2] and line[-1][0] == layout.boxes[target][0]
        for (from_x, from_y), (to_x, to_y) in pairwise(line):
            if from_y == to_y:
                for name, (x, y, width, height) in layout.boxes.items():
                    inside = min(from_x, to_x) < x + width - 1e-6 and max(from_x, to_x) > x + 1e-6 and y < from_y < y + height
                    assert not inside, (source, target, name)
