"""Jobs whose worker has gone: they are pending again, or over.

Everything here is inside the caller's transaction.  A worker's row says from which number on its running jobs are, so
that no index of running jobs is written at every claim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workglow.storage.sqlite.changes import note_job
from workglow.storage.sqlite.job_ends import AGAIN, ATTEMPT, CRASHED, aborted, end_job

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    import apsw

    from workglow.file import File
    from workglow.storage.sqlite.gates import Gates

    Execute = Callable[..., Any]

__all__ = ["reclaim", "take_over"]


def take_over(db: apsw.Connection, file: File, gates: Gates, own: Collection[tuple[int, int]]) -> bool:
    """Make the jobs of dead workers pending again; True when there were any.

    `own` are the workers of this process, each with its session.
    """
    execute: Execute = db.execute
    session = file.session
    mine = 0 if session is None else session.id
    if not execute("SELECT 1 FROM worker WHERE session_id <> ? LIMIT 1", (mine,)).fetchall():
        return False
    dead = set(file.dead_sessions(db))
    rows = execute(
        "SELECT worker.id, session_id, jobs_from, ended_at FROM worker JOIN session ON session.id = session_id"
    ).fetchall()
    found = False
    for worker_id, session_id, jobs_from, ended_at in rows:
        if (worker_id, session_id) in own or (ended_at is None and session_id not in dead):
            continue
        file.end_dead_session(db, int(session_id))
        ids = execute(
            "SELECT id FROM job WHERE id >= ? AND status = 'running' AND session_id = ?", (jobs_from, session_id)
        ).fetchall()
        found |= bool(ids)
        reclaim(execute, gates, int(session_id), (int(row[0]) for row in ids), "crashed", now=file.clock.now())
        execute("DELETE FROM worker WHERE id = ?", (worker_id,))
    return found


def reclaim(execute: Execute, gates: Gates, session_id: int, ids: Iterable[int], outcome: str, *, now: int) -> None:
    """Take jobs from whoever runs them; one that has used up its attempts, or was to stop, is over."""
    for job_id in list(ids):
        rows = execute(
            "SELECT claim, attempt, max_attempts, started_at, abort_reason FROM job "
            "WHERE id = ? AND status = 'running' AND session_id = ?",
            (job_id, session_id),
        ).fetchall()
        for claim, attempt, most, started_at, abort_reason in rows:
            crashed = outcome == "crashed"
            gates.release_job(execute, job_id, claim)
            error = CRASHED if crashed else None
            execute(ATTEMPT, (job_id, claim, attempt, outcome, error, started_at, now))
            if abort_reason is not None:
                end_job(execute, job_id, "aborted", now, was="running", error=aborted(str(abort_reason)))
            elif crashed and attempt >= most:
                end_job(execute, job_id, "failed", now, was="running", error=error)
            else:
                execute(AGAIN, (None, attempt if crashed else attempt - 1, error, job_id))
                kind = "retried" if crashed else "returned"
                note_job(execute, kind, job_id, now, old="running", new="pending", data=error)
