"""A worker's transaction on the tables `job` and `worker`: settle what is done, take over from the dead, claim more.

Policy.  Under the write lock nobody else can claim, so a claim is a SELECT of the first jobs in the order of priority
and id, and an UPDATE by key for each: measured, that is a third of the cost of one UPDATE with a subquery.  A claim
gets a number that no other claim of the job has, and every write of the worker names it, so what a worker writes after
it lost the job changes nothing.  The attempt is counted here, before anything of the job runs: a job that kills its
process cannot be tried for ever.

What happens by itself as time goes by is decided here too, so there is no sweeper that could die: deferred jobs become
ready, deadlines pass, and the jobs of dead workers become pending again.  That is looked at when a worker would go
idle, and every `_CHORES` milliseconds while it is busy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from workglow.storage.jobs import ClaimedJob, JobStatus, Settlement, Turn
from workglow.storage.sqlite.queued import next_job_id, tell_task
from workglow.storage.sqlite.values import insert_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    import apsw

    from workglow.file import File

    Execute = Callable[..., Any]
    """`execute` of one cursor, whose rows nobody but the reader of the query knows the types of."""

__all__ = ["Ask", "Claims", "aborted", "end_job", "next_job_id"]

_CHORES: Final = 50  # milliseconds
_RAISE_EVERY: Final = 256  # claims
_PRUNE: Final = 64  # jobs at once
_LOOK_FOR_DEAD: Final = 0.5  # seconds; it reads a file of /proc for each open session

_READY = """
SELECT job.id, claim + 1, attempt + 1, handler, input, options, queue_id
  FROM queue CROSS JOIN job ON queue_id = queue.id
 WHERE queue.id = ? AND paused_at IS NULL AND status = 'pending' AND run_after IS NULL AND waits_for = 0 {}
 ORDER BY priority DESC, job.id LIMIT ?
"""
_ALL_READY = _READY.format("")
_KNOWN_READY = _READY.format("AND handler IN (SELECT value FROM json_each(?))")
_CLAIM = "UPDATE job SET status = 'running', session_id = ?, claim = ?, attempt = ?, started_at = ? WHERE id = ?"
_COMPLETE = """
UPDATE job SET status = 'completed', output = ?, finished_at = ?, delete_at = ?
 WHERE id = ? AND claim = ? AND status = 'running' AND abort_reason IS NULL
