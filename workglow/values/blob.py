"""A value that is stored by its content: one row of the table `value`."""

from __future__ import annotations

import hashlib
import zlib
from typing import NamedTuple

__all__ = ["LARGEST", "Blob", "content_hash", "pack", "unpack", "verify"]

LARGEST = 999_000_000
"""Most bytes of one value: SQLite refuses a row of 10⁹, and a hostile compressed blob must end somewhere."""

_COMPRESSIBLE = ("text", "json")
_COMPRESS_FROM = 4096  # bytes; below, the time is worth more than the space


class Blob(NamedTuple):
    """One row of the table `value`.

    `hash` is the SHA-256 (32 bytes) of kind, newline and decoded bytes; `kind` is `json`, `text`, `bytes`,
    `array <dtype> <shape>` or `image png`; `encoding` is `raw` or `zlib`; `size` counts the decoded bytes.
    """

    hash: bytes
    kind: str
    encoding: str
    size: int
    data: bytes


def content_hash(kind: str, data: bytes) -> bytes:
    """Return the 32 bytes that the decoded `data` of that kind is known by."""
    digest = hashlib.sha256(kind.encode() + b"\n")
    digest.update(data)
    return digest.digest()


def pack(kind: str, data: bytes, known: bytes) -> Blob:
    """Make the row of decoded `data` whose hash is `known`; text and JSON are compressed when it saves a tenth."""
    if kind in _COMPRESSIBLE and len(data) >= _COMPRESS_FROM:
        compressed = zlib.compress(data, 1)
        if len(compressed) * 10 <= len(data) * 9:
            return Blob(known, kind, "zlib", len(data), compressed)
    return Blob(known, kind, "raw", len(data), data)


def unpack(encoding: str, data: bytes, limit: int = LARGEST) -> bytes:
    """Return the decoded bytes, at most `limit` of them; what cannot be decoded is a ValueError or zlib.error."""
    if encoding == "raw":
        return data
    if encoding != "zlib":
        raise ValueError(f"its encoding {encoding!r} is unknown")
    stream = zlib.decompressobj()
    decoded = stream.decompress(data, limit + 1)
    if len(decoded) > limit:
        raise ValueError(f"it is larger than {limit} bytes")
    if not stream.eof or stream.unused_data:
        raise ValueError("its compressed data is cut off or has something behind it")
    return decoded


def verify(blob: Blob) -> bool:
    """Say whether a row of the table `value` still is what was stored: its size and hash are those of its data."""
    try:
        decoded = unpack(blob.encoding, blob.data, max(blob.size, 0))
    except (ValueError, zlib.error):
        return False
    return len(decoded) == blob.size and content_hash(blob.kind, decoded) == blob.hash
