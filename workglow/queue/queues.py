"""The queues of one project: where handles of queues and jobs come from, and where one waits for a job's end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from workglow.errors import TaskConfigurationError, UnknownJobError
from workglow.listeners import Listeners
from workglow.queue.function_place import refuse_in_import
from workglow.queue.handler import Handler, HandlerRegistry, handler_registry
from workglow.queue.job_handle import Job
from workglow.queue.job_queue import JobQueue
from workglow.queue.settings import QueueSettings, QueueTerms, changed
from workglow.storage.jobs import FINAL_JOB_STATUSES
from workglow.values import canonical

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from workglow.clock import Clock
    from workglow.file import File
    from workglow.queue.context import Progress
    from workglow.queue.events import JobEvent, JobEventKind
    from workglow.queue.worker import Worker
    from workglow.storage.jobs import JobRepository, JobStatus
    from workglow.storage.protocols import ValueRepository

__all__ = ["Queues"]


class Queues:
    """Everything about jobs in one project file.

    `events` tells what happens to the jobs that workers of this process run.
    """

    def __init__(
        self,
        file: File,
        repository: JobRepository,
        values: ValueRepository,
        *,
        handlers: HandlerRegistry = handler_registry,
        project: Any = None,
    ) -> None:
        refuse_in_import()
        self.file = file
        self.repository = repository
        self.handlers = handlers
        self.project = project
        self.load = values.load
        self.lingering: set[int] = set()
        """Jobs that were given up here while their code still runs; this process starts none of them meanwhile."""
        self.events: Listeners[JobEvent, JobEventKind] = Listeners()

    @property
    def clock(self) -> Clock:
        return self.file.clock

    def queue(
        self, name: str, *, scope: Mapping[str, object] | None = None, **settings: Unpack[QueueTerms]
    ) -> JobQueue:
        """Open a queue, which is made when the file has none of that name and scope; settings that are given are kept.

        Queues of different `scope`, {"user": "u1"} say, share nothing but the name.
        """
        if not name or len(name) > 200:
            raise TaskConfigurationError(f"{name!r:.60}: a queue's name has 1 to 200 characters.")
        whose = canonical(dict(scope or {})).decode()
        record = self.repository.queue(name, whose)
        if settings:
            wanted = changed(QueueSettings.from_json(record.settings), settings)
            record = self.repository.queue(name, whose, wanted.to_json())
        return JobQueue(self, record)

    def all(self) -> list[JobQueue]:
        """Every queue of the file."""
        return [JobQueue(self, record) for record in self.repository.queues()]

    def known(self, handler: Handler | str) -> Handler | None:
        """The handler that is meant; None for a name that is unknown here."""
        if isinstance(handler, Handler):
            return handler
        return self.handlers.get(handler) if handler in self.handlers else None

    def job(self, job_id: int) -> Job:
        """Find a job; UnknownJobError when there is none of that number."""
        record = self.repository.get(job_id)
        if record is None:
            raise UnknownJobError(f"There is no job {job_id} in {self.file.path}.")
        return Job(self, job_id, record)

    def jobs(self, *status: JobStatus, group: str | None = None, limit: int = 100) -> list[Job]:
        """The newest jobs of all queues, those with one of these statuses when any is given."""
        records = self.repository.find(statuses=status, group=group, limit=limit)
        return [Job(self, record.id, record) for record in records]

    def worker(self, *queues: JobQueue | str, concurrency: int = 1) -> Worker:
        """Make a worker of this process for these queues, or for every queue that there is."""
        from workglow.queue.worker import Worker

        chosen = [self.queue(queue) if isinstance(queue, str) else queue for queue in queues]
        return Worker(self, chosen, concurrency=concurrency)

    async def wait_for_end(self, job: Job, timeout: float | None) -> None:
        """Return when the job is over and cannot be lost; TimeoutError after `timeout` seconds."""
        clock = self.clock
        until = None if timeout is None else clock.monotonic() + timeout
        while True:
            version = self.file.version()
            if job.status in FINAL_JOB_STATUSES:
                self.file.sync()
                return
            left = None if until is None else until - clock.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"Job {job.id} is {job.status} after {timeout:g} s; it goes on without this waiter.")
            await self.file.wait_for_change(left, since=version)

    async def follow(self, job: Job) -> AsyncIterator[Progress]:
        """Yield what the handler reports, to the end of the job."""
        import asyncio

        heard: asyncio.Queue[Progress] = asyncio.Queue()
        stop = self.events.subscribe(
            lambda event: heard.put_nowait(event.data) if event.job == job.id and event.kind == "job_progress" else None
        )
        last: Progress | None = None
        try:
            while True:
                version = self.file.version()
                over = job.status in FINAL_JOB_STATUSES
                while not heard.empty():
                    last = heard.get_nowait()
                    yield last
                kept = job.progress
                if kept.percent and kept != last and (last is None or kept.percent > last.percent):
                    last = kept
                    yield kept
                if over:
                    return
                await self.file.wait_for_change(since=version)
        finally:
            stop()
