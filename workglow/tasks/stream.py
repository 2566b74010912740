"""Streams: values that come in pieces, and what the pieces add up to.

The policy.  The mode of a port, `x-stream` in its JSON Schema, says how a piece becomes part of the value.  `append`
adds text to text and items to a list.  `replace` puts the piece in place of the value.  `object` replaces an object,
and merges a list of objects into the one before: an item whose `id` is there takes the place of the old one.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from io import StringIO
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, cast, get_args, get_origin

from workglow.errors import TaskConfigurationError
from workglow.tasks.fields import MISSING, bare

__all__ = ["Growing", "Stream", "StreamMode", "as_stream", "empty_value", "stream_mode", "streamed_type", "with_mode"]

Piece = TypeVar("Piece")

StreamMode = Literal["append", "replace", "object"]

_MODES: Final = frozenset(get_args(StreamMode))


class Stream(Generic[Piece]):
    """An input that is read while the task before still writes it: `async for piece in text`.

    Annotate a parameter or a field `Stream[str]`; the task then starts with the first piece.  Where nothing streams,
    because the value was there already, it comes as one piece.  `Stream(["one", "two"])` makes one by hand.
    """

    def __init__(self, pieces: Iterable[Piece] = (), *, mode: StreamMode = "append") -> None:
        self.mode: StreamMode = mode
        self.empty: Any = MISSING  # what it is worth without a piece
        self._pieces = iter(pieces)

    def __aiter__(self) -> Stream[Piece]:
        return self

    async def __anext__(self) -> Piece:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration

    async def whole(self) -> Piece:
        """Read to the end, and return what the pieces add up to; ValueError when that is nothing, not even ''."""
        growing = Growing()
        async for piece in self:
            growing.add(piece, self.mode)
        value = self.empty if growing.is_empty else growing.value()
        if value is MISSING:
            raise ValueError("The stream ended without a piece.")
        return cast("Piece", value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(Stream)


def as_stream(value: object, mode: StreamMode) -> Stream[Any]:
    """Return a stream as it is, and anything else as a stream of one piece."""
    return cast("Stream[Any]", value) if isinstance(value, Stream) else Stream((value,), mode=mode)


def streamed_type(annotation: Any) -> Any:
    """Return what a `Stream[…]` or `AsyncIterator[…]` gives, with the notes on it; MISSING for any other type."""
    inner, notes = bare(annotation)
    if (get_origin(inner) or inner) not in (Stream, AsyncIterator, AsyncIterable):
        return MISSING
    item = next(iter(get_args(inner)), Any)
    return Annotated.__class_getitem__((item, *notes)) if notes else item  # pyright: ignore


def stream_mode(schema: dict[str, Any]) -> StreamMode | None:
    """Return how the port of this JSON Schema streams; None when it does not."""
    return schema.get("x-stream")


def with_mode(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with a mode: its own, or 'append' for text and lists and 'replace' for the rest."""
    mode = schema.get("x-stream")
    if mode is None:
        adds_up = schema.get("type") in ("string", "array")
        return {**schema, "x-stream": "append" if adds_up else "replace"}
    if mode not in _MODES:
        raise TaskConfigurationError(f"x-stream is {mode!r}; write 'append', 'replace' or 'object'.")
    return schema


def empty_value(schema: dict[str, Any]) -> Any:
    """What a port that adds up is worth without a single piece: '' or []; MISSING for other ports."""
    if schema.get("x-stream") != "append":
        return MISSING
    empty: dict[str, Any] = {"string": "", "array": []}
    return empty.get(schema.get("type", ""), MISSING)


class Growing:
    """The value of one port while its pieces come in."""

    __slots__ = ("_items", "_places", "_single", "_text", "_write")

    def __init__(self) -> None:
        # At most one of these three holds the value.
        self._text: StringIO | None = None
        self._items: list[object] | None = None
        self._single: object = MISSING
        self._write: Callable[[str], int] | None = None  # of the text
        self._places: dict[object, int] = {}  # id → where the item is in the list

    @property
    def is_empty(self) -> bool:
        """Whether there was no piece yet."""
        return self._text is None and self._items is None and self._single is MISSING

    def add(self, piece: object, mode: StreamMode) -> None:
        """Take the next piece.  What cannot be added takes the place of what was there."""
        if mode == "append" and isinstance(piece, str):
            if self._write is None:
                before, self._text = self._single, StringIO()
                self._items, self._single = None, MISSING
                self._write = self._text.write
                if isinstance(before, str):
                    self._write(before)
            self._write(piece)
        elif isinstance(piece, list) and mode != "replace":
            items = cast("list[object]", piece)
            if self._items is None:
                before, self._text, self._write = self._single, None, None
                self._items, self._single, self._places = [], MISSING, {}
                if isinstance(before, list):
                    items = [*cast("list[object]", before), *items]
            if mode == "append":
                self._items.extend(items)
            else:
                for item in items:
                    self._merge(self._items, item)
        else:
            self._text = self._write = self._items = None
            self._single = cast("object", piece)

    def _merge(self, items: list[object], item: object) -> None:
        id = cast("dict[str, object]", item).get("id") if isinstance(item, dict) else None
        place = self._places.get(id) if isinstance(id, str | int) else None
        if place is not None:
            items[place] = cast("object", item)
            return
        if isinstance(id, str | int):
            self._places[id] = len(items)
        items.append(cast("object", item))

    def value(self) -> object:
        """What the pieces so far add up to; a list is the caller's own."""
        if self._text is not None:
            return self._text.getvalue()
        return self._single if self._items is None else list(self._items)