"""
_HELD = "SELECT started_at, abort_reason, max_attempts FROM job WHERE id = ? AND claim = ? AND status = 'running'"
_ATTEMPT = """
INSERT INTO job_attempt (job_id, claim, attempt, outcome, error, started_at, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_AGAIN = """
UPDATE job SET status = 'pending', run_after = ?, attempt = ?, error = ?, progress = NULL, abort_reason = NULL
 WHERE id = ?
"""
_END = """
UPDATE job SET status = ?, run_after = NULL, error = coalesce(?, error), progress = coalesce(?, progress),
               finished_at = ?, delete_at = ?
 WHERE id = ?
"""
_CRASHED = '{"type":"WorkerLostError","message":"The process that ran the job is gone.","trace":""}'
_TOO_LATE = '{"type":"JobDeadlineError","message":"Its deadline passed before it could start.","trace":""}'


def _delete(execute: Execute, job_id: int) -> None:
    """Delete a job; the number of the newest stays used."""
    execute(
        "INSERT OR REPLACE INTO last_job (id, job_id) SELECT 1, ? WHERE ? = (SELECT max(id) FROM job)",
        (job_id, job_id),
    )
    execute("DELETE FROM job WHERE id = ?", (job_id,))


def end_job(
    execute: Execute,
    job_id: int,
    status: str,
    now: int,
    *,
    error: str | None = None,
    progress: str | None = None,
    delete_at: int | None = None,
) -> None:
    """End a job without a result; what needs it cannot start any more, and fails with it."""
    execute(_END, (status, error, progress, now, delete_at, job_id))
    tell_task(execute, job_id, now)
    needing = execute("SELECT job_id FROM job_dependency WHERE needs_id = ?", (job_id,)).fetchall()
    for (dependent,) in needing:
        still = execute("SELECT 1 FROM job WHERE id = ? AND status = 'pending'", (dependent,)).fetchall()
        if still:
            told = {
                "type": "JobFailedError",
                "message": f"It needs job {job_id}, which {'was' if status == 'aborted' else 'has'} {status}.  "
                "Retry that one, then this one.",
                "trace": "",
            }
            end_job(execute, int(dependent), "failed", now, error=msgspec.json.encode(told).decode())
    if delete_at is not None and delete_at <= now:
        _delete(execute, job_id)


class Ask(NamedTuple):
    """What a worker wants of one transaction."""

    worker_id: int
    queue_ids: Sequence[int]
    settled: Sequence[Settlement]
    limit: int
    handlers: Collection[str] | None


class _Worker:
    """What is known here of a worker of this process."""

    __slots__ = ("claims", "id", "jobs_from", "row", "running", "session_id")

    def __init__(self, row: tuple[str, str, int], session_id: int) -> None:
        self.id: int | None = None
        self.row = row
        self.session_id = session_id
        self.running: set[int] = set()
        self.jobs_from = 0
        self.claims = 0


class Claims:
    """The workers of one process on one file, and their transactions."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._workers: dict[int, _Worker] = {}
        self._chores_at = 0
        self._looked_at = -1.0
        self._execute: Execute | None = None

    # ------------------------------------------------------------------ workers

    def begin_worker(self, queues: str, handlers: str, concurrency: int) -> int:
        with self._file.transaction() as db:
            worker = _Worker((queues, handlers, concurrency), self._session())
            worker.jobs_from = next_job_id(db.execute)
            worker.id = self._register(db, worker)
        self._workers[worker.id] = worker
        return worker.id

    def _register(self, db: apsw.Connection, worker: _Worker) -> int:
        db.execute(
            """
            INSERT INTO worker (id, session_id, queues, handlers, concurrency, jobs_from, started_at)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            (worker.id, worker.session_id, *worker.row, worker.jobs_from, self._file.clock.now()),
        )
        return db.last_insert_rowid()

    def end_worker(self, worker_id: int) -> None:
        """Forget a worker; jobs that it still has become pending again."""
        worker = self._workers.pop(worker_id, None)
        with self._file.transaction() as db:
            if worker is not None:
                self._reclaim(db.execute, worker.session_id, worker.running, "returned")
            db.execute("DELETE FROM worker WHERE id = ?", (worker_id,))

    def _session(self) -> int:
        session = self._file.session
        assert session is not None, "a file that is open for writing has a session"
        return session.id

    # ------------------------------------------------------------------ one turn

    def turn(self, db: apsw.Connection, ask: Ask) -> Turn:
        """Inside a transaction; `committed` has to be told of it afterwards."""
        worker = self._workers[ask.worker_id]
        now = self._file.clock.now()
        known = None if ask.handlers is None else msgspec.json.encode(sorted(ask.handlers)).decode()
        limit = ask.limit
        next_at: int | None = None
        claimed: list[ClaimedJob] = []
        # One cursor serves all statements; making one costs 0.5 µs.
        execute = self._execute = self._execute or db.cursor().execute
        if worker.session_id != self._session():
            self._begin_again(db, worker)
        lost: list[int] = []
        retried: list[int] = []
        if ask.settled:
            self._settle(execute, ask.settled, now, lost, retried)
        chores = now >= self._chores_at or now + 2 * _CHORES < self._chores_at  # or the clock was set back
        if chores:
            self._do_chores(db, execute, now)
        if limit > 0:
            claimed = self._claim(execute, worker, ask.queue_ids, limit, known=known, now=now)
            if len(claimed) < limit and not chores and self._do_chores(db, execute, now):
                claimed += self._claim(execute, worker, ask.queue_ids, limit - len(claimed), known=known, now=now)
            if len(claimed) < limit:
                next_at = self._next_at(execute, ask.queue_ids)
        return Turn(claimed, lost, retried, next_at)

    def committed(self, ask: Ask, turn: Turn) -> None:
        """Remember what the worker runs now."""
        worker = self._workers[ask.worker_id]
        worker.running.difference_update(done.job.id for done in ask.settled)
        worker.running.update(job.id for job in turn.claimed)
        worker.claims += len(turn.claimed)

    def _claim(
        self,
        execute: Execute,
        worker: _Worker,
        queue_ids: Sequence[int],
        limit: int,
        *,
        known: str | None,
        now: int,
    ) -> list[ClaimedJob]:
        claimed: list[ClaimedJob] = []
        session_id = worker.session_id
        for queue_id in queue_ids:
            free = limit - len(claimed)
            if known is None:
                rows = execute(_ALL_READY, (queue_id, free)).fetchall()
            else:
                rows = execute(_KNOWN_READY, (queue_id, known, free)).fetchall()
            for row in rows:
                execute(_CLAIM, (session_id, row[1], row[2], now, row[0]))
                claimed.append(ClaimedJob._make(row))
            if len(claimed) == limit:
                break
        if claimed:
            self._keep_low_mark(execute, worker, claimed)
        return claimed

    def _keep_low_mark(self, execute: Execute, worker: _Worker, claimed: Sequence[ClaimedJob]) -> None:
        """See to it that the worker's row says from which id on its running jobs are."""
        lowest = min(job.id for job in claimed)
        if worker.claims >= _RAISE_EVERY:
            worker.claims = 0
            mark = min(lowest, min(worker.running, default=lowest))
        elif lowest < worker.jobs_from:
            mark = lowest
        else:
            return
        if mark != worker.jobs_from:
            execute("UPDATE worker SET jobs_from = ? WHERE id = ?", (mark, worker.id))
            worker.jobs_from = mark

    # ------------------------------------------------------------------ settling

    def _settle(
        self,
        execute: Execute,
        settled: Sequence[Settlement],
        now: int,
        lost: list[int],
        retried: list[int],
    ) -> None:
        completed = False
        for done in settled:
            job = done.job
            if done.outcome == "completed" and (output := done.output) is not None:
                if output.blobs:
                    insert_values(self._file.db, output.blobs)
                execute(_COMPLETE, (output.text, now, done.delete_at, job.id, job.claim))
                if self._file.db.changes():
                    completed = True
                    if job.options is not None:  # without any, no task waits for it
                        tell_task(execute, job.id, now)
                    if done.delete_at is not None and done.delete_at <= now:
                        _delete(execute, job.id)
                    continue
            status = self._settle_otherwise(execute, done, now)
            if status is None:
                lost.append(job.id)
            elif status == "pending":
                retried.append(job.id)
        if completed and execute("SELECT 1 FROM job_dependency LIMIT 1").fetchall():
            for done in settled:
                if done.outcome == "completed" and done.job.id not in lost:
                    self._release_dependents(execute, done.job.id)

    def _settle_otherwise(self, execute: Execute, done: Settlement, now: int) -> JobStatus | None:
        """Settle what did not simply complete; None when the claim does not count any more."""
        job = done.job
        held = execute(_HELD, (job.id, job.claim)).fetchall()
        if not held:
            return None
        started_at, abort_reason, most = held[0]
        outcome, error = done.outcome, done.error
        if abort_reason is not None:  # who asked for it was told so; a result that comes after that is too late
            outcome, error = "aborted", aborted(str(abort_reason))
        execute(_ATTEMPT, (job.id, job.claim, job.attempt, outcome, error, started_at, now))
        attempt = job.attempt if done.counts else job.attempt - 1
        if done.retry_at is not None and outcome != "aborted" and attempt < most:
            execute(_AGAIN, (done.retry_at if done.retry_at > now else None, attempt, error, job.id))
            if done.retry_at > now:
                self._chores_at = min(self._chores_at, done.retry_at)
            return "pending"
        status: JobStatus = "aborted" if outcome == "aborted" else "failed"
        end_job(execute, job.id, status, now, error=error, progress=done.progress, delete_at=done.delete_at)
        return status

    @staticmethod
    def _release_dependents(execute: Execute, job_id: int) -> None:
        execute(
            "UPDATE job SET waits_for = waits_for - 1 "
            "WHERE id IN (SELECT job_id FROM job_dependency WHERE needs_id = ?) AND finished_at IS NULL",
            (job_id,),
        )
        execute("DELETE FROM job_dependency WHERE needs_id = ?", (job_id,))

    # ------------------------------------------------------------------ what time brings

    def _do_chores(self, db: apsw.Connection, execute: Execute, now: int) -> bool:
        """Let pass what has become due; True when a job may have become ready by it."""
        self._chores_at = now + _CHORES
        execute("UPDATE job SET run_after = NULL WHERE queue_id IN (SELECT id FROM queue) AND run_after <= ?", (now,))
        changed = db.changes() > 0
        late = execute(
            "SELECT id FROM job WHERE deadline_at <= ? AND finished_at IS NULL AND status = 'pending'", (now,)
        ).fetchall()
        for (job_id,) in late:
            end_job(execute, job_id, "failed", now, error=_TOO_LATE)
        self.prune(execute, now, _PRUNE)
        monotonic = self._file.clock.monotonic()
        if not 0 <= monotonic - self._looked_at < _LOOK_FOR_DEAD:
            self._looked_at = monotonic
            changed |= self._take_over(db, execute)
        return changed

    def _take_over(self, db: apsw.Connection, execute: Execute) -> bool:
        """Make the jobs of dead workers pending again; True when there were any."""
        if not execute("SELECT 1 FROM worker WHERE session_id <> ? LIMIT 1", (self._session(),)).fetchall():
            return False
        dead = set(self._file.dead_sessions(db))
        rows = execute(
            "SELECT worker.id, session_id, jobs_from, ended_at FROM worker JOIN session ON session.id = session_id"
        ).fetchall()
        found = False
        for worker_id, session_id, jobs_from, ended_at in rows:
            if worker_id in self._workers or (ended_at is None and session_id not in dead):
                continue
            self._file.end_dead_session(db, int(session_id))
            ids = execute(
                "SELECT id FROM job WHERE id >= ? AND status = 'running' AND session_id = ?", (jobs_from, session_id)
            ).fetchall()
            found |= bool(ids)
            self._reclaim(execute, int(session_id), (int(row[0]) for row in ids), "crashed")
            execute("DELETE FROM worker WHERE id = ?", (worker_id,))
        return found

    def _reclaim(self, execute: Execute, session_id: int, ids: Iterable[int], outcome: str) -> None:
        """Take jobs from whoever runs them; one that has used up its attempts, or was to stop, is over."""
        now = self._file.clock.now()
        for job_id in list(ids):
            rows = execute(
                "SELECT claim, attempt, max_attempts, started_at, abort_reason FROM job "
                "WHERE id = ? AND status = 'running' AND session_id = ?",
                (job_id, session_id),
            ).fetchall()
            for claim, attempt, most, started_at, abort_reason in rows:
                crashed = outcome == "crashed"
                error = _CRASHED if crashed else None
                execute(_ATTEMPT, (job_id, claim, attempt, outcome, error, started_at, now))
                if abort_reason is not None:
                    end_job(execute, job_id, "aborted", now, error=aborted(str(abort_reason)))
                elif crashed and attempt >= most:
                    end_job(execute, job_id, "failed", now, error=error)
                else:
                    execute(_AGAIN, (None, attempt if crashed else attempt - 1, error, job_id))

    def _begin_again(self, db: apsw.Connection, worker: _Worker) -> None:
        """Somebody took this process for dead: what it had is not its any more, and it starts anew."""
        worker.session_id = self._session()
        worker.running.clear()
        worker.jobs_from = next_job_id(db.execute)
        db.execute("DELETE FROM worker WHERE id = ?", (worker.id,))
        self._register(db, worker)

    @staticmethod
    def prune(execute: Execute, now: int, limit: int) -> int:
        """Delete jobs that have been kept long enough; how many."""
        old = execute("SELECT id FROM job WHERE delete_at <= ? LIMIT ?", (now, limit)).fetchall()
        for (job_id,) in old:
            _delete(execute, job_id)
        return len(old)

    @staticmethod
    def _next_at(execute: Execute, queue_ids: Sequence[int]) -> int | None:
        times: list[Any] = [
            execute("SELECT min(run_after) FROM job WHERE queue_id = ? AND run_after IS NOT NULL", (queue_id,)).get
            for queue_id in queue_ids
        ]
        times.append(
            execute("SELECT min(deadline_at) FROM job WHERE deadline_at IS NOT NULL AND finished_at IS NULL").get
        )
        return min((time for time in times if time is not None), default=None)


def aborted(reason: str) -> str:
    """The error, as JSON, of a job that was aborted."""
    told = {"type": "JobAbortedError", "message": reason or "The job was aborted.", "trace": ""}
    return msgspec.json.encode(told).decode()
