"""Plain functions and generators of providers, as the event loop can wait for them.

Each works in a thread.  A generator is read ahead by a few events at most; when its reader stops, or is cancelled, it
is closed before its next event.  An iterator of a provider's own may have a `cancel()`, which is then called at once,
while it is still at work in its thread; and it may say how far `ahead` it is read, when others wait for what it holds.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

__all__ = ["called", "events_of", "in_thread"]

Result = TypeVar("Result")

_AHEAD: Final = 16
_END: Final = object()


async def in_thread(call: Callable[[], Result]) -> Result:
    """Call a plain function in a daemon thread; who is cancelled does not wait for it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(result)
            elif isinstance(error, StopIteration):
                done.set_exception(RuntimeError("A model's function raised StopIteration."))
            else:
                done.set_exception(error)

    def work() -> None:
        result, failure = None, None
        try:
            result = context.run(call)
        except BaseException as error:  # whatever it raises is its result
            failure = error
        with suppress(RuntimeError):  # the loop closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name="workglow-model", daemon=True).start()
    return await done


async def called(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a provider's method: a coroutine is awaited, a plain function works in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments, **options)
    result = await in_thread(lambda: function(*arguments, **options))
    return await result if inspect.isawaitable(result) else result


async def events_of(function: Callable[..., Any], *arguments: Any, **options: Any) -> AsyncGenerator[Any]:
    """Read what a provider's generator yields, an async one or a plain one; close it when the reader stops."""
    source = function(*arguments, **options)
    if inspect.isawaitable(source):
        source = await source
    if hasattr(source, "__aiter__"):
        try:
            async for event in source:
                yield event
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                await close()
        return
    reader = _ThreadReader(cast("Iterator[Any]", source))
    try:
        while (event := await reader.next()) is not _END:
            yield event
    finally:
        reader.stop()


class _ThreadReader:
    """Reads an iterator in a thread of its own."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[Any, BaseException | None]] = asyncio.Queue()
        self._room = threading.Semaphore(getattr(source, "ahead", _AHEAD))
        self._stopped = threading.Event()
        context = contextvars.copy_context()
        threading.Thread(target=lambda: context.run(self._read), name="workglow-model", daemon=True).start()

    async def next(self) -> Any:
        event, error = await self._queue.get()
        self._room.release()
        if error is not None:
            raise error
        return event

    def stop(self) -> None:
        self._stopped.set()
        self._room.release()
        cancel = getattr(self._source, "cancel", None)
        if cancel is not None:
            cancel()

    def _read(self) -> None:
        failure: BaseException | None = None
        try:
            for event in self._source:
                self._room.acquire()
                if self._stopped.is_set():
                    break
                self._give(event, None)
        except BaseException as error:  # whatever it raises goes to the reader
            failure = error
        finally:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()
        self._give(_END, failure)

    def _give(self, event: Any, error: BaseException | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, (event, error))
        except RuntimeError:
            self._stopped.set()  # the loop closed: nobody reads any more
