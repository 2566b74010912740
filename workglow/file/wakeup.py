"""Hearing that a file has changed: at once from this process, and from another one as the system tells or as one asks.

Policy.  Whether there is something new is asked of SQLite.  When the system tells of writes to the log, that is asked
only then, and every `_SAFETY` seconds in case that it tells nothing; what is written is not yet committed, so for
`_AFTERWARDS` seconds it is asked again, at growing distances.  Where nothing is told, it is asked every `interval`
seconds.  Changes of other processes wake a waiter at most once in an `interval`, and while it asks anyway its loop does
not listen: a busy file is written to ten thousand times a second, and each time would wake every process that has it.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from threading import get_ident
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from workglow.clock import Clock
    from workglow.file.log_events import LogEvents

__all__ = ["Wakeup"]

_INTERVAL: Final = 0.02  # seconds; asking so often costs about a hundredth of a core
_SAFETY: Final = 0.25
_AFTERWARDS: Final = 0.1
_FIRST: Final = 0.001
_MISSED: Final = 3  # changes that nothing was told of, and it is not relied upon any more


class Wakeup:
    """Notices commits, and wakes those who wait for the next one.

    `version` gives a number that is another one after each commit, such as SQLite's `data_version` on a connection that
    never writes.  `listen` gives what tells of writes to the log, if anything does.
    """

    def __init__(
        self,
        version: Callable[[], int],
        clock: Clock,
        interval: float = _INTERVAL,
        listen: Callable[[], LogEvents | None] = lambda: None,
    ) -> None:
        self._version = version
        self._clock = clock
        self._interval = interval
        self._lock = threading.Lock()
        self._waiters: set[_Waiter] = set()
        self._listen = listen
        self._closed = False
        self._missed = 0  # changes that nothing was told of
        self._events: LogEvents | None = None
        self._woke_at = -interval
        self._readers: dict[asyncio.AbstractEventLoop, int] = {}
        self._deaf: set[asyncio.AbstractEventLoop] = set()  # those of them that have heard something, and ask now

    def close(self) -> None:
        """Listen no more."""
        with self._lock:
            self._closed = True
            if self._events is not None and not self._readers:
                self._events.close()

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
        listening = self._begin_listening(loop)
        try:
            return await self._wait(waiter, timeout, since, listening)
        finally:
            if listening:
                self._end_listening(loop)
            with self._lock:
                self._waiters.discard(waiter)

    async def _wait(self, waiter: _Waiter, timeout: float | None, since: int | None, listening: bool) -> bool:
        clock = self._clock
        start = self._version() if since is None else since
        begun = clock.monotonic()
        heard_at = -_AFTERWARDS
        told = asked_in_vain = False  # was anything heard; was there a change, asked for safety, that was not
        pause = _SAFETY if listening else self._interval
        while not waiter.woken and self._version() == start:
            now = clock.monotonic()
            if timeout is not None and (left := begun + timeout - now) < pause:
                if left <= 0:
                    return False
                pause = left
            await self._sleep(waiter, pause)
            if not listening:
                continue
            now = clock.monotonic()
            if waiter.heard:
                waiter.heard, told = False, True
                heard_at, pause = now, max(_FIRST, self._woke_at + self._interval - now)
                if pause > _FIRST:
                    await self._pause(waiter, pause)
            else:
                asked_in_vain |= pause == _SAFETY
                pause = min(2 * pause, self._interval)
                if now - heard_at >= _AFTERWARDS:
                    pause = _SAFETY
                    self._listen_again(waiter.loop)
        if asked_in_vain and not told and not waiter.woken and not waiter.heard:
            self._missed += 1
        self._woke_at = clock.monotonic()
        return True

    async def _sleep(self, waiter: _Waiter, seconds: float) -> None:
        timer = self._clock.call_later(seconds, waiter.event.set)
        try:
            await waiter.event.wait()
        finally:
            timer.cancel()
        waiter.event.clear()

    async def _pause(self, waiter: _Waiter, seconds: float) -> None:
        """Let changes gather that come one upon the other; what is heard meanwhile does not end it."""
        until = self._clock.monotonic() + seconds
        while not waiter.woken and (left := until - self._clock.monotonic()) > 0:
            await self._sleep(waiter, left)

    def _begin_listening(self, loop: asyncio.AbstractEventLoop) -> bool:
        with self._lock:
            if self._closed or self._missed > _MISSED:
                return False
            if self._events is None:
                self._events = self._listen()
            events = self._events
            if events is None:
                self._missed = _MISSED + 1
                return False
            if not self._readers:
                events.drain()  # what was written until now is seen by whoever looks first
            if not events.ask():  # another loop may have heard what was asked for
                self._missed = _MISSED + 1
                return False
            if loop not in self._readers or loop in self._deaf:
                try:
                    loop.add_reader(events, self._hear, loop)
                except (NotImplementedError, OSError):
                    return False
                self._deaf.discard(loop)
            self._readers[loop] = self._readers.get(loop, 0) + 1
            return True

    def _listen_again(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whoever calls this has to look afterwards: what was written before is not heard."""
        with self._lock:
            assert self._events is not None
            self._events.ask()
            if loop in self._deaf:
                self._deaf.discard(loop)
                loop.add_reader(self._events, self._hear, loop)

    def _end_listening(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._readers[loop] -= 1
            if not self._readers[loop]:
                del self._readers[loop]
                self._deaf.discard(loop)
                assert self._events is not None
                loop.remove_reader(self._events)
                if self._closed and not self._readers:
                    self._events.close()

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have every waiter look, whichever loop it is on; this one listens again when its waiters have looked."""
        with self._lock:
            assert self._events is not None
            self._events.drain()
            loop.remove_reader(self._events)
            self._deaf.add(loop)
            waiters = list(self._waiters)
        for waiter in waiters:
            waiter.hear()


class _Waiter:
    """One coroutine that waits; it can be woken from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        self.event = asyncio.Event()
        self.woken = False
        self.heard = False
        self.loop = loop
        self._thread = get_ident()

    def wake(self) -> None:
        if not self.woken:
            self.woken = True
            self._set()

    def hear(self) -> None:
        if not self.heard:
            self.heard = True
            self._set()

    def _set(self) -> None:
        if get_ident() == self._thread:
            self.event.set()  # waking a loop from its own thread needs no system call
        else:
            with suppress(RuntimeError):  # its loop was closed meanwhile: it has heard by itself, and waits no more
                self.loop.call_soon_threadsafe(self.event.set)
