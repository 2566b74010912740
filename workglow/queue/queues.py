"""The queues of one project: where handles of queues and jobs come from, and where one waits for a job's end."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Unpack, cast

from workglow.errors import TaskConfigurationError, UnknownJobError
from workglow.listeners import Listeners
from workglow.queue.context import Progress
from workglow.queue.function_place import refuse_in_import
from workglow.queue.handler import Handler, HandlerRegistry, handler_registry
from workglow.queue.job_handle import Job, newest_report
from workglow.queue.job_queue import JobQueue, known_statuses
from workglow.queue.settings import QueueSettings, QueueTerms, changed
from workglow.storage.jobs import FINAL_JOB_STATUSES
from workglow.telemetry import Tracing
from workglow.values import canonical, encode
from workglow.values.refusal import is_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Mapping, Sequence

    from workglow.clock import Clock
    from workglow.file import File
    from workglow.limits import CompositeLimiter, Limiter, LimitRule, Limits
    from workglow.queue.events import JobEvent, JobEventKind
    from workglow.queue.overview import QueueInfo, WorkerInfo
    from workglow.queue.worker import Worker
    from workglow.storage.jobs import JobRepository, JobStatus
    from workglow.storage.protocols import ValueRepository
    from workglow.telemetry import Tracer

    Limit = LimitRule | CompositeLimiter | Limiter

__all__ = ["Queues"]

_ENDS: Final[Mapping[JobEventKind, JobStatus]] = {
    "job_completed": "completed",
    "job_failed": "failed",
    "job_aborted": "aborted",
}

_NOTHING: Final = Progress(0.0)  # what is known of a job that has reported nothing


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
        limits: Limits,
        tracer: Tracer | None = None,
    ) -> None:
        refuse_in_import()
        self.file = file
        self.limits = limits
        self.repository = repository
        self.handlers = handlers
        self.project = project
        self.load = values.load
        self.lingering: set[int] = set()
        """Jobs that were given up here while their code still runs; this process starts none of them meanwhile."""
        self.events: Listeners[JobEvent, JobEventKind] = Listeners()
        self._tracing = None if tracer is None else Tracing(tracer, "the workers", "They go on.")

    @property
    def clock(self) -> Clock:
        return self.file.clock

    def queue(
        self,
        name: str,
        *,
        scope: Mapping[str, object] | None = None,
        limits: Sequence[Limit] | None = None,
        **settings: Unpack[QueueTerms],
    ) -> JobQueue:
        """Open a queue, which is made when the file has none of that name and scope; settings that are given are kept.

        So are `limits`, all of which must allow a start; an empty list takes away those it had.

        Queues of different `scope`, {"user": "u1"} say, share nothing but the name.
        """
        _check_name(name)
        whose = canonical(dict(scope or {})).decode()
        record = self.repository.queue(name, whose)
        if settings:
            wanted = changed(QueueSettings.from_json(record.settings), settings)
            record = self.repository.queue(name, whose, wanted.to_json())
        if limits is not None:
            self.limits.limit_queue(record.row_id, limits)
        return JobQueue(self, record)

    def all(self) -> list[JobQueue]:
        """Every queue of the file."""
        return [JobQueue(self, record) for record in self.repository.queues()]

    def known(self, handler: Handler | str) -> Handler | None:
        """The handler that is meant; None for a name that is unknown here."""
        if isinstance(handler, Handler):
            return handler
        if not isinstance(cast("object", handler), str) or not handler:
            raise TaskConfigurationError(f"{handler!r:.80} is no handler: give a function under @job, or its name.")
        return self.handlers.find(handler)

    def job(self, job_id: int) -> Job:
        """Find a job; UnknownJobError when there is none of that number."""
        record = self.repository.get(job_id) if isinstance(cast("object", job_id), int) and job_id < 2**63 else None
        if record is None:
            raise UnknownJobError(f"There is no job {job_id!r:.60} in {self.file.path}.")
        return Job(self, job_id, record)

    def jobs(self, *status: JobStatus, group: str | None = None, limit: int = 100) -> list[Job]:
        """The newest jobs of all queues, those with one of these statuses when any is given."""
        records = self.repository.find(statuses=known_statuses(status), group=group, limit=limit)
        return [Job(self, record.id, record) for record in records]

    def worker(self, *queues: JobQueue | str, concurrency: int = 1, alone: bool = False) -> Worker:
        """Make a worker of this process for these queues, or for every queue that there is.

        A name stands for each queue of that name, whatever its scope, also for one that comes later: none is made.
        `alone` says that nothing else uses the event loop.
        """
        for queue in queues:
            if isinstance(queue, str):
                _check_name(queue)
            elif not isinstance(cast("object", queue), JobQueue):
                raise TaskConfigurationError(f"{queue!r:.80} is no queue: give what project.queue returns, or a name.")
        chosen = [queue for queue in queues if isinstance(queue, JobQueue)]
        names = [queue for queue in queues if isinstance(queue, str)]
        from workglow.queue.worker import Worker

        return Worker(self, chosen, names, concurrency=concurrency, alone=alone, tracing=self._tracing)

    def workers(self) -> list[WorkerInfo]:
        """Who takes jobs of this file, in any process, and what they run."""
        from workglow.queue.overview import worker_infos

        return worker_infos(self)

    def info(self) -> list[QueueInfo]:
        """Figures of every queue: counts by status, the oldest that waits, how fast it goes.  It reads every job."""
        from workglow.queue.overview import queue_infos

        return queue_infos(self)

    async def wait_for_end(self, job: Job, timeout: float | None) -> None:
        """Return when the job is over and cannot be lost; TimeoutError after `timeout` seconds."""
        with self._remembering(job):
            await self._wait_for_end(job, timeout)

    @contextmanager
    def _remembering(self, job: Job) -> Generator[None]:
        """Meanwhile note how the job ends, in this process, when its queue keeps nothing of such a job."""
        record = job.record
        settings = QueueSettings.from_json(self.repository.queue(record.queue, record.scope).settings)
        if 0 not in (settings.keep_completed, settings.keep_failed, settings.keep_aborted):
            yield
            return

        def note(event: JobEvent) -> None:
            if event.job == job.id and event.kind in _ENDS:
                output = encode({"output": event.data}).text if event.kind == "job_completed" else None
                error = None if output is not None else event.data
                job.remember(replace(record, status=_ENDS[event.kind], output=output, error=error))

        stop = self.events.subscribe(note)
        try:
            yield
        finally:
            stop()

    async def _wait_for_end(self, job: Job, timeout: float | None) -> None:
        import asyncio  # costs 60 ms, and who only enqueues needs no loop

        clock = self.clock
        until = None if timeout is None else clock.monotonic() + timeout
        while True:
            version = self.file.version()
            try:
                status = job.status
            except UnknownJobError:  # it is not kept; a worker of this loop tells right after the commit how it ended
                await asyncio.sleep(0)
                status = job.status
            if status in FINAL_JOB_STATUSES:
                self.file.sync()
                return
            left = None if until is None else until - clock.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"Job {job.id} is {status} after {timeout:g} s; it goes on without this waiter.")
            await self.file.wait_for_change(left, since=version)

    async def progress(self, job: Job) -> AsyncIterator[Progress]:
        """Yield what the handler reports, to the end of the job."""
        heard: deque[Progress] = deque()

        def hear(event: JobEvent) -> None:
            if event.job == job.id and event.kind == "job_progress":
                heard.append(event.data)
                self.file.notify()  # it is kept later, and seen now

        stop = self.events.subscribe(hear)
        last, here = _NOTHING, -1  # the claim that was heard at work here, whose kept reports are older news
        try:
            while True:
                version = self.file.version()
                try:
                    record = job.record
                except UnknownJobError:  # it is over, and not kept
                    return
                while heard:
                    last, here = heard.popleft(), record.claim
                    yield last
                kept = newest_report(record)
                if kept.percent > last.percent if record.claim == here else kept not in (last, _NOTHING):
                    last = kept
                    yield kept
                if record.status in FINAL_JOB_STATUSES:
                    return
                if not heard:
                    await self.file.wait_for_change(since=version)
        finally:
            stop()


def _check_name(name: str) -> None:
    if not is_text(name) or not 0 < len(name) <= 200:
        raise TaskConfigurationError(f"{name!r:.60}: a queue's name has 1 to 200 characters.")
