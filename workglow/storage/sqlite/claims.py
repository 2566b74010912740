"""A worker's transaction on the tables `job` and `worker`: settle what is done, take over from the dead, claim more.

Policy.  Under the write lock nobody else can claim, so a claim is a SELECT of the first jobs in the order of priority
and id, and UPDATEs by key: measured, that is a third of the cost of one UPDATE with a subquery.  A claim gets a number
that no other claim of the job has, and every write of the worker names it, so what a worker writes after it lost the
job changes nothing.  The attempt is counted here, before anything of the job runs: a job that kills its process cannot
be tried for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec

from workglow.storage.jobs import ClaimedJob, JobStatus, Settlement, Turn
from workglow.storage.sqlite.changes import note_job
from workglow.storage.sqlite.chores import Chores
from workglow.storage.sqlite.job_ends import AGAIN, ATTEMPT, aborted, delete_job, end_job
from workglow.storage.sqlite.lookahead import Lookahead
from workglow.storage.sqlite.queued import tell_task
from workglow.storage.sqlite.schedules import NEXT_DUE
from workglow.storage.sqlite.values import insert_values
from workglow.storage.sqlite.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Collection

    import apsw

    from workglow.file import File
    from workglow.storage.jobs import Ask
    from workglow.storage.sqlite.gates import Gates
    from workglow.storage.sqlite.schedules import Add
    from workglow.storage.sqlite.workers import WorkerState

    Execute = Callable[..., Any]
    """`execute` of one cursor, whose rows nobody but the reader of the query knows the types of."""

__all__ = ["Claims"]

_WORTH: Final = 8  # rows; an UPDATE of a range has SQLite list its keys first, which costs as much as four by key

_READY = """
SELECT job.id, claim + 1, attempt + 1, handler, input, options, queue_id, deadline_at{}
  FROM worker CROSS JOIN queue CROSS JOIN job ON queue_id = queue.id
 WHERE worker.id = ?1 AND worker.session_id = ?2
   AND queue.id = ?3 AND paused_at IS NULL AND status = 'pending' AND run_after IS NULL AND waits_for = 0 {}
   AND (deadline_at IS NULL OR deadline_at > ?4)
 ORDER BY priority DESC, job.id LIMIT ?5
"""
_SOME = (
    "AND (?6 IS NULL OR handler IN (SELECT value FROM json_each(?6))) "
    "AND job.id NOT IN (SELECT value FROM json_each(?7))"
)
_ALL_READY = _READY.format("", "AND limiters IS NULL")
_SOME_READY = _READY.format("", f"AND limiters IS NULL {_SOME}")
_ALL_LIMITED = _READY.format(", cost", "")
_SOME_LIMITED = _READY.format(", cost", _SOME)
_ASIDE = "SELECT EXISTS (SELECT 1 FROM change_log), EXISTS (SELECT 1 FROM job_dependency)"
_CLAIM = """
UPDATE job SET status = 'running', session_id = ?, started_at = ?, claim = claim + 1, attempt = attempt + 1 WHERE id {}
"""
_COMPLETE = """
UPDATE job SET status = 'completed', output = ?, finished_at = ?, delete_at = ?
 WHERE claim = ? AND status = 'running' AND abort_reason IS NULL AND id {}
