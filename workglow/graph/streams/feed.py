"""Events on their way to one reader, who may be slower than the run.

The policy.  Nothing is dropped and nobody waits for the reader.  Once it is so many events behind, the pieces of each
stream are put together, so what waits is never more than the text itself, whatever the number of its pieces.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from workglow.graph.streams.chunks import Gathered, StreamChunk

if TYPE_CHECKING:
    from workglow.graph.events import Event

__all__ = ["EventFeed"]

_BEHIND = 256
"""Events that may wait before pieces are put together."""


class EventFeed:
    """A listener on one side, an async iterator on the other."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Event, Gathered | None]] = deque()
        self._last: dict[str, Gathered] = {}  # the newest chunks of each task, if nothing else happened to it since
        self._arrival = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> None:
        """Take an event; to be called on the reader's event loop."""
        gathered = None
        if event.kind == "task_chunk":
            last = self._last.get(event.path)
            if last is not None and len(self._waiting) >= _BEHIND and last.joins(event.data):
                return
            gathered = self._last[event.path] = Gathered(event.data)
        else:
            self._last.pop(event.path, None)
        self._waiting.append((event, gathered))
        self._arrival.set()

    def close(self) -> None:
        """There are no more events."""
        self._closed = True
        self._arrival.set()

    def __aiter__(self) -> EventFeed:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._arrival.clear()
            await self._arrival.wait()
        event, gathered = self._waiting.popleft()
        if gathered is None:
            return event
        if self._last.get(event.path) is gathered:
            del self._last[event.path]
        if len(gathered.pieces) == 1 and gathered.pieces[0] is event.data.data:
            return event
        return msgspec.structs.replace(event, data=StreamChunk(gathered.port, gathered.data(), gathered.kind))
