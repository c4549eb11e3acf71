"""Drawings of the topology and of the plan: layers from left to right, as SVG text. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from cantiere.layout import Box, Layout, arrange
from cantiere.model import Facility
from cantiere.plan.definition import SYMBOLS, Action, Plan

MARGIN = 28
HEAD = 44
FRAME = 26
PORT = 20
CHARACTER = 7.4
SMALL = 6.3
LONGEST = 44
COLOURS = ("#2f6db3", "#b3541e", "#2e7d4f", "#8e3b8a", "#7a6a00", "#00747c", "#a8324a", "#55606e")
STYLE = (
    "text{font-family:'DejaVu Sans',Verdana,Helvetica,Arial,sans-serif;fill:#1c2733}"
    ".title{font-size:18px;font-weight:600}.name{font-size:13px;font-weight:600}.type{font-size:11px;fill:#5b6875}"
    ".edge{fill:none;stroke:#8794a2;stroke-width:1.4}.label{font-size:10px;fill:#5b6875}"
    ".box{fill:#fff;stroke-width:1.4}.frame{fill:#f4f7fa;stroke:#c9d3dd;stroke-width:1.2}"
)


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A box of a drawing.

    Parameters
    ----------
    name:
        What edges call it; unique.
    title:
        The line in bold; the name where it is empty.
    caption:
        The line below; boxes with the same caption have the same colour.
    colour:
        Key of the colour in place of the caption.
    """

    name: str
    title: str = ""
    caption: str = ""
    colour: str = ""


def _text(text: str, longest: int = LONGEST) -> str:
    """A text that may stand in SVG: short, printable, escaped."""
    clean = "".join(char for char in text if char.isprintable())
    return escape(clean if len(clean) <= longest else clean[: longest - 1] + "…")


def _shown(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST]


def svg(title: str, nodes: Sequence[GraphNode], edges: Sequence[tuple[str, str, str]], frame: str = "") -> str:
    """Draw a graph.

    Parameters
    ----------
    title:
        The heading.
    nodes:
        The boxes.
    edges:
        Source, target and label; a source stands left of its targets. An edge to a box that there is not is left out.
    frame:
        Title of a frame around all boxes; none where it is empty.

    Returns
    -------
    str
        An SVG document. Boxes, labels and lines do not cover each other; lines cross only between the columns.

    Raises
    ------
    graphlib.CycleError
        The edges form a cycle.
    """
    known = {node.name for node in nodes}
    drawn = [edge for edge in dict.fromkeys(edges) if edge[0] in known and edge[1] in known and edge[0] != edge[1]]
    leaving: dict[str, int] = {}
    labels: dict[str, int] = {}
    for source, _, label in drawn:
        leaving[source] = leaving.get(source, 0) + 1
        labels[source] = max(labels.get(source, 0), len(label[:LONGEST]))
    boxes = [
        Box(
            node.name,
            width=24 + max(CHARACTER * 1.08 * len(_shown(node.title or node.name)), SMALL * 1.05 * len(_shown(node.caption))),
            height=max(46, PORT * leaving.get(node.name, 0) + 8),
            tail=SMALL * labels[node.name] + 12 if labels.get(node.name) else 0,
        )
        for node in nodes
    ]
    layout = arrange(boxes, [(source, target) for source, target, _ in drawn])
    left, top = MARGIN + (FRAME if frame else 0), HEAD + MARGIN + (FRAME + 10 if frame else 0)
    width = max(layout.width + 2 * left, CHARACTER * 1.5 * len(_shown(title)) + 2 * MARGIN, 200)
    height = layout.height + top + (FRAME if frame else 0) + MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{_text(title, 200)}</title><style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0.8 L8 4 L0 7.2 Z" fill="#8794a2"/></marker></defs>',
        f'<rect {size} fill="#fff"/>',
        f'<text class="title" x="{MARGIN}" y="{HEAD - 4}">{_text(title, 200)}</text>',
    ]
    if frame:
        around = f'width="{layout.width + 2 * FRAME:.0f}" height="{layout.height + 2 * FRAME + 10:.0f}"'
        parts.append(f'<rect class="frame" x="{MARGIN}" y="{HEAD + MARGIN}" {around} rx="12"/>')
        parts.append(f'<text class="type" x="{MARGIN + 14}" y="{HEAD + MARGIN + 18}">{_text(frame, 120)}</text>')
    if not nodes:
        parts.append(f'<text class="type" x="{MARGIN}" y="{HEAD + MARGIN}">nothing</text>')
    parts.append(f'<g transform="translate({left:.1f},{top:.1f})">')
    parts += [_edge(layout, number, label) for number, (_, _, label) in enumerate(drawn)]
    palette: dict[str, str] = {}
    for node in nodes:
        key = node.colour or node.caption
        palette.setdefault(key, COLOURS[len(palette) % len(COLOURS)])
        parts.append(_box(node, layout, palette[key]))
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _box(node: GraphNode, layout: Layout, colour: str) -> str:
    x, y, width, height = layout.boxes[node.name]
    middle = y + height / 2
    name = _text(node.title or node.name)
    full = _text(f"{node.title or node.name} {node.caption}".strip(), 500)
    parts = [
        f"<g><title>{full}</title>",
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="7" stroke="{colour}"/>',
        f'<rect x="{x:.1f}" y="{y + 7:.1f}" width="4" height="{height - 14:.1f}" fill="{colour}"/>',
        f'<text class="name" x="{x + 14:.1f}" y="{middle - 3 if node.caption else middle + 5:.1f}">{name}</text>',
    ]
    if node.caption:
        parts.append(f'<text class="type" x="{x + 14:.1f}" y="{middle + 14:.1f}">{_text(node.caption)}</text>')
    return "".join([*parts, "</g>"])


