"""The state of one run, in the tables `run` and `task_run`.

Every commit first asks, under the write lock, whether this process still owns the run at the epoch it knows.  Nothing
can change the answer before COMMIT, so one question fences every row of the transaction.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, cast

import msgspec

from workglow.errors import FileLockedError, LeaseLostError
from workglow.storage.records import FINAL_RUN_STATUSES, Arrival, ChunkRecord, EventRecord, RunRecord
from workglow.storage.sqlite.changes import note_begun, note_run
from workglow.storage.sqlite.chunks import drop_chunks, drop_chunks_of_open, insert_chunks, select_chunks
from workglow.storage.sqlite.queued import drive_later, select_progress
from workglow.storage.sqlite.task_rows import COLUMNS, read_row, write_rows
from workglow.storage.sqlite.values import insert_values
from workglow.storage.sqlite.waiting import (
    has_arrivals,
    has_kept_events,
    select_arrivals,
    take_arrivals,
    unlist_finished,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    import apsw

    from workglow.file import File
    from workglow.storage.changes import RunChangeKind
    from workglow.storage.records import TaskRow
    from workglow.values import Encoded

__all__ = ["SqliteJournal", "insert_events"]

_FENCE = "SELECT 1 FROM run WHERE id = ? AND session_id IS ? AND epoch = ?"
# The plus sign keeps SQLite from searching by path: the keys from open_from on are the shorter way.
_OPEN = COLUMNS + " WHERE +run_id = ? AND finished_at IS NULL AND id > ? AND id <= ? ORDER BY id LIMIT ?"
_UNHANDLED = (
    "SELECT json_extract(error, '$.unhandled') FROM task_run "
    "WHERE run_id = ? AND status = 'failed' AND json_extract(error, '$.unhandled') IS NOT NULL ORDER BY id LIMIT 1"
)
_FIRST_PAGE = 16  # the first task should not wait for the reading of many
_READ_AHEAD = 256
_NEW_ROWS = 256  # after so many, a look at which is the oldest that is open


def insert_events(db: apsw.Connection, run_id: int, events: Iterable[EventRecord]) -> None:
    """Add events inside the caller's transaction."""
    for event in events:
        data = None if event.data is None else msgspec.json.encode(event.data).decode()
        db.execute(
            "INSERT INTO event (at, run_id, path, kind, data) VALUES (?, ?, ?, ?, ?)",
            (event.at, run_id, event.path, event.kind, data),
        )


