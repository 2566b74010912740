"""What runs wait for, and what has come for them, in the tables `task_run`, `answer` and `sent_event`.

Whoever drives a run holds its rows in memory and writes them again, so an answer is a row of its own: it is added under
the write lock while the task's row says `waiting`, and the primary key lets only the first one in.  A deadline that has
passed is an answer too, so that it and a late person cannot both win.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors import RunStateError
from workglow.storage.records import Arrival, TurnRecord, WaitingRow
from workglow.storage.sqlite.job_ends import abort_jobs_of_run, abort_jobs_of_task
from workglow.storage.sqlite.queued import add_job_of_task, drive
from workglow.storage.sqlite.values import insert_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

    from workglow.file import File
    from workglow.storage.records import RunRecord, TaskRow
    from workglow.values import Encoded

__all__ = ["SqliteWaiting", "has_arrivals", "list_waiting", "select_arrivals", "take_arrivals", "unlist_finished"]

_TURN = "coalesce(json_extract(task_run.state, '$.turn'), 1)"
_ANSWER = f"answer.task_run_id = task_run.id AND answer.attempt = task_run.attempt AND answer.turn = {_TURN}"
_ARRIVALS = f"""
SELECT task_run.id, answer.action, answer.content
  FROM waiting CROSS JOIN task_run ON task_run.id = waiting.task_run_id
       JOIN answer ON {_ANSWER}
 WHERE task_run.run_id = ? AND task_run.status = 'waiting'
"""
_KEPT = """
SELECT 1 FROM waiting CROSS JOIN task_run ON task_run.id = waiting.task_run_id
       JOIN sent_event ON sent_event.run_id = task_run.run_id
 WHERE task_run.run_id = ? AND task_run.status = 'waiting'
   AND json_extract(task_run.state, '$.event') = sent_event.name
 LIMIT 1
"""
_ADD = f"""
INSERT OR IGNORE INTO answer (task_run_id, attempt, turn, action, content, question, answered_at)
SELECT id, attempt, {_TURN}, ?, ?, iif(json_extract(state, '$.waits_for') = 'person', state, NULL), ?
  FROM task_run WHERE id = ? AND status = 'waiting'
"""
_TURNS = """
SELECT turn, attempt, action, content, question, answered_at
  FROM answer WHERE task_run_id = ? ORDER BY turn, attempt
"""
_WAITING = f"""
SELECT run.uid, task_run.path, task_run.attempt, task_run.started_at, task_run.wake_at, task_run.state,
       answer.action IS NOT NULL, {_TURN}
  FROM waiting CROSS JOIN task_run ON task_run.id = waiting.task_run_id
       JOIN run ON run.id = task_run.run_id
       LEFT JOIN answer ON {_ANSWER}
 WHERE task_run.status = 'waiting' AND run.finished_at IS NULL
"""
_UNANSWERED = f"""
SELECT task_run.id
  FROM waiting CROSS JOIN task_run ON task_run.id = waiting.task_run_id
       LEFT JOIN answer ON {_ANSWER}
 WHERE task_run.run_id = ? AND task_run.status = 'waiting' AND answer.action IS NULL
   AND json_extract(task_run.state, '$.event') = ? AND (task_run.wake_at IS NULL OR task_run.wake_at > ?)
"""


def list_waiting(db: apsw.Connection, row: TaskRow) -> None:
    """Keep the list of what waits in step with a row that was written in the caller's transaction."""
    if row.status == "waiting":
        db.execute("INSERT OR IGNORE INTO waiting (task_run_id) VALUES (?)", (row.row_id,))
        row.is_listed = True
        if row.job is not None:
            add_job_of_task(db, row)
    elif row.is_listed:
        db.execute("DELETE FROM waiting WHERE task_run_id = ?", (row.row_id,))
        db.execute("DELETE FROM answer WHERE task_run_id = ? AND action = 'job'", (row.row_id,))  # the row has it now
        abort_jobs_of_task(db, row)
        row.is_listed = False


def unlist_finished(db: apsw.Connection, run_id: int, now: int) -> None:
    """Take out of the list what was aborted with its run."""
    abort_jobs_of_run(db, run_id, now)
    db.execute(
        """
        DELETE FROM waiting WHERE task_run_id IN (
          SELECT task_run_id FROM waiting CROSS JOIN task_run ON task_run.id = task_run_id
           WHERE run_id = ? AND finished_at IS NOT NULL)
        """,
        (run_id,),
    )


def select_arrivals(db: apsw.Connection, run_id: int) -> list[Arrival]:
    """Read what has come for the waiting tasks of a run."""
    return [Arrival(*row) for row in db.execute(_ARRIVALS, (run_id,))]  # pyright: ignore[reportArgumentType]


