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
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import msgspec

from workglow.errors import FileError, TaskConfigurationError
from workglow.queue.attempts import Attempts
from workglow.queue.tracing import TracedAttempts
from workglow.storage.jobs import Ask, Turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from types import TracebackType

    from workglow.queue.job_queue import JobQueue
    from workglow.queue.queues import Queues
    from workglow.storage.jobs import Settlement
    from workglow.telemetry import Tracing

__all__ = ["Worker"]

_LOOK_AGAIN: Final = 1.0  # seconds between two looks for dead workers
_SLICE: Final = 0.005  # seconds a worker keeps the event loop for itself
_REST: Final = 0.2  # seconds for which a busy worker leaves a full file to others: to take turns costs a millisecond
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
        tracing: Tracing | None = None,
    ) -> None:
        """It takes jobs of the chosen queues and of all with these names, also those that come later; without any
        choice, of every queue of the file.

        `alone` says that nothing else uses this event loop, so that the worker may wait for the disk on it.  With
        `tracing` each attempt is a span.
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
        self._calm = asyncio.Event()  # it is not busy any more, or something runs
        kind = Attempts if tracing is None else partial(TracedAttempts, tracing)
        self._attempts = kind(queues, self._by_id, began=self._calm.set, awake=self._awake)
        self._busy = False  # it makes one turn after the other
        self._stopping = False
        self._stop_at: float | None = None  # on the monotonic clock: when the grace is over
        self._looked_at = -_LOOK_AT_FILE
        self._untold = False  # something was settled that waiters of this process have not been woken for
        self._wake: asyncio.Event | None = None
        self._task: asyncio.Task[int] | None = None

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
        return len(self._attempts.running)

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
        attempts = self._attempts
        assert self._wake is not None
        while True:
            self._wake.clear()
            if watching.done():
                watching.result()
            now = clock.monotonic()
            if now - self._looked_at >= _LOOK_AT_FILE:
                self._looked_at = now
                self._queues.file.check_place()
            turn = await self._turns(now + _SLICE)
            if self._untold:
                self._untold = False
                self._queues.file.notify()
            if attempts.settled:
                await asyncio.sleep(0)
                continue
            if not attempts.running and (self._stopping or (until_idle and not turn.claimed)):
                return
            if self._stop_at is not None and clock.monotonic() >= self._stop_at:
                return
            await self._sleep(turn.next_at)

    async def _turns(self, until: float, *, claim: bool = True) -> Turn:
        """Make turns until nothing that was started has ended in place, or others want the loop; the last of them."""
        clock, attempts = self._queues.clock, self._attempts
        while True:
            free = max(0, self._concurrency - len(attempts.running)) if claim and not self._stopping else 0
            settled = attempts.settled
            attempts.settled = []
            try:
                turn = self._turn(free, settled)
                if not isinstance(turn, Turn):
                    turn = await turn
            except BaseException:
                attempts.settled[:0] = settled
                raise
            self._busy = bool(turn.claimed)
            if self._busy and len(self._order) > 1:
                self._order = self._order[1:] + self._order[:1]
            for done in settled:
                self._untold = True
                if done.outcome != "returned":
                    self.done += 1
            if settled and self._queues.events:
                self._tell(settled, turn)
            for job in turn.claimed:
                attempts.start(job)
            if not attempts.settled or clock.monotonic() > until:
                return turn

    def _turn(self, free: int, settled: Sequence[Settlement]) -> Turn | Awaitable[Turn]:
        queues, attempts = self._queues, self._attempts
        if not free and not settled:
            due = queues.repository.next_schedule_at()
            if due is None or due > queues.clock.now():
                return Turn([], [], [], due)
        ask = Ask(
            self._id,
            self._order,
            settled,
            free,
            tuple(queues.handlers) if attempts.only_known else None,
            tuple(queues.lingering) if queues.lingering else (),
            self._concurrency,
        )
        return queues.repository.turn(
            ask, block=self._alone and not attempts.running, rest=_REST if self._busy else 0.0
        )

    def _tell(self, settled: Sequence[Settlement], turn: Turn) -> None:
        for done in settled:
            if done.outcome != "returned" or done.error is not None:  # else it was told of when it was handed back
                self._attempts.tell_end(done, turn)

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
            if self._attempts.running:
                self._attempts.stop_unwanted()
            if self._names or not self._chosen:
                self._choose()
            await file.wait_for_change(since=version)
            self._wake.set()
            if self._busy and not self._attempts.running:  # it finds new jobs by itself, and its commits are no news
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
            self._by_id.update(by_id)
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
        await self._attempts.close()
        try:
            if self._attempts.settled:
                await self._turns(until=0.0, claim=False)
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


def _checked(concurrency: int) -> int:
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:  # pyright: ignore
        raise TaskConfigurationError(f"concurrency={concurrency!r:.60}: a worker runs at least 1 job at a time.")
    return concurrency