"""
_CLAIM_EACH, _CLAIM_ALIKE = _CLAIM.format("= ?"), _CLAIM.format("BETWEEN ? AND ?")
_COMPLETE_EACH, _COMPLETE_ALIKE = _COMPLETE.format("= ?"), _COMPLETE.format("BETWEEN ? AND ?")
_COMPLETED = "SELECT 1 FROM job WHERE id = ? AND claim = ? AND status = 'completed'"
_HELD = "SELECT started_at, abort_reason, max_attempts FROM job WHERE id = ? AND claim = ? AND status = 'running'"
# `ClaimedJob._make` counts the columns each time, too.
_claimed = cast("Callable[[Sequence[Any]], ClaimedJob]", partial(tuple.__new__, ClaimedJob))  # pyright: ignore


class Claims:
    """The transactions of one process's workers on one file."""

    def __init__(self, file: File, gates: Gates, add: Add) -> None:
        """`gates` are those of the file's limiters, `add` inserts the jobs of schedules."""
        self.workers = Workers(file, gates)
        self._file = file
        self._gates = gates
        self._chores = Chores(file, gates, self.workers, add)
        self._opens_at: int | None = None  # when the first of the limiters met in this turn lets something start
        # One cursor serves all statements; making one costs 0.5 µs.
        self._cursor = file.db.cursor()
        self.unseated = False
        """Whether the last turn found that somebody took this process for dead: it has claimed nothing."""
        self._ahead = Lookahead(file.db.data_version)
        # What the transaction that is going on found: whether changes are kept, whether jobs need others.
        self._noting = self._needing = 0

    # ------------------------------------------------------------------ one turn

    def turn(self, db: apsw.Connection, ask: Ask, *, shared: bool = False) -> Turn:
        """Inside a transaction, in which others write, too, when it is `shared`; `committed` has to be told of it."""
        quiet = self._ahead.begin()
        if shared:
            self._ahead.forget()
        worker = self.workers.begin_turn(db, ask.worker_id, ask.concurrency, quiet=quiet)
        now = self._file.clock.now()
        some = _restriction(ask.handlers, ask.leave) if ask.handlers is not None or ask.leave else None
        limit = ask.limit
        next_at: int | None = None
        claimed: list[ClaimedJob] = []
        execute = self._cursor.execute
        lost: list[int] = []
        retried: list[int] = []
        self._opens_at = None
        if not quiet:
            self._noting, self._needing = execute(_ASIDE).fetchall()[0]
        if ask.settled:
            lost, retried = self._settle(execute, worker, ask.settled, now)
        chores = self._chores.are_due(now) or not (limit or ask.settled)  # else it would have come for nothing
        if chores:
            self._do_chores(db, execute, now)
        if limit > 0:
            claimed = self._claim(execute, worker, ask.queue_ids, limit, some=some, now=now)
            if len(claimed) < limit and not chores and self._do_chores(db, execute, now):
                free = limit - len(claimed)
                claimed += self._claim(execute, worker, ask.queue_ids, free, some=some, now=now)
            if claimed:
                self.workers.keep_low_mark(execute, worker, claimed)
                if self._noting:
                    for job in claimed:
                        note_job(execute, "started", job.id, now, old="pending", new="running")
            if len(claimed) < limit:
                self.unseated = self.workers.is_unseated(execute, worker)
                next_at = self._chores.next_at(execute, ask.queue_ids)
                if self._opens_at is not None and (next_at is None or self._opens_at < next_at):
                    next_at = self._opens_at
        elif not ask.settled:
            next_at = execute(NEXT_DUE).get
        return Turn(claimed, lost, retried, next_at)

    def committed(self, ask: Ask, turn: Turn) -> None:
        """Remember what the worker runs now."""
        self._ahead.committed()
        self.workers.end_turn(ask.worker_id, ask.settled, turn.claimed)
        if self._gates.holding:
            self._gates.holding.difference_update((done.job.id, done.job.claim) for done in ask.settled)

    def _do_chores(self, db: apsw.Connection, execute: Execute, now: int) -> bool:
        """Let pass what has become due; True when a job may have become ready by it."""
        self._ahead.forget()
        return self._chores.do(db, execute, now)

    def _claim(
        self,
        execute: Execute,
        worker: WorkerState,
        queue_ids: Sequence[int],
        limit: int,
        *,
        some: tuple[str | None, str] | None,
        now: int,
    ) -> list[ClaimedJob]:
        claimed: list[ClaimedJob] = []
        for queue_id in queue_ids:
            asked = (worker.id, worker.session_id, queue_id, now, limit - len(claimed))
            if queue_id in self._gates.limited:
                allowed = self._claim_limited(execute, worker, asked, some)
                if allowed is not None:
                    claimed += allowed
                    continue
            ready = self._ready(execute, asked, some)
            if ready:
                self._update(_CLAIM_EACH, _CLAIM_ALIKE, [(asked[1], now, job[0]) for job in ready])
                claimed += ready
            else:  # limiters that are new to this process would be a reason
                claimed += self._claim_limited(execute, worker, asked, some) or ()
            if len(claimed) == limit:
                break
        return claimed

    def _ready(
        self, execute: Execute, asked: tuple[int, ...], some: tuple[str | None, str] | None
    ) -> Sequence[ClaimedJob]:
        """The first jobs of a queue, at most as many as are asked for."""
        ahead = self._ahead
        if some is not None:
            ahead.forget()
            return list(map(_claimed, execute(_SOME_READY, asked + some).fetchall()))
        queue_id, limit = asked[2], asked[4]
        jobs = ahead.take(queue_id, limit)
        if not jobs:
            rows = execute(_ALL_READY, (*asked[:4], limit + ahead.more)).fetchall()
            jobs = list(map(_claimed, rows))
            if ahead.more:
                ahead.keep(queue_id, jobs[limit:])
                jobs = jobs[:limit]
        return jobs

    def _claim_limited(
        self, execute: Execute, worker: WorkerState, asked: tuple[int, ...], some: tuple[str | None, str] | None
    ) -> list[ClaimedJob] | None:
        """Claim what the limiters of a queue allow, in its order; the first job that may not start ends it.

        None when the queue has no limiters.
        """
        _, _, queue_id, now, limit = asked
        if not limit:
            return []
        gates = self._gates
        gate = gates.gate(execute, queue_id)
        if gate is None:
            return None
        rows = execute(_ALL_LIMITED, asked) if some is None else execute(_SOME_LIMITED, asked + some)
        rows = rows.fetchall()
        claimed: list[ClaimedJob] = []
        for *row, cost in rows:
            blocked = gate.blocked(cost)
            if blocked is not None and blocked[1] is None and gates.release_dead(self._file.db):
                gates.close(execute, gate)
                gate = gates.gate(execute, queue_id) or gate
                blocked = gate.blocked(cost)
            if blocked is not None:
                opens_at = gates.admissions.wall(*blocked)
                if opens_at is not None and (self._opens_at is None or opens_at < self._opens_at):
                    self._opens_at = opens_at
                break
            job = _claimed(row)
            execute(_CLAIM_EACH, (worker.session_id, now, job.id))
            gates.start(execute, gate, job.id, job.claim, cost)
            claimed.append(job)
        gates.close(execute, gate)
        return claimed

    # ------------------------------------------------------------------ settling

    def _settle(
        self, execute: Execute, worker: WorkerState, settled: Sequence[Settlement], now: int
    ) -> tuple[list[int], list[int]]:
        """Settle; the ids of those that are lost, and of those that will be tried again."""
        lost: list[int] = []
        retried: list[int] = []
        completed = self._complete(execute, worker, settled, now)
        if len(completed) < len(settled):
            self._ahead.forget()
            over = {id(done) for done in completed}
            for done in settled:
                if id(done) not in over:
                    status = self._settle_otherwise(execute, done, now)
                    if status is None:
                        lost.append(done.job.id)
                    elif status == "pending":
                        retried.append(done.job.id)
        gates = self._gates
        if gates.holding:
            for done in settled:
                if (done.job.id, done.job.claim) in gates.holding:
                    gates.release_job(execute, done.job.id, done.job.claim, done.cost)
        if gates.struck:
            gates.settled(execute, settled)
        if self._needing:
            self._ahead.forget()
        for done in completed:
            if self._needing:
                self._release_dependents(execute, done.job.id)
            if done.delete_at is not None and done.delete_at <= now:
                delete_job(execute, done.job.id, "completed", now)
        return lost, retried

    def _complete(
        self, execute: Execute, worker: WorkerState, settled: Sequence[Settlement], now: int
    ) -> list[Settlement]:
        """Complete those that have an output and whose claim still counts, which are returned."""
        db = self._file.db
        good: list[Settlement] = []
        rows: list[tuple[Any, ...]] = []
        for done in settled:
            output = done.output
            if output is not None:
                if output.blobs:
                    insert_values(db, output.blobs)
                good.append(done)
                rows.append((output.text, now, done.delete_at, done.job.claim, done.job.id))
        before = db.total_changes()
        self._update(_COMPLETE_EACH, _COMPLETE_ALIKE, rows)
        if db.total_changes() - before != len(rows):
            mine = [done for done in good if done.job.id in worker.running]  # those that were not settled before
            good = [done for done in mine if execute(_COMPLETED, (done.job.id, done.job.claim)).fetchall()]
        for done in good:
            if done.job.options is not None:  # without any, no task waits for it
                self._ahead.forget()
                tell_task(execute, done.job.id, now)
            if self._noting:
                note_job(execute, "completed", done.job.id, now, old="running", new="completed")
        return good

    def _update(self, each: str, alike: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows, whose last value is an id; where ids follow each other and the rest is the same, as one range."""
        if len(rows) < _WORTH:
            for row in rows:
                self._cursor.execute(each, row)
            return
        start = 0
        for end in range(1, len(rows) + 1):
            *values, last = rows[end - 1]
            if end < len(rows) and rows[end][-1] == last + 1 and rows[end][:-1] == rows[end - 1][:-1]:
                continue
            if end - start >= _WORTH:
                self._cursor.execute(alike, (*values, rows[start][-1], last))
            else:
                self._cursor.executemany(each, rows[start:end])
            start = end

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
        execute(ATTEMPT, (job.id, job.claim, job.attempt, outcome, error, started_at, now))
        attempt = job.attempt if done.counts else job.attempt - 1
        if done.outcome == "limited":
            db = self._file.db
            until = self._gates.strike_queue(db, job.queue_id, done.hold, done.reason, int(started_at))
            done = msgspec.structs.replace(done, retry_at=until)
        if done.retry_at is not None and outcome != "aborted" and attempt < most:
            execute(AGAIN, (done.retry_at if done.retry_at > now else None, attempt, error, job.id))
            kind = "retried" if done.counts else "returned"
            note_job(execute, kind, job.id, now, old="running", new="pending", data=error)
            if done.retry_at > now:
                self._chores.do_not_miss(done.retry_at)
            return "pending"
        status: Literal["failed", "aborted"] = "aborted" if outcome == "aborted" else "failed"
        end_job(execute, job.id, status, now, was="running", error=error, progress=done.progress)
        return status

    @staticmethod
    def _release_dependents(execute: Execute, job_id: int) -> None:
        execute(
            "UPDATE job SET waits_for = waits_for - 1 "
            "WHERE id IN (SELECT job_id FROM job_dependency WHERE needs_id = ?) AND finished_at IS NULL",
            (job_id,),
        )
        execute("DELETE FROM job_dependency WHERE needs_id = ?", (job_id,))


def _restriction(handlers: Collection[str] | None, leave: Collection[int]) -> tuple[str | None, str]:
    """The handlers whose jobs are claimed, None for all, and the jobs that are left, as JSON."""
    names = None if handlers is None else msgspec.json.encode(sorted(handlers)).decode()
    return names, msgspec.json.encode(list(leave)).decode()
