"""Which tasks of a graph the `queues` of a run are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors import TaskConfigurationError
from workglow.graph.naming import did_you_mean
from workglow.graph.stored import tasks_within

if TYPE_CHECKING:
    from workglow.graph.graph import TaskGraph
    from workglow.graph.options import RunOptions
    from workglow.tasks import TaskRegistry

__all__ = ["check_queues"]


def check_queues(options: RunOptions, graph: TaskGraph, registry: TaskRegistry) -> None:
    """Refuse a name in `queues` that is no type of a task in the graph, or in a graph inside it.

    What a task will unfold into is not known yet, so beside such a one every type is taken that is registered.
    """
    if not options.queues:
        return
    tasks = list(tasks_within(graph))
    types = dict.fromkeys(task.type for task in tasks)
    unfolds = any(task.mode == "compound" and hasattr(task, "unfold") for task in tasks)
    for name in options.queues:
        if name in types or (unfolds and name in registry):
            continue
        type = next((task.type for task in tasks if task.id == name), None)
        if type is not None:
            hint = f"  A task has it as its id: name its type {type!r}, or give that one task its queue=."
        else:
            hint = did_you_mean(name, types)
        raise TaskConfigurationError(f"queues names {name!r:.80}, and no task of the graph is of that type.{hint}")
