"""Where the tasks and edges of a graph are drawn: a layered drawing, from top to bottom.

Policy.  A task stands in the layer behind all it depends on.  An edge that passes a layer keeps a place free there, so
that it goes around the boxes.  In each layer the order follows the neighbours' (barycentres, swept down and up), and so
do the places, as near to above the neighbours as the gaps allow.  Lengths are in pixels, from the top left corner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Box", "Layout", "Route", "lay_out"]

GAP = 28.0
"""Between two boxes of a layer."""
FALL = 62.0
"""Between two layers: room for the curves and their labels."""
_LANE = 18.0
"""What an edge that passes a layer takes up."""
_SWEEPS = 8


Point = tuple[float, float]


@dataclass(slots=True)
class Box:
    """A task: its size, and its place once it has one."""

    width: float
    height: float
    x: float = 0.0
    y: float = 0.0

    @property
    def middle(self) -> float:
        """The x of its centre."""
        return self.x + self.width / 2


@dataclass(slots=True)
class Route:
    """An edge: straight down from a box to the end of its layer, then over the gaps, then straight down to a box.

    `hops` are the ways over the gaps between layers, each from the end of one to the beginning of the next.
    """

    source: str
    target: str
    begin: Point
    end: Point
    hops: list[tuple[Point, Point]]


@dataclass(slots=True)
class Layout:
    """The places of everything, and how large it all is."""

    boxes: Mapping[str, Box]
    routes: Sequence[Route]
    width: float
    height: float


def lay_out(layers: Sequence[Sequence[str]], boxes: Mapping[str, Box], edges: Iterable[tuple[str, str]]) -> Layout:
    """Give each box a place and each edge, from one box to one of a later layer, a way."""
    return _Drawing(layers, dict(boxes), list(dict.fromkeys(edges))).layout()


class _Drawing:
    def __init__(
        self, layers: Sequence[Sequence[str]], boxes: dict[str, Box], edges: Sequence[tuple[str, str]]
    ) -> None:
        self._boxes = dict(boxes)
        self._own = boxes
        self._rows = [list(layer) for layer in layers]
        self._depth = {name: depth for depth, row in enumerate(self._rows) for name in row}
        self._above: dict[str, list[str]] = {name: [] for name in boxes}
        self._below: dict[str, list[str]] = {name: [] for name in boxes}
        self._ends: list[tuple[float, float]] = []
        self._chains = {edge: self._chain(number, *edge) for number, edge in enumerate(edges)}

    def _chain(self, number: int, source: str, target: str) -> list[str]:
        """Return the boxes that an edge goes through, with lanes in the layers that it passes."""
        chain = [source]
        for depth in range(self._depth[source] + 1, self._depth[target]):
            lane = f"\0{number}/{depth}"
            self._boxes[lane] = Box(_LANE, 0)
            self._rows[depth].append(lane)
            self._depth[lane] = depth
            self._above[lane], self._below[lane] = [], []
            chain.append(lane)
        chain.append(target)
        for upper, lower in pairwise(chain):
            self._below[upper].append(lower)
            self._above[lower].append(upper)
        return chain

    def layout(self) -> Layout:
        self._order()
        self._place()
        top = 0.0
        for row in self._rows:
            height = max((self._boxes[name].height for name in row), default=0)
            for name in row:
                self._boxes[name].y = top
            self._ends.append((top, top + height))
            top += height + FALL
        routes = [self._route(edge, chain) for edge, chain in self._chains.items()]
        width = max((box.x + box.width for box in self._boxes.values()), default=0)
        return Layout(self._own, routes, width, max(top - FALL, 0))

    def _order(self) -> None:
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            near = self._above if down else self._below
            for row in self._rows if down else reversed(self._rows):
                self._sort(row, near)

    def _sort(self, row: list[str], near: Mapping[str, Sequence[str]]) -> None:
        """Order a layer by the mean place of each box's neighbours in the layer beside it."""
        places: dict[str, float] = {}
        for name in row:
            for other in near[name]:
                if other not in places:
                    beside = self._rows[self._depth[other]]
                    places.update({one: place for place, one in enumerate(beside)})
        own = {name: place for place, name in enumerate(row)}
        row.sort(key=lambda name: _mean([places[other] for other in near[name]], own[name]))

    def _place(self) -> None:
        for row in self._rows:
            left = 0.0
            for name in row:
                self._boxes[name].x = left
                left += self._boxes[name].width + GAP
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            for row in self._rows if down else reversed(self._rows):
                self._align(row, self._above if down else self._below)
        leftmost = min((box.x for box in self._boxes.values()), default=0)
        for box in self._boxes.values():
            box.x -= leftmost

    def _align(self, row: Sequence[str], near: Mapping[str, Sequence[str]]) -> None:
        """Move the boxes of a layer towards their neighbours: packed from the left, from the right, and halfway."""
        boxes = [self._boxes[name] for name in row]
        wanted = [
            _mean([self._boxes[other].middle for other in near[name]], box.middle) - box.width / 2
            for name, box in zip(row, boxes, strict=True)
        ]
        from_left, edge = list(wanted), float("-inf")
        for number, box in enumerate(boxes):
            from_left[number] = max(wanted[number], edge)
            edge = from_left[number] + box.width + GAP
        from_right, edge = list(wanted), float("inf")
        for number in range(len(boxes) - 1, -1, -1):
            from_right[number] = min(wanted[number], edge - boxes[number].width)
            edge = from_right[number] - GAP
        for box, left, right in zip(boxes, from_left, from_right, strict=True):
            box.x = (left + right) / 2

    def _route(self, edge: tuple[str, str], chain: Sequence[str]) -> Route:
        hops: list[tuple[Point, Point]] = []
        for upper, lower in pairwise(chain):
            bottom, top = self._ends[self._depth[upper]][1], self._ends[self._depth[lower]][0]
            hops.append(((self._port(upper, lower), bottom), (self._port(lower, upper), top)))
        source, target = self._boxes[edge[0]], self._boxes[edge[1]]
        begin, end = (hops[0][0][0], source.y + source.height), (hops[-1][1][0], target.y)
        return Route(*edge, begin, end, hops)

    def _port(self, name: str, neighbour: str) -> float:
        """Return where on the edge of a box the way to a neighbour begins: spread out, in the neighbours' order."""
        box = self._boxes[name]
        near = self._below[name] if neighbour in self._below[name] else self._above[name]
        if len(near) < 2 or name not in self._own:
            return box.middle
        order = sorted(near, key=lambda other: self._boxes[other].middle)
        room = min(box.width * 0.6, 36.0 * (len(near) - 1))
        return box.middle + room * (order.index(neighbour) / (len(near) - 1) - 0.5)


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
