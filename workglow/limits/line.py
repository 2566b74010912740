"""Who waits for a limiter in this process, in the order of asking.

Only the first in the line looks at the file.  So nobody is overtaken by whoever asks for less or comes at a luckier
moment, and what thousands wait for costs one look.  Those who wait may belong to different threads and event loops.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

__all__ = ["Line"]


class _Place:
    __slots__ = ("loop", "reached")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.reached = asyncio.Event()

    def call(self) -> bool:
        """Say that it is their turn; False when nobody can be there any more."""
        try:
            self.loop.call_soon_threadsafe(self.reached.set)
        except RuntimeError:  # the loop was closed around them
            return False
        return True


class Line:
    """One line, of one limiter."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # whoever is forgotten by a dead loop leaves while garbage is collected
        self._places: deque[_Place] = deque()

    def __len__(self) -> int:
        return len(self._places)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait until everybody who came earlier has what they wanted, or gave up; the next one's turn is at the end."""
        place = _Place()
        with self._lock:
            self._places.append(place)
            is_first = self._places[0] is place
        try:
            if not is_first:
                await place.reached.wait()
            yield
        finally:
            self._leave(place)

    def _leave(self, place: _Place) -> None:
        with self._lock:
            if place not in self._places:
                return
            was_first = self._places[0] is place
            self._places.remove(place)
            while was_first and self._places and not self._places[0].call():
                self._places.popleft()
