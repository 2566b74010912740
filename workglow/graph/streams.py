"""Chunks of a streaming task, and the value they add up to.

A streaming task yields text for its only output, a mapping of ports to pieces, or `StreamChunk`s that say more.
Text and lists add up; any other piece replaces the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from workglow.errors import TaskOutputError

if TYPE_CHECKING:
    from workglow.tasks import Task

__all__ = ["Accumulator", "StreamChunk"]


@dataclass(frozen=True, slots=True)
class StreamChunk:
    """A piece of a port's value: `append` adds text or list items, `replace` puts a new value in place of the old."""

    port: str
    data: object
    kind: Literal["append", "replace"] = "append"


class Accumulator:
    """Adds up what a streaming task yields."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._values: dict[str, object] = {}
        self._text: dict[str, list[str]] = {}

    def add(self, piece: object) -> tuple[StreamChunk, ...]:
        """Take one piece; returns it as chunks, one for each port it touches."""
        chunks = self._chunks(piece)
        for chunk in chunks:
            if chunk.kind == "append" and isinstance(chunk.data, str):
                self._text.setdefault(chunk.port, []).append(chunk.data)
            elif chunk.kind == "append" and isinstance(chunk.data, list):
                cast("list[object]", self._values.setdefault(chunk.port, [])).extend(cast("list[object]", chunk.data))
            else:
                self._text.pop(chunk.port, None)
                self._values[chunk.port] = chunk.data
        return chunks

    def _chunks(self, piece: object) -> tuple[StreamChunk, ...]:
        if isinstance(piece, StreamChunk):
            return (piece,)
        if isinstance(piece, Mapping):
            fields = cast("Mapping[str, object]", piece)
            return tuple(
                StreamChunk(port, data, "append" if isinstance(data, str | list) else "replace")
                for port, data in fields.items()
            )
        ports = tuple(self._task.outputs)
        if len(ports) != 1:
            raise TaskOutputError(
                f"Task '{self._task.id}' yielded {type(piece).__name__}, but has {len(ports)} output ports.  "
                "Yield a mapping of port to piece, or a StreamChunk."
            )
        return (StreamChunk(ports[0], piece, "append" if isinstance(piece, str) else "replace"),)

    def outputs(self) -> dict[str, object]:
        """The value of each port so far."""
        return {**self._values, **{port: "".join(pieces) for port, pieces in self._text.items()}}
