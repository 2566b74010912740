"""What happens in a run, and to a graph that is being built, as it happens: for progress bars, logs and editors."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from workglow.listeners import Listeners

__all__ = ["Event", "EventKind", "Events"]

EventKind = Literal[
    "run_started",
    "run_finished",
    "task_started",
    "task_progress",
    "task_chunk",
    "task_retried",
    "task_waiting",
    "task_notified",
    "task_completed",
    "task_cached",
    "task_failed",
    "task_aborted",
    "task_disabled",
    "graph_changed",
    "graph_reset",
]


class Event(msgspec.Struct, frozen=True):
    """One thing that happened: its kind, the run, the task's path ('' for the run itself), the time in milliseconds.

    `data` depends on the kind: the fraction and message of a progress, the port and text of a chunk, the error of a
    failure, the status of a finished run, the outputs of a completed task, the Question or Wait of a task that waits,
    the Question of a task that tells something and does not wait.

    What a workflow tells of its building belongs to no run: `run` is ''.  The path of `graph_changed` is the id of the
    task that was added, and '' when none was; `graph_reset` comes behind it when another graph took its place.
    """

    kind: EventKind
    run: str
    path: str
    at: int
    data: Any = None


class Events(Listeners[Event, EventKind]):
    """Listeners for the events of one graph, over its building and all its runs.  A kind of '*' means every kind."""
