"""Schedules, in the table `schedule`, and the transaction that fires them.

Policy.  There is no daemon: a worker fires what is due before it looks for work, under the write lock.  The jobs of the
due times and the next due time are one transaction, so a due time has one job whoever is killed and however many
workers there are; the name and the due time are the job's key.  A schedule whose next time cannot be told on this
machine is put aside with the reason, so that it stops nobody from working.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from workglow.errors import ScheduleError
from workglow.recurrence import Recurrence
from workglow.storage.jobs import NewJob
from workglow.storage.schedules import ScheduleRecord
from workglow.storage.sqlite.values import insert_values
from workglow.values import Encoded
from workglow.values.refusal import is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw

    from workglow.file import File
    from workglow.storage.schedules import NewSchedule

    Add = Callable[[apsw.Connection, int, Sequence[NewJob], int], list[int]]
    """Inserts jobs of a queue in the caller's transaction: connection, queue, jobs, now → their ids."""

__all__ = ["NEXT_DUE", "SqliteSchedules", "fire_due"]

NEXT_DUE: Final = "SELECT min(next_at) FROM schedule WHERE next_at IS NOT NULL"
"""When the next schedule is due: one row, of NULL when none is."""

_DUE: Final = """
SELECT id, name, cron, timezone, every, start_at, catch_up, queue_id, handler, input, priority, max_attempts,
       group_name, cost, options, graph_id, next_at
  FROM schedule WHERE next_at <= ? ORDER BY next_at LIMIT 20
"""
_SAVE: Final = """
INSERT INTO schedule (name, cron, timezone, every, start_at, catch_up, queue_id, handler, input, priority,
                      max_attempts, group_name, cost, options, graph_id, next_at, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE
   SET cron = excluded.cron, timezone = excluded.timezone, every = excluded.every, start_at = excluded.start_at,
       catch_up = excluded.catch_up, queue_id = excluded.queue_id, handler = excluded.handler, input = excluded.input,
       priority = excluded.priority, max_attempts = excluded.max_attempts, group_name = excluded.group_name,
       cost = excluded.cost, options = excluded.options, graph_id = excluded.graph_id, next_at = excluded.next_at,
       error = NULL
"""
_RECORD: Final = """
SELECT schedule.name, cron, timezone, every, catch_up, queue.name, queue.scope, handler, graph.hash, input, next_at,
       schedule.paused_at, due_at, job_id, fired, error, schedule.created_at
  FROM schedule JOIN queue ON queue.id = queue_id LEFT JOIN graph ON graph.id = graph_id
"""


def fire_due(db: apsw.Connection, add: Add, now: int) -> bool:
    """Enqueue in the caller's transaction what is due at `now`; False when nothing was."""
    rows: list[Any] = db.execute(_DUE, (now,)).fetchall()
    for row in rows:
        id, name, cron, timezone, every, start, catch_up = row[:7]
        try:
            recurrence = Recurrence(cron=cron, timezone=timezone, every=every, start=start)
            due, next_at = recurrence.firings(row[16], now, catch_up)
        except ScheduleError as error:
            db.execute("UPDATE schedule SET next_at = NULL, error = ? WHERE id = ?", (str(error), id))
            continue
        job_id: int | None = None
        for time in due:
            job_id = _enqueue(db, add, row, f"{name}@{_written(time)}", now)
        db.execute(
            "UPDATE schedule SET next_at = ?, due_at = coalesce(?, due_at), job_id = coalesce(?, job_id), "
            "fired = fired + ? WHERE id = ?",
            (next_at, due[-1] if due else None, job_id, len(due), id),
        )
    return bool(rows)


def _written(time: int) -> str:
    moment = datetime.fromtimestamp(time / 1000, UTC)
    return moment.isoformat(timespec="milliseconds" if time % 1000 else "seconds").replace("+00:00", "Z")


def _enqueue(db: apsw.Connection, add: Add, row: Any, key: str, now: int) -> int:
    """Insert the job of one due time."""
    queue_id, handler, input, priority, max_attempts, group, cost, options, graph_id = row[7:16]
    if graph_id is not None:
        input = f'{{"graph":{graph_id},"inputs":{input}}}'
    job = NewJob(handler, Encoded(input, ()), max_attempts, priority, key=key, group=group, cost=cost, options=options)
    return add(db, queue_id, [job], now)[0]


class SqliteSchedules:
    """The schedules of one file."""

    def __init__(self, file: File) -> None:
        self._file = file

    def save(self, schedule: NewSchedule) -> None:
        now = self._file.clock.now()
        when, job = schedule.recurrence, schedule.job
        with self._file.transaction(sync=True) as db:
            insert_values(db, job.input.blobs)
            there: Any = db.execute(
                "SELECT cron, timezone, every, start_at, next_at, paused_at, error FROM schedule WHERE name = ?",
                (schedule.name,),
            ).fetchone()
            start, next_at = when.start, when.after(now)
            if there is not None:
                if there[:3] == (when.cron, when.timezone, when.every):
                    start, next_at = there[3], next_at if there[6] is not None else there[4]
                if there[5] is not None:
                    next_at = None
            db.execute(
                _SAVE,
                (
                    schedule.name, when.cron, when.timezone, when.every, start, schedule.catch_up, schedule.queue_id,
                    job.handler, job.input.text, job.priority, job.max_attempts, job.group, job.cost, job.options,
                    schedule.graph_id, next_at, now,
                ),
            )  # fmt: skip
        self._file.notify()

    def remove(self, name: str) -> bool:
        if not is_text(name):
            return False
        with self._file.transaction(sync=True) as db:
            db.execute("DELETE FROM schedule WHERE name = ?", (name,))
            return db.changes() > 0

    def pause(self, name: str, *, paused: bool) -> bool:
        if not is_text(name):
            return False
        now = self._file.clock.now()
        with self._file.transaction(sync=True) as db:
            row: Any = db.execute(
                "SELECT cron, timezone, every, start_at, paused_at, error FROM schedule WHERE name = ?", (name,)
            ).fetchone()
            if row is None:
                return False
            if paused:
                db.execute(
                    "UPDATE schedule SET paused_at = coalesce(paused_at, ?), next_at = NULL WHERE name = ?", (now, name)
                )
            elif row[4] is not None or row[5] is not None:
                when = Recurrence(cron=row[0], timezone=row[1], every=row[2], start=row[3])
                db.execute(
                    "UPDATE schedule SET paused_at = NULL, error = NULL, next_at = ? WHERE name = ?",
                    (when.after(now), name),
                )
        self._file.notify()
        return True

    def get(self, name: str) -> ScheduleRecord | None:
        row: Any = self._file.look_up(_RECORD + " WHERE schedule.name = ?", (name,)) if is_text(name) else None
        return None if row is None else ScheduleRecord(*row)

    def all(self) -> list[ScheduleRecord]:
        rows: list[Any] = self._file.reader.execute(_RECORD + " ORDER BY schedule.name").fetchall()
        return [ScheduleRecord(*row) for row in rows]
