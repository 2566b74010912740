"""Keeps the input and output tasks of a graph under construction in step with its edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from workglow.graph.boundary import BoundaryTask, boundary_schema

if TYPE_CHECKING:
    from workglow.graph.graph import TaskGraph

__all__ = ["Outline"]


class Outline:
    """The boundary tasks of one graph.  Between `open` and `close` they take any port; then only what is connected."""

    def __init__(self, graph: TaskGraph) -> None:
        self._graph = graph
        self._open: set[str] = set()
        self.task_ids: set[str] = set()
        self.look()

    def look(self) -> None:
        """Find the boundary tasks that the graph has now."""
        self.task_ids = {task_id for task_id, task in self._graph.tasks.items() if isinstance(task, BoundaryTask)}

    def open(self, *task_ids: str) -> None:
        """Let the boundary tasks among these take new ports; those with a schema written by hand keep it."""
        for task_id in self.task_ids.intersection(task_ids) - self._open:
            task = cast("BoundaryTask", self._graph.tasks[task_id])
            if not task.is_manual:
                schema = {**task.config["output_schema"], "additionalProperties": True}
                self._graph.replace_task(task_id, task.replace(output_schema=schema))
                self._open.add(task_id)

    def abandon(self) -> None:
        """Leave everything as it stands, because the graph is put back as it was."""
        self._open.clear()

    def close(self) -> None:
        """Give every task that was opened the schema that its edges ask for; without edges it stays open."""
        for task_id in self._open:
            task = self._graph.tasks.get(task_id)
            if task is not None and (self._graph.incoming[task_id] or self._graph.outgoing[task_id]):
                self._graph.replace_task(task_id, task.replace(output_schema=boundary_schema(self._graph, task_id)))
        self._open.clear()
