"""What passes from a streaming task to the tasks that read along, piece by piece.

The policy.  A channel belongs to one attempt of the task that writes; each task that reads has a reader for each stream
it takes.  A reader holds so many pieces at most; when one is full, the writer waits until it is half empty, so a stream
is as fast as its slowest reader.  A reader that comes late gets what there is so far as one piece.  One that ends, or
is stopped, holds nobody up.

A reader does not count as full while its task waits for a piece of *another* stream: whoever would write that one may
depend on this one, and both would wait forever.  Since a graph has no cycles, that is enough: whoever waits for room
waits for a task further down, and the last of these is one that works.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from workglow.errors import TaskConfigurationError, TaskOutputError
from workglow.graph.streams.chunks import Accumulator, StreamChunk
from workglow.graph.streams.pieces import PieceCheck
from workglow.tasks import Stream
from workglow.tasks.stream import empty_value

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from workglow.tasks import StreamMode, Task

__all__ = ["CAPACITY", "Channel", "Intake", "Reader"]

CAPACITY = 64
"""Pieces that a reader holds before its writer has to wait."""

_TURN = 64
"""Pieces after which a writer that never waits lets others have the event loop."""


class Intake:
    """The streams that one task reads."""

    __slots__ = ("readers", "waiting")

    def __init__(self) -> None:
        self.readers: list[Reader] = []
        self.waiting = 0  # readers that wait for their next piece

    def close(self) -> None:
        """Read no more: the writers need not wait for this task."""
        for reader in self.readers:
            reader.detach()


class Reader(Stream[object]):
    """One stream as one task reads it."""

    def __init__(self, channel: Channel, port: str, mode: StreamMode, empty: object, intake: Intake) -> None:
        self.mode = mode
        self.empty = empty
        self._channel = channel
        self._port = port
        self._intake = intake
        self._pieces: deque[object] = deque()
        self._ended = False
        self._arrival: asyncio.Future[None] | None = None
        intake.readers.append(self)

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> object:
        pieces = self._pieces
        while not pieces:
            if self._ended:
                raise StopAsyncIteration
            await self._wait()
        piece = pieces.popleft()
        channel = self._channel
        if channel.waits and len(pieces) <= CAPACITY // 2:
            channel.resume()
        return piece

    async def _wait(self) -> None:
        self._arrival = asyncio.get_running_loop().create_future()
        intake = self._intake
        intake.waiting += 1
        if len(intake.readers) > 1:
            for other in intake.readers:
                other._channel.resume()
        try:
            await self._arrival
        finally:
            intake.waiting -= 1
            self._arrival = None

    @property
    def is_full(self) -> bool:
        """Whether the writer has to wait for this reader."""
        return len(self._pieces) >= CAPACITY and not self._intake.waiting

    def put(self, piece: object) -> bool:
        """Take a piece; True when the writer should wait before the next one."""
        pieces = self._pieces
        pieces.append(piece)
        arrival = self._arrival
        if arrival is not None and not arrival.done():
            arrival.set_result(None)
        return len(pieces) >= CAPACITY

    def end(self) -> None:
        """There are no more pieces."""
        self._ended = True
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def detach(self) -> None:
        """Nobody reads this any more."""
        self._pieces.clear()
        self.end()
        self._channel.remove(self._port, self)


class Channel:
    """One attempt of a streaming task: what it has said so far, and who reads it.

    `observe` is told each chunk; None when nobody listens.  `begun` is called with the first piece.
    """

    def __init__(self, task: Task, observe: Callable[[StreamChunk], None] | None, begun: Callable[[], None]) -> None:
        self._task = task
        self._accumulator = Accumulator(task)
        self._observe = observe
        self._begun: Callable[[], None] | None = begun
        self._check = PieceCheck(task)
        text_port = self._accumulator.text_port
        if text_port is not None and not self._check.takes_text(text_port):
            text_port = None
        self._text = None if text_port is None else (text_port, self._accumulator.growing(text_port).add)
        self._readers: dict[str, list[Reader]] = {}
        self._room: asyncio.Future[None] | None = None
        self._closed = False
        self._ended = False
        self.is_cut = False  # stopped because nobody wants the rest; what was said is the value
        self.waits = False  # whether the writer waits for room

    async def pump(self, pieces: AsyncGenerator[object, None]) -> dict[str, object]:
        """Read what the task yields to its end, and return the values of its ports."""
        said = 0
        try:
            async for piece in pieces:
                if self._closed:
                    break
                said += 1
                if self._say(piece):
                    await self._wait_for_room()
                elif not said % _TURN:
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            writer = asyncio.current_task()
            if not self.is_cut or writer is None or writer.uncancel():
                raise
        finally:
            await pieces.aclose()
        self._ended = True
        for readers in self._readers.values():
            for reader in readers:
                reader.end()
        return self._accumulator.outputs()

    def _say(self, piece: object) -> bool:
        if type(piece) is str and self._text is not None:
            return self._say_text(piece)
        accumulator, full = self._accumulator, False
        for chunk in accumulator.chunks(piece):
            self._check.check(chunk)
            port = chunk.port
            readers = self._readers.get(port)
            if readers and chunk.kind != accumulator.modes[port]:
                chunk = self._as_declared(chunk)  # noqa: PLW2901
            accumulator.add(chunk)
            if self._observe is not None:
                self._observe(chunk)
            for reader in readers or ():
                full |= reader.put(chunk.data)
        if self._begun is not None:
            self._begin()
        return full

    def _say_text(self, text: str) -> bool:
        """The way of a model's tokens, without anything that they do not need."""
        assert self._text is not None
        port, grow = self._text
        grow(text, "append")
        if self._observe is not None:
            self._observe(StreamChunk(port, text))
        full = False
        for reader in self._readers.get(port, ()):
            if reader.put(text):
                full = True
        if self._begun is not None:
            self._begin()
        return full

    def _begin(self) -> None:
        assert self._begun is not None
        begun, self._begun = self._begun, None
        begun()

    def _as_declared(self, chunk: StreamChunk) -> StreamChunk:
        mode, growing = self._accumulator.modes[chunk.port], self._accumulator.growing(chunk.port)
        if mode == "append":
            if growing.is_empty:
                return StreamChunk(chunk.port, chunk.data)
            raise TaskOutputError(
                f"Task '{self._task.id}' takes back what it streamed from port '{chunk.port}' while another task reads "
                "it.  Declare the port with x-stream 'replace', and yield the whole value each time."
            )
        growing.add(chunk.data, chunk.kind)
        return StreamChunk(chunk.port, growing.value(), mode)

    async def _wait_for_room(self) -> None:
        while any(reader.is_full for readers in self._readers.values() for reader in readers):
            self.waits = True
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self.waits = False

    def resume(self) -> None:
        """Let a writer that waits for room look again."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def open(self, port: str, intake: Intake) -> Reader:
        """Read along from now on; what was said before comes first, as one piece."""
        growing = self._accumulator.growing(port)
        empty = empty_value(self._task.outputs[port].schema)
        reader = Reader(self, port, self._accumulator.modes[port], empty, intake)
        if not growing.is_empty:
            reader.put(growing.value())
        if self._ended:
            reader.end()
        self._readers.setdefault(port, []).append(reader)
        return reader

    def remove(self, port: str, reader: Reader) -> None:
        """Forget a reader, and do not wait for it."""
        readers = self._readers.get(port, [])
        if reader in readers:
            self._readers[port] = [other for other in readers if other is not reader]
        self.resume()

    def take_up(self, port: str, text: str) -> None:
        """Begin the value of a port with what an earlier attempt said; nobody is told."""
        if self._begun is None:
            raise TaskConfigurationError(
                f"Task '{self._task.id}' asks for its earlier text after it has yielded; ask before the first piece."
            )
        self._accumulator.add(StreamChunk(port, text))

    def close(self) -> None:
        """Nothing that the writer says from now on counts."""
        self._closed = True
        self._observe = self._begun = None
        self.resume()

    def has_begun(self, port: str) -> bool:
        """Whether there was a first piece, of any port."""
        return self._begun is None

    def can_be_cut(self) -> bool:
        """Whether what was said so far would do as the task's outputs."""
        return self._accumulator.is_complete()
