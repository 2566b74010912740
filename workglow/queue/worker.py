"""A worker: takes jobs from queues, runs their handlers, and settles them.

Policy.  One loop.  Each turn is one transaction: everything that has ended since the last turn is settled, and as many
jobs as there are free places are claimed.  A worker with nothing to do sleeps until something is committed, a deferred
job is due, or it is time to look whether another worker has died.  What cannot be settled because the claim is lost is
dropped: whoever has the job now will settle it.

Queues take turns at being asked first, so a busy one starves no other.  A job whose code still runs here although it
was given up is left for others.  When the file cannot be written any more, or is not the file at its path any more, the
worker stops with that error: what it ran is started again by the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from workglow.errors import FileError, TaskAbortedError, TaskConfigurationError, UnknownHandlerError
from workglow.queue.context import JobContext
from workglow.queue.events import JobEvent
from workglow.queue.execution import Execution, Running, call_in_place
from workglow.queue.processes import call_for
from workglow.queue.reports import Reports
from workglow.queue.settings import JobOptions, RetryPolicy
from workglow.queue.settling import settle_failure, settle_result
from workglow.storage.jobs import Settlement, Turn
from workglow.values import decode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from workglow.queue.context import Progress
    from workglow.queue.events import JobEventKind
    from workglow.queue.job_queue import JobQueue
    from workglow.queue.queues import Queues
    from workglow.storage.jobs import ClaimedJob

__all__ = ["Worker"]

_LOOK_AGAIN: Final = 1.0  # seconds between two looks for dead workers
_SLICE: Final = 0.005  # seconds a worker keeps the event loop for itself
_REST: Final = 0.02  # seconds for which a busy worker leaves the file to others that want to write
_LOOK_AT_QUEUES: Final = 0.1  # seconds between two looks of a busy worker for new queues
_LOOK_AT_FILE: Final = 0.5  # seconds between two looks whether the file is still at its place


class Worker:
    """Runs jobs in this process, `concurrency` at a time.

    `await worker.run()` works until `stop`; `async with worker:` works meanwhile, and finishes what it runs at the end.
    """

    def __init__(
        self,
        queues: Queues,
        chosen: Sequence[JobQueue],
        names: Sequence[str] = (),
        *,
        concurrency: int = 1,
        alone: bool = False,
    ) -> None:
        """It takes jobs of the chosen queues and of all with these names, also those that come later; without any
        choice, of every queue of the file.

        `alone` says that nothing else uses this event loop, so that the worker may wait for the disk on it.
        """
        self._concurrency = _checked(concurrency)
        self.done = 0
        """How many jobs it has settled."""
        self._queues = queues
        self._chosen = tuple(chosen)
        self._names = frozenset(names)
        self._by_id: dict[int, JobQueue] = {}
        self._order: tuple[int, ...] = ()  # in which they are asked next time
        self._alone = alone
        self._id = 0
        self._running: dict[int, Running] = {}
        self._settled: list[Settlement] = []
        self._reports = Reports(queues, self._running)
        self._busy = False  # it makes one turn after the other
        self._stopping = False
        self._stop_at: float | None = None  # on the monotonic clock: when the grace is over
        self._looked_at = -_LOOK_AT_FILE
        self._untold = False  # something was settled that waiters of this process have not been woken for
        self._only_known = False
        self._wake: asyncio.Event | None = None
        self._calm = asyncio.Event()  # it is not busy any more, or something runs
        self._task: asyncio.Task[int] | None = None
        self._execution: Execution | None = None

    @property
    def concurrency(self) -> int:
        """How many jobs run at once.  It may be set at any time: fewer lets what runs end first."""
        return self._concurrency

    @concurrency.setter
    def concurrency(self, value: int) -> None:
        self._concurrency = _checked(value)
        self._awake()

    @property
    def running(self) -> int:
        """How many jobs it runs now."""
        return len(self._running)

    def _awake(self) -> None:
        if self._wake is not None:
            self._wake.set()

    # ------------------------------------------------------------------ life

    async def run(self, *, until_idle: bool = False) -> int:
        """Work until `stop`, or with `until_idle` until no job is left that could be started; how many were settled.

        When this is cancelled, running handlers are cancelled too, and their jobs are handed back: the attempt does
        not count.  FileLostError, FileFullError or another FileError when the file cannot be written any more.
        """
        queues, before = self._queues, self.done
        self._wake = asyncio.Event()
        self._execution = Execution(self._ended, queues.clock, lingering=queues.lingering, freed=self._awake)
        self._choose()
        names = sorted({*self._names, *(queue.name for queue in self._chosen)})  # none: it takes from all
        self._id = queues.repository.begin_worker(
            msgspec.json.encode(names).decode(), msgspec.json.encode(sorted(queues.handlers)).decode(), self.concurrency
        )
        watching = asyncio.create_task(self._watch())
        try:
            await self._loop(watching, until_idle)
        except FileError as error:
            error.add_note("The worker has stopped.  Nothing is lost: what it ran is started again by the next one.")
            with contextlib.suppress(FileError):
                await self._leave(watching)
            raise
        except BaseException:
            await self._leave(watching)
            raise
        await self._leave(watching)
        return self.done - before

    async def _loop(self, watching: asyncio.Task[None], until_idle: bool) -> None:
        clock = self._queues.clock
        begun = clock.monotonic()
        assert self._wake is not None
        while True:
            self._wake.clear()
            if watching.done():
                watching.result()
            now = clock.monotonic()
            if now - self._looked_at >= _LOOK_AT_FILE:
                self._looked_at = now
                self._queues.file.check_place()
            free = 0 if self._stopping else max(0, self._concurrency - len(self._running))
            turn = await self._turn(free)
            self._busy = bool(turn.claimed)
            for job in turn.claimed:
                self._start(job)
            if self._settled:
                if clock.monotonic() - begun > _SLICE:
                    self._queues.file.notify()
                    await asyncio.sleep(0)
                    begun = clock.monotonic()
                continue
            if self._untold:
                self._untold = False
                self._queues.file.notify()
            if not self._running and (self._stopping or (until_idle and not turn.claimed)):
                return
            if self._stop_at is not None and clock.monotonic() >= self._stop_at:
                return
            await self._sleep(turn.next_at)
            begun = clock.monotonic()

    async def _turn(self, free: int) -> Turn:
        settled, self._settled = self._settled, []
        if not free and not settled:
            due = self._queues.repository.next_schedule_at()
            if due is None or due > self._queues.clock.now():
                return Turn([], [], [], due)
        queues = self._queues
        try:
            turn = queues.repository.turn(
                self._id,
                self._order,
                settled,
                free,
                handlers=tuple(queues.handlers) if self._only_known else None,
                leave=queues.lingering and tuple(queues.lingering),
                concurrency=self._concurrency,
                block=self._alone,
                rest=_REST if self._busy else 0.0,
            )
            if not isinstance(turn, Turn):
                turn = await turn
        except BaseException:
            self._settled[:0] = settled
            raise
        if turn.claimed and len(self._order) > 1:
            self._order = self._order[1:] + self._order[:1]
        if settled:
            self.done += sum(each.outcome != "returned" for each in settled)
            self._untold = True
        if settled and len(self._queues.events):
            for done in settled:
                if done.outcome != "returned" or done.error is not None:  # else it was told of when it was handed back
                    self._tell_end(done, turn)
        return turn

    async def _sleep(self, next_at: int | None) -> None:
        clock = self._queues.clock
        pause = _LOOK_AGAIN if next_at is None else min(_LOOK_AGAIN, max(0.0, (next_at - clock.now()) / 1000))
        if self._stop_at is not None:
            pause = min(pause, max(0.0, self._stop_at - clock.monotonic()))
        assert self._wake is not None
        self._busy = False
        self._calm.set()
        timer = clock.call_later(pause, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _watch(self) -> None:
        """Wake the loop when anything was committed, and stop what is not wanted any more."""
        file = self._queues.file
        assert self._wake is not None
        while True:
            version = file.version()
            if self._running:
                self._stop_unwanted()
            if self._names or not self._chosen:
                self._choose()
            await file.wait_for_change(since=version)
            self._wake.set()
            if self._busy and not self._running:  # it finds new jobs by itself, and its own commits are no news
                self._calm.clear()
                timer = self._queues.clock.call_later(_LOOK_AT_QUEUES, self._calm.set)
                try:
                    await self._calm.wait()
                finally:
                    timer.cancel()

    def _choose(self) -> None:
        by_id = {queue.row_id: queue for queue in self._chosen}
        if self._names or not by_id:
            found = self._queues.all()
            by_id |= {queue.row_id: queue for queue in found if not self._names or queue.name in self._names}
        if len(by_id) != len(self._by_id):
            self._by_id = by_id
            self._order = tuple(self._by_id)

    def stop(self, grace: float | None = None) -> None:
        """Start nothing more; `run` returns when everything that runs has ended.

        What still runs after `grace` seconds is told to stop and handed back: its attempt does not count, and whatever
        it does from then on changes nothing.  May be called again, with a shorter grace.
        """
        self._stopping = True
        if grace is not None:
            end = self._queues.clock.monotonic() + grace
            self._stop_at = end if self._stop_at is None else min(self._stop_at, end)
        self._awake()

    async def _leave(self, watching: asyncio.Task[None]) -> None:
        """Hand back what still runs, and settle what has ended."""
        watching.cancel()
        await asyncio.wait((watching,))
        assert self._execution is not None
        for running in list(self._running.values()):
            self._execution.stop(running, "The worker stops.")
        self._running.clear()
        await self._execution.close()
        try:
            if self._settled:
                await self._turn(0)
        finally:
            self._queues.repository.end_worker(self._id)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        if error is None:
            self.stop()
        else:
            self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            if error is None:
                raise

    # ------------------------------------------------------------------ one job

    def _start(self, job: ClaimedJob) -> None:
        queues = self._queues
        queue = self._by_id[job.queue_id]
        if queues.events:
            self._tell("job_started", queue, job)
        handler = queues.handlers.find(job.handler)
        if handler is None:
            self._leave_to_others(job, queue)
        elif handler.at_once and handler.context is None:
            try:
                result = call_in_place(handler, handler.check(decode(job.input, queues.load)))
                self._settled.append(settle_result(job, result, queue.settings, queues.clock))
            except KeyboardInterrupt:  # of whoever presses keys
                raise
            except BaseException as error:
                self._fail(Running(job, handler), error)
        else:
            self._run(Running(job, handler), queue)

    def _leave_to_others(self, job: ClaimedJob, queue: JobQueue) -> None:
        """Hand back a job of an unknown handler, and from now on claim none."""
        self._only_known = True
        error = UnknownHandlerError(f"This worker knows no handler {job.handler!r}.")
        self._settled.append(Settlement(job, "returned", retry_at=self._queues.clock.now(), counts=False))
        if self._queues.events:
            self._tell("job_returned", queue, job, error)

    def _run(self, running: Running, queue: JobQueue) -> None:
        """Begin a handler that takes its time, or wants a context."""
        queues, job, handler = self._queues, running.job, running.handler
        try:
            if handler.mode == "process":
                inputs = dict[str, object]()  # they are checked where they are used
                context = running.context = self._context(running, queue)
                running.call = call_for(job, handler, context, queues.file.uid, queues.load)
            else:
                inputs = handler.check(decode(job.input, queues.load))
            if handler.context is not None and running.call is None:
                context = running.context = self._context(running, queue)
                inputs = {**inputs, handler.context: context}
            if not handler.at_once:
                assert self._execution is not None
                self._drop(job.id)
                self._running[job.id] = running
                self._calm.set()
                self._execution.launch(running, inputs, self._seconds_for(job, handler.timeout, queue))
                return
            result = call_in_place(handler, inputs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._running.pop(job.id, None)
            self._fail(running, error)
            return
        self._complete(running, result)

    def _drop(self, job_id: int) -> None:
        """Stop an attempt of a job that was lost while nobody had noticed yet."""
        running = self._running.pop(job_id, None)
        if running is not None and self._execution is not None:
            self._execution.stop(running, "The lease was lost.")

    def _seconds_for(self, job: ClaimedJob, timeout: float | None, queue: JobQueue) -> float | None:
        own = JobOptions.from_json(job.options)
        limits = [
            own.timeout if own.timeout is not None else timeout if timeout is not None else queue.settings.timeout
        ]
        if own.deadline_at is not None:
            limits.append(max(0.0, (own.deadline_at - self._queues.clock.now()) / 1000))
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
            clock=self._queues.clock,
            project=self._queues.project,
            project_uid=self._queues.file.uid,
            on_report=report,
        )

    def _ended(self, running: Running, result: object, error: BaseException | None) -> None:
        if self._running.get(running.job.id) is not running:
            return
        del self._running[running.job.id]
        if error is None:
            self._complete(running, result)
        else:
            self._fail(running, error)
        self._awake()

    def _complete(self, running: Running, result: object) -> None:
        job = running.job
        settings = self._by_id[job.queue_id].settings
        try:
            settlement = settle_result(job, result, settings, self._queues.clock)
            if running.context is not None:
                settlement = msgspec.structs.replace(settlement, cost=running.context.spent)
        except Exception as error:  # what it returned cannot be kept
            self._fail(running, error)
        else:
            self._settled.append(settlement)

    def _fail(self, running: Running, error: BaseException) -> None:
        job = running.job
        if isinstance(error, asyncio.CancelledError):
            error = TaskAbortedError(f"Job {job.id} was cancelled.")
        settings = self._by_id[job.queue_id].settings
        own, usual = JobOptions.from_json(job.options).retry, running.handler.retry
        retry = own or (settings.retry if usual is None else RetryPolicy.of(usual))
        self._settled.append(
            settle_failure(
                job,
                error,
                running.handler,
                retry=retry,
                now=self._queues.clock.now(),
                progress=running.progress,
                cost=None if running.context is None else running.context.spent,
            )
        )

    def _stop_unwanted(self) -> None:
        """Stop jobs that somebody aborted, and drop those that another worker has by now."""
        assert self._execution is not None
        found = self._queues.repository.unwanted([running.job for running in self._running.values()])
        for job_id, reason in found.items():
            running = self._running.pop(job_id)
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
        if self._running.get(job.id) is running:
            self._reports.take(running, progress)
            if self._queues.events:
                self._tell("job_progress", self._by_id[job.queue_id], job, progress)

    def _tell(self, kind: JobEventKind, queue: JobQueue, job: ClaimedJob, data: Any = None) -> None:
        self._queues.events.emit(JobEvent(kind, queue.name, job.id, self._queues.clock.now(), data))

    def _tell_end(self, done: Settlement, turn: Turn) -> None:
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


def _checked(concurrency: int) -> int:
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:  # pyright: ignore
        raise TaskConfigurationError(f"concurrency={concurrency!r:.60}: a worker runs at least 1 job at a time.")
    return concurrency
