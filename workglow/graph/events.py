"""What happens in a run, and to a graph that is being built, as it happens: for progress bars, logs and editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

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


class Events:
    """Listeners for the events of one graph, over its building and all its runs.  A kind of '*' means every kind."""

    def __init__(self) -> None:
        self._listeners: list[tuple[str, Callable[[Event], object]]] = []

    def __len__(self) -> int:
        return len(self._listeners)

    def on(self, kind: EventKind | Literal["*"], listener: Callable[[Event], object]) -> None:
        """Call `listener` at each event of this kind."""
        self._listeners.append((kind, listener))

    def off(self, kind: EventKind | Literal["*"], listener: Callable[[Event], object]) -> None:
        """Stop calling this listener for this kind; one that is not there is no error."""
        if (kind, listener) in self._listeners:
            self._listeners.remove((kind, listener))

    def once(self, kind: EventKind | Literal["*"], listener: Callable[[Event], object]) -> None:
        """Call `listener` at the next event of this kind, and then no more."""

        def first(event: Event) -> object:
            self.off(kind, first)
            return listener(event)

        self.on(kind, first)

    def subscribe(self, listener: Callable[[Event], object]) -> Callable[[], None]:
        """Call `listener` at each event; the function that comes back ends it."""
        self.on("*", listener)
        return lambda: self.off("*", listener)

    async def wait_on(self, kind: EventKind | Literal["*"]) -> Event:
        """Wait for the next event of this kind."""
        import asyncio

        happened: Future[Event] = asyncio.get_running_loop().create_future()
        self.once(kind, lambda event: None if happened.done() else happened.set_result(event))
        return await happened

    def emit(self, event: Event) -> None:
        """Tell every listener, even when some of them raise; then raise what they raised."""
        errors: list[Exception] = []
        for kind, listener in tuple(self._listeners):
            if kind in ("*", event.kind):
                try:
                    listener(event)
                except Exception as error:
                    errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup(f"{len(errors)} listeners raised on {event.kind}", errors)
