"""Queues and their jobs, in the tables `queue`, `job`, `job_attempt` and `job_dependency`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from workglow.errors import FileLockedError, UnknownLimiterError
from workglow.storage.jobs import FINAL_JOB_STATUSES, AttemptRecord, JobRecord, NewJob, QueueRecord, WorkerRecord
from workglow.storage.sqlite.changes import note_job
from workglow.storage.sqlite.claims import Claims
from workglow.storage.sqlite.enqueueing import Enqueuer
from workglow.storage.sqlite.gates import Gates
from workglow.storage.sqlite.job_ends import aborted, end_job, prune_jobs
from workglow.storage.sqlite.job_figures import count_ahead, figures
from workglow.storage.sqlite.schedules import NEXT_DUE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Iterable, Sequence

    import apsw

    from workglow.file import File
    from workglow.storage.jobs import Ask, ClaimedJob, JobStatus, QueueFigures, Turn
    from workglow.storage.limits import LimitRule

__all__ = ["SqliteJobs"]

_RECORD = """
SELECT job.id, queue.name, queue.scope, handler, status, priority, run_after, waits_for, attempt, claim, session_id,
       input, output, error, max_attempts, job.created_at, started_at, finished_at, deadline_at, key, group_name, cost,
       options, progress, abort_reason
  FROM job JOIN queue ON queue.id = queue_id
