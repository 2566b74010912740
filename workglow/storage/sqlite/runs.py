"""Runs: begun, taken over, listed, forked."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from workglow.errors import RunStateError, UnknownRunError
from workglow.ids import new_id
from workglow.storage.records import ChunkRecord, EventRecord, GraphRecord, RunRecord, TaskRow
from workglow.storage.sqlite.changes import note_run
from workglow.storage.sqlite.chunks import select_chunks
from workglow.storage.sqlite.graphs import insert_graph
from workglow.storage.sqlite.journal import SqliteJournal, insert_events
from workglow.storage.sqlite.queued import keep_newest_number, submit_run
from workglow.storage.sqlite.task_rows import insert_row, select_row, select_rows, select_streamed, update_row
from workglow.storage.sqlite.values import insert_values
from workglow.values.refusal import is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import apsw

    from workglow.file import File
    from workglow.values import Encoded

__all__ = ["SqliteRuns"]

_COLUMNS = """
SELECT run.id, run.uid, run.graph_id, run.status, run.session_id, run.epoch, run.input, run.output, run.error,
       run.options, run.versions, origin.uid, run.created_at, run.finished_at
  FROM run LEFT JOIN run AS origin ON origin.id = run.forked_from
"""


_INSERT = """
INSERT INTO run (uid, graph_id, status, session_id, epoch, input, options, versions, forked_from, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def _replace_rows(db: apsw.Connection, run_id: int, keep: Sequence[TaskRow], add: Sequence[TaskRow]) -> None:
    keep_newest_number(db)
    kept = {row.row_id for row in keep}
    for (row_id,) in db.execute("SELECT id FROM task_run WHERE run_id = ?", (run_id,)).fetchall():
        if row_id not in kept:
            db.execute("DELETE FROM task_run WHERE id = ?", (row_id,))
    for row in keep:
        update_row(db, row)
    for row in add:
        insert_row(db, run_id, row)


def _record(row: Sequence[object]) -> RunRecord:
    values = list(row)
    values[9] = msgspec.json.decode(str(values[9]))
    values[10] = msgspec.json.decode(str(values[10]))
    return RunRecord(*values)  # pyright: ignore[reportArgumentType]


class SqliteRuns:
    """The runs of one file."""

    def __init__(self, file: File, *, on_commit: Callable[[Sequence[TaskRow]], None] | None = None) -> None:
        """`on_commit` is told of the rows that a journal has committed."""
        self._file = file
        self._on_commit = on_commit
        self._driven: set[str] = set()

    @property
    def _session_id(self) -> int | None:
        return None if self._file.session is None else self._file.session.id

    def begin(
        self,
        graph: GraphRecord,
        input: Encoded,
        *,
        options: Mapping[str, object],
        versions: Mapping[str, str],
        rows: Sequence[TaskRow] = (),
        forked_from: RunRecord | None = None,
        submit: tuple[int, int] | None = None,
        uid: str | None = None,
    ) -> SqliteJournal:
        now = self._file.clock.now()
        uid = uid or new_id(now)
        run = RunRecord(
            0, uid, 0, "running", self._session_id, 1, input.text, None, None, dict(options), dict(versions),
            None if forked_from is None else forked_from.uid, now, None,
        )  # fmt: skip
        if submit is not None:
            run.session_id = None  # a worker may come before this process has let go of it

        def store(db: apsw.Connection) -> int:
            run.graph_id = insert_graph(db, graph, now)
            insert_values(db, input.blobs)
            db.execute(
                _INSERT,
                (
                    uid, run.graph_id, run.status, run.session_id, run.epoch, run.input,
                    msgspec.json.encode(options).decode(), msgspec.json.encode(versions).decode(),
                    None if forked_from is None else forked_from.row_id, now,
                ),
            )  # fmt: skip
            run_id = db.last_insert_rowid()
            for row in rows:
                insert_row(db, run_id, row)
            if submit is not None:
                submit_run(db, run_id, uid, submit, now)
            return run_id

        return SqliteJournal(self._file, run, store, driven=self._driven, on_commit=self._on_commit, unseen=bool(rows))

    def take_over(
        self,
        run: RunRecord,
        *,
        versions: Mapping[str, str] | None = None,
        keep: Sequence[TaskRow] | None = None,
        add: Sequence[TaskRow] = (),
        reason: str = "resumed",
    ) -> SqliteJournal:
        now = self._file.clock.now()
        with self._file.transaction() as db:
            current = _record(db.execute(_COLUMNS + " WHERE run.id = ?", (run.row_id,)).fetchone() or ())
            if current.finished_at is not None:
                raise RunStateError(f"Run {current.uid} is already {current.status}; fork it to run it again.")
            if self._is_driven(db, current):
                raise RunStateError(self._owned(db, current))
            note_run(db.execute, "resumed", current.row_id, now, new="running")
            current.epoch += 1
            current.session_id = self._session_id
            current.status = "running"
            current.versions = dict(current.versions if versions is None else versions)
            db.execute(
                "UPDATE run SET session_id = ?, epoch = ?, status = 'running', versions = ? WHERE id = ?",
                (
                    current.session_id,
                    current.epoch,
                    msgspec.json.encode(current.versions).decode(),
                    current.row_id,
                ),
            )
            if keep is not None:
                _replace_rows(db, current.row_id, keep, add)
            insert_events(db, current.row_id, [EventRecord(now, None, reason, {"epoch": current.epoch})])
        return SqliteJournal(self._file, current, driven=self._driven, on_commit=self._on_commit)

    def _is_driven(self, db: apsw.Connection, run: RunRecord) -> bool:
        if run.session_id is None:
            return False
        if run.session_id == self._session_id:
            return run.uid in self._driven
        return not self._file.end_dead_session(db, run.session_id)

    @staticmethod
    def _owned(db: apsw.Connection, run: RunRecord) -> str:
        host, pid = db.execute("SELECT host, pid FROM session WHERE id = ?", (run.session_id,)).get
        return f"Run {run.uid} is being run by process {pid} on {host}.  Stop that process first, or wait for it."

    def get(self, uid: str) -> RunRecord:
        if not is_text(uid):
            raise UnknownRunError(f"A run is found by its id, such as run.id, which is a text, not {uid!r:.80}.")
        beyond = uid + "\U0010ffff"  # no text that begins with uid is greater, so the index on uid finds them
        rows = self._file.read(_COLUMNS + " WHERE run.uid >= ? AND run.uid < ? LIMIT 2", (uid, beyond))
        if len(rows) != 1 or not uid:
            known = f"{len(rows)} or more runs begin" if rows else "no run begins"
            raise UnknownRunError(f"In {self._file.path}, {known} with '{uid}'.  `workglow runs` lists them.")
        return _record(rows[0])

    def all(self, *, open_only: bool = False) -> list[RunRecord]:
        where = " WHERE run.finished_at IS NULL" if open_only else ""
        return [_record(row) for row in self._file.reader.execute(_COLUMNS + where + " ORDER BY run.id")]

    def rows(self, run: RunRecord) -> Iterable[TaskRow]:
        return select_rows(self._file.reader, run.row_id)

    def row(self, run: RunRecord, path: str) -> TaskRow | None:
        return select_row(self._file.reader, run.row_id, path) if is_text(path) else None

    def count(self, run: RunRecord) -> dict[str, int]:
        rows = self._file.reader.execute(
            "SELECT status, count(*) FROM task_run WHERE run_id = ? GROUP BY status ORDER BY status", (run.row_id,)
        )
        return {cast("str", status): cast("int", count) for status, count in rows}

    def events(self, run: RunRecord) -> list[EventRecord]:
        rows = self._file.reader.execute(
            "SELECT at, path, kind, data FROM event WHERE run_id = ? ORDER BY id", (run.row_id,)
        )
        return [EventRecord(at, path, kind, msgspec.json.decode(data or "null")) for at, path, kind, data in rows]

    def chunks(self, run: RunRecord, *, from_seq: int, path: str | None = None, limit: int) -> list[ChunkRecord]:
        return select_chunks(self._file.reader, run.row_id, from_seq=from_seq, path=path, limit=limit)

    def streamed(self, run: RunRecord) -> list[TaskRow]:
        return select_streamed(self._file.reader, run.row_id)

    def set_option(self, run: RunRecord, name: str, value: object) -> bool:
        with self._file.transaction(sync=True) as db:
            db.execute(
                "UPDATE run SET options = json_set(options, '$.' || ?, json(?)) WHERE id = ? AND finished_at IS NULL",
                (name, msgspec.json.encode(value).decode(), run.row_id),
            )
            return bool(db.changes())

    def usages(self, run: RunRecord) -> list[tuple[str, str]]:
        rows = self._file.reader.execute(
            """
            SELECT path, usage FROM task_run
             WHERE +run_id = ?1 AND usage IS NOT NULL
               AND id BETWEEN (SELECT min(id) FROM task_run WHERE run_id = ?1)
                          AND (SELECT max(id) FROM task_run WHERE run_id = ?1)
             ORDER BY id
            """,
            (run.row_id,),
        )
        return [(str(path), str(usage)) for path, usage in rows]

    def driving_job(self, run: RunRecord) -> int | None:
        rows = self._file.read("SELECT job_id FROM submitted_run WHERE run_id = ?", (run.row_id,))
        return rows[0][0] if rows else None

    def is_abandoned(self, run: RunRecord) -> bool:
        if run.finished_at is not None:
            return False
        return run.session_id is None or run.session_id in self._file.dead_sessions(self._file.reader)
