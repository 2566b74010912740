"""The output cache: an index over completed task runs, and a small table for outputs that belong to no run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.storage.sqlite.values import SqliteValues, insert_values
from workglow.values import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.file import File
    from workglow.values.decoder import Load

__all__ = ["SqliteOutputs", "StoredOutput"]


_FIND = """
SELECT output, id FROM task_run    WHERE cache_key = ?1
UNION ALL
SELECT output, 0  FROM task_output WHERE cache_key = ?1
LIMIT 1
"""


class StoredOutput:
    """A cached output: its text, and the task run it came from (0: none).

    `outputs` reads the values when they are first asked for: who passes the text on never pays for them.  Raises
    CorruptValueError when the text, or a value that it refers to, is damaged.
    """

    __slots__ = ("_load", "_outputs", "source_id", "text")

    def __init__(self, text: str, source_id: int, load: Load) -> None:
        self.text = text
        self.source_id = source_id
        self._load = load
        self._outputs: dict[str, object] | None = None

    @property
    def outputs(self) -> dict[str, object]:
        if self._outputs is None:
            self._outputs = decode(self.text, self._load)
        return self._outputs


class SqliteOutputs:
    """The cached outputs of one file."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._look_up = file.look_up
        self._load = SqliteValues(file).load

    def find(self, key: bytes) -> StoredOutput | None:
        row = self._look_up(_FIND, (key,))
        if row is None:
            return None
        text, source_id = row
        return StoredOutput(text, source_id, self._load)

    def save(self, key: bytes, type: str, outputs: Mapping[str, object], *, created_at: int | None = None) -> None:
        encoded = encode(outputs, where=f"task type '{type}'")
        with self._file.transaction() as db:
            insert_values(db, encoded.blobs)
            db.execute(
                """
                INSERT INTO task_output (cache_key, type, output, created_at) VALUES (?, ?, ?, ?)
                ON CONFLICT (cache_key) DO UPDATE SET output = excluded.output, created_at = excluded.created_at
                """,
                (key, type, encoded.text, self._file.clock.now() if created_at is None else created_at),
            )

    def size(self) -> int:
        return self._file.reader.execute(
            """
            SELECT count(*) FROM (SELECT cache_key FROM task_run WHERE cache_key IS NOT NULL
                                  UNION SELECT cache_key FROM task_output)
            """
        ).get

    def clear(self) -> None:
        with self._file.transaction() as db:
            db.execute("UPDATE task_run SET cache_key = NULL WHERE cache_key IS NOT NULL")
            db.execute("DELETE FROM task_output")

    def clear_older_than(self, milliseconds: int) -> int:
        before = self._file.clock.now() - milliseconds
        with self._file.transaction() as db:
            db.execute(
                "UPDATE task_run SET cache_key = NULL WHERE cache_key IS NOT NULL AND finished_at < ?", (before,)
            )
            gone = db.changes()
            db.execute("DELETE FROM task_output WHERE created_at < ?", (before,))
            return gone + db.changes()
