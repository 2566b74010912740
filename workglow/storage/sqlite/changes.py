"""The changes of jobs and runs, in the tables `change_log` and `change`.

Policy.  A change is a row of the transaction that makes it, so whoever reads sees all of a commit or nothing of it, and
the numbers are in the order of the commits, since there is one writer at a time.  Rows are written only while
`change_log` has its row, which every writer asks under the write lock: whoever turned it on misses nothing that is
committed later, and while it is off the question is all it costs, 0.7 µs a transaction.

What is old goes when new changes come, `_PRUNE_EVERY` of them at a time, so growth is bounded by what is written.  The
newest row always stays: SQLite gives the next one its number plus 1, so no number is used twice.  Turning on writes a
row of its own ('kept'), so that the first number afterwards is not the one a reader from before was waiting for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from workglow.storage.changes import JobChange, KeptChanges, RunChange

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.file import File
    from workglow.storage.changes import Change, JobChangeKind, RunChangeKind

    Execute = Callable[..., Any]

__all__ = ["SqliteChanges", "are_kept", "note_added", "note_begun", "note_job", "note_run"]

_PRUNE_EVERY: Final = 256

_JOB = """
INSERT INTO change (at, kind, old_status, new_status, job_id, queue_id, attempt, data)
SELECT ?, ?, ?, ?, id, queue_id, attempt, ? FROM job WHERE id = ?
"""
_ADDED = """
INSERT INTO change (at, kind, new_status, job_id, queue_id, attempt)
SELECT ?, 'added', 'pending', job.id, queue_id, 0 FROM job WHERE job.id >= ? AND job.id < ? ORDER BY job.id
"""
_RUN = """
INSERT INTO change (at, kind, old_status, new_status, run, data)
SELECT ?, ?, status, ?, uid, ? FROM run WHERE id = ?
"""
_BEGUN = """
INSERT INTO change (at, kind, new_status, run)
SELECT ?, 'begun', ?, uid FROM run WHERE id = ?
"""
_READ = """
SELECT seq, at, kind, old_status, new_status, job_id, queue.name, queue.scope, attempt, run, data
  FROM change LEFT JOIN queue ON queue.id = queue_id
 WHERE seq >= ? ORDER BY seq LIMIT ?
"""


def are_kept(execute: Execute) -> bool:
    """Whether changes are to be noted, in this transaction."""
    return bool(execute("SELECT 1 FROM change_log").fetchall())


def note_job(
    execute: Execute,
    kind: JobChangeKind,
    job_id: int,
    now: int,
    *,
    old: str | None,
    new: str | None,
    data: str | None = None,
) -> None:
    """Note, while changes are kept, what happens to a job in the caller's transaction; it has a row then."""
    if are_kept(execute):
        told = data if kind == "progress" else _brief(data)
        execute(_JOB, (now, kind, old, new, told, job_id))
        _prune_sometimes(execute, now)


def note_added(execute: Execute, first: int, end: int, now: int) -> None:
    """Note, while changes are kept, that the jobs from number `first` on and before `end` were added."""
    execute(_ADDED, (now, first, end))
    _prune(execute, now)


def note_run(
    execute: Execute, kind: RunChangeKind, run_id: int, now: int, *, new: str | None, error: str | None = None
) -> None:
    """Note, while changes are kept, what is about to happen to a run, before its row says so."""
    if are_kept(execute):
        execute(_RUN, (now, kind, new, _brief(error), run_id))
        _prune_sometimes(execute, now)


def note_begun(execute: Execute, run_id: int, now: int, new: str) -> None:
    """Note, while changes are kept, that a run was stored."""
    if are_kept(execute):
        execute(_BEGUN, (now, new, run_id))
        _prune_sometimes(execute, now)


def _brief(data: str | None) -> str | None:
    """An error without its trace, which may be long."""
    if data is None:
        return None
    told = msgspec.json.decode(data)
    return msgspec.json.encode({"type": told.get("type"), "message": told.get("message")}).decode()


def _prune_sometimes(execute: Execute, now: int) -> None:
    if execute("SELECT last_insert_rowid()").fetchall()[0][0] % _PRUNE_EVERY == 0:
        _prune(execute, now)


def _prune(execute: Execute, now: int) -> None:
    """Delete what was kept for long enough, oldest first."""
    first, keep_for, keep_rows, newest = execute(
        "SELECT first_seq, keep_for, keep_rows, (SELECT max(seq) FROM change) FROM change_log"
    ).fetchall()[0]
    kept = max(first, newest - keep_rows + 1)
    young = execute(
        "SELECT seq FROM change WHERE seq >= ? AND at >= ? ORDER BY seq LIMIT 1", (kept, now - keep_for)
    ).fetchall()
    kept = young[0][0] if young else newest
    if kept > first:
        execute("DELETE FROM change WHERE seq < ?", (kept,))
        execute("UPDATE change_log SET first_seq = ?", (kept,))


class SqliteChanges:
    """The changes of one file."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._scopes: dict[str, dict[str, Any]] = {}

    def keep(self, *, keep_for: int, keep_rows: int) -> None:
        now = self._file.clock.now()
        with self._file.transaction(sync=True) as db:
            if not are_kept(db.execute):
                db.execute("INSERT INTO change (at, kind) VALUES (?, 'kept')", (now,))
                db.execute(
                    "INSERT INTO change_log (id, first_seq, keep_for, keep_rows) VALUES (1, ?, ?, ?)",
                    (db.last_insert_rowid() + 1, keep_for, keep_rows),
                )
            else:
                db.execute("UPDATE change_log SET keep_for = ?, keep_rows = ?", (keep_for, keep_rows))
                _prune(db.execute, now)

    def forget(self) -> None:
        with self._file.transaction(sync=True) as db:
            db.execute("DELETE FROM change_log")
            db.execute("DELETE FROM change WHERE seq < (SELECT max(seq) FROM change)")
        self._file.notify()

    def kept(self) -> KeptChanges | None:
        row = self._file.reader.execute("SELECT first_seq, (SELECT max(seq) FROM change) FROM change_log").fetchone()
        return None if row is None else KeptChanges(*cast("tuple[int, int]", row))

    def read(self, from_seq: int, limit: int) -> list[tuple[int, Change | None]]:
        rows: list[Any] = self._file.reader.execute(_READ, (from_seq, limit)).fetchall()
        return [(row[0], self._change(row)) for row in rows]

    def _change(self, row: Any) -> Change | None:
        seq, at, kind, old, new, job_id, queue, scope, attempt, run, data = row
        told = None if data is None else msgspec.json.decode(data)
        if run is not None:
            return RunChange(seq, at, kind, run, old, new, told)
        if job_id is None:
            return None
        if scope not in self._scopes:
            self._scopes[scope] = msgspec.json.decode(scope)
        return JobChange(seq, at, kind, job_id, queue, self._scopes[scope], old, new, attempt, told)
