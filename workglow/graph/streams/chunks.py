"""Chunks of a streaming task, and the values they add up to.

A streaming task yields a piece for its only output, a mapping of ports to pieces, or `StreamChunk`s that say more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import msgspec

from workglow.errors import TaskOutputError
from workglow.tasks import MISSING
from workglow.tasks.stream import Growing, StreamMode, empty_value, stream_mode

if TYPE_CHECKING:
    from workglow.tasks import Task

__all__ = ["Accumulator", "Gathered", "StreamChunk"]


class StreamChunk(msgspec.Struct, frozen=True):
    """A piece of a port's value.

    `append` adds text or list items, `replace` puts a new value in place of the old, `object` puts an object in place
    of the old, or merges a list of objects by their `id`.
    """

    port: str
    data: object
    kind: StreamMode = "append"


class Accumulator:
    """Adds up what a streaming task yields.

    `modes` are the ports that stream, and how; `text_port` is the only port, if it takes text.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._ports = task.outputs
        self._grown: dict[str, Growing] = {}
        self.modes: dict[str, StreamMode] = {}
        for name, port in self._ports.items():
            mode = stream_mode(port.schema)
            if mode is not None:
                self.modes[name] = mode
        self._only = next(iter(self._ports)) if len(self._ports) == 1 else None
        self.text_port = self._only if self._only is not None and self.modes.get(self._only) == "append" else None

    def chunks(self, piece: object) -> tuple[StreamChunk, ...]:
        """Return a yielded piece as chunks, one for each port it touches; TaskOutputError when the port is unclear."""
        if isinstance(piece, StreamChunk):
            return (piece,)
        fields = cast("Mapping[str, object]", piece) if isinstance(piece, Mapping) else None
        if fields is not None and (self._only is None or self._only in fields or self._ports.open):
            return tuple(StreamChunk(port, data, self._mode(port, data)) for port, data in fields.items())
        return (self._chunk_of_only_port(cast("object", piece)),)

    def _chunk_of_only_port(self, piece: object) -> StreamChunk:
        if self._only is None:
            raise TaskOutputError(
                f"Task '{self._task.id}' yielded {type(piece).__name__}, but has {len(self._ports)} output ports.  "
                "Yield a mapping of port to piece, or a StreamChunk."
            )
        return StreamChunk(self._only, piece, self._mode(self._only, piece))

    def _mode(self, port: str, data: object) -> StreamMode:
        return self.modes.get(port) or ("append" if isinstance(data, str | list) else "replace")

    def add(self, chunk: StreamChunk) -> Growing:
        """Add a chunk to its port's value, and return what that has become."""
        growing = self.growing(chunk.port)
        growing.add(chunk.data, chunk.kind)
        return growing

    def growing(self, port: str) -> Growing:
        """The value of a port so far."""
        growing = self._grown.get(port)
        if growing is None:
            growing = self._grown[port] = Growing()
        return growing

    def outputs(self) -> dict[str, object]:
        """The value of each port so far; a required text or list without a piece is empty."""
        values = {port: growing.value() for port, growing in self._grown.items() if not growing.is_empty}
        for name, port in self._ports.items():
            if name not in values and port.required and (empty := empty_value(port.schema)) is not MISSING:
                values[name] = empty
        return values

    def is_complete(self) -> bool:
        """Whether each port that has to have a value has one."""
        return self.outputs().keys() >= {name for name, port in self._ports.items() if port.required}


class Gathered:
    """Chunks that are told as one: text and lists are added up, and of other values the last one counts."""

    __slots__ = ("kind", "pieces", "port")

    def __init__(self, chunk: StreamChunk) -> None:
        self.port = chunk.port
        self.kind: StreamMode = chunk.kind
        self.pieces: list[object] = [chunk.data]

    def joins(self, chunk: StreamChunk) -> bool:
        """Take another chunk in, if one can say both."""
        if chunk.port != self.port or chunk.kind != self.kind:
            return False
        data, first = chunk.data, self.pieces[0]
        if chunk.kind == "replace" or not isinstance(data, str | list):
            self.pieces = [data]
        elif isinstance(data, str) is isinstance(first, str) and isinstance(first, str | list):
            self.pieces.append(cast("object", data))
        else:
            return False
        return True

    def data(self) -> object:
        """What they say together."""
        if len(self.pieces) == 1:
            return self.pieces[0]
        if isinstance(self.pieces[0], str):
            return "".join(cast("list[str]", self.pieces))
        return [item for items in cast("list[list[object]]", self.pieces) for item in items]
