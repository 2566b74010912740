"""What comes by itself as time goes by: deferred jobs become ready, deadlines pass, schedules are due, the jobs of dead
workers are pending again, and what need not be kept any more is deleted.

Policy.  Workers do it, each in its own turns, so there is no sweeper that could die: when one would go idle, and every
`_CHORES` milliseconds while it is busy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workglow.storage.sqlite.job_ends import TOO_LATE, end_job, prune_jobs
from workglow.storage.sqlite.schedules import NEXT_DUE, fire_due
from workglow.storage.sqlite.takeover import take_over

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw

    from workglow.file import File
    from workglow.storage.sqlite.gates import Gates
    from workglow.storage.sqlite.schedules import Add
    from workglow.storage.sqlite.workers import Workers

    Execute = Callable[..., Any]

__all__ = ["Chores"]

_CHORES: Final = 50  # milliseconds
_PRUNE: Final = 64  # jobs at once
_LOOK_FOR_DEAD: Final = 0.5  # seconds; it reads a file of /proc for each open session

_LATE = "SELECT id FROM job WHERE deadline_at <= ? AND finished_at IS NULL AND status = 'pending'"
_NEXT_RUN = "SELECT min(run_after) FROM job WHERE queue_id = ? AND run_after IS NOT NULL"
_NEXT_DEADLINE = """
SELECT min(deadline_at) FROM job WHERE deadline_at IS NOT NULL AND finished_at IS NULL AND status = 'pending'
"""


class Chores:
    """The chores of one process's workers."""

    def __init__(self, file: File, gates: Gates, workers: Workers, add: Add) -> None:
        """`gates` are those of the file's limiters, `add` inserts the jobs of schedules."""
        self._file = file
        self._gates = gates
        self._workers = workers
        self._add = add
        self._next_at = 0
        self._looked_at = -1.0  # for dead workers

    def are_due(self, now: int) -> bool:
        """Whether it is time to do them, also after the clock was set back."""
        return now >= self._next_at or now + 2 * _CHORES < self._next_at

    def do_not_miss(self, time: int) -> None:
        """A job becomes ready at this time."""
        self._next_at = min(self._next_at, time)

    def do(self, db: apsw.Connection, execute: Execute, now: int) -> bool:
        """Let pass what has become due; True when a job may have become ready by it."""
        self._next_at = now + _CHORES
        execute("UPDATE job SET run_after = NULL WHERE queue_id IN (SELECT id FROM queue) AND run_after <= ?", (now,))
        changed = db.changes() > 0
        changed |= fire_due(db, self._add, now)
        monotonic = self._file.clock.monotonic()
        if not 0 <= monotonic - self._looked_at < _LOOK_FOR_DEAD:
            self._looked_at = monotonic
            changed |= take_over(db, self._file, self._gates, self._workers.rows())
        for (job_id,) in execute(_LATE, (now,)).fetchall():
            end_job(execute, job_id, "failed", now, error=TOO_LATE)
        if prune_jobs(execute, now, _PRUNE) == _PRUNE:
            self._next_at = now  # there are more, and they come faster than one look at a time removes them
        return changed

    @staticmethod
    def next_at(execute: Execute, queue_ids: Sequence[int]) -> int | None:
        """When something of these queues is due next."""
        times: list[Any] = [execute(_NEXT_RUN, (queue_id,)).get for queue_id in queue_ids]
        times += [execute(_NEXT_DEADLINE).get, execute(NEXT_DUE).get]
        return min((time for time in times if time is not None), default=None)
