"""What is going on in a run, told by its events: which tasks run, how far the loops are, what streams say.

The policy.  A listener is called for every task of a run, so it only counts; whoever draws asks ten times a second.
An item of a loop is done when as many of its tasks are final as the loop's graph has.  Loops inside loops count for the
outer one only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workglow.clock import Clock
    from workglow.graph.events import Event
    from workglow.graph.graph import TaskGraph

__all__ = ["FINAL", "Loop", "Running", "Watch"]

FINAL = {
    "task_completed": "completed",
    "task_cached": "completed",
    "task_failed": "failed",
    "task_aborted": "aborted",
    "task_disabled": "disabled",
}
"""Kind of event → the final status that it tells of."""

_TAIL = 600
"""Characters of a stream that are kept for showing."""


@dataclass(slots=True)
class Running:
    """A task that runs: since when, how far it says it is, and the end of the text that it has streamed."""

    path: str
    since: float
    fraction: float | None = None
    message: str = ""
    text: str = ""


@dataclass(slots=True)
class Loop:
    """A loop: how many of its items are done, and how many there are, when that is known."""

    path: str
    size: int
    done: int = 0
    total: int | None = None
    finals: dict[str, int] = field(default_factory=dict[str, int])

    def count(self, prefix: str) -> bool:
        """Count one final task of the item with this prefix; True when that was the item's last."""
        number = self.finals.get(prefix, 0) + 1
        if number < self.size:
            self.finals[prefix] = number
            return False
        self.finals.pop(prefix, None)
        self.done += 1
        return True


class Watch:
    """A listener for one run.  `run` is the run's id, once it has begun."""

    def __init__(self, graph: TaskGraph, clock: Clock, count_items: Callable[[str, str], int | None]) -> None:
        self.run = ""
        self.done = 0
        self.total = len(graph.tasks)
        self.running: dict[str, Running] = {}
        self.loops: dict[str, Loop] = {}
        self._graph = graph
        self._clock = clock
        self._count_items = count_items

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        path = event.path
        if event.kind in FINAL:
            self.running.pop(path, None)
            self.finished(path)
        elif event.kind == "task_started":
            self.running[path] = Running(path, self._clock.monotonic())
        elif event.kind == "task_progress":
            self._progress(path, event.data)
        elif event.kind == "task_chunk":
            self._chunk(path, event.data)
        elif event.kind in ("task_retried", "task_waiting"):
            self.running.pop(path, None)
        elif event.kind == "run_started":
            self.run = event.run

    def recall(self, finals: Iterable[str]) -> None:
        """Count the tasks that were final before this process took the run over."""
        for path in finals:
            self.finished(path)

    def finished(self, path: str) -> None:
        """Count a final task."""
        scope, slash, _ = path.rpartition("/")
        if not slash:
            self.done += 1
        elif scope.endswith("]") and "[" not in (outermost := scope[: scope.rindex("[")]):
            loop = self._loop(outermost)
            if loop.count(scope) and loop.total is None and self.run:
                loop.total = self._count_items(self.run, loop.path)

    def _loop(self, path: str) -> Loop:
        loop = self.loops.get(path)
        if loop is None:
            loop = self.loops[path] = Loop(path, len(_graph_inside(self._graph, path).tasks))
        return loop

    def _progress(self, path: str, data: Any) -> None:
        running = self.running.get(path)
        if running is not None:
            running.fraction, running.message = data

    def _chunk(self, path: str, chunk: Any) -> None:
        running = self.running.get(path)
        if running is not None and isinstance(chunk.data, str):
            said = chunk.data if chunk.kind == "replace" else running.text + chunk.data
            running.text = said[-_TAIL:]


def _graph_inside(graph: TaskGraph, path: str) -> TaskGraph:
    for step in path.split("/"):
        task: Any = graph.tasks[step.partition("[")[0]]
        graph = task.subgraph
    return graph
