"""The workers of this process, in the table `worker`: a row each, for as long as they take jobs.

A row says from which number on the worker's running jobs are, so that whoever takes over from a dead one finds them
without an index of what runs, which each claim would have to write.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from workglow.storage.sqlite.queued import next_job_id
from workglow.storage.sqlite.takeover import reclaim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw

    from workglow.file import File
    from workglow.storage.jobs import ClaimedJob, Settlement
    from workglow.storage.sqlite.gates import Gates

    Execute = Callable[..., Any]

__all__ = ["WorkerState", "Workers"]

_RAISE_EVERY: Final = 256  # claims
_FORGET = "DELETE FROM worker WHERE id = ? AND session_id = ?"
_ADOPT = "UPDATE job SET session_id = ? WHERE id = ? AND status = 'running' AND session_id = ?"


class WorkerState:
    """What is known here of a worker; `id` is its row, which is another one after it was lost."""

    __slots__ = ("claims", "id", "jobs_from", "key", "row", "running", "session_id")

    def __init__(self, row: tuple[str, str, int], session_id: int) -> None:
        self.key = self.id = 0
        self.row = row
        self.session_id = session_id
        self.running: set[int] = set()
        self.jobs_from = 0
        self.claims = 0


class Workers:
    """The workers of one process on one file, each known by the number that `begin` gave it."""

    def __init__(self, file: File, gates: Gates) -> None:
        self._file = file
        self._gates = gates
        self._known: dict[int, WorkerState] = {}
        self._changed: dict[int, WorkerState] = {}  # what they are once the transaction under way is committed
        self._left: list[WorkerState] = []  # that ended when nothing could be written

    def begin(self, queues: str, handlers: str, concurrency: int) -> int:
        """Add a worker, in a transaction of its own."""
        with self._file.transaction() as db:
            worker = WorkerState((queues, handlers, concurrency), self._session())
            self._clear_away(db.execute)
            worker.jobs_from = next_job_id(db.execute)
            self._register(db, worker)
        self._left.clear()
        worker.key = worker.id
        self._known[worker.key] = worker
        return worker.key

    def end(self, key: int) -> None:
        """Forget a worker, in a transaction of its own; jobs that it still has become pending again."""
        worker = self._known.pop(key, None)
        if worker is not None:
            self._left.append(worker)
        with self._file.transaction() as db:
            self._clear_away(db.execute)
        self._left.clear()

    def rows(self) -> set[tuple[int, int]]:
        """The row and the session of each."""
        return {(worker.id, worker.session_id) for worker in self._known.values()}

    # ------------------------------------------------------------------ inside the transaction of a turn

    def begin_turn(self, db: apsw.Connection, key: int, concurrency: int | None, *, quiet: bool = False) -> WorkerState:
        """Return a worker, in the session that this process has now; its row says `concurrency` from now on.

        Where all is `quiet`, nothing has been written since its last turn, so it is in that session.
        """
        worker = self._known[key]
        if not quiet:
            self._changed.pop(key, None)  # of a transaction that was undone
            if worker.session_id != self._session():
                worker = self._begin_again(db, worker)
        if concurrency is not None and concurrency != worker.row[2]:
            worker = self._changed[key] = copy.copy(worker)
            worker.row = (*worker.row[:2], concurrency)
            db.execute("UPDATE worker SET concurrency = ? WHERE id = ?", (concurrency, worker.id))
        return worker

    def keep_low_mark(self, execute: Execute, worker: WorkerState, claimed: Sequence[ClaimedJob]) -> None:
        """See to it that the worker's row says from which id on its running jobs are."""
        lowest = min(claimed)[0]  # its id, the first of what a job is a tuple of
        if worker.claims >= _RAISE_EVERY:
            mark = min(lowest, min(worker.running, default=lowest))
        elif lowest < worker.jobs_from:
            mark = lowest
        else:
            return
        execute("UPDATE worker SET jobs_from = ? WHERE id = ?", (mark, worker.id))
        changed = self._changed[worker.key] = copy.copy(worker)
        changed.jobs_from, changed.claims = mark, 0

    def is_unseated(self, execute: Execute, worker: WorkerState) -> bool:
        """Whether somebody took this process for dead, and the worker's row and jobs with it."""
        return not execute(
            "SELECT 1 FROM worker WHERE id = ? AND session_id = ?", (worker.id, worker.session_id)
        ).fetchall()

    def end_turn(self, key: int, settled: Sequence[Settlement], claimed: Sequence[ClaimedJob]) -> None:
        """Remember, once it is committed, what a worker runs now."""
        worker = self._known[key]
        if self._changed:
            worker = self._known[key] = self._changed.pop(key, worker)
        running = worker.running
        for done in settled:
            running.discard(done.job.id)
        for job in claimed:
            running.add(job.id)
        worker.claims += len(claimed)

    # ------------------------------------------------------------------ rows

    def _session(self) -> int:
        session = self._file.session
        assert session is not None, "a file that is open for writing has a session"
        return session.id

    def _register(self, db: apsw.Connection, worker: WorkerState) -> None:
        last: int = db.execute("SELECT coalesce(max(id), 0) FROM worker").get
        worker.id = 1 + max(last, *self._known, 0)
        db.execute(
            """
            INSERT INTO worker (id, session_id, queues, handlers, concurrency, jobs_from, started_at)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            (worker.id, worker.session_id, *worker.row, worker.jobs_from, self._file.clock.now()),
        )

    def _clear_away(self, execute: Execute) -> None:
        """Hand back what workers that have ended still had."""
        now = self._file.clock.now()
        for worker in self._left:
            reclaim(execute, self._gates, worker.session_id, worker.running, "returned", now=now)
            execute(_FORGET, (worker.id, worker.session_id))

    def _begin_again(self, db: apsw.Connection, worker: WorkerState) -> WorkerState:
        """Somebody took this process for dead: go on in its new session, with those jobs that nobody has taken."""
        anew = self._changed[worker.key] = WorkerState(worker.row, self._session())
        anew.key = worker.key
        for job_id in worker.running:
            db.execute(_ADOPT, (anew.session_id, job_id, worker.session_id))
            if db.changes():
                anew.running.add(job_id)
        anew.jobs_from = min(anew.running, default=next_job_id(db.execute))
        db.execute(_FORGET, (worker.id, worker.session_id))
        self._register(db, anew)
        return anew
