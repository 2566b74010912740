"""A new project file of what can still be read of a damaged one, and verified.

The policy.  What does not verify is left out: a value that differs from its hash, a graph that differs from its own,
text that is no JSON, and whatever refers to something that is lost.  A run is kept as far as it goes: a task whose
output is lost counts as failed.  An unfinished run that lost something, or may have, is closed as failed instead of
going on from wrong premises; running it again reuses every task that is complete.  Jobs that ran are pending again, and
fail when they lost something that they need.  Sessions, workers, changes and the pieces of unfinished streams are not
taken along.  A document that may have lost chunks forgets its hash, so the next ingestion
reads it anew.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import apsw
import msgspec

from workglow.clock import SystemClock
from workglow.errors import FileError
from workglow.file import File, doctor
from workglow.file.copy import place_new
from workglow.file.place import absolute, check_place, sync_folder
from workglow.file.salvage import Salvage
from workglow.storage.graph_json import record_to_json
from workglow.storage.sqlite.graphs import select_graph
from workglow.storage.sqlite.mending import REFERENCES, mend_jobs
from workglow.values import canonical
from workglow.values.blob import Blob, verify

if TYPE_CHECKING:
    from workglow.clock import Clock

__all__ = ["Kept", "Recovery", "recover"]

_LEFT_BEHIND: Final = ("project", "migration", "session", "stream_chunk", "worker", "change", "change_log")
_LOST: Final = '{"type":"LostValueError","message":"Its output was lost when the file was damaged.","trace":[]}'
_CLOSED: Final = (
    '{"type":"LostValueError","message":"Parts of this run were lost when the file was damaged.  '
    'Run it again with `workglow rerun`: what is complete is reused.","trace":[]}'
)


@dataclass(frozen=True, slots=True)
class Kept:
    """How many rows of a table were kept, and how many were read but left out; `gaps` stretches could not be read."""

    rows: int
    left_out: int
    gaps: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """What `recover` made: `closed` are the ids of the runs that lost something; `notes` are for people."""

    path: str
    tables: dict[str, Kept]
    closed: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing was lost."""
        return not (self.notes or any(kept.left_out or kept.gaps for kept in self.tables.values()))


def recover(source: str | os.PathLike[str], target: str | os.PathLike[str], *, clock: Clock | None = None) -> Recovery:
    """Make the new project file `target` of what can still be read of `source` and verified; `source` is not changed.

    Raises FileError when the target exists, and FileCorruptError when nothing can be read.
    """
    place = absolute(target)
    if check_place(place, create=True):
        raise FileError(f"{place} exists already.  Choose another name.")
    partial = f"{place}.partial-{os.getpid()}"
    try:
        with Salvage(source) as salvage:
            file = File.open(partial, clock=clock or SystemClock(), durability="power")
            try:
                recovery = _Recovering(salvage, file).run(place)
            finally:
                file.close()
        report = doctor(partial)
        if not report.ok:
            found = "; ".join(check.detail for check in report.failures)
            raise FileError(f"What was read of {salvage.path} does not hold together ({found}).  Restore a backup.")
        place_new(partial, place)
        sync_folder(place)
    finally:
        for leftover in (partial, f"{partial}-wal", f"{partial}-shm"):
            if os.path.exists(leftover):
                os.unlink(leftover)
    return recovery


