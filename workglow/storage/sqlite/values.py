"""Values over the inline limit, in the table `value`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors import CorruptValueError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from workglow.file import File
    from workglow.values import Blob

__all__ = ["SqliteValues", "insert_values"]


def insert_values(db: apsw.Connection, blobs: Iterable[Blob]) -> None:
    """Store, inside the caller's transaction, the values that are not there yet."""
    for blob in blobs:
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
