"""Tools for testing your own tasks and graphs: a clock you move, models that say what you tell them, crash points."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FakeClock"]


class _FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """A clock that stands still until a test advances it; timers fire in order of their time, on the way."""

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self._milliseconds = now
        self._timers: list[tuple[float, int, _FakeTimer]] = []
        self._order = itertools.count()

    def now(self) -> int:
        return self._milliseconds

    def monotonic(self) -> float:
        return self._milliseconds / 1000

    def call_later(self, delay: float, callback: Callable[[], None]) -> _FakeTimer:
        timer = _FakeTimer(callback)
        heapq.heappush(self._timers, (self._milliseconds + delay * 1000, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move the time forward, calling back what falls due on the way."""
        end = self._milliseconds + seconds * 1000
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self._milliseconds = max(self._milliseconds, round(due))
            if timer.callback is not None:
                timer.callback()
        self._milliseconds = round(end)
