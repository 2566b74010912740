"""Rows of the table `task_run`: written inside the caller's transaction, and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from workglow.storage.records import TaskRow
from workglow.storage.sqlite.values import insert_values
from workglow.storage.sqlite.waiting import list_waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import apsw

__all__ = [
    "COLUMNS",
    "insert_row",
    "read_row",
    "select_row",
    "select_rows",
    "select_streamed",
    "update_row",
    "write_rows",
]

_INSERT = """
INSERT INTO task_run (run_id, path, status, attempt, started_at, finished_at, wake_at,
                      output, error, state, usage, cache_key, source_id, model)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPDATE = """
UPDATE task_run
   SET status = ?, attempt = ?, started_at = ?, finished_at = ?, wake_at = ?,
       output = ?, error = ?, state = ?, usage = ?, cache_key = ?, source_id = ?, model = ?
 WHERE id = ?
"""
# The transitions that nearly every task makes write only what they change.
_START = "INSERT INTO task_run (run_id, path, status, attempt, started_at) VALUES (?, ?, ?, ?, ?)"
_GO = "UPDATE task_run SET status = 'running', attempt = ?, started_at = ?, wake_at = NULL WHERE id = ?"
_COMPLETE = "UPDATE task_run SET status = 'completed', finished_at = ?, output = ? WHERE id = ?"
_COMPLETE_FOR_REUSE = (
    "UPDATE task_run SET status = 'completed', finished_at = ?, output = ?, cache_key = ? WHERE id = ?"
)

# What becomes ready together is one JSON list of paths, numbered by SQLite; what starts together is one range of keys.
# A statement for each costs as much again as the rows themselves.
_READY_TOGETHER = """
INSERT INTO task_run (run_id, path, status, attempt) SELECT ?, value, 'pending', 0 FROM json_each(?)
"""
_GO_TOGETHER = """
UPDATE task_run SET status = 'running', attempt = ?, started_at = ?, wake_at = NULL WHERE id BETWEEN ? AND ?
"""
COLUMNS = """
SELECT id, path, status, attempt, started_at, finished_at, wake_at, output, error, state, usage, cache_key, source_id,
       model
  FROM task_run
"""
_FIELDS = (
    "row_id", "path", "status", "attempt", "started_at", "finished_at", "wake_at",
    "output", "error", "state", "usage", "cache_key", "source_id", "model",
)  # fmt: skip
_READ_AHEAD = 256


def _changing(row: TaskRow) -> tuple[apsw.SQLiteValue, ...]:
    return (
        row.status, row.attempt, row.started_at, row.finished_at, row.wake_at,
        row.output, row.error, row.state, row.usage, row.cache_key, row.source_id, row.model,
    )  # fmt: skip


def insert_row(db: apsw.Connection, run_id: int, row: TaskRow) -> None:
    """Add a task row inside the caller's transaction; the row learns its key."""
    db.execute(_INSERT, (run_id, row.path, *_changing(row)))
    row.row_id = db.last_insert_rowid()
    if row.status == "waiting":
        list_waiting(db, row)


def update_row(db: apsw.Connection, row: TaskRow) -> None:
    """Write a task row again, inside the caller's transaction."""
    db.execute(_UPDATE, (*_changing(row), row.row_id))
    if row.is_listed or row.status == "waiting":
        list_waiting(db, row)


def read_row(values: Sequence[apsw.SQLiteValue]) -> TaskRow:
    """Make a task row of what `select_rows` selects."""
    row = TaskRow("")
    row.__dict__.update(zip(_FIELDS, values, strict=True))
    if row.status == "waiting":
        row.is_listed = True
    return row


def select_row(db: apsw.Connection, run_id: int, path: str) -> TaskRow | None:
    """Read one task row of a run."""
    values = db.execute(COLUMNS + " WHERE run_id = ? AND path = ?", (run_id, path)).fetchone()
    return None if values is None else read_row(values)


