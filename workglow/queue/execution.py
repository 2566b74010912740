"""Running the body of one job: in place, as an asyncio task, in a thread, or in a process."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from workglow.errors import TaskConfigurationError, TaskTimeoutError
from workglow.leaving import contained, failure_of
from workglow.queue.processes import Leash, Processes
from workglow.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.clock import Clock, Timer
    from workglow.queue.context import JobContext
    from workglow.queue.handler import Handler
    from workglow.queue.messages import Call, Report
    from workglow.storage.jobs import ClaimedJob

__all__ = ["Execution", "Running", "call_in_place"]


def call_in_place(handler: Handler, inputs: dict[str, object]) -> object:
    """Call an inline function, or step a coroutine that cannot suspend."""
    result = handler.function(**inputs)
    if handler.mode == "step":
        try:
            result.send(None)
        except StopIteration as stop:
            return stop.value
        result.close()
        raise TaskConfigurationError(f"Handler {handler.name} suspended although it contains no await.")
    return result


class Running:
    """One claimed job whose handler runs."""

    __slots__ = ("alive", "call", "context", "handle", "handler", "job", "leash", "progress", "timer")

    def __init__(self, job: ClaimedJob, handler: Handler) -> None:
        self.job = job
        self.handler = handler
        self.context: JobContext | None = None
        self.handle: object = None
        self.timer: Timer | None = None
        self.progress: str | None = None
        self.call: Call | None = None  # what is sent to a process of the handler's own
        self.leash: Leash | None = None
        self.alive = False  # its code has begun and has not ended


class Execution:
    """Runs handlers and reports each result once, to `done(running, result, error)`, on the event loop's thread.

    A plain function cannot be ended, nor a coroutine that catches its cancellation: when such a handler was given up,
    its job is in `lingering` until its code has ended, and `freed` is called then.
    """

    def __init__(
        self,
        done: Callable[[Running, object, BaseException | None], None],
        clock: Clock,
        *,
        lingering: set[int],
        freed: Callable[[], None],
    ) -> None:
        self._done = done
        self._clock = clock
        self._lingering = lingering
        self._freed = freed
        self._threads: Threads | None = None
        self._processes: Processes | None = None
        self._coroutines: set[asyncio.Task[object]] = set()

    def launch(self, running: Running, inputs: dict[str, object], timeout: float | None) -> None:
        """Begin a handler that takes its time; `timeout` in seconds."""
        if running.handler.mode == "async":
            task = asyncio.get_running_loop().create_task(
                contained(lambda: self._coroutine(running, inputs)), name=f"job {running.job.id}"
            )
            running.handle = task
            running.alive = True
            self._coroutines.add(task)
            task.add_done_callback(lambda finished: self._ended(running, finished))
        elif running.call is not None:
            self._in_process(running, running.call, timeout)
            return
        else:
            self._in_thread(running, lambda: running.handler.function(**inputs))
        self._limit(running, timeout)

    def _limit(self, running: Running, timeout: float | None) -> None:
        if timeout is not None and running.handle is not None:
            running.timer = self._clock.call_later(timeout, lambda: self.expire(running, timeout))

    async def _coroutine(self, running: Running, inputs: dict[str, object]) -> object:
        try:
            return await running.handler.function(**inputs)
        finally:
            context = running.context
            if context is not None and context.owns:
                await context.adispose()

    def _ended(self, running: Running, finished: asyncio.Task[object]) -> None:
        self._coroutines.discard(finished)
        self._over(running)
        error = failure_of(finished)
        if running.handle is not finished:
            self._freed()
        else:
            self._report(running, None if error is not None else finished.result(), error)

    def _in_process(self, running: Running, call: Call, timeout: float | None) -> None:
        """A thread that waits for the process; the time counts from the moment in which the function is called."""
        if self._processes is None:
            self._processes = Processes(self._clock)
        loop, processes, context = asyncio.get_running_loop(), self._processes, running.context
        leash = running.leash = Leash()

        def begun() -> None:
            loop.call_soon_threadsafe(self._limit, running, timeout)

        def report(told: Report) -> None:
            assert context is not None
            context.progress(told.percent / 100, told.message, told.details)

        self._in_thread(running, lambda: processes.run(call, leash, begun, report))

    def _in_thread(self, running: Running, body: Callable[[], object]) -> None:
        if self._threads is None:
            # One for each job that runs or lingers: the worker's concurrency is the only limit.
            self._threads = Threads(asyncio.get_running_loop(), sys.maxsize)
        handle = running.handle = object()
        running.alive = True

        def call() -> Any:
            try:
                return body()
            finally:
                context = running.context
                try:
                    if context is not None and context.owns:
                        context.dispose()
                finally:
                    self._over(running)

        def done(result: object, error: BaseException | None) -> None:
            if self._processes is not None:
                self._processes.rest()
            if running.handle is handle:
                self._report(running, result, error)
            else:
                self._freed()

        self._threads.run(call, done)

    def _over(self, running: Running) -> None:
        """The code of a job has ended; called in whichever thread it ran."""
        running.alive = False  # before the next line: see `stop`
        self._lingering.discard(running.job.id)

    def _report(self, running: Running, result: object, error: BaseException | None) -> None:
        self.forget(running)
        self._done(running, result, error)

    def expire(self, running: Running, seconds: float) -> None:
        """End a job that takes too long: its late result does not count."""
        error = TaskTimeoutError(f"Job {running.job.id} took longer than {seconds:g} s.")
        self.stop(running, str(error))
        self._done(running, None, error)

    def forget(self, running: Running) -> None:
        """From now on nothing that this execution does counts."""
        running.handle = None
        if running.timer is not None:
            running.timer.cancel()
            running.timer = None

    def stop(self, running: Running, reason: str) -> None:
        """Tell a handler to stop, and wait for it no longer."""
        handle = running.handle
        self.forget(running)
        if running.alive:
            self._lingering.add(running.job.id)
            if not running.alive:  # its thread ended just now, and may have looked before the line above
                self._lingering.discard(running.job.id)
        if running.context is not None:
            running.context.signal.cancel(reason)
        if isinstance(handle, asyncio.Task):
            handle.cancel()
        if running.leash is not None:
            running.leash.cut()

    async def close(self, grace: float = 0.2) -> None:
        """Give cancelled coroutines a moment to clean up, then go on without them."""
        if self._coroutines:
            for task in self._coroutines:
                task.cancel()
            await asyncio.wait(tuple(self._coroutines), timeout=grace)
        if self._processes is not None:
            self._processes.close()
        if self._threads is not None:
            self._threads.close()