class SqliteJournal:
    """Writes one run for the session that owns it."""

    def __init__(
        self,
        file: File,
        run: RunRecord,
        begin: Callable[[apsw.Connection], int] | None = None,
        *,
        driven: set[str],
        unseen: bool = True,
        on_commit: Callable[[Sequence[TaskRow]], None] | None = None,
    ) -> None:
        """`begin` stores the run itself, in the first commit; `unseen` rows of it are there that nobody read yet.

        `driven` holds the ids of the runs that this process drives; this one is in it until it ends or is released.
        """
        driven.add(run.uid)
        self._driven = driven
        self._file = file
        self.run = run
        self._begin = begin
        self._unseen = unseen
        self._on_commit = on_commit
        self._events: list[EventRecord] = []
        self._chunks: list[tuple[int, ChunkRecord]] = []
        self._open: dict[int, None] = {}  # keys of open rows, oldest first
        self._inserted = 0
        self._open_from = 0
        self._lowered = 0  # what it has to become, unless 0
        self._execute: Callable[..., apsw.Cursor] | None = None

    def note(self, event: EventRecord) -> None:
        self._events.append(event)

    def note_chunk(self, row: TaskRow, chunk: ChunkRecord) -> None:
        self._chunks.append((row.row_id, chunk))

    def commit(
        self,
        rows: Sequence[TaskRow],
        *,
        sync: bool = False,
        block: bool = False,
        status: str | None = None,
        output: Encoded | None = None,
        error: str | None = None,
    ) -> Awaitable[None] | None:
        if block or not self._waits_for_disk(sync):
            try:
                with self._file.transaction(sync=sync, wait=block) as db:
                    self._write(db, rows, status, output, error)
            except FileLockedError:
                if block:
                    raise
            else:
                self._events.clear()
                self._chunks.clear()
                self._committed(rows)
                if status is not None:
                    self._file.notify()
                return None
        return self._commit_elsewhere(rows, sync, status, output, error)

    def _waits_for_disk(self, sync: bool) -> bool:
        durability = self._file.durability
        return not self._file.memory and (durability == "power" or (sync and durability == "auto"))

    async def _commit_elsewhere(
        self, rows: Sequence[TaskRow], sync: bool, status: str | None, output: Encoded | None, error: str | None
    ) -> None:
        import asyncio

        # What is noted or changed while the other thread writes, by a time-out say, belongs to the next commit.
        events, self._events = self._events, []
        chunks, self._chunks = self._chunks, []
        written = [copy(row) for row in rows]
        work = self._file.submit(
            lambda db: self._write(db, written, status, output, error, noted=(events, chunks)), sync=sync
        )
        try:
            await asyncio.wrap_future(work)
        except BaseException:
            self._events[:0] = events
            self._chunks[:0] = chunks
            raise
        for row, stored in zip(rows, written, strict=True):
            row.row_id = stored.row_id
            if row.is_listed is not stored.is_listed:
                row.is_listed = stored.is_listed
        self._committed(rows)
        if status is not None:
            self._file.notify()

    def _committed(self, rows: Sequence[TaskRow]) -> None:
        self._begin = None
        for row in rows:
            if row.blobs:
                row.blobs = ()
            if row.job is not None:
                row.job = None
                self._file.notify()
        if self._on_commit is not None:
            self._on_commit(rows)

    def _write(
        self,
        db: apsw.Connection,
        rows: Sequence[TaskRow],
        status: str | None,
        output: Encoded | None,
        error: str | None,
        *,
        noted: tuple[Sequence[EventRecord], Sequence[tuple[int, ChunkRecord]]] | None = None,
    ) -> None:
        run = self.run
        events, chunks = (self._events, self._chunks) if noted is None else noted
        execute = self._execute = self._execute or db.cursor().execute  # one cursor serves all; making one costs 0.5 µs
        if self._begin is not None:
            run.row_id = self._begin(db)
            note_begun(execute, run.row_id, run.created_at, "pending" if status == "pending" else "running")
        else:
            self._fence(execute)
        inserted: list[TaskRow] = []
        try:
            if chunks:
                insert_chunks(db, chunks)
            write_rows(db, execute, run.row_id, rows, inserted)
            for row in inserted:
                self._open[row.row_id] = None
            for row in rows:
                if row.finished_at is not None or row.holds_others:  # what it holds is open for it
                    self._open.pop(row.row_id, None)
                if row.has_chunks and row.finished_at is not None:
                    drop_chunks(db, row.row_id)
            self._inserted += len(inserted)
            if self._unseen:
                if self._lowered:
                    self._set_open_from(db, self._lowered)
            elif self._inserted >= _NEW_ROWS or self._lowered:
                self._raise_open_from(db)
            if events:
                insert_events(db, run.row_id, events)
            if status is not None:
                self._set_status(db, status, output, error)
        except BaseException:
            for row in inserted:
                self._open.pop(row.row_id, None)
                row.row_id = 0
            raise

    def _fence(self, execute: Callable[..., apsw.Cursor]) -> None:
        run = self.run
        if not execute(_FENCE, (run.row_id, run.session_id, run.epoch)).fetchall():
            raise LeaseLostError(
                f"Run {run.uid} was taken over by another process, so this one has stopped writing.  "
                "Its tasks in flight will be repeated there with the same idempotency keys."
            )

    def _raise_open_from(self, db: apsw.Connection) -> None:
        oldest = next(iter(self._open), None)
        if oldest is not None:
            self._set_open_from(db, oldest)
            self._inserted = self._lowered = 0

    def _set_open_from(self, db: apsw.Connection, key: int) -> None:
        if key != self._open_from:
            db.execute("UPDATE run SET open_from = ? WHERE id = ?", (key, self.run.row_id))
            self._open_from = key

    def _set_status(self, db: apsw.Connection, status: str, output: Encoded | None, error: str | None) -> None:
        final = status in FINAL_RUN_STATUSES
        leaves = final or status == "waiting"
        now = self._file.clock.now()
        if status != "pending":  # a run that is stored and not started; that it was begun is all there is to tell
            note_run(db.execute, cast("RunChangeKind", status), self.run.row_id, now, new=status, error=error)
        if output is not None:
            insert_values(db, output.blobs)
        if final:  # whatever was still open will not happen any more
            self._driven.discard(self.run.uid)
            drop_chunks_of_open(db, self.run.row_id)
            db.execute(
                """
                UPDATE task_run SET status = 'aborted', finished_at = ?1
                 WHERE id >= (SELECT open_from FROM run WHERE id = ?2) AND +run_id = ?2 AND finished_at IS NULL
                """,
                (now, self.run.row_id),
            )
            unlist_finished(db, self.run.row_id, self._file.clock.now())
        db.execute(
            """
            UPDATE run SET status = ?, output = ?, error = ?, finished_at = ?,
                           session_id = CASE WHEN ? THEN NULL ELSE session_id END
             WHERE id = ?
            """,
            (status, None if output is None else output.text, error, now if final else None, leaves, self.run.row_id),
        )

    def row(self, path: str) -> TaskRow | None:
        values = self._file.look_up(COLUMNS + " WHERE run_id = ? AND path = ?", (self.run.row_id, path))
        return None if values is None else read_row(values)

    def chunks(self, path: str) -> list[ChunkRecord]:
        return select_chunks(self._file.reader, self.run.row_id, from_seq=0, path=path, limit=-1)

    def unhandled(self) -> str | None:
        return self._file.reader.execute(_UNHANDLED, (self.run.row_id,)).get

    def open_rows(self) -> Iterable[TaskRow]:
        read = self._file.read
        # Rows that this process adds while it reads are not news to it.
        bound, last = read(
            "SELECT (SELECT coalesce(max(id), 0) FROM task_run), open_from - 1 FROM run WHERE id = ?",
            (self.run.row_id,),
        )[0]
        self._open_from = last + 1
        size = _FIRST_PAGE
        while True:
            page = read(_OPEN, (self.run.row_id, last, bound, size))
            for values in page:
                row = read_row(values)
                self._open[row.row_id] = None
                yield row
            if len(page) < size:
                break
            last = page[-1][0]
            size = _READ_AHEAD
        self._open = dict.fromkeys(sorted(self._open))  # new rows came in between
        self._unseen = False

    def keep_open(self, row: TaskRow) -> None:
        if row.row_id < (self._lowered or self._open_from):
            self._lowered = row.row_id

    def release(self) -> None:
        run = self.run
        self._driven.discard(run.uid)  # also when the disk is full, so that this process may resume it later
        if self._begin is not None:
            return  # the run was never stored
        with self._file.transaction() as db:
            if self._events:
                insert_events(db, run.row_id, self._events)
                self._events.clear()
            db.execute(
                "UPDATE run SET session_id = NULL WHERE id = ? AND session_id IS ? AND epoch = ?",
                (run.row_id, run.session_id, run.epoch),
            )

    def arrivals(self, expired: Sequence[int] = ()) -> list[Arrival]:
        run_id = self.run.row_id
        if expired or has_kept_events(self._file.reader, run_id):
            with self._file.transaction() as db:
                self._fence(db.execute)
                take_arrivals(db, run_id, expired, self._file.clock.now())
        return select_arrivals(self._file.reader, run_id)

    def progress(self) -> list[tuple[int, str]]:
        return select_progress(self._file.reader, self.run.row_id)

    async def wait_for_change(self) -> None:
        await self._file.wait_for_change()

    async def park(self, *, block: bool = False) -> bool:
        def leave(db: apsw.Connection) -> bool:
            if has_arrivals(db, self.run.row_id):
                return False
            self._write(db, (), "waiting", None, None)
            drive_later(db.execute, self.run.row_id, self._file.clock.now())
            return True

        if block:
            with self._file.transaction(sync=True) as db:
                left = leave(db)
        else:
            import asyncio

            left = await asyncio.wrap_future(self._file.submit(leave, sync=True))
        if left:
            self._events.clear()
            self._driven.discard(self.run.uid)
            self._file.notify()
        return left