def select_rows(db: apsw.Connection, run_id: int) -> Iterable[TaskRow]:
    """Read the rows of a run in the order they became ready, a page at a time."""
    # The rows of a run lie close together; the index says between which keys, and reading goes along the table itself.
    last, end = db.execute("SELECT min(id) - 1, max(id) FROM task_run WHERE run_id = ?", (run_id,)).fetchall()[0]
    while last is not None:
        page = db.execute(
            COLUMNS + " WHERE +run_id = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?",
            (run_id, last, end, _READ_AHEAD),
        ).fetchall()
        for values in page:
            yield read_row(values)
        if len(page) < _READ_AHEAD:
            return
        last = page[-1][0]


def select_streamed(db: apsw.Connection, run_id: int) -> list[TaskRow]:
    """Read the rows of finished tasks that had streamed."""
    rows = db.execute(COLUMNS + " WHERE run_id = ? AND state LIKE '{\"streamed\":%' ORDER BY id", (run_id,))
    return [read_row(values) for values in rows]


def write_rows(
    db: apsw.Connection,
    execute: Callable[..., apsw.Cursor],
    run_id: int,
    rows: Sequence[TaskRow],
    inserted: list[TaskRow],
) -> None:
    """Write what became of task runs, `execute` being that of a cursor; those that get their key are put on a list."""
    position, count = 0, len(rows)
    while position < count:
        row = rows[position]
        after = position + 1
        if row.blobs:
            insert_values(db, row.blobs)
        if not row.row_id:
            if row.status == "pending" and after < count and _is_just_ready(row):
                after = _end_of_ready(rows, position)
            if after - position > 1:
                _insert_ready(db, execute, run_id, rows[position:after])
            else:
                _insert(db, execute, run_id, row)
            inserted += rows[position:after]
        elif row.is_listed:
            update_row(db, row)
        elif row.status == "completed" and row.error is None and row.state is None and row.usage is None:
            if row.cache_key is None:
                execute(_COMPLETE, (row.finished_at, row.output, row.row_id))
            elif row.model is not None:
                update_row(db, row)
            else:
                execute(_COMPLETE_FOR_REUSE, (row.finished_at, row.output, row.cache_key, row.row_id))
        elif row.status == "running" and row.state is None and row.usage is None:
            if after < count and rows[after].row_id == row.row_id + 1:
                after = _end_of_started(rows, position)
            if after - position > 1:
                execute(_GO_TOGETHER, (row.attempt, row.started_at, row.row_id, row.row_id + after - position - 1))
            else:
                execute(_GO, (row.attempt, row.started_at, row.row_id))
        else:
            update_row(db, row)
        position = after


def _insert(db: apsw.Connection, execute: Callable[..., apsw.Cursor], run_id: int, row: TaskRow) -> None:
    if row.finished_at is None and row.state is None and row.wake_at is None and row.usage is None:
        execute(_START, (run_id, row.path, row.status, row.attempt, row.started_at))
        row.row_id = db.last_insert_rowid()
    else:
        insert_row(db, run_id, row)


def _insert_ready(
    db: apsw.Connection, execute: Callable[..., apsw.Cursor], run_id: int, rows: Sequence[TaskRow]
) -> None:
    execute(_READY_TOGETHER, (run_id, msgspec.json.encode([row.path for row in rows]).decode()))
    key = db.last_insert_rowid() - len(rows)
    for row in rows:
        key += 1
        row.row_id = key


def _is_just_ready(row: TaskRow) -> bool:
    return (
        row.status == "pending"
        and not (row.row_id or row.attempt or row.blobs)
        and row.started_at is None
        and row.state is None
        and row.wake_at is None
        and row.usage is None
    )


def _end_of_ready(rows: Sequence[TaskRow], position: int) -> int:
    """Up to where in the list nothing but readiness has happened to task runs."""
    end = position + 1
    while end < len(rows) and _is_just_ready(rows[end]):
        end += 1
    return end


def _end_of_started(rows: Sequence[TaskRow], position: int) -> int:
    """Up to where in the list task runs whose keys follow each other started alike, and nothing else happened."""
    first = rows[position]
    key, attempt, started_at = first.row_id, first.attempt, first.started_at
    end = position + 1
    while end < len(rows):
        row, key = rows[end], key + 1
        if (
            row.row_id != key
            or row.status != "running"
            or row.attempt != attempt
            or row.started_at != started_at
            or row.is_listed
            or row.blobs
            or row.state is not None
            or row.usage is not None
        ):
            break
        end += 1
    return end
