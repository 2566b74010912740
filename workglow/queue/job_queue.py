"""One queue of a project file: where jobs are put."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Unpack

import msgspec

from workglow.errors import TaskConfigurationError
from workglow.limits.limiter import hold_seconds
from workglow.queue.job_handle import Job
from workglow.queue.settings import QueueSettings
from workglow.queue.terms import JobTerms, new_job, new_jobs
from workglow.storage.jobs import MOVES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workglow.queue.handler import Handler
    from workglow.queue.queues import Queues
    from workglow.queue.worker import Worker
    from workglow.storage.jobs import JobStatus, QueueRecord
    from workglow.storage.limits import LimiterRecord

__all__ = ["JobQueue", "known_statuses"]

_PAGE: Final = 1000


class JobQueue:
    """A queue.  Any process that has the file open may put jobs in, and any number of workers may take them out."""

    def __init__(self, queues: Queues, record: QueueRecord) -> None:
        """Use `project.queue`."""
        self._queues = queues
        self._record = record
        self.settings = QueueSettings.from_json(record.settings)

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def scope(self) -> dict[str, Any]:
        """Whose it is; {} when it is everybody's."""
        return msgspec.json.decode(self._record.scope)

    @property
    def row_id(self) -> int:
        """The database's own key."""
        return self._record.row_id

    # ------------------------------------------------------------------ putting jobs in

    def enqueue(
        self, handler: Handler | str, inputs: Mapping[str, object] | None = None, **terms: Unpack[JobTerms]
    ) -> Job:
        """Keep a job for a worker; when this returns it is on the disk.

        `inputs` are the arguments of the handler, by name; a handler that is given by its name may be unknown here.
        Raises JobInputError for inputs that the handler does not take, UnstorableValueError for what the file cannot
        keep.
        """
        queues = self._queues
        job = new_job(
            queues.known(handler) or handler,
            {} if inputs is None else inputs,
            terms,
            self.settings,
            now=queues.clock.now(),
        )
        return Job(queues, queues.repository.add(self.row_id, (job,))[0])

    def enqueue_many(
        self, handler: Handler | str, inputs: Iterable[Mapping[str, object]], **terms: Unpack[JobTerms]
    ) -> list[Job]:
        """Keep a job for each of the inputs, all or none, in one transaction.

        Raises what `enqueue` raises; the text names the inputs that are refused: `inputs[3]`.
        """
        if terms.get("idempotency_key") is not None:
            raise TaskConfigurationError("An idempotency_key is for one job; give enqueue_many none.")
        queues = self._queues
        known = queues.known(handler) or handler
        job, lists = new_jobs(known, inputs, terms, self.settings, now=queues.clock.now())
        return [Job(queues, job_id) for job_id in queues.repository.add_alike(self.row_id, job, lists)]

    # ------------------------------------------------------------------ looking

    def jobs(self, *status: JobStatus, group: str | None = None, limit: int = 100) -> list[Job]:
        """Its newest jobs, those with one of these statuses when any is given."""
        records = self._queues.repository.find(
            queue_id=self.row_id, statuses=known_statuses(status), group=group, limit=limit
        )
        return [Job(self._queues, record.id, record) for record in records]

    def counts(self) -> dict[JobStatus, int]:
        """How many jobs it has, by status."""
        return self._queues.repository.count(self.row_id)

    @property
    def paused(self) -> bool:
        """Whether its jobs are left where they are; what runs goes on."""
        record = self._queues.repository.queue(self.name, self._record.scope)
        return record.paused_at is not None

    # ------------------------------------------------------------------ steering

    def pause(self) -> None:
        """Start none of its jobs, in any process, until `resume`."""
        self._queues.repository.pause(self.row_id, paused=True)

    def resume(self) -> None:
        """Start its jobs again."""
        self._queues.repository.pause(self.row_id, paused=False)

    def hold(self, seconds: float, reason: str = "") -> int:
        """Start none of its jobs for so many seconds, nor those of others that share its limiters; until when, in
        milliseconds.  It ends when its time is over, or with `clear_limits`."""
        return self._queues.limits.repository.hold_queue(self.row_id, hold_seconds(seconds), reason)

    def clear_limits(self) -> None:
        """Let its limiters forget everything but their rules: starts, holds, and the slots of what runs."""
        self._queues.limits.repository.clear_queue(self.row_id)

    @property
    def limits(self) -> list[LimiterRecord]:
        """Its limiters, as they are now."""
        return self._queues.limits.repository.of_queue(self.row_id)

    def abort_group(self, group: str, reason: str = "Its group was aborted.") -> list[Job]:
        """Abort every unfinished job of a group."""
        repository, reached, before = self._queues.repository, list[Job](), None
        while found := repository.find(
            queue_id=self.row_id, statuses=("pending", "running"), group=group, limit=_PAGE, before=before
        ):
            reached += [Job(self._queues, job_id) for job_id in repository.abort([job.id for job in found], reason)]
            before = found[-1].id
        return reached

    def retry_failed(self, group: str | None = None) -> list[Job]:
        """Try every failed job again, with all its attempts; those that now are pending.

        One whose key an unfinished job has stays as it is.
        """
        repository, reached, before = self._queues.repository, list[Job](), None
        while found := repository.find(
            queue_id=self.row_id, statuses=("failed",), group=group, limit=_PAGE, before=before
        ):
            reached += [Job(self._queues, job_id) for job_id in repository.retry([job.id for job in found])]
            before = found[-1].id
        return reached

    def worker(self, *, concurrency: int = 1) -> Worker:
        """A worker of this process for this queue: `async with queue.worker(concurrency=4): …`."""
        return self._queues.worker(self, concurrency=concurrency)

    async def work(self, *, concurrency: int = 1) -> int:
        """Run its jobs here until none is left that could be started; how many were."""
        return await self.worker(concurrency=concurrency).run(until_idle=True)

    def work_sync(self, *, concurrency: int = 1) -> int:
        """`work`, blocking."""
        from workglow.blocking import run_blocking

        worker = self._queues.worker(self, concurrency=concurrency, alone=True)
        return run_blocking(lambda: worker.run(until_idle=True))

    def __repr__(self) -> str:
        return f"<queue {self.name}>"


def known_statuses(given: tuple[JobStatus, ...]) -> tuple[JobStatus, ...]:
    """The statuses that are asked for; TaskConfigurationError for what no job can have."""
    for status in given:
        if status not in MOVES:
            raise TaskConfigurationError(f"{status!r:.60} is no status of a job; give some of {', '.join(MOVES)}.")
    return given