class _Recovering:
    """One recovery."""

    def __init__(self, salvage: Salvage, file: File) -> None:
        self._salvage = salvage
        self._file = file
        self._kept: dict[str, Kept] = {}
        self._notes = salvage.notes

    def run(self, place: str) -> Recovery:
        self._take_identity()
        with self._file.transaction() as db:
            tables = [
                str(name)
                for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")
                if name not in _LEFT_BEHIND and not str(name).startswith(("sqlite_", "chunk_text"))
            ]
            for table in tables:
                self._take(db, table)
                if table == "dataflow":  # before anything refers to a graph
                    self._drop_damaged_graphs(db)
            closed = self._mend_runs(db)
            if failed := mend_jobs(db, self._file.clock.now()):
                self._notes.append(f"{failed} jobs lost their input, their output or what they need, and have failed")
            db.execute(f"DELETE FROM schedule WHERE EXISTS ({REFERENCES.format(column='input')})")
            self._move("schedule", db.changes())
            self._mend_knowledge(db)
        return Recovery(place, self._kept, closed, tuple(self._notes))

    def _take_identity(self) -> None:
        columns = ("uid", "created_at", "created_by", "settings")
        row = next(self._salvage.rows("project", columns), None)
        if row is None:
            self._notes.append("the file's id is lost: tasks that run again get new idempotency keys")
            return
        with self._file.transaction() as db:
            db.execute("UPDATE project SET uid = ?, created_at = ?, created_by = ?, settings = ?", row)

    def _take(self, db: apsw.Connection, table: str) -> None:
        there = self._salvage.columns(table)
        columns = tuple(
            name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,)) if name in there
        )
        if not columns:
            self._notes.append(f"table {table} is lost as a whole")
            return
        insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        optional = self._optional_references(db, table, columns)
        kept = left_out = 0
        for row in self._salvage.rows(table, columns):
            if (table != "value" or _verifies(columns, row)) and _insert(db, insert, row, optional):
                kept += 1
            else:
                left_out += 1
        self._kept[table] = Kept(kept, left_out, len(self._salvage.gaps[table]))

    @staticmethod
    def _optional_references(db: apsw.Connection, table: str, columns: tuple[str, ...]) -> tuple[int, ...]:
        """The positions of references that may be NULL, and are when what they name is not taken along."""
        query = """
            SELECT reference."from" FROM pragma_foreign_key_list(?1) AS reference
              JOIN pragma_table_info(?1) AS column ON column.name = reference."from" AND NOT column."notnull"
        """
        return tuple(columns.index(name) for (name,) in db.execute(query, (table,)) if name in columns)

    def _drop_damaged_graphs(self, db: apsw.Connection) -> None:
        graphs: list[tuple[Any, ...]] = db.execute("SELECT id, hash FROM graph").fetchall()
        for graph_id, hash in graphs:
            if _graph_hash(db, graph_id) != hash:
                db.execute("DELETE FROM graph WHERE id = ?", (graph_id,))
                self._move("graph", 1)

    def _move(self, table: str, count: int) -> None:
        old = self._kept[table]
        self._kept[table] = Kept(old.rows - count, old.left_out + count, old.gaps)

    def _mend_runs(self, db: apsw.Connection) -> tuple[str, ...]:
        now = self._file.clock.now()
        db.execute(f"DELETE FROM task_output WHERE EXISTS ({REFERENCES.format(column='output')})")
        self._move("task_output", db.changes())
        db.execute(f"DELETE FROM run WHERE EXISTS ({REFERENCES.format(column='input')})")
        self._move("run", db.changes())
        for column in ("error", "state", "usage"):
            db.execute(f"UPDATE task_run SET {column} = NULL WHERE {column} IS NOT NULL AND NOT json_valid({column})")
        damaged = [
            run
            for (run,) in db.execute(
                f"""
                UPDATE task_run SET status = 'failed', output = NULL, cache_key = NULL, source_id = NULL, error = ?1,
                                    finished_at = coalesce(finished_at, ?2)
                 WHERE output IS NOT NULL
                   AND CASE WHEN json_valid(output) THEN EXISTS ({REFERENCES.format(column="output")}) ELSE 1 END
                RETURNING run_id
                """,
                (_LOST, now),
            )
        ]
        unsure = bool(self._kept["task_run"].left_out or self._kept["task_run"].gaps)
        closed = [
            uid
            for (uid,) in db.execute(
                f"""
                UPDATE run SET status = 'failed', output = NULL, error = ?1, finished_at = coalesce(finished_at, ?2),
                               session_id = NULL
                 WHERE (finished_at IS NULL AND (?3 OR id IN (SELECT value FROM json_each(?4))))
                    OR EXISTS ({REFERENCES.format(column="output")})
                RETURNING uid
                """,
                (_CLOSED, now, unsure, msgspec.json.encode(damaged).decode()),
            )
        ]
        db.execute(
            """
            UPDATE task_run SET status = 'aborted', finished_at = ?
             WHERE finished_at IS NULL AND run_id IN (SELECT id FROM run WHERE finished_at IS NOT NULL)
            """,
            (now,),
        )
        db.execute(
            """
            UPDATE task_run SET source_id = NULL
             WHERE source_id IN (SELECT id FROM task_run WHERE status <> 'completed')
            """
        )
        db.execute("DELETE FROM waiting")
        db.execute("INSERT INTO waiting SELECT id FROM task_run WHERE status = 'waiting'")
        _mend_queued_tasks(db, now)
        return tuple(closed)

    def _mend_knowledge(self, db: apsw.Connection) -> None:
        for first, last in self._salvage.gaps["chunk"]:  # the documents before and behind the gap may reach into it
            db.execute(
                """
                UPDATE document SET hash = printf('%064d', 0)
                 WHERE id IN (SELECT document_id FROM chunk WHERE id IN (?1 - 1, ?2 + 1))
                    OR id NOT IN (SELECT document_id FROM chunk)
                """,
                (first, min(last, 2**62)),
            )
        db.execute(
            """
            UPDATE document SET hash = printf('%064d', 0)
             WHERE id IN (SELECT document_id FROM chunk GROUP BY 1 HAVING count(*) <> max(position) + 1)
            """
        )
        db.execute("INSERT INTO chunk_text (chunk_text) VALUES ('rebuild')")


