"""Values over the inline limit, in the table `value`."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, cast

from workglow.errors import CorruptValueError
from workglow.values import Blob
from workglow.values.blob import unpack, verify

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

    from workglow.file import File

__all__ = ["SqliteValues", "insert_values", "note_damage", "references", "references_in", "select_values"]

_DAMAGED: set[bytes] = set()
"""Hashes of values that were found damaged, in whichever file: what replaces them is the same in all."""

_REFERENCE = re.compile(r'"\$value":"([0-9a-f]{64})"')


def references(text: str) -> set[str]:
    """Return the hashes, in hex, of the values that a stored text refers to."""
    return set(_REFERENCE.findall(text)) if '"$value"' in text else set()


def references_in(kind: str, encoding: str, data: bytes) -> set[str]:
    """Return what a stored value refers to; only JSON does."""
    if kind != "json":
        return set()
    try:
        return references(unpack(encoding, data).decode())
    except (ValueError, zlib.error) as error:
        raise CorruptValueError(f"A stored value cannot be read: {error}.  Run `workglow doctor`.") from error


def select_values(db: apsw.Connection, hashes: Iterable[str]) -> Iterator[Blob]:
    """Read values, and those that they refer to; one that is not there is left out."""
    waiting = list(hashes)
    seen = set(waiting)
    while waiting:
        hash = bytes.fromhex(waiting.pop())
        row = db.execute("SELECT kind, encoding, size, data FROM value WHERE hash = ?", (hash,)).fetchone()
        if row is not None:
            blob = Blob(hash, *cast("tuple[str, str, int, bytes]", row))
            yield blob
            inner = references_in(blob.kind, blob.encoding, blob.data) - seen
            seen |= inner
            waiting.extend(inner)


def note_damage(db: apsw.Connection, hashes: Iterable[str]) -> None:
    """Find out which of these values, and of those they refer to, are damaged; stored again, they are replaced."""
    for hash in hashes:
        row = db.execute(
            "SELECT kind, encoding, size, data FROM value WHERE hash = ?", (bytes.fromhex(hash),)
        ).fetchone()
        if row is None:
            continue
        blob = Blob(bytes.fromhex(hash), *cast("tuple[str, str, int, bytes]", row))
        if verify(blob):
            note_damage(db, references_in(blob.kind, blob.encoding, blob.data))
        else:
            _DAMAGED.add(blob.hash)


def insert_values(db: apsw.Connection, blobs: Iterable[Blob]) -> None:
    """Store, inside the caller's transaction, the values that are not there yet, or are known to be damaged."""
    for blob in blobs:
        if blob.hash in _DAMAGED:
            _DAMAGED.discard(blob.hash)  # should the transaction come to nothing, the damage is noticed again
            db.execute(
                "UPDATE value SET kind = ?, encoding = ?, size = ?, data = ? WHERE hash = ?",
                (blob.kind, blob.encoding, blob.size, blob.data, blob.hash),
            )
        db.execute(
            """
            INSERT INTO value (hash, kind, encoding, size, data)
            VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (hash) DO NOTHING
            """,
            (blob.hash, blob.kind, blob.encoding, blob.size, blob.data),
        )


class SqliteValues:
    """The content-addressed values of one file."""

    def __init__(self, file: File) -> None:
        self._file = file

    def load(self, hash: bytes) -> tuple[str, str, bytes]:
        row = self._file.look_up("SELECT kind, encoding, data FROM value WHERE hash = ?", (hash,))
        if row is None:
            raise CorruptValueError(
                f"The file refers to the value {hash.hex()}, but does not hold it.  "
                f"Run `workglow doctor {self._file.path}`."
            )
        return row

    def save(self, blobs: Iterable[Blob]) -> None:
        with self._file.transaction() as db:
            insert_values(db, blobs)
