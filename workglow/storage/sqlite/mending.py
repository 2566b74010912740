"""The jobs of a damaged file, when everything of them that can be read was taken along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workglow.storage.sqlite.job_ends import CRASHED, aborted, end_job

if TYPE_CHECKING:
    import apsw

__all__ = ["REFERENCES", "mend_jobs"]

REFERENCES: Final = """
SELECT 1 FROM json_tree({column}) AS part
 WHERE part.key = '$value' AND length(part.value) = 64
   AND upper(part.value) NOT IN (SELECT hex(hash) FROM value)
"""
"""Finds what a text refers to and the file does not have."""

_LOST: Final = '{"type":"LostValueError","message":"%s was lost when the file was damaged.","trace":""}'
_INPUT, _OUTPUT, _NEEDED = (_LOST % what for what in ("Its input", "Its output", "A job that it needs"))

_IS_LOST: Final = f"CASE WHEN json_valid({{column}}) THEN EXISTS ({REFERENCES}) ELSE 1 END"


def mend_jobs(db: apsw.Connection, now: int) -> int:
    """Make jobs pending that ran, and let those fail that lost something; how many lost something."""
    for column in ("error", "options", "progress"):
        db.execute(f"UPDATE job SET {column} = NULL WHERE {column} IS NOT NULL AND NOT json_valid({column})")
    _stop(db, now)
    db.execute(
        f"""
        UPDATE job SET status = 'failed', output = NULL, error = ?, delete_at = NULL
         WHERE output IS NOT NULL AND {_IS_LOST.format(column="output")}
        """,
        (_OUTPUT,),
    )
    failed = db.changes()
    open_ones = "SELECT id FROM job WHERE finished_at IS NULL AND "
    reasons = (
        (_INPUT, open_ones + _IS_LOST.format(column="input")),
        (
            _NEEDED,
            open_ones + "(waits_for <> (SELECT count(*) FROM job_dependency WHERE job_id = job.id) OR EXISTS "
            "(SELECT 1 FROM job_dependency WHERE job_id = job.id AND needs_id NOT IN (SELECT id FROM job)))",
        ),
    )
    before = _finished(db)
    for error, query in reasons:
        for (job_id,) in db.execute(query).fetchall():
            if db.execute("SELECT 1 FROM job WHERE id = ? AND finished_at IS NULL", (job_id,)).get:
                end_job(db.execute, int(str(job_id)), "failed", now, error=error)
    failed += _finished(db) - before
    db.execute(f"UPDATE job SET input = '{{}}' WHERE {_IS_LOST.format(column='input')}")
    return failed


def _stop(db: apsw.Connection, now: int) -> None:
    """Nobody runs jobs in a file that was just made."""
    ran = db.execute("SELECT id, abort_reason, attempt >= max_attempts FROM job WHERE status = 'running'").fetchall()
    db.execute(
        """
        INSERT INTO job_attempt (job_id, claim, attempt, outcome, error, started_at, ended_at)
        SELECT id, claim, attempt, 'crashed', ?, coalesce(started_at, created_at), ? FROM job WHERE status = 'running'
        """,
        (CRASHED, now),
    )
    db.execute("UPDATE job SET status = 'pending', abort_reason = NULL, progress = NULL WHERE status = 'running'")
    for job_id, reason, was_last in ran:
        if reason is not None:
            end_job(db.execute, int(str(job_id)), "aborted", now, error=aborted(str(reason)))
        elif was_last:
            end_job(db.execute, int(str(job_id)), "failed", now, error=CRASHED)


def _finished(db: apsw.Connection) -> int:
    return db.execute("SELECT count(*) FROM job WHERE finished_at IS NOT NULL").get