def _mend_queued_tasks(db: apsw.Connection, now: int) -> None:
    """Let no job be run for a task that is over, and let a task start anew whose job was lost."""
    db.execute(
        """
        UPDATE job SET status = 'aborted', finished_at = ?, run_after = NULL
         WHERE finished_at IS NULL AND task_run_id IN (SELECT id FROM task_run WHERE finished_at IS NOT NULL)
        """,
        (now,),
    )
    db.execute(
        """
        UPDATE task_run SET status = 'pending', state = NULL
         WHERE status = 'waiting' AND json_extract(state, '$.waits_for') = 'job'
           AND NOT EXISTS (SELECT 1 FROM job WHERE task_run_id = task_run.id AND finished_at IS NULL)
           AND NOT EXISTS (SELECT 1 FROM answer WHERE task_run_id = task_run.id AND answer.attempt = task_run.attempt)
        """
    )
    db.execute("DELETE FROM waiting WHERE task_run_id IN (SELECT id FROM task_run WHERE status <> 'waiting')")
    db.execute(
        """
        UPDATE run SET status = 'pending' WHERE status = 'waiting'
           AND NOT EXISTS (SELECT 1 FROM task_run WHERE run_id = run.id AND status = 'waiting')
        """
    )


def _verifies(columns: tuple[str, ...], row: tuple[Any, ...]) -> bool:
    value = dict(zip(columns, row, strict=True))
    return verify(Blob(value["hash"], value["kind"], value["encoding"], value["size"], value["data"]))


def _insert(db: apsw.Connection, insert: str, row: tuple[Any, ...], optional: tuple[int, ...]) -> bool:
    without = tuple(None if position in optional else value for position, value in enumerate(row))
    for values in (row, without) if without != row else (row,):
        try:
            db.execute(insert, values)
        except apsw.ConstraintError:
            continue
        return True
    return False


def _graph_hash(db: apsw.Connection, graph_id: int) -> str:
    """What the graph's rows are known by: the hash of the canonical JSON that they stand for."""
    try:
        return hashlib.sha256(canonical(record_to_json(select_graph(db, graph_id)))).hexdigest()
    except msgspec.DecodeError:
        return ""
