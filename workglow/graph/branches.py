"""Which tasks can never give a result in the same run, so that their results need not be gathered in a list.

Policy.  A task that has an `[error]` edge either gives its outputs or its error, and a task with `exclusive_ports`
gives through at most one of them, or through exactly one unless it `may_take_none`.  An `is_optional` port is on or off
by itself.  What depends on only one of these ways is bound to it.  The ways form a tree: a task that several edges
enter runs when any of them delivers, so it is bound to what all its sources have in common, the nearest place above
them all; it runs whenever that does only if the ways into it are all there are.  A task that is not bound to anything
runs in every run that succeeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from workglow.graph.dataflow import ERROR_PORT, Dataflow

if TYPE_CHECKING:
    from workglow.graph.control.conditional import ConditionalTask
    from workglow.graph.structure import GraphStructure

__all__ = ["Branches"]


class _Way:
    """A place in the tree of ways: below `above`, at the fork `fork`, this one of its arms."""

    __slots__ = ("above", "arms", "depth", "fork", "results", "width")

    def __init__(self, above: _Way | None, fork: str) -> None:
        self.above = above
        self.fork = fork
        self.depth: int = 0 if above is None else above.depth + 1
        self.arms: dict[tuple[str, str], _Way] = {}
        self.results = 0
        self.width = 0

    def arm(self, fork: str, name: str) -> _Way:
        return self.arms.setdefault((fork, name), _Way(self, fork))


class Branches:
    """The ways through one graph."""

    def __init__(self, graph: GraphStructure) -> None:
        self._root = _Way(None, "")
        self._after: dict[str, _Way] = {}
        self._graph = graph
        self._arms: dict[str, int] = {}  # forks of which one arm is always taken, with the number of their arms
        outgoing = graph.outgoing
        self._splits = {
            task_id
            for task_id, task in graph.tasks.items()
            if getattr(task, "exclusive_ports", ())
            or task.switches_ports
            or any(edge.source_port == ERROR_PORT for edge in outgoing[task_id])
        }
        if self._splits:
            for task_id in graph.order():
                self._after[task_id] = self._place(task_id)

    def always_runs(self, task_id: str) -> bool:
        """Say whether the task gives its outputs in every run that succeeds."""
        return self._after.get(task_id, self._root) is self._root

    def are_apart(self, one: Dataflow, other: Dataflow) -> bool:
        """Say whether at most one of the edges delivers in any run: they come from different arms of one fork."""
        if not self._splits:
            return False
        above = {(way.fork, way.above): way for way in _upward(self._along(one))}
        return any(above.get((way.fork, way.above), way) is not way for way in _upward(self._along(other)))

    def stay_with(self, edge: Dataflow) -> bool:
        """Say whether the ways are the same with one more edge: it comes along the way that its target is on anyway."""
        if edge.source_port == ERROR_PORT or not self._splits:
            return False
        way = self._after[edge.target]
        if any(other.source_port == ERROR_PORT for other in self._graph.outgoing[edge.target]):
            way = way.above
        return self._along(edge) is way

    def all_end_in(self, forks: Iterable[str], task_ids: Iterable[str]) -> list[str]:
        """Return those forks of which the tasks are all in an arm, but for those that never run together with it."""
        ends = [self._after[task_id] for task_id in task_ids] if self._splits else []
        trails = [{*_upward(end), self._root} for end in ends]
        names = [{way.fork for way in trail} for trail in trails]
        found: list[str] = []
        for fork in forks:
            above, arms = self._after[fork], f"{fork}[]"
            before = {*_upward(above), self._root}
            outside = [n for n, passed in enumerate(names) if arms not in passed]
            if len(outside) < len(ends) and not any(ends[n] in before or above in trails[n] for n in outside):
                found.append(fork)
        return found

    def most_results(self, task_ids: Iterable[str]) -> int:
        """Count how many of the tasks can give their outputs in one run."""
        if not self._splits:
            return sum(1 for _ in task_ids)
        ways = [self._root]
        for way in ways:
            way.results = 0
            ways.extend(way.arms.values())
        for task_id in task_ids:
            self._after[task_id].results += 1
        for way in reversed(ways):
            widest: dict[str, int] = {}
            for (fork, _), arm in way.arms.items():
                widest[fork] = max(widest.get(fork, 0), arm.width)
            way.width = way.results + sum(widest.values())
        return self._root.width

    def _place(self, task_id: str) -> _Way:
        """Return the way that a task's own outputs come out on."""
        ways = {id(way): way for way in (self._along(edge) for edge in self._graph.incoming[task_id])}
        own = self._joined(task_id, ways) if ways else self._root
        if any(edge.source_port == ERROR_PORT for edge in self._graph.outgoing[task_id]):
            self._arms[task_id] = 2
            return own.arm(task_id, "")
        return own

    def _joined(self, task_id: str, ways: dict[int, _Way]) -> _Way:
        """Return the way of a task that several ways enter: where all arms of a fork meet, they are as one."""
        while len(ways) > 1:
            met: dict[tuple[int, str], list[_Way]] = {}
            for way in ways.values():
                if way.above is not None:
                    met.setdefault((id(way.above), way.fork), []).append(way)
            whole = next((arms for (_, fork), arms in met.items() if len(arms) == self._arms.get(fork)), None)
            if whole is None:
                nearest = _nearest_above(list(ways.values()))
                return nearest if id(nearest) in ways else nearest.arm(f"{task_id}+", "")
            for way in whole:
                del ways[id(way)]
            above = whole[0].above
            assert above is not None
            ways[id(above)] = above
        return next(iter(ways.values()))

    def _along(self, edge: Dataflow) -> _Way:
        way = self._after[edge.source]
        if edge.source_port == ERROR_PORT:
            return way.above.arm(edge.source, ERROR_PORT) if way.above else way
        task = self._graph.tasks[edge.source]
        exclusive = getattr(task, "exclusive_ports", ())
        if edge.source_port in exclusive:
            fork = f"{edge.source}[]"
            if getattr(task, "may_take_none", False):
                way = way.arm(f"{edge.source}?", "")
            self._arms[fork] = len(exclusive)
            return way.arm(fork, edge.source_port)
        if task.switches_ports and cast("ConditionalTask", task).is_optional(edge.source_port):
            return way.arm(f"{edge.source}[{edge.source_port}]", "")
        return way


def _upward(way: _Way | None) -> Iterator[_Way]:
    while way is not None and way.above is not None:
        yield way
        way = way.above


def _nearest_above(ways: list[_Way]) -> _Way:
    common = ways[0]
    for other in ways[1:]:
        way: _Way = other
        while common is not way:
            if common.depth >= way.depth and common.above is not None:
                common = common.above
            elif way.above is not None:
                way = way.above
    return common
