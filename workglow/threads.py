"""Worker threads for plain functions.

The standard library's pool joins its threads when the interpreter ends, so one function that hangs would keep the
program alive after its task was timed out.  These threads are daemons: a run that gave a task up can end.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Threads"]


class Threads:
    """At most `limit` threads, started as they are needed; `close` lets them end when they are free."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self._loop = loop
        self._limit = limit
        self._jobs: queue.SimpleQueue[
            tuple[Callable[[], object], Callable[[object, BaseException | None], None]] | None
        ] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0

    def run(self, call: Callable[[], object], done: Callable[[object, BaseException | None], None]) -> None:
        """Run `call` in a thread with the caller's context variables; `done(result, error)` runs on the event loop."""
        context = contextvars.copy_context()
        self._busy += 1
        self._jobs.put((lambda: context.run(call), done))
        if self._busy > self._threads < self._limit:
            self._threads += 1
            threading.Thread(target=self._work, name=f"workglow-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, done = job
            result: object = None
            failure: BaseException | None = None
            try:
                result = call()
            except BaseException as error:  # whatever a user's function raises is its result
                failure = error
            try:
                self._loop.call_soon_threadsafe(self._done, done, result, failure)
            except RuntimeError:
                return  # the loop closed: the task was given up long ago
            del job, call, done, result, failure

    def _done(
        self, done: Callable[[object, BaseException | None], None], result: object, failure: BaseException | None
    ) -> None:
        self._busy -= 1
        done(result, failure)

    def close(self) -> None:
        """End each thread as soon as it is free."""
        for _ in range(self._threads):
            self._jobs.put(None)
