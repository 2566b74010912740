"""Workflows made of tasks at once: one after the other, or side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from workglow.graph.building.workflow import Workflow
from workglow.graph.schemas import PROPERTY_ARRAY, Merge

if TYPE_CHECKING:
    from workglow.graph.tasklike import TaskLike

__all__ = ["parallel", "pipe"]


def pipe(*tasks: TaskLike) -> Workflow:
    """Return a workflow of tasks one after the other; an only output becomes the only input of the next.

    Tasks, functions, graphs and workflows may be mixed.  Errors are those of `Workflow.pipe`.
    """
    return Workflow().pipe(*tasks)


def parallel(tasks: Iterable[TaskLike], *, merge: Merge = PROPERTY_ARRAY) -> Workflow:
    """Return a workflow of one task, in which tasks run side by side on the same inputs.

    Each output is the list of what they gave under its name, in the order of the tasks; with 'GRAPH_RESULT_ARRAY' the
    only output `results` is the list of `{"id", "type", "data"}`.
    """
    return Workflow().parallel(tasks, merge=merge)
