"""The graph that a run is pinned to, as it is stored: which paths it has, without making a task or importing one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from workglow.storage.graph_json import record_to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workglow.storage.protocols import GraphRepository

__all__ = ["PinnedGraph", "Step", "scopes_opened", "steps_of"]


class Step(NamedTuple):
    """One part of a task's path: `map[3]` is the task 'map' and the scope 3; the last part has no scope of its own."""

    task: str
    scope: int | None
    above: str
    """The path of what is around it, with a slash at its end; '' for a task of the run's own graph."""

    @property
    def path(self) -> str:
        """The path of the task itself."""
        return self.above + self.task


def steps_of(path: str) -> Iterator[Step]:
    """Take a path apart, from the outermost task to the innermost."""
    above = ""
    for part in path.split("/"):
        task, bracket, index = part.partition("[")
        numbered = bracket and index.endswith("]") and index[:-1].isdecimal()
        yield Step(task if numbered else part, int(index[:-1]) if numbered else None, above)
        above += part + "/"


class PinnedGraph:
    """A stored graph, level by level."""

    def __init__(self, graphs: GraphRepository, graph_id: int) -> None:
        self._whole = record_to_json(graphs.load(graph_id))

    def sources(self, path: str) -> list[str] | None:
        """Return the ids of the tasks whose outputs go into the task at `path`; None when the graph has none there."""
        *around, last = steps_of(path)
        graph: Mapping[str, Any] = self._whole
        for step in around:
            holder = _task(graph, step.task)
            inner: Mapping[str, Any] | None = None if holder is None else holder.get("subgraph")
            if inner is None:
                return None
            graph = inner
        if last.scope is not None or _task(graph, last.task) is None:
            return None
        flows = graph.get("dataflows", ())
        return list(dict.fromkeys(flow["sourceTaskId"] for flow in flows if flow["targetTaskId"] == last.task))


def _task(graph: Mapping[str, Any], id: str) -> Mapping[str, Any] | None:
    return next((task for task in graph.get("tasks", ()) if task["id"] == id), None)


def scopes_opened(state: str | None) -> int | None:
    """Return how many of its graphs a compound task has begun, by its stored state; None when it does not say."""
    opened = msgspec.json.decode(state or "{}").get("opened")
    return opened if isinstance(opened, int) else None
