"""Which rows of a run still stand when some of its tasks are to run again.

The policy.  A task that runs again takes everything behind it along.  The compound tasks around it are opened again,
with what is behind them; their other iterations stand, or only those before it where each builds on the one before.
What never finished runs again too, except what a fallback that completed had tried in vain.  All that stands is kept as
rows, and a task whose predecessors all stand is ready.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import msgspec

from workglow.errors import RunStateError, UnknownTaskError
from workglow.graph.dataflow import ERROR_PORT
from workglow.graph.schedule import inactive_ports
from workglow.storage.records import TaskRow
from workglow.values.refusal import is_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workglow.graph.control.compound import GraphAsTask
    from workglow.graph.dataflow import Dataflow
    from workglow.graph.graph import TaskGraph

__all__ = ["Restart", "plan_restart"]

_STEP = re.compile(r"(?P<id>[^/\[\]]+)(?:\[\d+\])?")


@dataclass(slots=True)
class Restart:
    """What stands, with compound tasks that are open again as running; and what is ready, as new rows."""

    keep: list[TaskRow] = field(default_factory=list[TaskRow])
    add: list[TaskRow] = field(default_factory=list[TaskRow])


def plan_restart(
    graph: TaskGraph, rows: Mapping[str, TaskRow], again: Iterable[str], *, same_run: bool = False
) -> Restart:
    """Plan to run the tasks at these paths again, with all that depends on them; raises UnknownTaskError.

    In the `same_run` what waits goes on waiting, and keeps the answer that has come; another run asks anew.
    """
    plan = _Plan(graph, rows)
    for path in again:
        plan.run_again(path)
    for path, row in rows.items():
        if row.status in ("completed", "disabled") or plan.is_dropped(path):
            continue
        if (row.status == "failed" and plan.is_handled(path)) or plan.is_given_up(path):
            continue
        if row.status == "waiting" and same_run:
            continue
        if plan.is_compound(path) and row.state is not None:  # something inside it was begun
            plan.reopened.add(path)
        else:
            plan.run_again(path)
    return plan.result()


class _Plan:
    def __init__(self, graph: TaskGraph, rows: Mapping[str, TaskRow]) -> None:
        self._graph = graph
        self._rows = rows
        self.dropped: set[str] = set()
        self.reopened: set[str] = set()
        self.last_kept: dict[str, int] = {}  # sequential compound tasks, with the last of their scopes that stands

    def run_again(self, path: str) -> None:
        prefix, id = _split(path) if is_text(path) else ("", None)
        graph = self._graph_at(prefix)
        if id is None or id not in graph.tasks:
            raise UnknownTaskError(f"The run's graph has no task at {path!r:.200}.  `workglow show` lists the paths.")
        self.dropped.add(path)
        self._drop_behind(prefix, id)
        if prefix:
            self._open_around(prefix)

    def _drop_behind(self, prefix: str, id: str) -> None:
        graph = self._graph_at(prefix)
        stack = [id]
        while stack:
            for edge in graph.outgoing[stack.pop()]:
                if prefix + edge.target not in self.dropped:
                    self.dropped.add(prefix + edge.target)
                    stack.append(edge.target)

    def _open_around(self, prefix: str) -> None:
        path = _owner(prefix)
        if self._compound_at(path).is_sequential:
            self.last_kept[path] = min(_index(prefix), self.last_kept.get(path, _index(prefix)))
        if path in self.reopened:
            return
        self.reopened.add(path)
        outer, id = _split(path)
        self._drop_behind(outer, id)
        if outer:
            self._open_around(outer)

    def is_dropped(self, path: str) -> bool:
        while True:
            if path in self.dropped:
                return True
            prefix, _ = _split(path)
            if not prefix:
                return False
            path = _owner(prefix)
            if _index(prefix) > self.last_kept.get(path, _index(prefix)):
                return True

    def is_given_up(self, path: str) -> bool:
        """Is it inside an attempt that failed, of a task that completed all the same?"""
        prefix, _ = _split(path)
        while prefix:
            owner = _owner(prefix)
            if self._compound_at(owner).outlives_failures and self._rows[owner].status == "completed":
                return True
            prefix, _ = _split(owner)
        return False

    def is_compound(self, path: str) -> bool:
        prefix, id = _split(path)
        return hasattr(self._graph_at(prefix).tasks[id], "subgraph")

    def is_handled(self, path: str) -> bool:
        prefix, id = _split(path)
        return any(edge.source_port == ERROR_PORT for edge in self._graph_at(prefix).outgoing[id])

    def _graph_at(self, prefix: str) -> TaskGraph:
        graph = self._graph
        for step in prefix.split("/")[:-1]:
            match = _STEP.fullmatch(step)
            task = graph.tasks.get(match["id"]) if match else None
            if task is None or not hasattr(task, "subgraph"):
                raise UnknownTaskError(f"The run's graph has no place '{prefix}'.  `workglow show` lists the paths.")
            graph = cast("GraphAsTask", task).subgraph
        return graph

    def _compound_at(self, path: str) -> GraphAsTask:
        prefix, id = _split(path)
        return cast("GraphAsTask", self._graph_at(prefix).tasks[id])

    def result(self) -> Restart:
        restart = Restart()
        for path, row in self._rows.items():
            if self.is_dropped(path):
                continue
            if path in self.reopened:
                row.status, row.finished_at, row.output, row.error = "running", None, None, None
                self._rewind(path, row)
            restart.keep.append(row)
        standing = {row.path: row for row in restart.keep if row.finished_at is not None}
        for path in sorted(self.dropped, key=self._position):
            prefix, id = _split(path)
            if not self._is_scope_dropped(prefix) and self._is_ready(prefix, id, standing):
                restart.add.append(TaskRow(path))
        return restart

    def _is_scope_dropped(self, prefix: str) -> bool:
        if not prefix:
            return False
        owner = _owner(prefix)
        return _index(prefix) > self.last_kept.get(owner, _index(prefix)) or self.is_dropped(owner)

    def _rewind(self, path: str, row: TaskRow) -> None:
        if path in self.last_kept and row.state is not None:
            state = {**msgspec.json.decode(row.state), "opened": self.last_kept[path] + 1}
            row.state = msgspec.json.encode(state).decode()

    def _position(self, path: str) -> tuple[int, str]:
        row = self._rows.get(path)
        return (row.row_id if row is not None else 1 << 62, path)

    def _is_ready(self, prefix: str, id: str, standing: Mapping[str, TaskRow]) -> bool:
        edges = self._graph_at(prefix).incoming[id]
        sources = [standing.get(prefix + edge.source) for edge in edges]
        if any(source is None for source in sources):
            return False
        delivering = [
            edge for edge, source in zip(edges, sources, strict=True) if source is not None and _delivers(source, edge)
        ]
        if edges and not delivering:
            raise RunStateError(f"'{prefix}{id}' is on a branch that was not taken, so it cannot run again by itself.")
        return True


def _delivers(source: TaskRow, edge: Dataflow) -> bool:
    if source.status == "completed":
        return edge.source_port != ERROR_PORT and edge.source_port not in inactive_ports(source)
    return source.status == "failed" and edge.source_port == ERROR_PORT


def _split(path: str) -> tuple[str, str]:
    prefix, slash, id = path.rpartition("/")
    return prefix + slash, id


def _index(prefix: str) -> int:
    """The number of the scope that has this prefix."""
    return int(prefix.rpartition("[")[2][:-2]) if prefix.endswith("]/") else 0


def _owner(prefix: str) -> str:
    """The path of the compound task whose scope has this prefix."""
    return re.sub(r"(?:\[\d+\])?/$", "", prefix)