"""


def _no_rules(text: str) -> Sequence[LimitRule]:
    if text != "[]":
        raise UnknownLimiterError(f"Nothing here knows limiters, and the queue has some: {text}.")
    return ()


class SqliteJobs:
    """The queues of one file."""

    def __init__(self, file: File, gates: Gates | None = None) -> None:
        """`gates` are those of the file's limiters; without them a queue that is limited is refused."""
        self._file = file
        self._enqueuer = Enqueuer(file.db)
        self._claims = Claims(file, gates or Gates(file, _no_rules), self._enqueuer.add)

    # ------------------------------------------------------------------ queues

    def queue(self, name: str, scope: str, settings: str | None = None) -> QueueRecord:
        found = self._find_queue(name, scope)
        if found is not None and settings in (None, found.settings):
            return found
        with self._file.transaction() as db:
            db.execute(
                """
                INSERT INTO queue (name, scope, settings, created_at) VALUES (?1, ?2, coalesce(?3, '{}'), ?4)
                ON CONFLICT (name, scope) DO UPDATE SET settings = coalesce(?3, settings)
                """,
                (name, scope, settings, self._file.clock.now()),
            )
        made = self._find_queue(name, scope)
        assert made is not None
        return made

    def _find_queue(self, name: str, scope: str) -> QueueRecord | None:
        row = self._file.look_up(
            "SELECT id, name, scope, paused_at, settings, created_at FROM queue WHERE name = ? AND scope = ?",
            (name, scope),
        )
        return None if row is None else QueueRecord(*row)

    def queues(self) -> list[QueueRecord]:
        rows = self._file.read(
            "SELECT id, name, scope, paused_at, settings, created_at FROM queue ORDER BY name, scope <> '{}', scope"
        )
        return [QueueRecord(*row) for row in rows]

    def pause(self, queue_id: int, *, paused: bool) -> None:
        now = self._file.clock.now() if paused else None
        with self._file.transaction() as db:
            db.execute(
                "UPDATE queue SET paused_at = ?1 WHERE id = ?2 AND (paused_at IS NULL) = (?1 IS NOT NULL)",
                (now, queue_id),
            )
        self._file.notify()

    # ------------------------------------------------------------------ enqueueing

    def add(self, queue_id: int, jobs: Sequence[NewJob]) -> list[int]:
        now = self._file.clock.now()
        with self._file.transaction(sync=True) as db:
            ids = self._enqueuer.add(db, queue_id, jobs, now)
        self._file.notify()
        return ids

    def add_alike(self, queue_id: int, job: NewJob, inputs: Sequence[str]) -> range:
        now = self._file.clock.now()
        with self._file.transaction(sync=True) as db:
            ids = self._enqueuer.add_alike(db, queue_id, job, inputs, now)
        self._file.notify()
        return ids

    # ------------------------------------------------------------------ workers

    def begin_worker(self, queues: str, handlers: str, concurrency: int) -> int:
        return self._claims.workers.begin(queues, handlers, concurrency)

    def end_worker(self, worker_id: int) -> None:
        self._claims.workers.end(worker_id)
        self._file.notify()

    def turn(self, ask: Ask, *, block: bool = False, rest: float = 0.0) -> Turn | Awaitable[Turn]:
        file = self._file
        if not block and file.durability == "power" and not file.memory:
            return self._turn_elsewhere(ask)
        try:
            with file.transaction(wait=False) as db:
                turn = self._claims.turn(db, ask)
        except FileLockedError as error:
            return self._turn_later(ask, 0.0 if error.here else rest)
        return self._known(ask, turn)

    async def _turn_later(self, ask: Ask, rest: float) -> Turn:
        """When nobody else is writing."""
        return self._known(ask, await self._file.write(lambda db: self._claims.turn(db, ask), rest=rest))

    async def _turn_elsewhere(self, ask: Ask) -> Turn:
        """On the thread that may wait for the disk."""
        import asyncio

        future = self._file.submit(lambda db: self._claims.turn(db, ask, shared=True))
        try:
            turn = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not future.cancel():  # it is being written: what it claims must be known, to be handed back
                self._claims.committed(ask, future.result())
            raise
        return self._known(ask, turn)

    def _known(self, ask: Ask, turn: Turn) -> Turn:
        """What has been committed, once it is known here."""
        self._claims.committed(ask, turn)
        return self._begin_anew(ask, turn) if self._claims.unseated else turn

    def _begin_anew(self, ask: Ask, turn: Turn) -> Turn:
        """Somebody took this process for dead, and it is not: claim again, in a session that nobody has ended."""
        self._claims.unseated = False
        self._file.begin_anew()
        with self._file.transaction() as db:
            more = self._claims.turn(db, msgspec.structs.replace(ask, settled=()))
        self._claims.committed(ask, more)
        return msgspec.structs.replace(more, lost=turn.lost, retried=turn.retried)

    def next_schedule_at(self) -> int | None:
        rows = self._file.read(NEXT_DUE)
        return rows[0][0] if rows else None

    def workers(self) -> list[WorkerRecord]:
        reader = self._file.reader
        dead = set(self._file.dead_sessions(reader))
        rows = reader.execute(
            """
            SELECT worker.id, session_id, pid, host, queues, handlers, concurrency, worker.started_at, ended_at
              FROM worker JOIN session ON session.id = session_id ORDER BY worker.id
            """
        )
        return [
            WorkerRecord(*row[:-1], is_alive=row[-1] is None and row[1] not in dead)  # pyright: ignore
            for row in rows
        ]

    def report(self, progress: Iterable[tuple[ClaimedJob, str]]) -> None:
        now = self._file.clock.now()
        with self._file.transaction(wait=False) as db:
            for job, text in progress:
                db.execute(
                    "UPDATE job SET progress = ? WHERE id = ? AND claim = ? AND status = 'running'",
                    (text, job.id, job.claim),
                )
                if db.changes():
                    note_job(db.execute, "progress", job.id, now, old="running", new="running", data=text)

    def unwanted(self, claims: Iterable[ClaimedJob]) -> dict[int, str]:
        found: dict[int, str] = {}
        for job in claims:
            row = self._file.look_up(
                "SELECT id, abort_reason FROM job WHERE id = ? AND claim = ? AND status = 'running'",
                (job.id, job.claim),
            )
            if row is None:
                found[job.id] = ""
            elif row[1] is not None:
                found[job.id] = row[1]
        return found

    # ------------------------------------------------------------------ what people do with jobs

    def abort(self, ids: Sequence[int], reason: str) -> list[int]:
        now = self._file.clock.now()
        reached: list[int] = []
        with self._file.transaction(sync=True) as db:
            for job_id in ids:
                status = db.execute("SELECT status FROM job WHERE id = ?", (job_id,)).get
                if status == "pending":
                    end_job(db.execute, job_id, "aborted", now, error=aborted(reason))
                elif status == "running":
                    why = reason or "The job was aborted."
                    db.execute("UPDATE job SET abort_reason = coalesce(abort_reason, ?) WHERE id = ?", (why, job_id))
                    note_job(db.execute, "aborting", job_id, now, old="running", new="running", data=aborted(why))
                else:
                    continue
                reached.append(job_id)
        self._file.notify()
        return reached

    def retry(self, ids: Sequence[int]) -> list[int]:
        now = self._file.clock.now()
        with self._file.transaction(sync=True) as db:
            done = [job_id for job_id in ids if self._retry(db, job_id, now)]
        self._file.notify()
        return done

    @staticmethod
    def _retry(db: apsw.Connection, job_id: int, now: int) -> bool:
        """Make one job pending again; it waits again for what it needs."""
        status = db.execute("SELECT status FROM job WHERE id = ?", (job_id,)).get
        db.execute(
            """
            UPDATE job SET status = 'pending', attempt = 0, finished_at = NULL, delete_at = NULL, progress = NULL,
                           abort_reason = NULL, deadline_at = NULL,
                           options = nullif(json_remove(options, '$.deadline_at'), '{}'),
                           waits_for = (SELECT count(*) FROM job_dependency WHERE job_id = job.id)
             WHERE id = ? AND status IN ('failed', 'aborted')
               AND NOT EXISTS (SELECT 1 FROM job AS other WHERE other.queue_id = job.queue_id
                               AND other.key = job.key AND other.finished_at IS NULL)
               AND NOT EXISTS (SELECT 1 FROM job_dependency WHERE job_id = job.id
                               AND needs_id NOT IN (SELECT id FROM job))
            """,
            (job_id,),
        )
        if not db.changes():
            return False
        note_job(db.execute, "retried", job_id, now, old=status, new="pending")
        return True

    def prune(self, limit: int = 1000) -> int:
        with self._file.transaction() as db:
            return prune_jobs(db.execute, self._file.clock.now(), limit)

    # ------------------------------------------------------------------ looking

    def get(self, job_id: int) -> JobRecord | None:
        row = self._file.look_up(_RECORD + " WHERE job.id = ?", (job_id,))
        return None if row is None else JobRecord(*row)

    def find(
        self,
        *,
        queue_id: int | None = None,
        statuses: Collection[JobStatus] = (),
        group: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> list[JobRecord]:
        conditions: list[str] = []
        values: list[Any] = []
        if queue_id is not None:
            conditions.append("queue_id = ?")
            values.append(queue_id)
        if statuses:
            conditions.append(f"status IN ({', '.join('?' * len(statuses))})")
            values.extend(statuses)
        if statuses and FINAL_JOB_STATUSES.isdisjoint(statuses):
            conditions.append("finished_at IS NULL")
        if group is not None:
            conditions.append("group_name = ?")
            values.append(group)
        if before is not None:
            conditions.append("job.id < ?")
            values.append(before)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self._file.reader.execute(f"{_RECORD}{where} ORDER BY job.id DESC LIMIT ?", (*values, limit))
        return [JobRecord(*row) for row in rows]  # pyright: ignore[reportArgumentType]

    def attempts(self, job_id: int) -> list[AttemptRecord]:
        rows = self._file.reader.execute(
            "SELECT attempt, outcome, error, started_at, ended_at FROM job_attempt WHERE job_id = ? ORDER BY claim",
            (job_id,),
        )
        return [AttemptRecord(*row) for row in rows]  # pyright: ignore[reportArgumentType]

    def needs(self, job_id: int) -> list[int]:
        query = "SELECT needs_id FROM job_dependency WHERE job_id = ? ORDER BY needs_id"
        return [row[0] for row in self._file.read(query, (job_id,))]

    def count(self, queue_id: int) -> dict[JobStatus, int]:
        query = "SELECT status, count(*) FROM job WHERE queue_id = ? GROUP BY status"
        return dict(self._file.reader.execute(query, (queue_id,)).fetchall())  # pyright: ignore

    def figures(self, now: int, since: Sequence[int] = ()) -> dict[int, QueueFigures]:
        return figures(self._file.reader, now, since)

    def running(self) -> list[JobRecord]:
        # Whoever runs jobs has a row in table worker, which says from which number on they are.
        rows = self._file.reader.execute(
            f"{_RECORD} WHERE job.id >= (SELECT min(jobs_from) FROM worker) AND status = 'running' ORDER BY job.id"
        )
        return [JobRecord(*row) for row in rows]  # pyright: ignore[reportArgumentType]

    def ahead(self, job: JobRecord, most: int) -> int:
        return count_ahead(self._file.reader, job, most)
