"""The attempts of one worker: each job that it claims is begun here, and what became of it is collected.

What ends when it is called, an inline function or a coroutine that cannot suspend, is called in place; everything else
is in `running` until it has ended or was given up.
"""

from __future__ import annotations

import asyncio
from threading import get_ident
from typing import TYPE_CHECKING, Any

import msgspec

from workglow.errors import TaskAbortedError, UnknownHandlerError
from workglow.queue.context import JobContext
from workglow.queue.events import JobEvent
from workglow.queue.execution import Execution, Running, call_in_place
from workglow.queue.processes import call_for
from workglow.queue.reports import Reports
from workglow.queue.settings import JobOptions, RetryPolicy
from workglow.queue.settling import settle_failure, settle_result
from workglow.storage.jobs import Settlement
from workglow.values import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workglow.queue.context import Progress
    from workglow.queue.events import JobEventKind
    from workglow.queue.job_queue import JobQueue
    from workglow.queue.queues import Queues
    from workglow.storage.jobs import ClaimedJob, Turn

__all__ = ["Attempts"]


class Attempts:
    """What a worker runs, and what came of it; all of it on the thread of the worker's event loop."""

    def __init__(
        self,
        queues: Queues,
        by_id: Mapping[int, JobQueue],
        *,
        began: Callable[[], None],
        awake: Callable[[], None],
    ) -> None:
        """`by_id` are the worker's queues; `began` is called when something runs, `awake` when there is something to
        settle or to claim."""
        self._queues = queues
        self._clock = queues.clock
        self._by_id = by_id
        self._began = began
        self._awake = awake
        self._execution = self._new_execution()
        self.running: dict[int, Running] = {}
        self._reports = Reports(queues, self.running)
        self.settled: list[Settlement] = []
        """What has ended and was not taken from here yet."""
        self.only_known = False
        """Whether a job was handed back because its handler is unknown here, so that no such job is claimed again."""

    async def close(self) -> None:
        """Give up what still runs: it is told to stop, and what it does from then on changes nothing."""
        for running in list(self.running.values()):
            self._execution.stop(running, "The worker stops.")
        self.running.clear()
        await self._execution.close()
        self._execution = self._new_execution()

    def _new_execution(self) -> Execution:
        queues = self._queues
        return Execution(self._ended, self._clock, lingering=queues.lingering, freed=self._awake)

    # ------------------------------------------------------------------ how one begins

    def start(self, job: ClaimedJob) -> None:
        """Begin a job that was claimed, and end it too if its handler takes no time."""
        queues, queue = self._queues, self._by_id[job.queue_id]
        if queues.events:
            self._tell("job_started", queue, job)
        handler = queues.handlers.find(job.handler)
        if handler is None:
            self._leave_to_others(job, queue)
            return
        # What is over when the call returns, and is told nothing of its job, needs nothing to be known by.
        running = None if handler.at_once and handler.context is None else Running(job, handler)
        try:
            if running is None:
                result = call_in_place(handler, handler.check(decode(job.input, queues.load)))
                self.settled.append(settle_result(job, result, queue.settings, self._clock))
            else:
                self._run(running, queue)
        except KeyboardInterrupt:  # of whoever presses keys
            raise
        except BaseException as error:
            self._fail(running or Running(job, handler), error)

    def _leave_to_others(self, job: ClaimedJob, queue: JobQueue) -> None:
        """Hand back a job of an unknown handler, and from now on claim none."""
        self.only_known = True
        error = UnknownHandlerError(f"This worker knows no handler {job.handler!r}.")
        self.settled.append(Settlement(job, "returned", retry_at=self._clock.now(), counts=False))
        if self._queues.events:
            self._tell("job_returned", queue, job, error)

    def _run(self, running: Running, queue: JobQueue) -> None:
        """Begin a handler that takes its time, or wants a context."""
        queues, job, handler = self._queues, running.job, running.handler
        inputs = dict[str, object]()
        if handler.mode == "process":  # they are checked where they are used
            running.context = self._context(running, queue)
            running.call = call_for(job, handler, running.context, queues.file.uid, queues.load)
        else:
            inputs = handler.check(decode(job.input, queues.load))
            if handler.context is not None:
                running.context = self._context(running, queue)
                inputs = {**inputs, handler.context: running.context}
        self._drop(job.id)
        self.running[job.id] = running
        try:
            if not handler.at_once:
                self._began()
                self._execution.launch(running, inputs, self._seconds_for(job, handler.timeout, queue))
                return
            result = call_in_place(handler, inputs)
        except BaseException:
            del self.running[job.id]
            raise
        del self.running[job.id]
        self._complete(running, result)

    def _drop(self, job_id: int) -> None:
        """Stop an attempt of a job that was lost while nobody had noticed yet."""
        running = self.running.pop(job_id, None)
        if running is not None:
            self._execution.stop(running, "The lease was lost.")

    def _seconds_for(self, job: ClaimedJob, timeout: float | None, queue: JobQueue) -> float | None:
        own = JobOptions.from_json(job.options)
        limits = [
            own.timeout if own.timeout is not None else timeout if timeout is not None else queue.settings.timeout
        ]
        if own.deadline_at is not None:
            limits.append(max(0.0, (own.deadline_at - self._clock.now()) / 1000))
        return min((limit for limit in limits if limit is not None), default=None)

    def _context(self, running: Running, queue: JobQueue) -> JobContext:
        loop, job, thread = asyncio.get_running_loop(), running.job, get_ident()

        def report(progress: Progress) -> None:
            if get_ident() == thread:  # later the job may have ended, and nobody would hear of it
                self._report(running, progress)
            else:
                loop.call_soon_threadsafe(self._report, running, progress)

        return JobContext(
            job_id=job.id,
            queue=queue.name,
            attempt=job.attempt,
            clock=self._clock,
            project=self._queues.project,
            project_uid=self._queues.file.uid,
            on_report=report,
        )

    # ------------------------------------------------------------------ how one ends

    def _ended(self, running: Running, result: object, error: BaseException | None) -> None:
        if self.running.get(running.job.id) is not running:
            return
        del self.running[running.job.id]
        if error is None:
            self._complete(running, result)
        else:
            self._fail(running, error)
        self._awake()

    def _complete(self, running: Running, result: object) -> None:
        job = running.job
        settings = self._by_id[job.queue_id].settings
        try:
            settlement = settle_result(job, result, settings, self._clock)
            if running.context is not None:
                settlement = msgspec.structs.replace(settlement, cost=running.context.spent)
        except Exception as error:  # what it returned cannot be kept
            self._fail(running, error)
        else:
            self.settled.append(settlement)

    def _fail(self, running: Running, error: BaseException) -> None:
        job = running.job
        if isinstance(error, asyncio.CancelledError):
            error = TaskAbortedError(f"Job {job.id} was cancelled.")
        settings = self._by_id[job.queue_id].settings
        own, usual = JobOptions.from_json(job.options).retry, running.handler.retry
        retry = own or (settings.retry if usual is None else RetryPolicy.of(usual))
        self.settled.append(
            settle_failure(
                job,
                error,
                running.handler,
                retry=retry,
                now=self._clock.now(),
                progress=running.progress,
                cost=None if running.context is None else running.context.spent,
            )
        )

    def stop_unwanted(self) -> None:
        """Stop jobs that somebody aborted, and drop those that another worker has by now."""
        found = self._queues.repository.unwanted([running.job for running in self.running.values()])
        for job_id, reason in found.items():
            running = self.running.pop(job_id)
            self._execution.stop(running, reason or "Another worker has the job.")
            if reason:
                self._fail(running, TaskAbortedError(reason))
            elif self._queues.events:
                self._tell("job_lost", self._by_id[running.job.queue_id], running.job)
        if found:
            self._awake()

    # ------------------------------------------------------------------ telling

    def _report(self, running: Running, progress: Progress) -> None:
        job = running.job
        if self.running.get(job.id) is running:
            self._reports.take(running, progress)
            if self._queues.events:
                self._tell("job_progress", self._by_id[job.queue_id], job, progress)

    def _tell(self, kind: JobEventKind, queue: JobQueue, job: ClaimedJob, data: Any = None) -> None:
        self._queues.events.emit(JobEvent(kind, queue.name, job.id, self._clock.now(), data))

    def tell_end(self, done: Settlement, turn: Turn) -> None:
        """Tell how an attempt ended, as the transaction that settled it says."""
        kind: JobEventKind
        if done.job.id in turn.lost:
            kind = "job_lost"
        elif done.outcome == "completed":
            kind = "job_completed"
        elif done.outcome in ("returned", "aborted"):
            kind = "job_returned" if done.outcome == "returned" else "job_aborted"
        else:
            kind = "job_retried" if done.job.id in turn.retried else "job_failed"
        data = done.error if done.output is None else decode(done.output.text, self._queues.load)["output"]
        self._tell(kind, self._by_id[done.job.queue_id], done.job, data)
