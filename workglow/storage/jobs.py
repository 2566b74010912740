"""Jobs and their queues as they are stored, and what a place that keeps them must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence

    from workglow.values import Encoded

__all__ = [
    "FINAL_JOB_STATUSES",
    "MOVES",
    "RUN_HANDLER",
    "Ask",
    "AttemptRecord",
    "ClaimedJob",
    "JobRecord",
    "JobRepository",
    "JobStatus",
    "NewJob",
    "Outcome",
    "QueueFigures",
    "QueueRecord",
    "Settlement",
    "Turn",
    "WorkerRecord",
]

JobStatus = Literal["pending", "running", "completed", "failed", "aborted"]
Outcome = Literal["completed", "failed", "timed out", "crashed", "aborted", "returned", "limited"]

MOVES: Final[Mapping[JobStatus, frozenset[JobStatus]]] = {
    "pending": frozenset({"running", "failed", "aborted"}),
    "running": frozenset({"completed", "failed", "aborted", "pending"}),
    "completed": frozenset(),
    "failed": frozenset({"pending"}),
    "aborted": frozenset({"pending"}),
}
"""Every legal change of a job's status.  A failed or aborted job is pending again only when somebody retries it."""

FINAL_JOB_STATUSES: Final = frozenset({"completed", "failed", "aborted"})

RUN_HANDLER: Final = "workglow.run"
"""The handler of the jobs that drive a run."""


@dataclass(slots=True)
class NewJob:
    """A job that is to be stored; `options` is JSON for the worker that will run it."""

    handler: str
    input: Encoded
    max_attempts: int
    priority: int = 0
    run_after: int | None = None
    deadline_at: int | None = None
    key: str | None = None
    group: str | None = None
    cost: int = 1
    options: str | None = None
    needs: Sequence[int] = ()

    def is_plain(self) -> bool:
        """Whether it has nothing but a handler, an input and a priority."""
        return (
            self.run_after is None
            and self.key is None
            and self.options is None
            and not self.needs
            and self.deadline_at is None
            and self.group is None
            and self.cost == 1
        )


class ClaimedJob(NamedTuple):
    """What the worker that claimed a job is told of it; `input` and `options` are JSON."""

    id: int
    claim: int
    attempt: int
    handler: str
    input: str
    options: str | None
    queue_id: int
    deadline_at: int | None = None


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """How one claim of a job ended.

    `completed` has an output, every other outcome may have an `error` (JSON).  With `retry_at` (milliseconds) the job
    is pending again, and is not started before then, unless that was its last attempt; `counts` says whether the
    attempt counts.  At `delete_at` nothing of a completed job need be kept any more; of others, what its queue says.  A
    `limited` job is pending until the hold that it brings over the limiters of its queue has ended.
    """

    job: ClaimedJob
    outcome: Outcome
    output: Encoded | None = None
    error: str | None = None
    retry_at: int | None = None
    counts: bool = True
    progress: str | None = None
    delete_at: int | None = None
    cost: int | None = None  # what it really cost, when that differs from what was reserved
    hold: float | None = (
        None  # limited: for how many seconds the queue's limiters let nothing start, when that is known
    )
    reason: str = ""  # … and why, for people


class Ask(msgspec.Struct, frozen=True, gc=False):
    """What a worker wants of one transaction: that `settled` is settled, and at most `limit` jobs of these queues.

    `handlers` are the only ones whose jobs are claimed, None is all; `leave` are jobs that are not.  `concurrency` is
    what the worker's row says of it from now on.
    """

    worker_id: int
    queue_ids: Sequence[int]
    settled: Sequence[Settlement]
    limit: int
    handlers: Collection[str] | None = None
    leave: Collection[int] = ()
    concurrency: int | None = None


class Turn(msgspec.Struct, frozen=True, gc=False):
    """What one transaction of a worker came to.

    `lost` are ids of jobs that were settled too late: another claim has them, or they are over.  `retried` are those
    that will be tried again.  `next_at` is when, in milliseconds, something may become claimable by itself; None when
    nothing will.
    """

    claimed: list[ClaimedJob]
    lost: list[int]
    retried: list[int]
    next_at: int | None