def _edge(layout: Layout, number: int, label: str) -> str:
    """An edge: straight beside boxes, a curve between columns."""
    points = layout.lines[number]
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (to_x, to_y) in itertools.pairwise(points):
        if y == to_y:
            path += f"L{to_x:.1f} {to_y:.1f}"
        else:
            bend = (to_x - x) / 2
            path += f"C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
    line = f'<path class="edge" d="{path}" marker-end="url(#tip)"/>'
    if not label:
        return line
    return f'{line}<text class="label" x="{points[0][0] + 6:.1f}" y="{points[0][1] - 4:.1f}">{_text(label)}</text>'


def topology_svg(facility: Facility) -> str:
    """The services of a facility and what they need, in a frame for the platform that they all stand on, with its machines."""
    hosts = {name for node in facility.nodes for name in node.requirements.get("host", ())}
    platform = next(iter(hosts)) if len(hosts) == 1 else ""
    pools = facility.node(platform).requirements.get("machines", ()) if platform else ()
    inside = [node for node in facility.nodes if node.name != platform and node.name not in pools]
    framed = bool(platform) and all(node.requirements.get("host") == (platform,) for node in inside)
    shown = inside if framed else list(facility.nodes)
    nodes = [GraphNode(node.name, caption=node.type.removeprefix("cantiere.nodes.")) for node in shown]
    edges = [
        (node.name, target, requirement)
        for node in shown
        for requirement, targets in node.requirements.items()
        if not (framed and requirement == "host")
        for target in targets
    ]
    counts = {name: facility.node(name).properties["count"] for name in pools}
    machines = ", ".join(f"{count} × {name}" for name, count in counts.items() if count)
    frame = f"{platform} · {facility.node(platform).type}" + (f" on {machines}" if machines else "") if framed else ""
    return svg(facility.name, nodes, edges, frame)


def plan_svg(plan: Plan) -> str:
    """The steps of a plan, each right of those that it waits for."""
    nodes = [
        GraphNode(step.id, f"{SYMBOLS[Action(step.action)]} {step.name}", f"{step.kind}: {step.reason}", str(step.kind))
        for step in plan.steps
    ]
    waits = {step.id: tuple(step.after) for step in plan.steps}
    edges = [(before, step.id, "") for step in plan.steps for before in _direct(step.id, waits)]
    return svg(f"{plan.facility}: plan of {len(plan.steps)} steps" if plan.steps else f"{plan.facility}: no changes", nodes, edges)


def _direct(name: str, waits: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Of what a step waits for, what no other of these waits for already."""
    reached: set[str] = set()
    todo = [further for before in waits[name] for further in waits.get(before, ())]
    while todo:
        at = todo.pop()
        if at not in reached:
            reached.add(at)
            todo += waits.get(at, ())
    return [before for before in waits[name] if before not in reached]
