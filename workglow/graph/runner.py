"""The runner: executes what the schedule commands, and hands each tick's transitions to the journal as one transaction.

The policy.  One loop on one thread.  A tick begins what is ready, commits, runs in place what can be run in place, and
goes on with what that made ready; when nothing is left to do in place it commits and waits for a task that runs
elsewhere. So with a journal the end of a task and the start of its successors are one transaction, and a task starts
only once that transaction is committed: what it reads is in the file.  Without a journal the same loop runs without
the commits.

A plain function runs in a worker thread, or in place when it was declared `inline`.  A coroutine that can suspend is an
asyncio task; one that provably cannot is stepped in place.  A result counts only while its task run still waits for
that very handle: what a timed-out or aborted function returns later is discarded.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from workglow.errors import TaskAbortedError, WorkglowError
from workglow.graph.caching import OutputCache
from workglow.graph.compounds import Compounds
from workglow.graph.ending import RunEnding
from workglow.graph.events import Event
from workglow.graph.execution import Execution, suspended
from workglow.graph.failure import failure_outputs
from workglow.graph.failures import Failures
from workglow.graph.inputs import gather
from workglow.graph.queued.placing import Placing
from workglow.graph.reports import Reports
from workglow.graph.resolution import Named, Resolution
from workglow.graph.rights.gate import gate_of
from workglow.graph.schedule import Schedule, Scope, TaskRun
from workglow.graph.streams.readers import Streams
from workglow.graph.waiting.waits import Waits
from workglow.values import decode, encode

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from workglow.graph.control.conditional import ConditionalTask
    from workglow.graph.environment import Environment
    from workglow.graph.events import EventKind
    from workglow.graph.recovery import Recovery
    from workglow.graph.schedule import Runnable

__all__ = ["TaskGraphRunner"]

_BATCH = 64
"""Tasks begun in one transaction."""

_HELD = frozenset({"compound", "wait"})
"""Modes of tasks that have no body of their own."""

_SLICE = 0.005
"""Seconds of work in place before the journal, and whatever else uses the event loop, get their turn."""


class TaskGraphRunner:
    """Runs one graph once, in the given environment."""

    def __init__(self, graph: Runnable, environment: Environment) -> None:
        self.graph = graph
        self.environment = environment
        self.options = environment.options
        self.schedule = Schedule()
        self.task_runs: list[TaskRun] = []  # of a run in memory, for whoever looks at it afterwards
        self.outputs: dict[str, object] = {}
        self.status = "running"
        self.changed: list[TaskRun] = []  # whose rows the next commit writes
        self._journal = environment.journal
        self._clock = environment.clock
        self._run_id = environment.run_id
        self._now = environment.clock.now
        self._monotonic = environment.clock.monotonic
        self._listeners = environment.listeners
        self._limit = self.options.concurrency or (1 << 62)
        self._cache = OutputCache(environment)
        self._caches = self._cache.enabled
        self.placing = Placing(self, self._cache)
        self._places = self.placing.enabled
        self._to_queues = self.options.queues
        self._spending = environment.spending
        self.compounds = Compounds(self)
        self.failures = Failures(self)
        self.ending = RunEnding(self)
        self._recovery: Recovery | None = None
        self._in_flight: dict[TaskRun, None] = {}
        self._sleeping: dict[TaskRun, None] = {}  # failed, and waiting for another try
        self._sync = False
        self._batch = 1  # doubles with each tick, so that the first task does not wait for the preparation of many
        self._begun: list[TaskRun] = []  # committed as running, and about to be executed
        self._root_closed = False
        self._wake = asyncio.Event()
        self.wake = self._wake.set
        self.reports = Reports(environment, self.emit, self.wake, self.touch)
        self.streams = Streams(self)
        self.reports.earlier = self.streams.continuing.earlier
        self.waits = Waits(self, self.settle, self.reports.broken, self.wake)
        self.reports.asker = self.waits.conversations.asker
        self._execution = Execution(
            self.settle, self.reports, self.streams, clock=self._clock, threads=self.options.concurrency
        )
        self._execution.resolution = Resolution.of(environment)

    # ------------------------------------------------------------------ the loop

    async def run(self, root: Scope, recovery: Recovery | None = None) -> None:
        """Run a scope to its end, from its sources or from what `recovery` reads back; raises what it failed with."""
        self.ending.arm()
        try:
            self.emit("run_started", "")
            if recovery is None:
                self.schedule.open(root)
            else:
                self._recovery = recovery
                recovery.begin(self, root)
            await self._drive()
            if self.reports.error is not None:
                raise self.reports.error
            await self.ending.record(root)
        finally:
            self.ending.disarm()
            for run in (*self._in_flight, *self._sleeping):
                self._execution.cancel(run, "The run has ended.")
            await self.waits.close()
            await self._execution.close()

    async def _drive(self) -> None:
        durable = self._journal is not None
        ready, ending = self.schedule.ready, self.ending
        turn_ends = self._monotonic() + _SLICE
        while ending.failure is None and self.reports.error is None:
            while self._recovery is not None and len(ready) < self._batch:
                if self._recovery.load_more(self._batch - len(ready)):
                    self._recovery = None
            if durable:
                self._begun = self._begin_batch()
                if self.changed and (waiting := self._commit()) is not None:
                    await waiting
                for run in self._begun:
                    if run.status == "running" and ending.failure is None:
                        self._execute(run)
                        if self._monotonic() > turn_ends:
                            if (waiting := self._commit()) is not None:
                                await waiting
                            turn_ends = await self._yield()
            else:
                self._run_in_memory(turn_ends)
            if self._monotonic() > turn_ends:
                turn_ends = await self._yield()
            if self.schedule.closed:  # scopes without tasks: nothing that ends would go on with them
                self.after_resolve()
            if ready and len(self._in_flight) < self._limit:
                continue
            if self._recovery is not None and len(ready) < self._batch:
                continue  # there is more to read back
            if durable and self.changed:
                if (waiting := self._commit()) is not None:
                    await waiting
            elif self._root_closed:
                return
            elif ending.failure is None and self.reports.error is None:
                self._wake.clear()
                if self.waits.open and await self.waits.take_turn(idle=not (self._in_flight or self._sleeping)):
                    if self.waits.parked:
                        return
                else:
                    await self._wake.wait()
                turn_ends = self._monotonic() + _SLICE

    def _begin_batch(self) -> list[TaskRun]:
        ready = self.schedule.ready
        room = min(self._batch, self._limit - len(self._in_flight))
        self._batch = min(2 * self._batch, _BATCH)
        begun: list[TaskRun] = []
        while ready and len(begun) < room:
            run = ready.popleft()
            if run.status == "pending" and self._begin(run):
                begun.append(run)
        return begun

    def _run_in_memory(self, turn_ends: float) -> None:
        ready, in_flight, limit, ending = self.schedule.ready, self._in_flight, self._limit, self.ending
        begin, execute, monotonic = self._begin, self._execute, self._monotonic
        while ready and len(in_flight) < limit and ending.failure is None:
            run = ready.popleft()
            if run.status == "pending" and begin(run):
                execute(run)
            if monotonic() > turn_ends:
                break
        self.schedule.fresh.clear()

    async def _yield(self) -> float:
        await asyncio.sleep(0)
        return self._monotonic() + _SLICE

    def _commit(self) -> Awaitable[None] | None:
        """Write what changed; None when that is done, otherwise await what comes back."""
        if self.ending.failure is not None:  # the failure that ended the run is written with its end, or not at all
            return None
        for run in self.schedule.fresh:  # without a row beside the end of what it waited for, it would be forgotten
            if run.status == "pending":
                self.touch(run)
        self.schedule.fresh.clear()
        changed, self.changed = self.changed, []
        sync, self._sync = self._sync, False
        for run in changed:
            run.dirty = False
        assert self._journal is not None
        return self._journal.commit(changed, sync=sync, block=self.environment.alone and not self._in_flight)

    def touch(self, run: TaskRun) -> None:
        """Write the task run's row with the next commit."""
        if not run.dirty:
            run.dirty = True
            self.changed.append(run)

    # ------------------------------------------------------------------ one task, from ready to final

    def _begin(self, run: TaskRun) -> bool:
        """Make a ready task run a running one; False when there is nothing left to execute."""
        task = run.task = run.scope.graph.tasks[run.id]
        if run.scope.inflows and self.streams.park(run):
            return False
        try:
            run.inputs = task.check_inputs(gather(run, task, self.outputs_of))
            if task.guarded and (gate := gate_of(run, self.environment)) is not None:
                gate.check(run)
            if self._caches and self._cache.find(run):
                self._complete(run, "task_cached")
                return False
        except WorkglowError as error:
            run.started_at = self._now()
            self.failures.fail(run, error)
            return False
        run.status = "running"
        run.attempt += 1
        run.started_at = self._now()
        if run.wake_at is not None:
            run.wake_at = None
        if self._journal is not None:
            self.touch(run)
            self._sync = self._sync or task.side_effects
        if self._listeners:
            event = Event("task_started", self._run_id, run.path, run.started_at)
            for listener in self._listeners:
                listener(event)
        try:
            if self._spending is not None and task.spends and self._spending.holds(run, self.waits):
                return False
        except WorkglowError as error:
            self.failures.fail(run, error)
            return False
        if self._places and (task.queue or self._to_queues or task.picks_queue) and self.placing.place(run):
            return False
        if task.mode in _HELD:
            if task.mode == "wait":
                self.waits.begin(run)
                return False
            if task.timeout:
                self._execution.arm(run, task.timeout)
            self.compounds.open(run)
            return False
        return True

    def _execute(self, run: TaskRun) -> None:
        task = run.task
        mode = task.mode
        if mode in ("inline", "step") and not (task.formats and self._execution.resolves(task)):
            try:
                if task.needs_context or task.timeout:
                    result = self._execution.in_place(run)
                else:
                    result = task.call(cast("dict[str, object]", run.inputs), None)
                    if mode == "step":
                        try:
                            result.send(None)
                        except StopIteration as stop:
                            result = stop.value
                        else:
                            raise suspended(run, result)
            except asyncio.CancelledError:  # nobody could cancel it from outside: it ran in one go
                self.failures.fail(run, _cancelled_itself(run))
                return
            except Exception as error:
                self.failures.fail(run, error)
                return
            self._finish(run, result)
            return
        self._in_flight[run] = None
        self._execution.launch(run)
        if task.timeout:
            self._execution.arm(run, task.timeout)

    def settle(self, run: TaskRun, result: object, error: BaseException | None) -> None:
        """A task that ran elsewhere has ended."""
        self._in_flight.pop(run, None)
        self._wake.set()
        if run.status != "running" and not self.waits.conversations.withdraw(run):
            return
        if error is None:
            self._finish(run, result)
        elif run.controller is not None:
            self.failures.fail_compound(run, cast("WorkglowError", error))
        elif isinstance(error, asyncio.CancelledError):
            self.failures.fail(run, _cancelled_itself(run))
        elif isinstance(error, Exception):
            self.failures.fail(run, error)
        else:  # SystemExit and KeyboardInterrupt are for the caller; raised here, asyncio would catch them
            self.reports.broken(error)

    def _finish(self, run: TaskRun, result: object) -> None:
        try:
            run.outputs = result if type(result) is Named else run.task.to_outputs(result)
            if self._journal is not None:
                run.output, run.blobs = encode(run.outputs, where=f"task '{run.path}'")
            if run.task.switches_ports:
                run.switch_off(cast("ConditionalTask", run.task), run.outputs)
        except WorkglowError as error:
            self.failures.fail(run, error)
            return
        if run.streams and run.reads:
            if not self.streams.hold(run):
                self.release(run)
            return
        if run.key is not None:
            self._cache.store(run)
        self._complete(run, "task_completed")

    def release(self, run: TaskRun) -> None:
        """A task that read along has its outputs, and nothing that it read can still come to nothing."""
        self._cache.identify(run, self.outputs_of)
        if run.key is not None:
            self._cache.store(run)
        self._complete(run, "task_completed")

    def _complete(self, run: TaskRun, kind: EventKind) -> None:
        run.status = "completed"
        run.finished_at = self._now()
        run.inputs = None
        if run.streams and run.channel is not None:
            self.streams.ended(run)
        if run.error is not None:
            run.error = None
        if self._journal is not None:
            self.touch(run)
            self._sync = self._sync or run.task.side_effects
        else:
            self.task_runs.append(run)
        if self._listeners:
            event = Event(kind, self._run_id, run.path, run.finished_at, run.outputs)
            for listener in self._listeners:
                listener(event)
        if self.schedule.resolve(run):
            self.after_resolve()
        if run.streams and run.streamed is not None:
            self.streams.completed(run)

    def complete_compound(self, run: TaskRun, outputs: dict[str, object]) -> None:
        """A compound task has its outputs."""
        self.compounds.forget(run)
        self._execution.forget(run)
        if self._journal is not None:
            try:
                run.output, run.blobs = encode(outputs, where=f"task '{run.path}'")
            except WorkglowError as error:
                self.failures.fail(run, error)
                return
        run.outputs = outputs
        if not (run.reads and self.streams.hold(run)):
            self._complete(run, "task_completed")

    def after_resolve(self) -> None:
        """Record what was settled without running, and go on with the scopes in which nothing is left to do."""
        schedule = self.schedule
        for run in schedule.settled:
            run.finished_at = self._now()
            if self._journal is None:
                self.task_runs.append(run)
            else:
                self.touch(run)
            self.emit("task_disabled" if run.status == "disabled" else "task_aborted", run.path)
        schedule.settled.clear()
        while schedule.closed:
            scope = schedule.closed.popleft()
            if scope.parent is None:
                self._root_closed = True
                self._wake.set()
            else:
                self.compounds.closed(scope)

    def ended(self, run: TaskRun, *, sync: bool = False) -> None:
        """Keep the end of a task run that gave no outputs."""
        run.finished_at = self._now()
        if self._journal is None:
            self.task_runs.append(run)
        else:
            self.touch(run)
            self._sync = self._sync or sync

    # ------------------------------------------------------------------ what is unfinished

    def unfinished(self) -> tuple[TaskRun, ...]:
        """Return every task run that is ready, in flight or waiting."""
        schedule, compounds = self.schedule, self.compounds
        waiting = (*self._sleeping, *self.waits.open, *self.streams.held, *self.streams.parked)
        return (*self._in_flight, *waiting, *self._begun, *schedule.ready, *compounds.open_runs)

    def cancel(self, run: TaskRun, reason: str) -> None:
        """Stop what executes a task run, and expect nothing of it any more."""
        self._execution.cancel(run, reason)
        self._in_flight.pop(run, None)
        self._sleeping.pop(run, None)
        self.waits.forget(run)
        self.compounds.forget(run)
        self.streams.forget(run)

    def pause(self, run: TaskRun) -> None:
        """A task in flight waits: it takes no room among those in flight, and its timeout stands still."""
        self._in_flight.pop(run, None)
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None

    def go_on(self, run: TaskRun) -> None:
        """A task in flight that waited goes on; its timeout counts from here."""
        self._in_flight[run] = None
        if run.task.timeout:
            self._execution.arm(run, run.task.timeout)

    def sleep(self, run: TaskRun, seconds: float) -> None:
        """Make a pending task run ready after a while."""

        def wake() -> None:
            if self._sleeping.pop(run, self) is None:
                run.timer = None
                self.schedule.ready.append(run)
                self._wake.set()

        self._sleeping[run] = None
        run.timer = self._clock.call_later(seconds, wake)

    # ------------------------------------------------------------------ what others ask

    def rearm(self, run: TaskRun) -> None:
        """Let the timeout of a task that an earlier process began count from its beginning."""
        if run.task.timeout and run.started_at is not None:
            self._execution.arm(run, run.task.timeout, passed=(self._now() - run.started_at) / 1000)

    def outputs_of(self, run: TaskRun) -> dict[str, object]:
        """The outputs of a finished task, read back when this process did not run it."""
        if run.outputs is None:
            if run.status == "failed":
                run.outputs = failure_outputs(run)
            elif run.output is not None:
                run.outputs = decode(run.output, self.environment.load_value)
            else:
                run.outputs = {}
        return run.outputs

    def emit(self, kind: EventKind, path: str, data: object = None) -> None:
        """Tell the listeners.  One that raises stops the run: a listener's error is not the task's."""
        if self._listeners:
            event = Event(kind, self._run_id, path, self._now(), data)
            for listener in self._listeners:
                listener(event)


def _cancelled_itself(run: TaskRun) -> TaskAbortedError:
    return TaskAbortedError(f"Task '{run.path}' was cancelled by its own code.")
