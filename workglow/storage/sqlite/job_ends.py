"""How a job ends without a result, and how it goes, with what that means for others.

What needs the job fails with it, the task that waits for it is told, its queue says for how long it is kept, and the
change feed hears of it.  Everything here is inside the caller's transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from workglow.storage.sqlite.changes import note_job
from workglow.storage.sqlite.queued import tell_task

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from workglow.storage.jobs import JobStatus
    from workglow.storage.records import TaskRow

    Execute = Callable[..., Any]

__all__ = [
    "AGAIN",
    "ATTEMPT",
    "CRASHED",
    "TOO_LATE",
    "abort_jobs_of_run",
    "abort_jobs_of_task",
    "aborted",
    "delete_job",
    "end_job",
    "prune_jobs",
]

_END = """
UPDATE job SET status = ?1, run_after = NULL, error = coalesce(?2, error), progress = coalesce(?3, progress),
               finished_at = ?4,
               delete_at = (SELECT ?4 + CAST(round(1000 * json_extract(settings, '$.keep_' || ?1)) AS INTEGER)
                              FROM queue WHERE queue.id = queue_id)
 WHERE id = ?5 RETURNING delete_at
"""
_NEEDING = """
SELECT job.id FROM job_dependency JOIN job ON job.id = job_id WHERE needs_id = ? AND status = 'pending' ORDER BY job_id
"""
_OPEN_OF_FINISHED = """
SELECT job.id, job.status FROM waiting CROSS JOIN task_run ON task_run.id = waiting.task_run_id
  JOIN job ON job.task_run_id = task_run.id
 WHERE task_run.run_id = ? AND task_run.finished_at IS NOT NULL AND job.finished_at IS NULL
"""
_NOT_NEEDED = "The run no longer needs this task."
_OVER = "The run is over."
ATTEMPT = """
INSERT INTO job_attempt (job_id, claim, attempt, outcome, error, started_at, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
AGAIN = """
UPDATE job SET status = 'pending', run_after = ?, attempt = ?, error = ?, progress = NULL, abort_reason = NULL
 WHERE id = ?
"""
CRASHED = '{"type":"WorkerLostError","message":"The process that ran the job is gone.","trace":""}'
TOO_LATE = '{"type":"JobDeadlineError","message":"Its deadline passed before it could start.","trace":""}'


def delete_job(execute: Execute, job_id: int, status: str | None, now: int) -> None:
    """Delete a job that has ended so; the number of the newest stays used."""
    note_job(execute, "deleted", job_id, now, old=status, new=None)
    execute(
        """
        INSERT INTO last_job (id, job_id) SELECT 1, ?1 WHERE ?1 = (SELECT max(id) FROM job)
        ON CONFLICT (id) DO UPDATE SET job_id = max(job_id, excluded.job_id)
        """,
        (job_id,),
    )
    execute("DELETE FROM job WHERE id = ?", (job_id,))


def end_job(
    execute: Execute,
    job_id: int,
    status: Literal["failed", "aborted"],
    now: int,
    *,
    was: JobStatus = "pending",
    error: str | None = None,
    progress: str | None = None,
) -> None:
    """End a job without a result; what needs it cannot start any more, and fails with it, and so on.

    It is kept as its queue says, or not at all.
    """
    ended: dict[int, tuple[Literal["failed", "aborted"], str | None, str | None, JobStatus]]
    ended = {job_id: (status, error, progress, was)}
    waiting = [job_id]
    while waiting:
        one = waiting.pop()
        status, error, progress, was = ended[one]
        ((delete_at,),) = execute(_END, (status, error, progress, now, one)).fetchall()
        note_job(execute, status, one, now, old=was, new=status, data=error)
        tell_task(execute, one, now)
        for (dependent,) in execute(_NEEDING, (one,)).fetchall():
            if dependent not in ended:
                what = "was aborted" if status == "aborted" else "has failed"
                ended[dependent] = ("failed", _needed(one, what), None, "pending")
                waiting.append(dependent)
        if delete_at is not None and delete_at <= now:
            delete_job(execute, one, status, now)


def _needed(job_id: int, what: str) -> str:
    """The error, as JSON, of a job that can never start because of one that it needs."""
    message = f"It needs job {job_id}, which {what}.  Retry that one, then this one."
    return msgspec.json.encode({"type": "JobFailedError", "message": message, "trace": ""}).decode()


def aborted(reason: str) -> str:
    """The error, as JSON, of a job that was aborted."""
    told = {"type": "JobAbortedError", "message": reason or "The job was aborted.", "trace": ""}
    return msgspec.json.encode(told).decode()


def prune_jobs(execute: Execute, now: int, limit: int) -> int:
    """Delete jobs that have been kept long enough; how many."""
    old = execute("SELECT id, status FROM job WHERE delete_at <= ? LIMIT ?", (now, limit)).fetchall()
    for job_id, status in old:
        for (dependent,) in execute(_NEEDING, (job_id,)).fetchall():
            end_job(execute, dependent, "failed", now, error=_needed(job_id, "is not kept any more"))
        delete_job(execute, job_id, status, now)
    return len(old)


def abort_jobs_of_task(db: apsw.Connection, row: TaskRow) -> None:
    """Inside the transaction in which a task stops waiting: nobody needs its job any more."""
    rows = db.execute("SELECT id, status FROM job WHERE task_run_id = ? AND finished_at IS NULL", (row.row_id,))
    _abort(db.execute, rows.fetchall(), row.finished_at or row.started_at or 0, _NOT_NEEDED)


def abort_jobs_of_run(db: apsw.Connection, run_id: int, now: int) -> None:
    """Inside the transaction that ends a run and its tasks: nobody needs their jobs, nor one to drive the run."""
    _abort(db.execute, db.execute(_OPEN_OF_FINISHED, (run_id,)).fetchall(), now, _NOT_NEEDED)
    driving = db.execute(
        "SELECT job.id, job.status FROM submitted_run JOIN job ON job.id = job_id "
        "WHERE run_id = ? AND job.status = 'pending'",
        (run_id,),
    )
    _abort(db.execute, driving.fetchall(), now, _OVER)


def _abort(execute: Execute, jobs: list[Any], now: int, reason: str) -> None:
    for job_id, status in jobs:
        if status == "pending":
            end_job(execute, int(job_id), "aborted", now, error=aborted(reason))
        else:
            execute("UPDATE job SET abort_reason = coalesce(abort_reason, ?) WHERE id = ?", (reason, job_id))
            note_job(execute, "aborting", int(job_id), now, old="running", new="running", data=aborted(reason))
