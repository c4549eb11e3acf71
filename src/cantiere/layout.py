"""Where the boxes and lines of a layered drawing go. Pure geometry.

The steps are those of Sugiyama: layers, places kept free for lines that pass a layer, few crossings, then coordinates.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

GAP = 56.0
ROW = 18.0
LANE = 12.0
SWEEPS = 12
STEP = 20.0

Lane = tuple[str, int]
"""A place kept free in a layer: all lines to the same box pass a layer together."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box to be placed.

    Parameters
    ----------
    name:
        Unique.
    width, height:
        Its size.
    tail:
        Room to its right for the labels of the lines that leave it.
    """

    name: str
    width: float
    height: float
    tail: float = 0.0


@dataclass(slots=True)
class Layout:
    """Where everything goes.

    Parameters
    ----------
    width, height:
        Of the whole drawing.
    boxes:
        Name to left, top, width and height.
    lines:
        The points of every edge, in the order of the edges; from one layer to the next a curve, else straight.
    """

    width: float = 0.0
    height: float = 0.0
    boxes: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)
    lines: list[list[tuple[float, float]]] = field(default_factory=list)


def layers_of(names: Sequence[str], edges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The layer of each box: one more than the farthest of those left of it; sources stand right before their nearest target.

    Raises
    ------
    graphlib.CycleError
        The edges form a cycle.
    """
    pairs = list(edges)
    sorter: TopologicalSorter[str] = TopologicalSorter({name: () for name in names})
    targets: dict[str, list[str]] = {}
    sources: set[str] = set()
    for source, target in pairs:
        sorter.add(target, source)
        targets.setdefault(source, []).append(target)
        sources.add(target)
    sorter.prepare()
    layers: dict[str, int] = {}
    generation = 0
    while sorter.is_active():
        ready = sorter.get_ready()
        layers.update(dict.fromkeys(ready, generation))
        sorter.done(*ready)
        generation += 1
    for name in names:
        if name not in sources and name in targets:
            layers[name] = min(layers[target] for target in targets[name]) - 1
    return layers


def _ordered(columns: list[list[Lane]], neighbours: Sequence[Mapping[Lane, list[Lane]]]) -> None:
    """Reorder the columns so that lines cross less: each place goes to the middle of its neighbours, there and back."""
    best, fewest = [list(column) for column in columns], None
    for sweep in range(SWEEPS):
        crossings = _crossings(columns, neighbours[1])
        if fewest is None or crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
        forth = sweep % 2 == 0
        side = neighbours[0] if forth else neighbours[1]
        indexes = range(1, len(columns)) if forth else range(len(columns) - 2, -1, -1)
        for index in indexes:
            other = {lane: place for place, lane in enumerate(columns[index - 1 if forth else index + 1])}
            keep = {lane: place for place, lane in enumerate(columns[index])}
            scale = max(len(other), 1) / max(len(keep), 1)

            def middle(
                lane: Lane,
                side: Mapping[Lane, list[Lane]] = side,
                other: dict[Lane, int] = other,
                keep: dict[Lane, int] = keep,
                scale: float = scale,
            ) -> float:
                near = [other[entry] for entry in side.get(lane, ()) if entry in other]
                return sum(near) / len(near) if near else keep[lane] * scale

            columns[index].sort(key=middle)
    columns[:] = best


