"""Whatever can be run, as a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.graph.graph import TaskGraph

if TYPE_CHECKING:
    from workglow.graph.tasklike import HoldsGraph, TaskLike

__all__ = ["as_graph"]


def as_graph(source: TaskGraph | HoldsGraph | TaskLike) -> TaskGraph:
    """Return a graph as it is, a workflow's graph, and anything else as a graph of one task."""
    if isinstance(source, TaskGraph):
        return source
    held = getattr(source, "graph", None)
    if isinstance(held, TaskGraph):
        return held
    graph = TaskGraph()
    graph.add_task(source)  # pyright: ignore
    return graph
