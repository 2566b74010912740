"""The output cache: an index over completed task runs, and a small table for outputs that belong to no run.

Forgetting an output takes a task run out of the index (its `cache_key` becomes NULL).  The run keeps what it put out.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from workglow.errors import CorruptValueError
from workglow.storage.outputs import CacheEntry, FoundOutput, StoredOutput, TaskOutputRepository
from workglow.storage.sqlite.tasktypes import TaskTypes
from workglow.storage.sqlite.values import (
    SqliteValues,
    insert_values,
    note_damage,
    references,
    references_in,
    select_values,
)
from workglow.values import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

    from workglow.file import File
    from workglow.storage.records import TaskRow

__all__ = ["SqliteOutputs"]

# The order of rows would be that of their age, which costs as much again; instead no older row keeps the key.
_FIND = """
SELECT output, id FROM task_run    WHERE cache_key = ?1
UNION ALL
SELECT output, 0  FROM task_output WHERE cache_key = ?1
LIMIT 1
"""
_SAVED = "SELECT cache_key, type, model, output, created_at FROM task_output"
_RAN = """
SELECT task_run.cache_key, run.graph_id, task_run.path, coalesce(task_run.model, ''), task_run.output,
       task_run.finished_at
  FROM task_run JOIN run ON run.id = task_run.run_id
"""


class SqliteOutputs(TaskOutputRepository):
    """The cached outputs of one file."""

    def __init__(self, file: File) -> None:
        super().__init__(clock=file.clock)
        self._file = file
        self._look_up = file.look_up
        self._load = SqliteValues(file).load
        self._expected: dict[bytes, CacheEntry] = {}  # what a journal is about to commit, when somebody listens

    def find(self, key: bytes) -> FoundOutput | None:
        row = self._look_up(_FIND, (key,))
        if row is None:
            return None
        text, source_id = row
        try:
            found = FoundOutput(decode(text, self._load), text, source_id)
        except CorruptValueError as error:
            note_damage(self._file.reader, references(text))
            self._tell_damage(key, error)
            return None
        if self._listeners:
            self._tell("found", self._entries(key))
        return found

    def read(self, key: bytes) -> StoredOutput | None:
        row = self._look_up(_FIND, (key,))
        if row is None:
            return None
        (entry,) = self._entries(key)
        text = row[0]
        return StoredOutput(entry, text, tuple(select_values(self._file.reader, references(text))))

    def write(self, stored: StoredOutput) -> None:
        entry = stored.entry
        with self._file.transaction() as db:
            insert_values(db, stored.blobs)
            db.execute("UPDATE task_run SET cache_key = NULL WHERE cache_key = ?", (entry.key,))
            db.execute(
                """
                INSERT OR REPLACE INTO task_output (cache_key, type, model, output, created_at) VALUES (?, ?, ?, ?, ?)
                """,
                (entry.key, entry.type, entry.model, stored.text, entry.created_at),
            )

    def entries(self) -> list[CacheEntry]:
        return self._entries(None)

    def _entries(self, key: bytes | None) -> list[CacheEntry]:
        db = self._file.reader
        only, keys = ("", ()) if key is None else (" WHERE cache_key = ?", (key,))
        sizes, types = _Sizes(db), TaskTypes(db)
        found: dict[bytes, CacheEntry] = {}
        for cache_key, type, model, text, created_at in db.execute(_SAVED + only + " ORDER BY rowid", keys):
            found[cache_key] = CacheEntry(cache_key, type, model, sizes.of(text), created_at)
        ran = _RAN + (only or " WHERE cache_key IS NOT NULL") + " ORDER BY task_run.id"
        for cache_key, graph_id, path, model, text, finished_at in db.execute(ran, keys):
            found.pop(cache_key, None)  # so that the newest stands last
            found[cache_key] = CacheEntry(cache_key, types.of(graph_id, path), model, sizes.of(text), finished_at or 0)
        return list(found.values())

    def remove(self, keys: Iterable[bytes]) -> None:
        gone = [(key,) for key in keys]
        with self._file.transaction() as db:
            db.executemany("UPDATE task_run SET cache_key = NULL WHERE cache_key = ?", gone)
            db.executemany("DELETE FROM task_output WHERE cache_key = ?", gone)

    def size(self) -> int:
        return self._file.reader.execute(
            """
            SELECT count(*) FROM (SELECT cache_key FROM task_run WHERE cache_key IS NOT NULL
                                  UNION SELECT cache_key FROM task_output)
            """
        ).get

    def clear(self) -> None:
        if self._listeners:
            super().clear()
            return
        with self._file.transaction() as db:
            db.execute("UPDATE task_run SET cache_key = NULL WHERE cache_key IS NOT NULL")
            db.execute("DELETE FROM task_output")

    # ------------------------------------------------------------------ what a journal writes

    def expect(self, entry: CacheEntry) -> bool:
        if not self.admits(entry):
            return False
        if self._listeners:
            self._expected[entry.key] = entry
        return True

    def committed(self, rows: Sequence[TaskRow]) -> None:
        """Tell of what a journal has committed."""
        if self._expected:
            keys = [row.cache_key for row in rows if row.cache_key in self._expected]
            self._tell("saved", [self._expected.pop(key) for key in keys])


class _Sizes:
    """How many bytes outputs take, with the values they refer to; each value is looked at once."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._known: dict[str, dict[str, int]] = {}

    def of(self, text: str) -> int:
        """Return the bytes of a text and of each value that it refers to."""
        values: dict[str, int] = {}
        for hash in references(text):
            values.update(self._value(hash))
        return (len(text) if text.isascii() else len(text.encode())) + sum(values.values())

    def _value(self, hash: str) -> dict[str, int]:
        known = self._known.get(hash)
        if known is None:
            known = self._known[hash] = {}
            row = self._db.execute(
                "SELECT size, kind, encoding, CASE kind WHEN 'json' THEN data END FROM value WHERE hash = ?",
                (bytes.fromhex(hash),),
            ).fetchone()
            if row is not None:
                size, kind, encoding, data = cast("tuple[int, str, str, bytes]", row)
                known[hash] = size
                with suppress(CorruptValueError):  # whoever looks it up is told
                    for inner in references_in(kind, encoding, data):
                        known.update(self._value(inner))
        return known
