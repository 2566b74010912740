"""What a worker and the process of a handler say to each other, over two pipes.

Each message is its length in eight bytes and then MessagePack.  Values travel as the text and rows of the value codec:
nothing that is sent can name code to be run.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["Begun", "Call", "Message", "Raised", "Ready", "Report", "Returned", "read_message", "write_message"]

_LENGTH: Final = struct.Struct(">Q")


class Call(msgspec.Struct, tag=True):
    """Run a handler; `values` are the rows that `inputs` refers to: hash → kind, encoding, data."""

    module: str
    name: str
    path: str | None
    job: int
    queue: str
    attempt: int
    project_uid: str
    inputs: str
    values: dict[bytes, tuple[str, str, bytes]]


class Ready(msgspec.Struct, tag=True):
    """The process waits for its first call."""


class Begun(msgspec.Struct, tag=True):
    """The handler's module is imported and its function is called now."""


class Report(msgspec.Struct, tag=True):
    """Progress."""

    percent: float
    message: str
    details: dict[str, Any] | None


class Returned(msgspec.Struct, tag=True):
    """The output, and the rows that it refers to: hash, kind, encoding, size, data."""

    output: str
    values: list[tuple[bytes, str, str, int, bytes]]


class Raised(msgspec.Struct, tag=True):
    """What becomes of the attempt: see `settling.Verdict`."""

    outcome: str
    error: str
    retry: bool
    after: float | None
    reason: str = ""
    counts: bool = True


Message = Call | Ready | Begun | Report | Returned | Raised

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write one message and flush it."""
    data = _encode(message)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read_message(stream: BinaryIO) -> Message:
    """Read one message; EOFError when the other side has gone."""
    (length,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    return _decode(_read(stream, length))


def _read(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
