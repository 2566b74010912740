"""Asking whoever gave `on_question`: a coroutine function on the loop, any other in a thread."""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from typing import TYPE_CHECKING

from workglow.leaving import contained, failure_of
from workglow.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.schedule import TaskRun
    from workglow.graph.waiting.wait import Question

__all__ = ["Asking"]

_GRACE = 0.2
"""Seconds that handlers get to clean up when nobody needs their answer any more."""


class Asking:
    """Calls the handler for one task run at most once at a time, and hands what it returned or raised to `heard`.

    Whoever is no longer asked is not heard, whatever the handler still returns.
    """

    def __init__(
        self,
        handler: Callable[[Question], object],
        heard: Callable[[TaskRun, Question, object, BaseException | None], None],
    ) -> None:
        self._handler = handler
        self._heard = heard
        self._to_ask: dict[TaskRun, Question] = {}
        self._asked: dict[TaskRun, asyncio.Task[object] | None] = {}
        self._stopped: set[asyncio.Task[object]] = set()
        self._threads: Threads | None = None

    def __bool__(self) -> bool:
        return bool(self._asked)

    def ask_later(self, run: TaskRun, question: Question) -> None:
        """Ask on behalf of a task run with the next `ask_now`, when the question is committed."""
        self._to_ask[run] = question

    def ask_now(self) -> None:
        """Begin to ask what was to be asked later."""
        while self._to_ask:
            run = next(iter(self._to_ask))
            self.ask(run, self._to_ask.pop(run))

    def ask(self, run: TaskRun, question: Question) -> None:
        """Begin to ask on behalf of a task run."""
        if inspect.iscoroutinefunction(self._handler):
            task: asyncio.Task[object] = asyncio.ensure_future(contained(partial(self._handler, question)))
            self._asked[run] = task
            task.add_done_callback(lambda done: self._returned(run, question, *_outcome(done)))
            return
        self._asked[run] = None
        self._threads = self._threads or Threads(asyncio.get_running_loop(), 1)  # people answer one thing at a time
        self._threads.run(
            lambda: self._handler(question), lambda value, error: self._returned(run, question, value, error)
        )

    def _returned(self, run: TaskRun, question: Question, value: object, error: BaseException | None) -> None:
        if run in self._asked:
            del self._asked[run]
            self._heard(run, question, value, error)

    def stop(self, run: TaskRun) -> None:
        """No longer ask on behalf of a task run."""
        self._to_ask.pop(run, None)
        task = self._asked.pop(run, None)
        if task is not None:
            task.cancel()
            self._stopped.add(task)

    async def close(self) -> None:
        """Stop asking, and give handlers a moment to clean up."""
        for run in tuple(self._asked):
            self.stop(run)
        if self._stopped:
            await asyncio.wait(tuple(self._stopped), timeout=_GRACE)
        if self._threads is not None:
            self._threads.close()


def _outcome(done: asyncio.Future[object]) -> tuple[object, BaseException | None]:
    if done.cancelled():  # by itself: it gave no answer
        return None, None
    error = failure_of(done)
    return (None, error) if error is not None else (done.result(), None)