def _crossings(columns: list[list[Lane]], after: Mapping[Lane, list[Lane]]) -> int:
    count = 0
    for column, following in itertools.pairwise(columns):
        place = {lane: index for index, lane in enumerate(following)}
        seen: list[int] = []
        for lane in reversed(column):
            ends = [place[target] for target in after.get(lane, ())]
            count += sum(bisect_left(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _spread(wanted: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Positions nearest to what is wanted (least squares), in order, with at least the gaps between them."""
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        blocks.append((want - offset, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (last, count), (before, number) = blocks.pop(), blocks.pop()
            blocks.append(((last * count + before * number) / (count + number), count + number))
    flat = [mean for mean, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]


def arrange(boxes: Sequence[Box], edges: Sequence[tuple[str, str]]) -> Layout:
    """Place boxes in columns and lead the edges between them.

    Parameters
    ----------
    boxes:
        What to place.
    edges:
        Source and target; sources stand left.

    Returns
    -------
    Layout
        Coordinates from (0, 0).

    Raises
    ------
    graphlib.CycleError
        The edges form a cycle.
    """
    sizes = {box.name: box for box in boxes}
    layers = layers_of(list(sizes), edges)
    columns: list[list[Lane]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for name in sizes:
        columns[layers[name]].append((name, layers[name]))
    joined: set[tuple[Lane, Lane]] = set()
    placed = {lane for column in columns for lane in column}
    before: dict[Lane, list[Lane]] = {}
    after: dict[Lane, list[Lane]] = {}
    for source, target in edges:
        at: Lane = (source, layers[source])
        for layer in range(layers[source] + 1, layers[target] + 1):
            following: Lane = (target, layer)
            if following not in placed:
                placed.add(following)
                columns[layer].append(following)
            if (at, following) not in joined:
                joined.add((at, following))
                after.setdefault(at, []).append(following)
                before.setdefault(following, []).append(at)
            at = following
    _ordered(columns, (before, after))
    heights = {lane: sizes[lane[0]].height if layers[lane[0]] == lane[1] else LANE for column in columns for lane in column}
    centres = _centres(columns, heights, before, after)
    return _draw(sizes, layers, columns, centres, edges)


def _centres(
    columns: list[list[Lane]], heights: Mapping[Lane, float], before: Mapping[Lane, list[Lane]], after: Mapping[Lane, list[Lane]]
) -> dict[Lane, float]:
    """The vertical middle of every place, near the middle of its neighbours."""
    gaps = [[(heights[one] + heights[other]) / 2 + ROW for one, other in itertools.pairwise(column)] for column in columns]
    centres: dict[Lane, float] = {}
    for column, gap in zip(columns, gaps, strict=True):
        middle = sum(gap) / 2
        centres.update(zip(column, _spread([-middle + sum(gap[:index]) for index in range(len(column))], gap), strict=True))
    for sweep in range(SWEEPS):
        order = range(len(columns)) if sweep % 2 == 0 else range(len(columns) - 1, -1, -1)
        for index in order:
            wanted = []
            for lane in columns[index]:
                near = [centres[entry] for entry in (*before.get(lane, ()), *after.get(lane, ()))]
                wanted.append(sum(near) / len(near) if near else centres[lane])
            centres.update(zip(columns[index], _spread(wanted, gaps[index]), strict=True))
    top = min((centres[lane] - heights[lane] / 2 for lane in centres), default=0.0)
    return {lane: centre - top for lane, centre in centres.items()}


def _draw(
    sizes: Mapping[str, Box],
    layers: Mapping[str, int],
    columns: list[list[Lane]],
    centres: Mapping[Lane, float],
    edges: Sequence[tuple[str, str]],
) -> Layout:
    """Coordinates of boxes and lines."""
    layout = Layout()
    lefts: list[float] = []
    rights: list[float] = []
    for index, column in enumerate(columns):
        own = [sizes[name] for name, _ in column if layers[name] == index]
        left = rights[-1] + GAP if rights else 0.0
        width = max((box.width for box in own), default=0.0)
        lefts.append(left)
        rights.append(left + width + max((box.tail for box in own), default=0.0))
        for box in own:
            layout.boxes[box.name] = (left, centres[box.name, index] - box.height / 2, width, box.height)
    layout.width = rights[-1] if rights else 0.0
    layout.height = max(
        (centres[lane] + (sizes[lane[0]].height if layers[lane[0]] == lane[1] else LANE) / 2 for lane in centres), default=0.0
    )
    leaving: dict[str, list[int]] = {}
    for number, (source, _) in enumerate(edges):
        leaving.setdefault(source, []).append(number)
    layout.lines = [[] for _ in edges]
    for source, numbers in leaving.items():
        numbers.sort(key=lambda number: centres[edges[number][1], layers[edges[number][0]] + 1])
        layer = layers[source]
        left, top, width, height = layout.boxes[source]
        for place, number in enumerate(numbers):
            y = top + height / 2 + (place - (len(numbers) - 1) / 2) * STEP + (4 if len(numbers) > 1 else 0)
            layout.lines[number] += [(left + width, y), (rights[layer], y)]
            target = edges[number][1]
            for passed in range(layer + 1, layers[target] + 1):
                y = centres[target, passed]
                layout.lines[number].append((lefts[passed], y))
                if passed < layers[target]:
                    layout.lines[number].append((rights[passed], y))
    return layout
