"""Everything that a graph accepts as a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from workglow.tasks import Task, TaskFunction, as_task

if TYPE_CHECKING:
    from workglow.graph.graph import TaskGraph

__all__ = ["HoldsGraph", "TaskLike", "make_task"]


class HoldsGraph(Protocol):
    """A builder that can give its graph, such as a Workflow."""

    def to_graph(self) -> TaskGraph:
        """Return a graph that later changes of the builder do not touch."""
        ...


TaskLike: TypeAlias = "Task | type[Task] | Callable[..., Any] | TaskGraph | HoldsGraph"


def make_task(source: TaskLike, id: str | None, values: Mapping[str, Any]) -> Task:
    """Return the task that `source` stands for; a graph or workflow becomes one task with that graph inside.

    `values` are literals for its inputs, or settings where its class declares them.
    """
    if isinstance(source, Task):
        unchanged = not values and (id is None or id == source.id)
        return source if unchanged else as_task(source, id=id, **values)
    if callable(source):
        function: object = source
        if isinstance(function, TaskFunction) and not values:  # the usual case, and the shortest way
            return function.task_type(id=id)
        return as_task(source, id=id, **values)
    from workglow.graph.control.compound import GraphAsTask
    from workglow.graph.graph import TaskGraph

    if isinstance(source, TaskGraph):
        return as_task(GraphAsTask(source.copy(), id=id), **values)
    if hasattr(source, "to_graph"):
        return as_task(GraphAsTask(source.to_graph(), id=id), **values)
    return as_task(source, id=id)  # refuses it in its own words
