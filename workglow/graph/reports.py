"""What running tasks report: their progress, what they take of models, and the pieces of their streams."""

from __future__ import annotations

import asyncio
from threading import get_ident
from typing import TYPE_CHECKING

from workglow.errors import CorruptValueError
from workglow.graph.rights.gate import gate_of
from workglow.graph.usage import add_usage
from workglow.storage.records import FINAL_TASK_STATUSES
from workglow.tasks import TaskContext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from workglow.graph.environment import Environment
    from workglow.graph.events import EventKind
    from workglow.graph.schedule import TaskRun
    from workglow.graph.streams.chunks import StreamChunk
    from workglow.tasks.answer import Answer
    from workglow.tasks.usage import Usage

__all__ = ["Reports"]


class Reports:
    """Tells the listeners what running tasks report: their progress, and the pieces of their streams.

    `error` is what a listener, the cache or the journal raised meanwhile, or a task in order to end the program: it
    ends the run, and is no failure of a task.
    """

    def __init__(
        self,
        environment: Environment,
        emit: Callable[[EventKind, str, object], None],
        wake: Callable[[], None],
        touch: Callable[[TaskRun], None],
    ) -> None:
        self.error: BaseException | None = None
        self.asker: Callable[[TaskRun], Callable[..., Awaitable[Answer]] | None] | None = None
        self.earlier: Callable[[TaskRun], Callable[[str], str] | None] = lambda _: None
        self._environment = environment
        self._emit = emit
        self._wake = wake
        self._touch = touch

    def context(self, run: TaskRun) -> TaskContext:
        """Make the context that the task is given; it may report progress from any thread."""
        environment, gate = self._environment, gate_of(run, self._environment)
        loop, thread, attempt = asyncio.get_running_loop(), get_ident(), run.attempt

        def on_progress(fraction: float, message: str) -> None:
            if get_ident() == thread:
                self._progress(run, attempt, fraction, message)
            else:
                loop.call_soon_threadsafe(self._progress, run, attempt, fraction, message)

        def on_usage(model: str, usage: Usage) -> None:
            if get_ident() == thread:
                self._used(run, attempt, model, usage)
            else:
                loop.call_soon_threadsafe(self._used, run, attempt, model, usage)

        return TaskContext(
            run_id=environment.run_id,
            path=run.path,
            attempt=attempt,
            clock=environment.clock,
            registry=environment.registry,
            project=environment.project,
            project_uid=environment.project_uid,
            on_progress=on_progress,
            on_usage=on_usage,
            is_allowed=None if gate is None else gate.is_allowed,
            asks=None if self.asker is None or run.task.mode != "async" else self.asker(run),
            earlier=self.earlier(run) if run.task.continues_streams else None,
        )

    def _progress(self, run: TaskRun, attempt: int, fraction: float, message: str) -> None:
        if run.attempt == attempt and run.status == "running":
            run.progress = fraction
            self._tell("task_progress", run.path, (fraction, message))

    def _used(self, run: TaskRun, attempt: int, model: str, usage: Usage) -> None:
        """Whatever a run takes of models passes here, on the loop's thread, before its task goes on to its end."""
        if run.status in FINAL_TASK_STATUSES:
            return  # a function that was given up long ago
        if self._environment.spending is not None:
            self._environment.spending.add(usage)
        try:
            run.usage = add_usage(run.usage, attempt, model, usage)
        except CorruptValueError as error:  # what an earlier process kept
            self.broken(error)
            return
        if self._environment.journal is not None and run.row_id:
            self._touch(run)  # so that it is known also when the process does not live to see the attempt's end
            self._wake()

    def chunk(self, run: TaskRun, chunk: StreamChunk) -> None:
        """Tell what a stream yielded."""
        self._tell("task_chunk", run.path, chunk)

    def _tell(self, kind: EventKind, path: str, data: object) -> None:
        try:
            self._emit(kind, path, data)
        except BaseException as error:
            self.broken(error)

    def broken(self, error: BaseException) -> None:
        """End the run with this error, which was raised where nobody above would see it."""
        self.error = self.error or error
        self._wake()
