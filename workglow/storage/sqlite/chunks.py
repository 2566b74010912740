"""What streaming tasks said so far, in the table `stream_chunk`: kept until the value that it adds up to is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from workglow.storage.records import ChunkRecord
from workglow.storage.sqlite.values import insert_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

__all__ = ["drop_chunks", "drop_chunks_of_open", "insert_chunks", "select_chunks"]

_INSERT = """
INSERT INTO stream_chunk (task_run_id, attempt, seq, port, kind, data, at) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
# CROSS JOIN keeps the order: few streams are open at a time, and a run may have a million tasks.
_SELECT = """
SELECT stream_chunk.seq, task_run.path, stream_chunk.attempt, stream_chunk.port, stream_chunk.kind, stream_chunk.data,
       stream_chunk.at
  FROM stream_chunk CROSS JOIN task_run ON task_run.id = stream_chunk.task_run_id
 WHERE task_run.run_id = ? AND stream_chunk.seq >= ?
 ORDER BY stream_chunk.seq LIMIT ?
"""
_SELECT_OF_TASK = """
SELECT seq, ?, attempt, port, kind, data, at FROM stream_chunk
 WHERE task_run_id = (SELECT id FROM task_run WHERE run_id = ? AND path = ?) AND seq >= ?
 ORDER BY seq LIMIT ?
"""


def insert_chunks(db: apsw.Connection, chunks: Iterable[tuple[int, ChunkRecord]]) -> None:
    """Add rows, each to the task run with that key, inside the caller's transaction.

    With the first row of an attempt those of earlier attempts go: they came to nothing.
    """
    for row_id, chunk in chunks:
        insert_values(db, chunk.blobs)
        db.execute("DELETE FROM stream_chunk WHERE task_run_id = ? AND attempt < ?", (row_id, chunk.attempt))
        db.execute(_INSERT, (row_id, chunk.attempt, chunk.seq, chunk.port, chunk.kind, chunk.data, chunk.at))


def drop_chunks(db: apsw.Connection, row_id: int) -> None:
    """Forget what a task run streamed, inside the caller's transaction."""
    db.execute("DELETE FROM stream_chunk WHERE task_run_id = ?", (row_id,))


def drop_chunks_of_open(db: apsw.Connection, run_id: int) -> None:
    """Forget what the unfinished tasks of a run streamed, inside the caller's transaction."""
    db.execute(
        """
        DELETE FROM stream_chunk WHERE task_run_id IN (
          SELECT task_run_id FROM stream_chunk CROSS JOIN task_run ON task_run.id = task_run_id WHERE run_id = ?
        )
        """,
        (run_id,),
    )


def select_chunks(
    db: apsw.Connection, run_id: int, *, from_seq: int, path: str | None, limit: int
) -> list[ChunkRecord]:
    """Read the rows of a run, or of one task in it, in order."""
    if path is None:
        rows = db.execute(_SELECT, (run_id, from_seq, limit))
    else:
        rows = db.execute(_SELECT_OF_TASK, (path, run_id, path, from_seq, limit))
    return [ChunkRecord(*cast("tuple[int, str, int, str, str, str, int]", row)) for row in rows]
