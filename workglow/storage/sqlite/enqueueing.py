"""Putting jobs into queues: rows of the tables `job` and `job_dependency`, inside the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workglow.errors import JobStateError, UnknownJobError
from workglow.storage.sqlite.changes import note_added
from workglow.storage.sqlite.values import insert_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw

    from workglow.storage.jobs import NewJob

    Execute = Callable[..., Any]

__all__ = ["Enqueuer"]

_INSERT: Final = """
INSERT INTO job (id, queue_id, handler, status, priority, input, max_attempts, created_at{})
VALUES (?, ?, ?, 'pending', ?, ?, ?, ?{})
"""
_PLAIN: Final = _INSERT.format("", "")
_WHOLE: Final = _INSERT.format(", run_after, waits_for, deadline_at, key, group_name, cost, options", ", ?" * 7)
# The inputs are one JSON list: a third of the time of one INSERT for each.
_INSERT_ALIKE: Final = """
INSERT INTO job ({}queue_id, handler, status, priority, input, max_attempts, created_at, run_after, waits_for,
                 deadline_at, group_name, cost, options)
SELECT {}?1, ?2, 'pending', ?3, value, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM json_each(?12)
"""
_ALIKE: Final = _INSERT_ALIKE.format("", "")  # SQLite numbers the rows, and appends them without a look at the number
_NUMBERED: Final = _INSERT_ALIKE.format("id, ", "?13 + key, ")
_NEED: Final = "INSERT INTO job_dependency (needs_id, job_id) VALUES (?, ?)"
# The newest number there is, the newest that was deleted, and whether changes are kept.
_NEWEST: Final = """
SELECT coalesce((SELECT max(id) FROM job), 0), coalesce((SELECT job_id FROM last_job), 0),
       EXISTS (SELECT 1 FROM change_log)
"""


class Enqueuer:
    """Puts jobs into the queues of one file."""

    def __init__(self, db: apsw.Connection) -> None:
        cursor = db.cursor()  # making one costs 0.5 µs
        self._execute: Execute = cursor.execute
        self._execute_many: Execute = cursor.executemany

    def add(self, db: apsw.Connection, queue_id: int, jobs: Sequence[NewJob], now: int) -> list[int]:
        """Insert jobs one after the other; their ids, and those of unfinished jobs that have the key already."""
        execute = self._execute
        newest, deleted, noting = execute(_NEWEST).fetchall()[0]
        first = job_id = 1 + max(newest, deleted)
        ids: list[int] = []
        for job in jobs:
            if job.input.blobs:
                insert_values(db, job.input.blobs)
            row = (job_id, queue_id, job.handler, job.priority, job.input.text, job.max_attempts, now)
            if job.is_plain():
                execute(_PLAIN, row)
            else:
                known = self._with_key(queue_id, job.key)
                if known is not None:
                    ids.append(known)
                    continue
                needs = self._open_needs(job.needs)
                execute(
                    _WHOLE,
                    (*row, _later(job, now), len(needs), job.deadline_at, job.key, job.group, job.cost, job.options),
                )
                for needed in needs:
                    execute(_NEED, (needed, job_id))
            ids.append(job_id)
            job_id += 1
        if noting:
            note_added(execute, first, job_id, now)
        return ids

    def add_alike(self, db: apsw.Connection, queue_id: int, job: NewJob, inputs: Sequence[str], now: int) -> range:
        """Insert a job like this one, which has no key, for each item of the lists of inputs (JSON); their ids."""
        insert_values(db, job.input.blobs)
        newest, deleted, noting = self._execute(_NEWEST).fetchall()[0]
        first = job_id = 1 + max(newest, deleted)
        needs = self._open_needs(job.needs)
        alike: tuple[Any, ...] = (
            queue_id, job.handler, job.priority, job.max_attempts, now, _later(job, now), len(needs), job.deadline_at,
            job.group, job.cost, job.options,
        )  # fmt: skip
        for items in inputs:
            if deleted > newest:  # SQLite would go on from the newest that is there
                self._execute(_NUMBERED, (*alike, items, job_id))
            else:
                self._execute(_ALIKE, (*alike, items))
            job_id += db.changes()
        ids = range(first, job_id)
        for needed in needs:
            self._execute_many(_NEED, [(needed, job_id) for job_id in ids])
        if noting:
            note_added(self._execute, first, ids.stop, now)
        return ids

    def _with_key(self, queue_id: int, key: str | None) -> int | None:
        if key is None:
            return None
        query = "SELECT id FROM job WHERE queue_id = ? AND key = ? AND finished_at IS NULL"
        return self._execute(query, (queue_id, key)).get

    def _open_needs(self, needs: Sequence[int]) -> list[int]:
        """Those of the needed jobs that are not completed."""
        still: list[int] = []
        for needed in dict.fromkeys(needs):
            status = self._execute("SELECT status FROM job WHERE id = ?", (needed,)).get
            if status is None:
                raise UnknownJobError(f"There is no job {needed} that another could wait for.")
            if status in ("failed", "aborted"):
                raise JobStateError(
                    f"Job {needed} has {status}, so a job that needs it could never start.  Retry job {needed} first."
                )
            if status != "completed":
                still.append(needed)
        return still


def _later(job: NewJob, now: int) -> int | None:
    return job.run_after if job.run_after is not None and job.run_after > now else None
