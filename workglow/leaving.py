"""What a coroutine raises to end the program, kept from leaving the event loop before the run has ended.

Raised inside an asyncio task as they are, SystemExit and KeyboardInterrupt break out of the loop at once: nobody would
then give the run back, and this process could not resume it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["contained", "failure_of"]


class _LeavingError(Exception):
    def __init__(self, reason: BaseException) -> None:
        super().__init__(reason)
        self.reason = reason


async def contained(body: Callable[[], Awaitable[object]]) -> object:
    """Await what `body` returns; what would end the program is found by `failure_of`."""
    try:
        return await body()
    except (SystemExit, KeyboardInterrupt) as error:
        raise _LeavingError(error) from error


def failure_of(task: asyncio.Future[object]) -> BaseException | None:
    """What a finished asyncio task of `contained` raised: a CancelledError, when it was cancelled."""
    if task.cancelled():
        return asyncio.CancelledError()
    error = task.exception()
    return error.reason if isinstance(error, _LeavingError) else error
