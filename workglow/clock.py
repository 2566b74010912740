"""Time is a dependency: nothing below the project asks the system what time it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Clock", "SystemClock", "Timer"]


class Timer(Protocol):
    """A callback that has not fired yet."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """What workglow asks of time."""

    def now(self) -> int:
        """Milliseconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call back on the running event loop after `delay` seconds."""
        ...


class SystemClock:
    """The machine's own time."""

    @staticmethod
    def now() -> int:
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def call_later(delay: float, callback: Callable[[], None]) -> Timer:
        import asyncio  # costs 60 ms, and a program that only reads a file needs no loop

        return asyncio.get_running_loop().call_later(delay, callback)
