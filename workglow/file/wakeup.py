"""Hearing that a file has changed: at once from this process, by asking SQLite from another one."""

from __future__ import annotations

import threading
from threading import get_ident
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from workglow.clock import Clock

__all__ = ["Wakeup"]

_INTERVAL: Final = 0.02  # seconds; asking costs about 3 µs


class Wakeup:
    """Notices commits, and wakes those who wait for the next one.

    `version` gives a number that is another one after each commit, such as SQLite's `data_version` on a connection that
    never writes.  It can only be asked, so waiting means asking every `interval` seconds.
    """

    def __init__(self, version: Callable[[], int], clock: Clock, interval: float = _INTERVAL) -> None:
        self._version = version
        self._clock = clock
        self._interval = interval
        self._lock = threading.Lock()
        self._waiters: set[_Waiter] = set()

    def notify(self) -> None:
        """Wake the waiters of this process now rather than at their next question."""
        if not self._waiters:  # whoever comes now sees what was committed before this call
            return
        with self._lock:
            waiters = list(self._waiters)
        for waiter in waiters:
            waiter.wake()

    async def wait(self, timeout: float | None = None, since: int | None = None) -> bool:
        """Wait for the next commit after version `since`, or after now; False when `timeout` seconds passed without."""
        import asyncio

        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop)
        with self._lock:
            self._waiters.add(waiter)
        try:
            start = self._version() if since is None else since
            until = None if timeout is None else self._clock.monotonic() + timeout
            while not waiter.woken and self._version() == start:
                pause = self._interval
                if until is not None:
                    pause = min(pause, until - self._clock.monotonic())
                    if pause <= 0:
                        return False
                timer = self._clock.call_later(pause, waiter.event.set)
                try:
                    await waiter.event.wait()
                finally:
                    timer.cancel()
                waiter.event.clear()
            return True
        finally:
            with self._lock:
                self._waiters.discard(waiter)


class _Waiter:
    """One coroutine that waits; it can be woken from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        self.event = asyncio.Event()
        self.woken = False
        self._loop = loop
        self._thread = get_ident()

    def wake(self) -> None:
        if self.woken:
            return
        self.woken = True
        if get_ident() == self._thread:
            self.event.set()  # waking a loop from its own thread needs no system call
        else:
            self._loop.call_soon_threadsafe(self.event.set)