def has_arrivals(db: apsw.Connection, run_id: int) -> bool:
    """Whether anything has come that whoever drives the run has not acted on."""
    return bool(db.execute(_ARRIVALS + " LIMIT 1", (run_id,)).fetchall())


def has_kept_events(db: apsw.Connection, run_id: int) -> bool:
    """Whether an event was sent before a task that now waits for it."""
    return bool(db.execute(_KEPT, (run_id,)).fetchall())


def take_arrivals(db: apsw.Connection, run_id: int, expired: Iterable[int], now: int) -> None:
    """Inside the owner's transaction: events that came early find who waits now; deadlines pass unless answered."""
    names = db.execute("SELECT DISTINCT name FROM sent_event WHERE run_id = ?", (run_id,)).fetchall()
    for (name,) in names:
        _hand_out(db, run_id, str(name), now)
    for row_id in expired:
        db.execute(_ADD, ("expired", "{}", now, row_id))


def _hand_out(db: apsw.Connection, run_id: int, name: str, now: int) -> bool:
    """Give the oldest kept event of this name to every task that waits for it; True when one did."""
    waiting = db.execute(_UNANSWERED, (run_id, name, now)).fetchall()
    if not waiting:
        return False
    event = "SELECT id, content, sent_at FROM sent_event WHERE run_id = ? AND name = ? ORDER BY id LIMIT 1"
    event_id, content, sent_at = db.execute(event, (run_id, name)).fetchall()[0]
    for (row_id,) in waiting:
        db.execute(_ADD, ("event", content, sent_at, row_id))
    db.execute("DELETE FROM sent_event WHERE id = ?", (event_id,))
    return True


class SqliteWaiting:
    """The waiting tasks of every unfinished run in one file."""

    def __init__(self, file: File) -> None:
        self._file = file

    def rows(self, run: RunRecord | None = None) -> list[WaitingRow]:
        one, values = ("", ()) if run is None else (" AND task_run.run_id = ?", (run.row_id,))
        found = self._file.reader.execute(f"{_WAITING}{one} ORDER BY task_run.id", values)
        return [WaitingRow(*row[:-2], answered=bool(row[-2]), turn=row[-1]) for row in found]  # pyright: ignore

    def turns(self, row_id: int) -> list[TurnRecord]:
        found = self._file.reader.execute(_TURNS, (row_id,))
        return [TurnRecord(*row) for row in found]  # pyright: ignore[reportArgumentType]

    def answer(self, run: RunRecord, path: str, attempt: int, action: str, content: Encoded, *, turn: int = 1) -> None:
        now = self._file.clock.now()
        with self._file.transaction(sync=True) as db:
            found = db.execute(
                f"SELECT id, attempt, status, wake_at, {_TURN} FROM task_run WHERE run_id = ? AND path = ?",
                (run.row_id, path),
            ).fetchone()
            if found is None or found[1:3] != (attempt, "waiting"):
                raise RunStateError(f"'{path}' of run {run.uid} does not wait any more, so the answer was not kept.")
            if found[4] != turn:
                raise RunStateError(
                    f"'{path}' of run {run.uid} asks something else by now (turn {found[4]}), so the answer to turn "
                    f"{turn} was not kept.  `workglow questions` shows what it asks."
                )
            if found[3] is not None and found[3] <= now:
                raise RunStateError(
                    f"The deadline of '{path}' of run {run.uid} has passed, so the answer was not kept."
                )
            insert_values(db, content.blobs)
            db.execute(_ADD, (action, content.text, now, found[0]))
            if not db.changes():
                raise RunStateError(
                    f"'{path}' of run {run.uid} has been answered already.  The first answer stands, and this one was "
                    "not kept; to decide anew, fork the run from that task."
                )
            drive(db.execute, run.row_id, now)
        self._file.notify()

    def send(self, name: str, content: Encoded, runs: Sequence[RunRecord]) -> list[str]:
        now = self._file.clock.now()
        reached: list[str] = []
        with self._file.transaction(sync=True) as db:
            insert_values(db, content.blobs)
            for run in runs:
                db.execute(
                    "INSERT INTO sent_event (run_id, name, content, sent_at) "
                    "SELECT id, ?, ?, ? FROM run WHERE id = ? AND finished_at IS NULL",
                    (name, content.text, now, run.row_id),
                )
                if not db.changes():
                    continue
                reached.append(run.uid)
                if _hand_out(db, run.row_id, name, now):
                    drive(db.execute, run.row_id, now)
        self._file.notify()
        return reached

    def due(self) -> list[str]:
        now = self._file.clock.now()
        waiting = (row for row in self.rows() if row.answered or (row.wake_at is not None and row.wake_at <= now))
        return list(dict.fromkeys(row.run for row in waiting))
