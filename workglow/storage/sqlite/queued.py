"""Jobs that tasks of runs wait for, and jobs that drive runs, in the tables `job`, `answer` and `submitted_run`.

Policy.  A task that waits and its job are written in one transaction.  So are the end of the job, the answer that the
task was waiting for, and the job that will go on with its run if workers drive it.  A job that goes on with a run is
added only while the run is left as `waiting`: whoever drives it looks for answers in the transaction in which it
leaves, so nothing that comes is overlooked, and nothing is enqueued in vain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from workglow.storage.jobs import RUN_HANDLER
from workglow.storage.sqlite.changes import are_kept, note_added
from workglow.storage.sqlite.values import insert_values

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from workglow.storage.records import TaskRow

    Execute = Callable[..., Any]

__all__ = [
    "add_job_of_task",
    "drive",
    "drive_later",
    "keep_newest_number",
    "next_job_id",
    "select_progress",
    "submit_run",
    "tell_task",
]

_ADD = """
INSERT INTO job (id, queue_id, handler, status, priority, input, max_attempts, created_at, run_after, options,
                 task_run_id, task_attempt)
VALUES (?, ?, ?, 'pending', 0, ?, ?, ?, ?, '{}', ?, ?)
"""
_TELL = """
INSERT OR IGNORE INTO answer (task_run_id, attempt, turn, action, content, question, answered_at)
SELECT task_run.id, task_run.attempt, 1, 'job',
       '{"attempt":' || job.attempt || ',"done":' || iif(job.status = 'completed', job.output, 'null')
         || ',"error":' || iif(job.status = 'completed', 'null', coalesce(job.error, 'null')) || '}', NULL, ?2
  FROM job JOIN task_run ON task_run.id = job.task_run_id AND task_run.attempt = job.task_attempt
 WHERE job.id = ?1 AND task_run.status = 'waiting' AND json_extract(task_run.state, '$.waits_for') = 'job'
RETURNING 1
"""


def next_job_id(execute: Execute) -> int:
    """The number that the next job gets; nothing that was deleted has had it."""
    return execute(
        "SELECT 1 + max(coalesce((SELECT max(id) FROM job), 0), coalesce((SELECT job_id FROM last_job), 0))"
    ).fetchall()[0][0]


def keep_newest_number(db: apsw.Connection) -> None:
    """Inside a transaction that deletes tasks, and their jobs with them: numbers stay used."""
    db.execute("INSERT OR REPLACE INTO last_job (id, job_id) SELECT 1, ? - 1", (next_job_id(db.execute),))


# ---------------------------------------------------------------------- jobs that do tasks


def add_job_of_task(db: apsw.Connection, row: TaskRow) -> None:
    """Inside the transaction that lets a task wait: add the job that it waits for."""
    new = row.job
    assert new is not None
    insert_values(db, new.input.blobs)
    identity = (next_job_id(db.execute), new.queue_id, new.handler, new.input.text, new.max_attempts)
    db.execute(_ADD, (*identity, row.started_at, None, row.row_id, row.attempt))
    _note(db.execute, identity[0], row.started_at or 0)


def tell_task(execute: Execute, job_id: int, now: int) -> None:
    """Inside the transaction that ends a job: let the task that waits for it, if one does, have what it came to."""
    waiting = execute(
        "SELECT run_id FROM job JOIN task_run ON task_run.id = task_run_id WHERE job.id = ?", (job_id,)
    ).fetchall()
    for (run_id,) in waiting:
        if execute(_TELL, (job_id, now)).fetchall():
            drive(execute, int(run_id), now)


def select_progress(db: apsw.Connection, run_id: int) -> list[tuple[int, str]]:
    """Read what the running jobs of a run's tasks tell of their progress (JSON), by task run."""
    rows = db.execute(
        """
        SELECT task_run_id, progress FROM job
         WHERE progress IS NOT NULL AND status = 'running'
           AND task_run_id IN (SELECT id FROM waiting JOIN task_run ON id = task_run_id WHERE run_id = ?)
        """,
        (run_id,),
    )
    return rows.fetchall()  # pyright: ignore[reportReturnType]


# ---------------------------------------------------------------------- jobs that drive runs


def submit_run(db: apsw.Connection, run_id: int, uid: str, submit: tuple[int, int], now: int) -> None:
    """Inside the transaction that stores a run: let workers of a queue (its key) drive it, and try so often."""
    queue_id, max_attempts = submit
    db.execute("INSERT INTO submitted_run (run_id, queue_id, job_id) VALUES (?, ?, 0)", (run_id, queue_id))
    _enqueue(db.execute, run_id, (uid, queue_id, max_attempts), now, None)


def drive(execute: Execute, run_id: int, now: int, at: int | None = None) -> None:
    """Inside a transaction that brings something for a run: have it driven, now or `at` a time, if it is left waiting.

    A run that was not submitted is for somebody else to go on with.
    """
    rows = execute(
        """
        SELECT run.uid, submitted_run.queue_id, job.id, job.status, job.run_after, coalesce(job.max_attempts, 3)
          FROM submitted_run JOIN run ON run.id = run_id LEFT JOIN job ON job.id = job_id
         WHERE run_id = ? AND run.status = 'waiting'
        """,
        (run_id,),
    ).fetchall()
    for uid, queue_id, job_id, status, run_after, max_attempts in rows:
        if status != "pending":
            _enqueue(execute, run_id, (str(uid), int(queue_id), int(max_attempts)), now, at)
        elif run_after is not None and (at is None or at < run_after):
            execute("UPDATE job SET run_after = ? WHERE id = ?", (at, job_id))


def drive_later(execute: Execute, run_id: int, now: int) -> None:
    """Inside the transaction that leaves a run waiting: have it driven when the first time or deadline comes."""
    at = execute(
        "SELECT min(wake_at) FROM waiting CROSS JOIN task_run ON task_run.id = task_run_id "
        "WHERE run_id = ? AND status = 'waiting'",
        (run_id,),
    ).fetchall()[0][0]
    if at is not None:
        drive(execute, run_id, now, int(at))


def _enqueue(execute: Execute, run_id: int, what: tuple[str, int, int], now: int, at: int | None) -> None:
    uid, queue_id, max_attempts = what
    job_id = next_job_id(execute)
    input = msgspec.json.encode({"run": uid}).decode()
    run_after = at if at is not None and at > now else None
    execute(_ADD, (job_id, queue_id, RUN_HANDLER, input, max_attempts, now, run_after, None, None))
    execute("UPDATE submitted_run SET job_id = ? WHERE run_id = ?", (job_id, run_id))
    _note(execute, job_id, now)


def _note(execute: Execute, job_id: int, now: int) -> None:
    if are_kept(execute):
        note_added(execute, job_id, job_id + 1, now)