@dataclass(slots=True)
class JobRecord:
    """A job as stored; `queue_id` is the database's key of its queue, JSON texts are as they were written."""

    id: int
    queue: str
    scope: str
    handler: str
    status: JobStatus
    priority: int
    run_after: int | None
    waits_for: int
    attempt: int
    claim: int
    session_id: int | None
    input: str
    output: str | None
    error: str | None
    max_attempts: int
    created_at: int
    started_at: int | None
    finished_at: int | None
    deadline_at: int | None
    key: str | None
    group: str | None
    cost: int
    options: str | None
    progress: str | None
    abort_reason: str | None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt that did not complete its job; `error` is JSON."""

    attempt: int
    outcome: Outcome
    error: str | None
    started_at: int
    ended_at: int


@dataclass(slots=True)
class QueueRecord:
    """A queue as stored; `scope` and `settings` are JSON."""

    row_id: int
    name: str
    scope: str
    paused_at: int | None
    settings: str
    created_at: int


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """What one pass over the jobs of a queue tells; times are milliseconds.

    `deferred` and `needing` are pending jobs that have to wait for a time, or for other jobs.  `oldest` is when the
    oldest of the others was enqueued.  `ended` counts the jobs that were completed since each of the moments asked for.
    """

    counts: dict[JobStatus, int]
    deferred: int
    needing: int
    oldest: int | None
    ended: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """Who takes jobs: `queues` and `handlers` are JSON lists of names; with no queue it takes from all."""

    row_id: int
    session_id: int
    pid: int
    host: str
    queues: str
    handlers: str
    concurrency: int
    started_at: int
    is_alive: bool


class JobRepository(Protocol):
    """Queues and their jobs.  Every method is one transaction; whatever a worker writes is fenced by its claim."""

    def queue(self, name: str, scope: str, settings: str | None = None) -> QueueRecord:
        """Return a queue, which is made when it is not there; `settings` (JSON) replace those it has."""
        ...

    def queues(self) -> list[QueueRecord]: ...

    def pause(self, queue_id: int, *, paused: bool) -> None: ...

    def add(self, queue_id: int, jobs: Sequence[NewJob]) -> list[int]:
        """Keep jobs, all or none, and return their ids; on the disk when this returns.

        A job whose key an unfinished one of the queue has is that one.
        """
        ...

    def add_alike(self, queue_id: int, job: NewJob, inputs: Sequence[str]) -> range:
        """Keep a job like this one, which has no key, for each item of the lists of inputs (JSON), all or none; their
        ids.

        Of the job's own input only the rows count: all that any of the inputs refers to.
        """
        ...

    def turn(self, ask: Ask, *, block: bool = False, rest: float = 0.0) -> Turn | Awaitable[Turn]:
        """Settle what a worker has done and claim further jobs, in one transaction.

        An awaitable is returned when somebody else is writing, or when the disk has to be waited for, unless `block`
        allows waiting for the disk on the spot: for a caller that has nothing else to do.  `rest` are seconds to leave
        to other processes while they fill the file: for a worker that has had its share.  Jobs of dead workers are
        pending again first, or failed when their attempts are used up.
        """
        ...

    def next_schedule_at(self) -> int | None:
        """When the next schedule is due, for a worker that would claim nothing: it fires what is due with `turn`."""
        ...

    def report(self, progress: Iterable[tuple[ClaimedJob, str]]) -> None:
        """Keep what running jobs tell of their progress (JSON); FileLockedError when somebody else is writing."""
        ...

    def unwanted(self, claims: Iterable[ClaimedJob]) -> dict[int, str]:
        """Of these claims, the jobs that are to stop, with the reason; '' for those that somebody else has now."""
        ...

    def abort(self, ids: Sequence[int], reason: str) -> list[int]:
        """Abort what is pending, ask what is running to stop; the ids of those that were not over yet."""
        ...

    def retry(self, ids: Sequence[int]) -> list[int]:
        """Make failed and aborted jobs pending again, with all their attempts; the ids of those that now are."""
        ...

    def get(self, job_id: int) -> JobRecord | None: ...

    def find(
        self,
        *,
        queue_id: int | None = None,
        statuses: Collection[JobStatus] = (),
        group: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> list[JobRecord]:
        """The newest jobs first; `before` is an id, to read on from."""
        ...

    def attempts(self, job_id: int) -> list[AttemptRecord]: ...

    def needs(self, job_id: int) -> list[int]:
        """The jobs that must be completed before this one starts, and are not."""
        ...

    def count(self, queue_id: int) -> dict[JobStatus, int]: ...

    def figures(self, now: int, since: Sequence[int] = ()) -> dict[int, QueueFigures]:
        """Figures of every queue that has jobs, by the queue's key; it reads every job once."""
        ...

    def running(self) -> list[JobRecord]:
        """The jobs that run, oldest first; also those whose worker is dead, until another takes them over."""
        ...

    def ahead(self, job: JobRecord, most: int) -> int:
        """How many jobs of its queue are claimed before this one, counted up to `most`."""
        ...

    def begin_worker(self, queues: str, handlers: str, concurrency: int) -> int:
        """Say that this process takes jobs; the worker's key."""
        ...

    def end_worker(self, worker_id: int) -> None: ...

    def workers(self) -> list[WorkerRecord]: ...

    def prune(self, limit: int = 1000) -> int:
        """Delete jobs that have been kept long enough; how many."""
        ...
