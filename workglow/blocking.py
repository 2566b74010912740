"""One blocking twin for each coroutine, also inside a running event loop (a notebook's, say)."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["run_blocking"]

Result = TypeVar("Result")

_GRACE = 0.2
"""Seconds that coroutines which ignore cancellation may hold the caller up."""


def run_blocking(begin: Callable[[], Coroutine[object, object, Result]]) -> Result:
    """Run a coroutine to its end on an event loop of its own; in another thread when this one has a running loop.

    Ctrl-C cancels the coroutine, lets it clean up, and then raises KeyboardInterrupt.
    """
    if asyncio._get_running_loop() is None:  # the public twin raises, and its error would be shown as a cause
        return _run(begin)
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(_run(begin))
        except BaseException as error:  # raised again in the caller's thread
            failure.append(error)

    around = contextvars.copy_context()
    thread = threading.Thread(target=lambda: around.run(work), name="workglow-run", daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def _run(begin: Callable[[], Coroutine[object, object, Result]]) -> Result:
    runner = asyncio.Runner()
    try:
        return runner.run(begin())
    finally:
        _close(runner)


def _close(runner: asyncio.Runner) -> None:
    loop = runner.get_loop()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=_GRACE))
    if all(task.done() for task in left):
        runner.close()
    else:  # closing the runner would wait for them, perhaps for ever
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()
