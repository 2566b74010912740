"""Orders of a graph's tasks: one kept while the graph grows, and those that are asked for.

Policy.  Every task has a rank, and every edge climbs.  A new task ranks above all others, so an edge that agrees with
the order of definition costs one comparison.  An edge that would fall is admitted in one of three ways:

1. its target has no way out yet: the target moves to the top;
2. its source has no way in yet: the source moves to the bottom;
3. otherwise only the tasks ranked between the two ends are searched, forward from the target and backward from the
   source, and share out their own ranks again: D. J. Pearce and P. H. J. Kelly, "A Dynamic Topological Sort Algorithm
   for Directed Acyclic Graphs", ACM Journal of Experimental Algorithmics 11 (2006).

If the forward search meets the source, the edge would close a cycle; the way back is the cycle's name.
Cases 1 and 2 keep a chain that is built from its end linear, which the published algorithm alone does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

from workglow.errors import CycleError
from workglow.graph.dataflow import Dataflow

__all__ = ["TopologicalOrder", "definition_order", "dependency_layers", "reachable"]

Edges = Mapping[str, Sequence[Dataflow]]


class TopologicalOrder:
    """Ranks that every edge climbs; `agrees` is true while the order of definition is itself such an order."""

    __slots__ = ("_bottom", "_top", "agrees", "ranks")

    def __init__(self) -> None:
        self.ranks: dict[str, int] = {}
        self.agrees = True
        self._top = 0
        self._bottom = 0

    def copy(self) -> TopologicalOrder:
        """Return the same order, to be kept for another graph."""
        twin = TopologicalOrder()
        twin.ranks = dict(self.ranks)
        twin.agrees, twin._top, twin._bottom = self.agrees, self._top, self._bottom
        return twin

    def follow(self, order: Iterable[str]) -> None:
        """Take the ranks from an order that was made in another way."""
        self.ranks = {task_id: rank for rank, task_id in enumerate(order)}
        self._bottom, self._top = 0, len(self.ranks)
        self.agrees = False

    def append(self, task_id: str) -> None:
        """Rank a new task above all others."""
        self.ranks[task_id] = self._top
        self._top += 1

    def discard(self, task_id: str) -> None:
        """Forget a task; the order of the others still holds."""
        del self.ranks[task_id]

    def admit(self, source: str, target: str, incoming: Edges, outgoing: Edges) -> None:
        """Make room for an edge that is not in `incoming` and `outgoing` yet; CycleError when there is none."""
        ranks = self.ranks
        low, high = ranks[target], ranks[source]
        if high < low:
            return
        if source == target:
            raise CycleError(f"The edge from {source!r} to itself would make the task wait for itself.")
        self.agrees = False
        if not outgoing[target]:
            self.append(target)
        elif not incoming[source]:
            self._bottom -= 1
            ranks[source] = self._bottom
        else:
            above = self._above(source, target, high, outgoing)  # first, because it finds the cycle
            self._exchange(self._below(source, low, incoming), above)

    def _above(self, source: str, target: str, high: int, outgoing: Edges) -> list[str]:
        ranks = self.ranks
        came_from: dict[str, str] = {target: source}
        waiting = [target]
        while waiting:
            task_id = waiting.pop()
            for edge in outgoing[task_id]:
                after = edge.target
                if after == source:
                    raise CycleError(_name_cycle(source, target, task_id, came_from))
                if after not in came_from and ranks[after] < high:
                    came_from[after] = task_id
                    waiting.append(after)
        return list(came_from)

    def _below(self, source: str, low: int, incoming: Edges) -> list[str]:
        ranks = self.ranks
        seen = {source}
        waiting = [source]
        while waiting:
            for edge in incoming[waiting.pop()]:
                before = edge.source
                if before not in seen and ranks[before] > low:
                    seen.add(before)
                    waiting.append(before)
        return list(seen)

    def _exchange(self, below: list[str], above: list[str]) -> None:
        ranks = self.ranks
        below.sort(key=ranks.__getitem__)
        above.sort(key=ranks.__getitem__)
        moved = below + above
        for task_id, rank in zip(moved, sorted(ranks[task_id] for task_id in moved), strict=True):
            ranks[task_id] = rank


def definition_order(tasks: Iterable[str], incoming: Edges, outgoing: Edges) -> list[str]:
    """Sort topologically; among tasks that are free to go first, the one defined first does (Kahn 1962).

    Raises CycleError, naming the cycle, when there is no such order.
    """
    ids = list(tasks)
    position = {task_id: number for number, task_id in enumerate(ids)}
    missing = {task_id: len(incoming[task_id]) for task_id in ids}
    free = [position[task_id] for task_id in ids if not missing[task_id]]
    heapify(free)
    order: list[str] = []
    while free:
        task_id = ids[heappop(free)]
        order.append(task_id)
        for edge in outgoing[task_id]:
            missing[edge.target] -= 1
            if not missing[edge.target]:
                heappush(free, position[edge.target])
    if len(order) < len(ids):
        raise CycleError(_find_cycle([task_id for task_id in ids if missing[task_id]], missing, incoming))
    return order


def dependency_layers(order: Iterable[str], incoming: Edges) -> list[list[str]]:
    """Group tasks by the length of the longest way to them: the tasks of one layer can run side by side."""
    depth: dict[str, int] = {}
    layers: list[list[str]] = []
    for task_id in order:
        level = max((depth[edge.source] + 1 for edge in incoming[task_id]), default=0)
        depth[task_id] = level
        if level == len(layers):
            layers.append([])
        layers[level].append(task_id)
    return layers


def reachable(task_id: str, outgoing: Edges) -> set[str]:
    """Collect every task that depends on this one, directly or not; the task itself is not among them."""
    seen: set[str] = set()
    waiting = [task_id]
    while waiting:
        for edge in outgoing[waiting.pop()]:
            if edge.target not in seen:
                seen.add(edge.target)
                waiting.append(edge.target)
    return seen


def _name_cycle(source: str, target: str, last: str, came_from: Mapping[str, str]) -> str:
    way = [last]
    while way[-1] != target:
        way.append(came_from[way[-1]])
    way.reverse()
    return f"The edge from {source!r} to {target!r} would close a cycle: {_arrows([source, *way, source])}."


def _find_cycle(left: Sequence[str], missing: Mapping[str, int], incoming: Edges) -> str:
    # Every task that is left waits for another one that is left, so walking backward must come round.
    seen: dict[str, int] = {}
    way: list[str] = []
    task_id = left[0]
    while task_id not in seen:
        seen[task_id] = len(way)
        way.append(task_id)
        task_id = next(edge.source for edge in incoming[task_id] if missing[edge.source])
    cycle = way[seen[task_id] :]
    cycle.reverse()
    return f"The graph has a cycle: {_arrows([*cycle, cycle[0]])}."


def _arrows(ids: Sequence[str]) -> str:
    shown = [*ids[:6], "…", *ids[-3:]] if len(ids) > 10 else ids
    return " → ".join(shown)
