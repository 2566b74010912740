"""Running the body of one task: in place, as an asyncio task, in a thread, or as a stream."""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from typing import TYPE_CHECKING, cast

from workglow.errors import TaskConfigurationError, TaskTimeoutError
from workglow.leaving import contained, failure_of
from workglow.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from workglow.clock import Clock
    from workglow.graph.reports import Reports
    from workglow.graph.resolution import Resolution
    from workglow.graph.schedule import TaskRun
    from workglow.graph.streams.readers import Streams
    from workglow.tasks import Task, TaskContext

__all__ = ["Execution", "milliseconds", "suspended"]

_THREADS = 32
_GRACE = 0.2
"""Seconds that cancelled coroutines get to clean up before a run ends without them."""


class Execution:
    """Runs task bodies and reports each result once, to `done(run, result, error)`, on the event loop's thread."""

    def __init__(
        self,
        done: Callable[[TaskRun, object, BaseException | None], None],
        reports: Reports,
        streams: Streams,
        *,
        clock: Clock,
        threads: int | None,
    ) -> None:
        self._done = done
        self._clock = clock
        self._reports = reports
        self._streams = streams
        self._thread_limit = min(threads or _THREADS, _THREADS)
        self._threads: Threads | None = None
        self._coroutines: set[asyncio.Task[object]] = set()
        self.resolution: Resolution | None = None

    def resolves(self, task: Task) -> bool:
        """Whether names in the task's inputs are resolved first, which may take its time."""
        return self.resolution is not None and self.resolution.concerns(task)

    def in_place(self, run: TaskRun) -> object:
        """Call an inline function or step a coroutine that cannot suspend, with a context and a clock."""
        task = run.task
        context = self._context(run) if task.needs_context else None
        begun = self._clock.monotonic()
        try:
            result = task.call(cast("dict[str, object]", run.inputs), context)
            if task.mode == "step":
                coroutine = cast("Coroutine[object, None, object]", result)
                try:
                    coroutine.send(None)
                except StopIteration as stop:
                    result = stop.value
                else:
                    raise suspended(run, coroutine)
        finally:
            if context is not None:
                context.dispose()
        if task.timeout and self._clock.monotonic() - begun > task.timeout:
            raise TaskTimeoutError(f"Task '{run.path}' timed out after {milliseconds(task.timeout)}.")
        return result

    def launch(self, run: TaskRun) -> None:
        """Begin a task that takes its time."""
        mode = run.task.mode
        context = self._context(run)
        resolution = self.resolution if run.task.formats else None
        if resolution is not None and resolution.concerns(run.task):
            body = partial(self._resolved, run, context, resolution)
        elif mode == "thread":
            self._in_thread(run, context)
            return
        else:
            body = partial(self._stream if mode == "stream" else self._coroutine, run, context)
        task = asyncio.get_running_loop().create_task(contained(body), name=run.path)
        run.handle = task
        self._coroutines.add(task)
        task.add_done_callback(lambda finished: self._coroutine_done(run, finished))

    def _context(self, run: TaskRun) -> TaskContext:
        context = run.context = self._reports.context(run)
        return context

    async def _coroutine(self, run: TaskRun, context: TaskContext) -> object:
        try:
            result = run.task.call(cast("dict[str, object]", run.inputs), context)
            return await result if inspect.isawaitable(result) else result
        finally:
            if context.owns:
                await context.adispose()

    async def _resolved(self, run: TaskRun, context: TaskContext, resolution: Resolution) -> object:
        run.inputs = await resolution.resolved(run)  # its key in the cache is made of the names
        if run.task.mode == "stream":
            result = await self._stream(run, context)
        elif run.task.mode == "thread":
            result = await self._thread(run, context)
        else:
            result = await self._coroutine(run, context)
        return await resolution.named(run, result)

    async def _thread(self, run: TaskRun, context: TaskContext) -> object:
        ended: asyncio.Future[tuple[object, BaseException | None]] = asyncio.get_running_loop().create_future()

        def done(result: object, error: BaseException | None) -> None:
            if not ended.done():  # else nobody waits for it any more
                ended.set_result((result, error))  # a future takes no StopIteration as its exception

        self._call_in_thread(run, context, done)
        result, error = await ended
        if error is not None:
            raise error
        return result

    async def _stream(self, run: TaskRun, context: TaskContext) -> object:
        channel = self._streams.open(run)
        try:
            pieces = run.task.call(cast("dict[str, object]", run.inputs), context)
            return await channel.pump(cast("AsyncGenerator[object, None]", pieces))
        finally:
            if context.owns:
                await context.adispose()

    def _coroutine_done(self, run: TaskRun, finished: asyncio.Task[object]) -> None:
        self._coroutines.discard(finished)
        error = failure_of(finished)
        if run.handle is finished:
            self._report(run, None if error is not None else finished.result(), error)

    def _in_thread(self, run: TaskRun, context: TaskContext) -> None:
        handle = run.handle = object()

        def done(result: object, error: BaseException | None) -> None:
            if run.handle is handle:
                self._report(run, result, error)

        self._call_in_thread(run, context, done)

    def _call_in_thread(
        self, run: TaskRun, context: TaskContext, done: Callable[[object, BaseException | None], None]
    ) -> None:
        if self._threads is None:
            self._threads = Threads(asyncio.get_running_loop(), self._thread_limit)
        task, inputs = run.task, cast("dict[str, object]", run.inputs)

        def call() -> object:
            try:
                return task.call(inputs, context)
            finally:
                if context.owns:
                    context.dispose()

        self._threads.run(call, done)

    def _report(self, run: TaskRun, result: object, error: BaseException | None) -> None:
        self.forget(run)
        self._tell(run, result, error)

    def _tell(self, run: TaskRun, result: object, error: BaseException | None) -> None:
        try:
            self._done(run, result, error)
        except BaseException as failure:
            self._reports.broken(failure)

    def arm(self, run: TaskRun, seconds: float, *, passed: float = 0) -> None:
        """End the task with a TaskTimeoutError unless it ends by itself within `seconds`, of which some have passed."""

        def expire() -> None:
            error = TaskTimeoutError(f"Task '{run.path}' timed out after {milliseconds(seconds)}.")
            self.cancel(run, str(error))
            self._tell(run, None, error)

        run.timer = self._clock.call_later(max(0, seconds - passed), expire)

    def forget(self, run: TaskRun) -> None:
        """From now on nothing that this execution of the task does counts."""
        run.handle = None
        if run.intake is not None:
            run.intake.close()
            run.intake = None
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None

    def cancel(self, run: TaskRun, reason: str) -> None:
        """Tell a task to stop and no longer wait for it."""
        handle = run.handle
        self.forget(run)
        if run.context is not None:
            run.context.signal.cancel(reason)
        if isinstance(handle, asyncio.Task):
            handle.cancel()

    async def close(self) -> None:
        """Give cancelled coroutines a moment to clean up, then go on without them."""
        if self._coroutines:
            for task in self._coroutines:
                task.cancel()
            await asyncio.wait(tuple(self._coroutines), timeout=_GRACE)
        if self._threads is not None:
            self._threads.close()


def suspended(run: TaskRun, coroutine: Coroutine[object, None, object]) -> TaskConfigurationError:
    """The error of a coroutine that waits although it contains no `await`; it is closed."""
    coroutine.close()
    return TaskConfigurationError(f"Task '{run.path}' suspended although it contains no await.")


def milliseconds(seconds: float) -> str:
    """Write a duration the way timeouts are reported: '50ms'."""
    return f"{round(seconds * 1000)}ms"
